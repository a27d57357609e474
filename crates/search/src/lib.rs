//! Searching (AlphaLLM §4.3): eta-MCTS over the prompts with the policy, the fast policy and the
//! critics.
//!
//! Reads questions, never an answer. Writes every tree (`nodes`) and the solutions found in it
//! (`trajectories`), a part for each chunk of prompts; a chunk's trees are advanced together.
//!
//! With `[samples]` in the preset there are no trees: the trajectories are independent samples, ranked
//! by outcome reward, and `nodes` has as many parts, all empty.

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
    /// How questions become text: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// How trees are searched: the preset's tree.toml. Of samples it decides nothing.
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
    /// Independent samples of every prompt instead of a tree; absent searches trees.
    #[serde(default)]
    samples: Option<SampleBudget>,
}

/// What decides the output, for the recipe.
#[derive(Serialize)]
struct Settings<'a> {
    chunk_prompts: usize,
    trajectories_per_prompt: usize,
    tree: &'a SearchConfig,
    text: &'a TextConfig,
    /// Not there without samples, so that the digest of a search of trees is what it was before there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<SampleBudget>,
}

/// Runs the stage.
///
/// # Errors
/// Bad settings (78), bad inputs (65), a locked output (75), a full disk (74).
pub fn run(args: &Args) -> Result<(), Failure> {
    let files =
        args.common.files([("text", args.text.as_path()), ("tree", args.tree.as_path())]);
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
    // The searcher has its weights in an order of its own: they need not be there twice.
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

/// The rows of a part, of both tables.
type Rows = (Vec<NodeRow>, Vec<Trajectory>);

/// A run's models and counts.
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
    /// Searches the parts that are missing.
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

    /// Searches the prompts of a part, and shows how that goes after every wave.
    fn part(&mut self, chunk: &[prompts::Question], progress: &Progress) -> Result<Rows, Failure> {
        let (before, begun, mut shown) = (self.totals.pulse(), self.begun, 0);
        let rows = self.chunk(chunk, &mut |now| {
            progress.message(totals::pace(before + now, begun.elapsed().as_secs_f64()));
            progress.add((now.done - shown) as u64);
            shown = now.done;
        })?;
        progress.add((chunk.len() - shown) as u64);
        Ok(rows)
    }

    /// Whether the run has used up what it was given.
    fn is_over(&self, args: &Args) -> bool {
        args.stop_after.is_some_and(|seconds| self.begun.elapsed().as_secs() >= seconds)
            || args.stop_after_tokens.is_some_and(|tokens| self.totals.tokens >= tokens)
    }

    /// Searches or samples the prompts of a part.
    fn chunk(
        &mut self,
        prompts: &[prompts::Question],
        watch: &mut dyn FnMut(Pulse),
    ) -> Result<Rows, Failure> {
        let (round, run_seed) = (self.common.round, self.common.seed);
        let mut questions = Vec::with_capacity(prompts.len());
        for prompt in prompts {
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

    /// The trees of some questions and what was found in them.
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

    /// Says what kept trees from growing, or cut what was found.
    fn warn(&self) {
        let warnings = self.totals.warnings(&self.searcher.config().mcts);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Independent samples of some questions, which have no nodes.
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
        let (nodes, trajectories) = self.chunk(&some, &mut |_| {})?;
        used.elapsed = clock.elapsed();
        used.bytes = estimate::size(&nodes, &trajectories)?;
        (used.tokens, used.nodes) = self.totals.by_prompt.iter().copied().unzip();
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
