//! Searching (AlphaLLM §4.3): eta-MCTS over the prompts with the policy, the fast policy and the
//! critics.
//!
//! Reads questions, never an answer. Writes every tree (`nodes`) and the solutions found in it
//! (`trajectories`), a part for each chunk of prompts; a chunk's trees are advanced together.

mod estimate;
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use dataset::{Begin, Dataset, Output, Recipe, chunk, seed_for};
use decoding::{
    Bar, Cost, ModelAt, Models, Place, Question, SearchConfig, Searched, Searcher, TextConfig,
};
use mcts::StopReason;
use schema::{NodeRow, Prompt, Trajectory, prompts};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Metrics, Preset, Progress};

use estimate::{Estimate, Pilot};

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
    /// The policy: its checkpoint, or the address of a server, `http://host:port/v1#model`.
    #[arg(long)]
    policy: ModelAt,
    /// The small policy that writes the fast rollouts: its checkpoint, or the address of a server.
    #[arg(long)]
    fast_policy: ModelAt,
    /// A checkpoint with critics' heads, or one or a server's address that is asked in words; once for each.
    #[arg(long = "critic", required = true)]
    critics: Vec<ModelAt>,
    /// Where the solutions go.
    #[arg(long)]
    out_trajectories: PathBuf,
    /// Where the trees go.
    #[arg(long)]
    out_nodes: PathBuf,
    /// Search with critics below the preset's bar, too.
    #[arg(long)]
    weak_critics: bool,
    /// Search some of the prompts (16, or as many as given), write nothing, and say what all of them would take.
    #[arg(long, value_name = "PROMPTS", num_args = 0..=1, default_missing_value = "16")]
    estimate: Option<usize>,
    /// With --estimate: say also which token budget of a prompt takes so many seconds, above 0.
    #[arg(long, value_name = "SECONDS", requires = "estimate", value_parser = seconds)]
    seconds_per_prompt: Option<f64>,
    /// Begin no further part after so many seconds: the same command goes on where this one stopped (exit 75).
    #[arg(long, value_name = "SECONDS")]
    stop_after: Option<u64>,
    /// Begin no further part after this run has generated so many tokens; as --stop-after otherwise.
    #[arg(long, value_name = "TOKENS")]
    stop_after_tokens: Option<u64>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|e| format!("`{text}` is no number: {e}"))?;
    if seconds > 0.0 && seconds.is_finite() { Ok(seconds) } else { Err("not above 0".to_owned()) }
}

/// The preset's `search.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Prompts of one part, whose trees are advanced together.
    chunk_prompts: usize,
    /// The most solutions of a prompt that are written, best first.
    trajectories_per_prompt: usize,
    /// What is asked of the critics' heads (`value`, `prm`, `orm`), on the problems they were judged on.
    #[serde(default)]
    critics_at_least: BTreeMap<String, Bar>,
}

/// What decides the output, for the recipe.
#[derive(Serialize)]
struct Settings<'a> {
    chunk_prompts: usize,
    trajectories_per_prompt: usize,
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
    /// Trees whose answer was settled early, and the nodes they could still have had.
    settled: usize,
    spared_nodes: u64,
    #[serde(flatten)]
    cost: Cost,
    /// Tokens and nodes of each tree.
    #[serde(skip)]
    by_tree: Vec<(f64, f64)>,
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
    if !args.weak_critics {
        models.require(&preset.value.critics_at_least)?;
    }
    let mut inputs = models.inputs();
    inputs.push(prompts.input("prompts"));
    let Config { chunk_prompts, trajectories_per_prompt, .. } = preset.value;
    let (tree, text) = (tree.value, text.value);
    let settings = Settings { chunk_prompts, trajectories_per_prompt, tree: &tree, text: &text };
    let digest = dataset::digest_of(&settings)?;
    let recipe = stage::recipe("search", env!("CARGO_PKG_VERSION"), &args.common, &digest, inputs);
    let questions: Vec<prompts::Question> = prompts.view()?;
    let parts = chunk(questions.len(), chunk_prompts).len();
    if args.common.dry_run {
        tracing::info!("would search {} prompts in {parts} parts", questions.len());
        return Ok(());
    }
    let searcher =
        Searcher::new(models.policies(&text, &place)?, models.critic(&text, &place)?, tree);
    let model = models.policy.label();
    // The searcher has its weights in an order of its own: they need not be there twice.
    drop(models);
    let mut job = Job {
        common: &args.common,
        model,
        searcher: searcher.map_err(Failure::from)?.within(place.kept_at_most),
        keep: trajectories_per_prompt,
        totals: Totals::default(),
        begun: Instant::now(),
    };
    if let Some(pilot) = args.estimate {
        return job.estimate(&questions, pilot, args);
    }
    let Some(outputs) = Outputs::begin(args, recipe, parts)? else {
        tracing::info!("up to date");
        return Ok(());
    };
    job.parts(&questions, chunk_prompts, &outputs, args)?;
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
    totals: Totals,
    begun: Instant,
}

