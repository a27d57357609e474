//! Searching (AlphaLLM §4.3): eta-MCTS over the prompts with the policy, the fast policy and the
//! critics.
//!
//! Reads questions, never an answer. Writes every tree (`nodes`) and the solutions found in it
//! (`trajectories`), a part for each chunk of prompts; a chunk's trees are advanced together.

mod rows;

use std::path::PathBuf;

use dataset::{Begin, Dataset, Output, Recipe, chunk, seed_for};
use decoding::{Cost, Models, Place, Question, SearchConfig, Searched, Searcher, TextConfig};
use schema::{NodeRow, Prompt, Trajectory, prompts};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Metrics, Preset, Progress};

/// Searches the prompts with eta-MCTS and writes the trees and the solutions found.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// How questions become text: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// How trees are searched: the preset's tree.toml.
    #[arg(long)]
    tree: PathBuf,
    /// The prompts to search.
    #[arg(long)]
    prompts: PathBuf,
    /// The policy's checkpoint.
    #[arg(long)]
    policy: PathBuf,
    /// The checkpoint of the small policy that writes the fast rollouts.
    #[arg(long)]
    fast_policy: PathBuf,
    /// A checkpoint with critics' heads; once for each.
    #[arg(long = "critic", required = true)]
    critics: Vec<PathBuf>,
    /// Where the solutions go.
    #[arg(long)]
    out_trajectories: PathBuf,
    /// Where the trees go.
    #[arg(long)]
    out_nodes: PathBuf,
}

/// The preset's `search.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Prompts of one part, whose trees are advanced together.
    chunk_prompts: usize,
    /// The most solutions of a prompt that are written, best first.
    trajectories_per_prompt: usize,
}

/// What decides the output, for the recipe.
#[derive(Serialize)]
struct Settings<'a> {
    search: &'a Config,
    tree: &'a SearchConfig,
    text: &'a TextConfig,
}

/// What a run did, for the summary and the metrics.
#[derive(Debug, Default, Serialize)]
struct Totals {
    prompts: usize,
    too_long: usize,
    trees: usize,
    nodes: u64,
    simulations: u64,
    merged: u64,
    terminals: u64,
    tokens: u64,
    answered: usize,
    #[serde(flatten)]
    cost: Cost,
}

/// Runs the stage.
///
/// # Errors
/// Bad settings (78), bad inputs (65), a locked output (75), a full disk (74).
pub fn run(args: &Args) -> Result<(), Failure> {
    let preset: Preset<Config> = args.common.preset()?;
    let text: Preset<TextConfig> = stage::load(&args.text, &[])?;
    let tree: Preset<SearchConfig> = stage::load(&args.tree, &[])?;
    tree.value.validate().map_err(Failure::from)?;
    let place = Place::of(&args.common)?;
    let prompts = Dataset::<Prompt>::open(&args.prompts)?.require_rows()?;
    let models = Models::load(&args.policy, &args.fast_policy, &args.critics, &place)?;
    let mut inputs = models.inputs();
    inputs.push(prompts.input("prompts"));
    let settings = Settings { search: &preset.value, tree: &tree.value, text: &text.value };
    let digest = dataset::digest_of(&settings)?;
    let recipe = stage::recipe("search", env!("CARGO_PKG_VERSION"), &args.common, &digest, inputs);
    let questions: Vec<prompts::Question> = prompts.view()?;
    let parts = chunk(questions.len(), preset.value.chunk_prompts).len();
    if args.common.dry_run {
        tracing::info!("would search {} prompts in {parts} parts", questions.len());
        return Ok(());
    }
    let Some(outputs) = Outputs::begin(args, recipe, parts)? else {
        tracing::info!("up to date");
        return Ok(());
    };
    let searcher = Searcher::new(
        models.policy.policy(&text.value, &place)?,
        models.fast_policy.policy(&text.value, &place)?,
        models.critic(&text.value, &place)?,
        tree.value,
    )
    .map_err(Failure::from)?;
    let mut job = Job {
        common: &args.common,
        model: models.policy.label(),
        searcher,
        keep: preset.value.trajectories_per_prompt,
        metrics: Metrics::open(&args.out_trajectories.join("metrics.jsonl"))?,
        totals: Totals::default(),
    };
    let progress = Progress::new("search", questions.len() as u64);
    let ranges = chunk(questions.len(), preset.value.chunk_prompts);
    for (index, range) in ranges.into_iter().enumerate() {
        let chunk = &questions[range];
        if outputs.miss(index) {
            let (nodes, trajectories) = job.chunk(chunk)?;
            outputs.write(index, &nodes, &trajectories)?;
        }
        progress.add(chunk.len() as u64);
    }
    progress.done();
    outputs.commit()?;
    job.summary(args.common.json)
}

/// The two datasets of a search. One may be complete already: a run was killed between the commits.
struct Outputs {
    nodes: Option<Output<NodeRow>>,
    trajectories: Option<Output<Trajectory>>,
}

