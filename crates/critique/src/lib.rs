//! Criticizing (AlphaLLM §4.3): `critique score` judges trajectories with the critics and the
//! calculator; `critique label` samples solutions of the labelled seeds and turns them into what the
//! critics learn.
//!
//! `score` reads no gold answer. `label` reads those of the labelled seeds, the only labels of the
//! loop.

mod label;
mod score;

use stage::Failure;

/// Scores trajectories, or labels the critics' training data.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Judges every trajectory with the critics and the calculator.
    Score(score::Args),
    /// Samples solutions of labelled problems and derives the critics' targets.
    Label(label::Args),
}

/// Runs the stage.
///
/// # Errors
/// Bad settings (78), bad inputs (65), a locked output (75), a full disk (74).
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Score(args) => score::run(&args),
        Command::Label(args) => label::run(&args),
    }
}
