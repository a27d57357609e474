//! What decides a stage's output, as its manifest records it.

use dataset::{Input, Recipe};

use crate::args::Common;

/// The variable that names the revision of the source. For people only: it decides nothing.
const REVISION: &str = "ALPHALLM_REVISION";

/// The recipe of an output: the tool, the preset's digest, the round, the seed and what was read.
///
/// The round counts as configuration: rows carry it and every random choice derives from it. Device
/// and workers do not, since they never change a result.
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
