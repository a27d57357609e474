//! The filter stage: selects the trajectories to learn from, `D = {(x, y) : f(x, y) > γ}` (AlphaLLM §4.4).
//!
//! Reads trajectories and critiques, and writes three tables: examples for fine-tuning the policy, pairs for preference
//! optimization, and step labels for a process reward model. Everything is decided by the critics, the calculator,
//! agreement, and the masked numbers of backward questions. No gold answer is seen here: the label columns of the prompts
//! are not read.
//!
//! The three outputs are as close to one commit as three folders can be: the SFT examples, which fine-tuning waits for, are
//! committed last, and all three always come from the same run.

mod args;
mod config;
mod frame;
mod judged;
mod output;
mod rows;
mod select;
mod summary;

pub use args::Args;
pub use config::{FilterConfig, RankBy};

use dataset::Dataset;
use schema::{Critique, Prompt, Question, Trajectory};
use stage::Failure;

use crate::judged::Judged;
use crate::output::{Outputs, Tables};
use crate::select::Selection;
use crate::summary::Summary;

/// Runs the stage.
pub fn run(args: &Args) -> Result<(), Failure> {
    let preset = args.common.preset::<FilterConfig>()?;
    let config = &preset.value;
    config.check()?;
    args.check()?;
    let trajectories = Dataset::<Trajectory>::open(&args.trajectories)?;
    let critiques = Dataset::<Critique>::open(&args.critiques)?;
    let prompts = args.prompts.as_deref().map(Dataset::<Prompt>::open).transpose()?;
    let mut inputs = vec![trajectories.input("trajectories"), critiques.input("critiques")];
    inputs.extend(prompts.iter().map(|prompts| prompts.input("prompts")));
    let version = env!("CARGO_PKG_VERSION");
    let recipe = stage::recipe("filter", version, &args.common, &preset.digest, inputs);
    let mut judged = Judged::new(trajectories.rows()?, critiques.rows()?)
        .map_err(|failure| failure.within(args.critiques.display()))?;
    if let Some(prompts) = prompts {
        judged = judged.asked(&prompts.view::<Question>()?)?;
    }
    let selection = Selection::new(&judged, config)?;
    let tables = Tables::new(&judged, &selection, config);
    let summary = Summary::new(&judged, &selection, &tables);
    if args.common.dry_run {
        return summary.print("would be written", args.common.json);
    }
    let outputs = Outputs::begin(args, &recipe, &tables, config.chunk_rows)?;
    let written = outputs.write(&recipe, &tables, &summary)?;
    summary.print(if written { "written" } else { "up to date" }, args.common.json)
}
