//! The search stage (AlphaLLM §4.3): eta-MCTS over the prompts with the policy, the fast policy and the critics.
//!
//! Reads questions and never an answer. Writes every tree (`nodes`) and the solutions found in it (`trajectories`), one
//! part per chunk of prompts; the trees of a chunk are searched together, so that their model calls share batches.
//!
//! With `[samples]` in the preset there are no trees: the trajectories are independent samples, ranked by outcome reward,
//! and `nodes` has as many parts, all empty.

mod estimate;
mod outputs;
mod rows;
mod totals;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use dataset::{Dataset, METRICS, chunk, seed_for};
use decoding::models;
use decoding::{
    Bar, Fitting, ModelAt, Models, Place, Pulse, Question, SampleBudget, SearchConfig, Searcher,
    TextConfig,
};
use schema::{NodeRow, Prompt, Trajectory, prompts};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Metrics, Preset, Progress};

use estimate::{Estimate, Pilot};
use outputs::{Outputs, Places};
use totals::Totals;

/// Searches the prompts with eta-MCTS, or samples them, and writes the trees and the solutions found.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The preset's text.toml: how a question becomes text.
    #[arg(long)]
    text: PathBuf,
    /// The preset's tree.toml: how trees are searched. It has no effect on samples.
    #[arg(long)]
    tree: PathBuf,
    /// The prompts to search.
    #[arg(long)]
    prompts: PathBuf,
    /// The policy: a checkpoint, or a server's address, `http://host:port/v1#model`.
    #[arg(long)]
    policy: ModelAt,
    /// The small policy that writes the fast rollouts: a checkpoint, or a server's address.
    #[arg(long)]
    fast_policy: ModelAt,
    /// A critic: a checkpoint with critic heads, or a checkpoint or server that is asked in words. Repeat the flag for each
    /// model.
    #[arg(long = "critic", required = true)]
    critics: Vec<ModelAt>,
    /// Output folder for the solutions.
    #[arg(long)]
    out_trajectories: PathBuf,
    /// Output folder for the trees.
    #[arg(long)]
    out_nodes: PathBuf,
    /// Search even if the critics are below the preset's bar.
    #[arg(long)]
    weak_critics: bool,
    /// Search only a few prompts (16, or the number given), write nothing, and print what the whole search would take.
    #[arg(long, value_name = "PROMPTS", num_args = 0..=1, default_missing_value = "16")]
    estimate: Option<usize>,
    /// With --estimate: also print the token budget per prompt that takes this many seconds; above 0.
    #[arg(long, value_name = "SECONDS", requires = "estimate", value_parser = seconds)]
    seconds_per_prompt: Option<f64>,
    /// Start no new part after this many seconds. Exits with 75; the same command resumes where this one stopped.
    #[arg(long, value_name = "SECONDS")]
    stop_after: Option<u64>,
    /// Start no new part once this run has generated this many tokens. Exits and resumes as with --stop-after.
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
    /// Prompts per part. The trees of a part are searched together.
    chunk_prompts: usize,
    /// The most solutions to write per prompt, best first.
    trajectories_per_prompt: usize,
    /// The bar for each critic head (`value`, `prm`, `orm`): its least figures on the held-out problems it was judged on.
    #[serde(default)]
    critics_at_least: BTreeMap<String, Bar>,
    /// Draws independent samples of every prompt instead of searching a tree; absent means trees.
    #[serde(default)]
    samples: Option<SampleBudget>,
}

/// Everything that determines the output, hashed into the recipe.
#[derive(Serialize)]
struct Settings<'a> {
    chunk_prompts: usize,
    trajectories_per_prompt: usize,
    tree: &'a SearchConfig,
    text: &'a TextConfig,
    /// Left out when there are no samples, so that tree searches keep the digest they had before this setting existed.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<SampleBudget>,
}