impl Outputs {
    /// Takes up the work; none when both are complete.
    fn begin(args: &Args, recipe: Recipe, parts: usize) -> Result<Option<Self>, Failure> {
        let force = args.common.force;
        let nodes = work(Output::begin(&args.out_nodes, recipe.clone(), parts, force)?);
        let trajectories = work(Output::begin(&args.out_trajectories, recipe, parts, force)?);
        let done = nodes.is_none() && trajectories.is_none();
        Ok((!done).then_some(Self { nodes, trajectories }))
    }

    /// Whether a part is missing in either.
    fn miss(&self, index: usize) -> bool {
        self.nodes.as_ref().is_some_and(|o| o.missing().contains(&index))
            || self.trajectories.as_ref().is_some_and(|o| o.missing().contains(&index))
    }

    fn write(
        &self,
        index: usize,
        nodes: &[NodeRow],
        trajectories: &[Trajectory],
    ) -> Result<(), Failure> {
        if let Some(output) = &self.nodes {
            output.write_part(index, nodes)?;
        }
        if let Some(output) = &self.trajectories {
            output.write_part(index, trajectories)?;
        }
        Ok(())
    }

    /// The trajectories last: `make` takes them for the whole.
    fn commit(self) -> Result<(), Failure> {
        if let Some(output) = self.nodes {
            output.commit()?;
        }
        if let Some(output) = self.trajectories {
            output.commit()?;
        }
        Ok(())
    }
}

fn work<W>(begin: Begin<W>) -> Option<W> {
    match begin {
        Begin::Work(work) => Some(work),
        Begin::UpToDate(_) => None,
    }
}

/// A run's models and counts.
struct Job<'a> {
    common: &'a Common,
    model: String,
    searcher: Searcher,
    keep: usize,
    metrics: Metrics,
    totals: Totals,
}

impl Job<'_> {
    /// Searches the prompts of a part.
    fn chunk(
        &mut self,
        prompts: &[prompts::Question],
    ) -> Result<(Vec<NodeRow>, Vec<Trajectory>), Failure> {
        let (round, run_seed) = (self.common.round, self.common.seed);
        let mut questions = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let seed = seed_for(run_seed, "search", round, &prompt.prompt_id);
            if self.searcher.fits(&prompt.prompt).map_err(Failure::from)? {
                questions.push(Question { id: &prompt.prompt_id, text: &prompt.prompt, seed });
            } else {
                tracing::warn!("prompt {} is too long for the models: skipped", prompt.prompt_id);
                self.totals.too_long += 1;
            }
        }
        let searched = self.searcher.search(&questions).map_err(Failure::from)?;
        self.totals.cost += searched.cost;
        let (mut nodes, mut trajectories) = (Vec::new(), Vec::new());
        for (question, searched) in questions.iter().zip(&searched.found) {
            self.count(searched);
            nodes.extend(rows::nodes(question, &searched.tree, round));
            let from = rows::Source { question, model: &self.model, round };
            trajectories.extend(rows::trajectories(&from, searched, self.keep));
        }
        self.totals.prompts += prompts.len();
        self.metrics.row(&self.totals)?;
        Ok((nodes, trajectories))
    }

    fn count(&mut self, searched: &Searched) {
        let (tally, totals) = (searched.tree.tally(), &mut self.totals);
        totals.trees += 1;
        totals.nodes += u64::from(tally.nodes);
        totals.simulations += u64::from(tally.simulations);
        totals.merged += u64::from(tally.merged);
        totals.terminals += u64::from(tally.terminals);
        totals.tokens += searched.tokens;
        totals.answered += usize::from(searched.picks.vote.is_some());
    }

    fn summary(&self, json: bool) -> Result<(), Failure> {
        let t = &self.totals;
        if json {
            return stage::print_json(t);
        }
        let mean = |sum: u64| format!("{:.1}", sum as f64 / t.trees.max(1) as f64);
        let row = vec![
            t.prompts.to_string(),
            t.too_long.to_string(),
            t.answered.to_string(),
            mean(t.nodes),
            mean(t.simulations),
            mean(t.terminals),
            mean(t.merged),
            mean(t.tokens),
            mean(t.cost.policy_tokens),
            mean(t.cost.critic_tokens),
            t.cost.hit_rate().map_or_else(|| "-".to_owned(), |rate| format!("{:.1}", rate * 100.0)),
        ];
        let header = [
            "prompts",
            "too long",
            "answered",
            "nodes",
            "simulations",
            "terminals",
            "merged",
            "tokens",
            "through policies",
            "through critics",
            "kept %",
        ];
        stage::print_table("search (means per tree)", &header, &[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name == "search.toml").unwrap();
        assert!(values.len() >= 5, "{} files", values.len());
        for value in values {
            assert!(value.chunk_prompts > 0 && value.trajectories_per_prompt > 0);
        }
        let trees: Vec<SearchConfig> = stage::shipped(|name| name == "tree.toml").unwrap();
        assert!(trees.len() >= 5, "{} files", trees.len());
        for tree in trees {
            tree.validate().unwrap();
        }
    }
}
