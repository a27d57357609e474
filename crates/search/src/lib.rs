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
mod session;
mod totals;

use std::collections::BTreeMap;
use std::path::PathBuf;

use dataset::{Dataset, chunk};
use decoding::{
    Bar, Head, ModelAt, Models, Runtime, SampleBudget, SearchConfig, Searcher, TextConfig, models,
};
use schema::{Prompt, prompts};
use serde::{Deserialize, Serialize};
use stage::{CacheLimit, Common, Failure, Inference, Metrics, Parts, Plan, Preset, Sharing};

use outputs::{Folders, Outputs};
use rows::Source;
use session::Session;

/// Searches the prompts with eta-MCTS, or samples them, and writes the trees and the solutions found.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    inference: Inference,
    #[command(flatten)]
    cache: CacheLimit,
    #[command(flatten)]
    sharing: Sharing,
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
    /// The bar for each critic head: its least figures on the held-out problems it was judged on.
    #[serde(default)]
    critics_at_least: BTreeMap<Head, Bar>,
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
    let folders = Folders { nodes: &args.out_nodes, trajectories: &args.out_trajectories };
    if args.sharing.told(&[folders.nodes, folders.trajectories], args.common.json)? {
        return Ok(());
    }
    let files = args.common.files([("text", args.text.as_path()), ("tree", args.tree.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    let tree: Preset<SearchConfig> = files.other("tree")?;
    tree.value.validate().map_err(Failure::from)?;
    preset.value.samples.as_ref().map_or(Ok(()), SampleBudget::validate)?;
    let runtime = Runtime::for_inference(&args.sharing.inference(&args.inference), &text.value)?;
    let prompts = Dataset::<Prompt>::open(&args.prompts)?.require_rows()?;
    let models = Models::at(&args.policy, &args.fast_policy, &args.critics, &runtime)?;
    if !args.weak_critics {
        models.require(&preset.value.critics_at_least)?;
    }
    let mut inputs = models.inputs();
    inputs.push(prompts.input("prompts"));
    let Config { chunk_prompts, trajectories_per_prompt, samples, .. } = preset.value;
    let (tree, text) = (tree.value, text.value);
    let settings =
        Settings { chunk_prompts, trajectories_per_prompt, tree: &tree, text: &text, samples };
    let plan = Plan { tool: "search", common: &args.common, settings: &settings, inputs };
    let questions: Vec<prompts::Question> = prompts.view()?;
    let parts = chunk(questions.len(), chunk_prompts);
    let would = format_args!("search {} prompts in {} parts", questions.len(), parts.len());
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let count = parts.len();
    let begin = |recipe, mode| Outputs::begin(folders, &recipe, count, mode);
    let work = work.shared(args.sharing);
    let work = work.unless_shared_with(folders.trajectories, begin, Outputs::commit)?;
    let Some(work) = work else { return Ok(()) };
    let source = Source {
        model: models.policy.label(),
        critics: models::critics_id(&models.critics, &text)?,
        round: args.common.round,
    };
    let (policies, critic) = (models.policies(&text)?, models.critic(&text)?);
    let searcher = Searcher::new(policies, critic, tree).map_err(Failure::from)?;
    let searcher = searcher.within(args.cache.kv_bytes());
    let mut session = Session::new(searcher, source, &preset.value, &args.common, &questions)?;
    if let Some(pilot) = args.estimate {
        return session.estimate(&questions, pilot, args.seconds_per_prompt);
    }
    // Begun only now: what is refused up to here leaves no begun folders and, with --force, costs no old ones.
    let Some(outputs) = work.begin(folders.trajectories, begin)? else { return Ok(()) };
    let mut metrics = Metrics::shared(folders.trajectories, args.sharing)?;
    let parts = Parts { label: "search", items: parts, sharing: args.sharing };
    let whole = parts.make_missing(&outputs, &mut metrics, |part| {
        // Only between parts: a part is written whole or not at all, so stopping inside one would waste its work.
        if session.is_over(args) {
            let message = format!("stopped before part {} of {count}", part.index);
            return Err(Failure::try_again(message).hint("the same command goes on from there"));
        }
        let rows = session.part(&questions[part.items], part.progress)?;
        Ok((rows, [session.totals.clone()]))
    })?;
    if whole {
        outputs.commit()?;
    }
    session.summarize()
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
