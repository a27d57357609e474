//! What decides a stage's output, as its manifest records it.

use dataset::{Input, Recipe};

use crate::args::Common;

/// The variable that names the revision of the source. For people only: it decides nothing.
const REVISION: &str = "ALPHALLM_REVISION";

/// The recipe of an output: the tool, the preset's digest, the round, the seed and what was read.
///
/// The round counts as configuration: rows carry it and every random choice derives from it. Workers
/// do not, since they never change a result; nor does the device, so that a run may move to another.
pub fn recipe(
    tool: &str,
    version: &str,
    common: &Common,
    digest: &str,
    inputs: Vec<Input>,
) -> Recipe {
    Recipe {
        tool: tool.to_owned(),
        tool_version: version.to_owned(),
        revision: std::env::var(REVISION).ok().filter(|revision| !revision.is_empty()),
        config: format!("{digest}@round-{}", common.round),
        seed: common.seed,
        inputs,
    }
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

    /// The identity of an output made with these further arguments.
    fn identity(words: &[&str]) -> String {
        let words = ["x", "--config", "p.toml"].iter().chain(words);
        let common = Args::try_parse_from(words).unwrap().common;
        recipe("search", "1.0", &common, "ab", Vec::new()).digest("nodes@1")
    }

    #[test]
    fn only_what_changes_a_result_is_another_recipe() {
        let plain = identity(&[]);
        for same in [&["--workers", "7"][..], &["--device", "cuda:1"], &["--force"], &["--json"]] {
            assert_eq!(identity(same), plain, "{same:?}");
        }
        for other in [["--seed", "1"], ["--round", "1"]] {
            assert_ne!(identity(&other), plain, "{other:?}");
        }
    }
}
