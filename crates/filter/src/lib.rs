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
mod asked;
mod config;
mod inputs;
mod judged;
mod output;
mod rows;
mod select;
mod summary;
mod tally;

pub use args::Args;
pub use config::{FilterConfig, RankBy};

use std::collections::BTreeMap;

use schema::{Critique, Question, Trajectory};
use stage::{Failure, Plan};

use crate::asked::Prompts;

use crate::inputs::{Inputs, Searched};
use crate::judged::{by_prompt, pair};
use crate::output::Outputs;
use crate::rows::Rows;
use crate::select::{Choice, criteria};
use crate::summary::Summary;
use crate::tally::Tally;

/// Runs the stage.
pub fn run(args: &Args) -> Result<(), Failure> {
    let preset = args.common.preset::<FilterConfig>()?;
    let config = &preset.value;
    config.check()?;
    args.check()?;
    let inputs = Inputs::open(args)?;
    // The inputs are read twice: an output cannot be begun before its number of parts is known, and keeping all rows until
    // then could take more memory than there is.
    let summary = count(&inputs, config)?;
    if args.common.dry_run {
        return summary.print("would be written", args.common.json);
    }
    let (common, listed) = (&args.common, inputs.listed.clone());
    let recipe = Plan { tool: "filter", common, settings: config, inputs: listed }.recipe()?;
    let outputs = Outputs::begin(args, &recipe, &summary, config.chunk_rows)?;
    let Some(mut writer) = outputs.anew(&recipe)? else {
        return summary.print("up to date", args.common.json);
    };
    inputs.for_each_prompt(|searched| {
        writer.add(Rows::new(&Choice::new(searched, config)?, config))
    })?;
    writer.commit(&summary)?;
    summary.print("written", args.common.json)
}

/// Says of each trajectory of some whole prompts which criterion removes it, by the name of its setting, or `None` if it is
/// kept; by trajectory id. `questions` are those of the prompts, if the filter was given them.
///
/// # Errors
/// Exit 65 for trajectories and critiques that do not belong together.
pub fn fates(
    config: &FilterConfig,
    questions: Option<Vec<Question>>,
    trajectories: Vec<Trajectory>,
    critiques: Vec<Critique>,
) -> Result<BTreeMap<String, Option<&'static str>>, Failure> {
    let (prompts, judged) = (questions.map(Prompts::new), pair(trajectories, critiques)?);
    let mut fates = BTreeMap::new();
    for judged in by_prompt(&judged) {
        let asked = prompts.as_ref().map(|all| all.of(&judged[0].trajectory)).transpose()?;
        let choice = Choice::new(&Searched { judged, asked }, config)?;
        let kept = choice.kept.iter().map(|one| (*one, None));
        let removed = choice.removed.iter().map(|(one, criterion)| (*one, Some(*criterion)));
        let id = |(one, fate): (&judged::Judged, _)| (one.trajectory.trajectory_id.clone(), fate);
        fates.extend(kept.chain(removed).map(id));
    }
    Ok(fates)
}

/// Counts what will be written.
fn count(inputs: &Inputs, config: &FilterConfig) -> Result<Summary, Failure> {
    let mut tally = Tally::default();
    inputs.for_each_prompt(|searched| {
        let choice = Choice::new(searched, config)?;
        tally.add(searched, &choice, &Rows::new(&choice, config));
        Ok(())
    })?;
    Ok(Summary::new(&tally, criteria(config, inputs.have_prompts())))
}