impl Job<'_> {
    /// Searches the parts that are missing.
    fn parts(
        &mut self,
        questions: &[prompts::Question],
        chunk_prompts: usize,
        outputs: &Outputs,
        args: &Args,
    ) -> Result<(), Failure> {
        let mut metrics = Metrics::open(&args.out_trajectories.join("metrics.jsonl"))?;
        let progress = Progress::new("search", questions.len() as u64);
        let ranges = chunk(questions.len(), chunk_prompts);
        let parts = ranges.len();
        for (index, range) in ranges.into_iter().enumerate() {
            let chunk = &questions[range];
            if outputs.miss(index) {
                if self.is_over(args) {
                    let message = format!("stopped before part {index} of {parts}");
                    return Err(
                        Failure::try_again(message).hint("the same command goes on from there")
                    );
                }
                let (nodes, trajectories) = self.chunk(chunk)?;
                outputs.write(index, &nodes, &trajectories)?;
                metrics.row(&self.totals)?;
                progress.message(self.pace());
            }
            progress.add(chunk.len() as u64);
        }
        progress.done();
        Ok(())
    }

    /// Whether the run has used up what it was given.
    fn is_over(&self, args: &Args) -> bool {
        args.stop_after.is_some_and(|seconds| self.begun.elapsed().as_secs() >= seconds)
            || args.stop_after_tokens.is_some_and(|tokens| self.totals.tokens >= tokens)
    }

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
        Ok((nodes, trajectories))
    }

    /// Searches a few prompts and says what all would take.
    fn estimate(
        mut self,
        prompts: &[prompts::Question],
        pilot: usize,
        args: &Args,
    ) -> Result<(), Failure> {
        let mut used = Pilot::default();
        let chosen = estimate::chosen(prompts.len(), pilot);
        let some: Vec<prompts::Question> = chosen.iter().map(|&i| prompts[i].clone()).collect();
        let clock = Instant::now();
        let (nodes, trajectories) = self.chunk(&some)?;
        used.elapsed = clock.elapsed();
        used.bytes = estimate::size(&nodes, &trajectories)?;
        (used.tokens, used.nodes) = self.totals.by_tree.iter().copied().unzip();
        used.tokens.resize(some.len(), 0.0);
        used.nodes.resize(some.len(), 0.0);
        let estimate = Estimate::of(&used, prompts.len(), args.seconds_per_prompt);
        estimate.print(args.common.json)
    }

    /// How fast it goes, for whoever watches.
    fn pace(&self) -> String {
        let (t, seconds) = (&self.totals, self.begun.elapsed().as_secs_f64());
        let kept = t.cost.hit_rate().unwrap_or(0.0) * 100.0;
        let per_second = |count: u64| count as f64 / seconds;
        let (nodes, tokens) = (per_second(t.nodes), per_second(t.tokens));
        format!("{nodes:.0} nodes/s, {tokens:.0} tokens/s, {kept:.0} % kept")
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
        totals.by_tree.push((searched.tokens as f64, f64::from(tally.nodes)));
        if searched.tree.stop() == Some(StopReason::Settled) {
            let most = self.searcher.config().mcts.budget.nodes.unwrap_or(tally.nodes);
            totals.settled += 1;
            totals.spared_nodes += u64::from(most - tally.nodes);
        }
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
