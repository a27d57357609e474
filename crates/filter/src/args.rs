//! The command line.

use std::path::PathBuf;

use stage::{Common, Failure};

/// Keeps the trajectories that pass critics, calculator and agreement, and writes training data from them.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "filter", version)]
pub struct Args {
    /// Options common to all stages.
    #[command(flatten)]
    pub common: Common,
    /// The trajectories to choose from.
    #[arg(long, value_name = "DIR")]
    pub trajectories: PathBuf,
    /// The critiques of these trajectories, one each.
    #[arg(long, value_name = "DIR")]
    pub critiques: PathBuf,
    /// The prompts that were searched. With them, solutions of backward questions must come to the masked number, and the
    /// summary has a row for each operator.
    #[arg(long, value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// Output folder for the SFT examples; committed last.
    #[arg(long, value_name = "DIR")]
    pub out_sft: PathBuf,
    /// Output folder for the pairs of a better and a worse solution.
    #[arg(long, value_name = "DIR")]
    pub out_preferences: PathBuf,
    /// Output folder for the step labels.
    #[arg(long, value_name = "DIR")]
    pub out_steps: PathBuf,
}

impl Args {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let [a, b, c] = [&self.out_sft, &self.out_preferences, &self.out_steps];
        if a == b || a == c || b == c {
            return Err(Failure::usage("the three outputs have to be three directories"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn outputs_do_not_share_a_directory() {
        let parse = |steps: &str| {
            let words =
                "filter --config c --trajectories t --critiques q --out-sft a --out-preferences b";
            Args::parse_from(words.split(' ').chain(["--out-steps", steps]))
        };
        assert!(parse("c").check().is_ok());
        for taken in ["a", "b"] {
            assert_eq!(parse(taken).check().unwrap_err().exit(), stage::Exit::Usage);
        }
    }
}