/// Runs the stage.
///
/// # Errors
/// Bad settings (78), bad inputs (65), a locked output (75), a full disk (74).
pub fn run(args: &Args) -> Result<(), Failure> {
    let files = args.common.files([("text", args.text.as_path()), ("tree", args.tree.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    let tree: Preset<SearchConfig> = files.other("tree")?;
    tree.value.validate().map_err(Failure::from)?;
    preset.value.samples.as_ref().map_or(Ok(()), SampleBudget::validate)?;
    let place = Place::of(&args.common)?;
    let prompts = Dataset::<Prompt>::open(&args.prompts)?.require_rows()?;
    let models = Models::load(&args.policy, &args.fast_policy, &args.critics, &place)?;
    if !args.weak_critics {
        models.require(&preset.value.critics_at_least)?;
    }
    let mut inputs = models.inputs();
    inputs.push(prompts.input("prompts"));
    let Config { chunk_prompts, trajectories_per_prompt, samples, .. } = preset.value;
    let (tree, text) = (tree.value, text.value);
    let settings =
        Settings { chunk_prompts, trajectories_per_prompt, tree: &tree, text: &text, samples };
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
    let critics = models::critics_id(&models.critics, &text)?;
    // The searcher holds its own copy of the weights in another layout: free these, rather than keep both in memory.
    drop(models);
    let searcher = searcher.map_err(Failure::from)?.within(place.kept_at_most);
    let each = questions.iter().map(|prompt| (prompt.prompt_id.as_str(), prompt.prompt.as_str()));
    let fitting = searcher.fitting(each).map_err(Failure::from)?;
    fitting.require("prompts")?;
    let mut job = Job {
        common: &args.common,
        model,
        critics,
        searcher,
        fitting,
        keep: trajectories_per_prompt,
        samples,
        totals: Totals::default(),
        begun: Instant::now(),
    };
    if let Some(pilot) = args.estimate {
        return job.estimate(&questions, pilot, args);
    }
    let at = Places { nodes: &args.out_nodes, trajectories: &args.out_trajectories };
    let Some(outputs) = Outputs::begin(at, &recipe, parts, args.common.force)? else {
        tracing::info!("up to date");
        return Ok(());
    };
    job.parts(&questions, chunk_prompts, &outputs, args)?;
    outputs.commit()?;
    job.warn();
    job.totals.print(args.common.json, job.samples.is_some())
}

/// The rows of one part, for both tables.
type Rows = (Vec<NodeRow>, Vec<Trajectory>);

/// The models and counters of a run.
struct Job<'a> {
    common: &'a Common,
    model: String,
    critics: String,
    searcher: Searcher,
    fitting: Fitting,
    keep: usize,
    samples: Option<SampleBudget>,
    totals: Totals,
    begun: Instant,
}

impl Job<'_> {
    /// Searches the missing parts.
    fn parts(
        &mut self,
        questions: &[prompts::Question],
        chunk_prompts: usize,
        outputs: &Outputs,
        args: &Args,
    ) -> Result<(), Failure> {
        let mut metrics = Metrics::open(&args.out_trajectories.join(METRICS))?;
        let ranges = chunk(questions.len(), chunk_prompts);
        let parts = ranges.len();
        let missing = outputs.missing();
        let missing: Vec<_> =
            ranges.into_iter().enumerate().filter(|(index, _)| missing.contains(index)).collect();
        let left: usize = missing.iter().map(|(_, range)| range.len()).sum();
        let progress = Progress::new("search", left as u64);
        for (index, range) in missing {
            // Checked between parts only: a part is written whole or not at all, so stopping inside one would waste its
            // work.
            if self.is_over(args) {
                let message = format!("stopped before part {index} of {parts}");
                return Err(Failure::try_again(message).hint("the same command goes on from there"));
            }
            let (nodes, trajectories) = self.part(&questions[range], &progress)?;
            outputs.write(index, &nodes, &trajectories)?;
            metrics.row(&self.totals)?;
        }
        Ok(())
    }

    /// Searches the prompts of one part, and updates the progress bar after every wave of model calls.
    fn part(&mut self, chunk: &[prompts::Question], progress: &Progress) -> Result<Rows, Failure> {
        let (before, begun, mut shown) = (self.totals.pulse(), self.begun, 0);
        let rows = self.chunk(chunk, &mut |now| {
            progress.message(totals::pace(before + now, begun.elapsed().as_secs_f64()));
            progress.add((now.done - shown) as u64);
            shown = now.done;
        })?;
        // Prompts that are too long never show up in a pulse: count them here, so that the bar still reaches its end.
        progress.add((chunk.len() - shown) as u64);
        Ok(rows)
    }

    /// Whether the run has used up its time or its tokens.
    fn is_over(&self, args: &Args) -> bool {
        args.stop_after.is_some_and(|seconds| self.begun.elapsed().as_secs() >= seconds)
            || args.stop_after_tokens.is_some_and(|tokens| self.totals.tokens >= tokens)
    }

    /// Searches or samples the prompts of one part.
    fn chunk(
        &mut self,
        prompts: &[prompts::Question],
        watch: &mut dyn FnMut(Pulse),
    ) -> Result<Rows, Failure> {
        let (round, run_seed) = (self.common.round, self.common.seed);
        let mut questions = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            // The seed comes from the prompt's id and not from its position, so parts can be searched in any order.
            let seed = seed_for(run_seed, "search", round, &prompt.prompt_id);
            if self.fitting.holds(&prompt.prompt_id) {
                questions.push(Question { id: &prompt.prompt_id, text: &prompt.prompt, seed });
            } else {
                self.totals.too_long += 1;
            }
        }
        let rows = match self.samples {
            Some(budget) => self.sample(&questions, &budget, watch),
            None => self.search(&questions, watch),
        };
        self.totals.prompts += prompts.len();
        rows.map_err(Failure::from)
    }

    fn source<'q>(&'q self, question: &'q Question<'q>) -> rows::Source<'q> {
        let (model, critics) = (&self.model, &self.critics);
        rows::Source { question, model, critics, round: self.common.round }
    }

    /// Searches the trees of `questions` and returns their rows.
    fn search(
        &mut self,
        questions: &[Question<'_>],
        watch: &mut dyn FnMut(Pulse),
    ) -> Result<Rows, decoding::Error> {
        let searched = self.searcher.search_watched(questions, watch)?;
        self.totals.cost += searched.cost;
        let config = self.searcher.config().mcts.clone();
        let round = self.common.round;
        let (mut nodes, mut trajectories) = (Vec::new(), Vec::new());
        for (question, searched) in questions.iter().zip(&searched.found) {
            self.totals.add_tree(searched, &config);
            nodes.extend(rows::nodes(question, &searched.tree, round));
            let from = self.source(question);
            trajectories.extend(rows::trajectories(&from, searched, self.keep));
        }
        Ok((nodes, trajectories))
    }

    /// Warns if something kept trees from growing, or cut solutions short.
    fn warn(&self) {
        let warnings = self.totals.warnings(&self.searcher.config().mcts);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Draws independent samples of `questions`; they have no nodes.
    fn sample(
        &mut self,
        questions: &[Question<'_>],
        budget: &SampleBudget,
        watch: &mut dyn FnMut(Pulse),
    ) -> Result<Rows, decoding::Error> {
        let sampled = self.searcher.samples(questions, budget, watch)?;
        self.totals.cost += sampled.cost;
        let mut trajectories = Vec::new();
        for (question, sampled) in questions.iter().zip(&sampled.found) {
            self.totals.add_samples(sampled);
            let from = self.source(question);
            trajectories.extend(rows::samples(&from, &sampled.samples, self.keep));
        }
        Ok((Vec::new(), trajectories))
    }

    /// Searches a few prompts and prints what all of them would take.
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
        let (nodes, trajectories) = self.chunk(&some, &mut |_| {})?;
        used.elapsed = clock.elapsed();
        used.bytes = estimate::size(&nodes, &trajectories)?;
        (used.tokens, used.nodes) = self.totals.by_prompt.iter().copied().unzip();
        // Prompts that are too long have no entry: they cost nothing, but count when the pilot is scaled up.
        used.tokens.resize(some.len(), 0.0);
        used.nodes.resize(some.len(), 0.0);
        self.warn();
        let estimate = Estimate::of(&used, prompts.len(), args.seconds_per_prompt);
        let budget = if self.samples.is_some() { "samples.tokens" } else { "budget.tokens" };
        estimate.print(args.common.json, budget)
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
            value.samples.as_ref().map_or(Ok(()), SampleBudget::validate).unwrap();
        }
        let trees: Vec<SearchConfig> = stage::shipped(|name| name == "tree.toml").unwrap();
        assert!(trees.len() >= 5, "{} files", trees.len());
        for tree in trees {
            tree.validate().unwrap();
        }
    }

    #[test]
    fn samples_may_be_asked_for_on_the_command_line_alone() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/tiny/search.toml");
        let load = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(ToString::to_string).collect();
            stage::load::<Config>(path.as_ref(), &set).map(|preset| preset.value.samples)
        };
        let sampling = "samples.sampling.temperature.temperature=1.0";
        let samples = load(&["samples.count=5", sampling]).unwrap().unwrap();
        samples.validate().unwrap();
        assert_eq!((samples.count, samples.tokens), (5, None));
        let samples = load(&["samples.count=9", "samples.tokens=300", "samples.sampling=greedy"]);
        assert_eq!(samples.unwrap().unwrap().tokens, Some(300));
        let message = load(&["samples.count=5"]).unwrap_err().to_string();
        assert!(message.contains("sampling"), "{message}");
    }
}
