//! The recipe of a stage's output, as its manifest records it.

use dataset::{Input, Recipe};

use crate::args::Common;

/// The environment variable with the revision of the source. It is informative only, and not part of the digest.
const REVISION: &str = "ALPHALLM_REVISION";

/// Makes the recipe of an output from the tool, the digest of the preset, the round, the seed and the inputs.
///
/// The round counts as configuration, because rows contain it and every random choice derives from it. Where models run
/// is not among the arguments: the number of workers never changes a result, and a run can move to another device.
pub(crate) fn recipe(
    tool: &str,
    version: &str,
    common: &Common,
    digest: &str,
    inputs: Vec<Input>,
) -> Recipe {
    Recipe {
        tool: tool.to_owned(),
        tool_version: version.to_owned(),
        // The Makefile sets it from `git describe`, which prints nothing outside a repository.
        revision: std::env::var(REVISION).ok().filter(|revision| !revision.is_empty()),
        config: config(digest, common.round),
        seed: common.seed,
        inputs,
    }
}

/// Returns what a recipe says of the settings with this digest in a round.
pub fn config(digest: &str, round: i32) -> String {
    format!("{digest}@round-{round}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        common: Common,
    }

    /// Returns the digest of the recipe of an output made with these arguments.
    fn identity(words: &[&str]) -> String {
        let words = ["x", "--config", "p.toml"].iter().chain(words);
        let common = Args::try_parse_from(words).unwrap().common;
        recipe("search", "1.0", &common, "ab", Vec::new()).digest("nodes@1")
    }

    #[test]
    fn only_what_changes_a_result_is_another_recipe() {
        let plain = identity(&[]);
        for same in ["--force", "--json"] {
            assert_eq!(identity(&[same]), plain, "{same}");
        }
        for other in [["--seed", "1"], ["--round", "1"]] {
            assert_ne!(identity(&other), plain, "{other:?}");
        }
    }
}
