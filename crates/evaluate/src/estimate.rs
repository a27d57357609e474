//! `evaluate estimate`: about what a round would take, before anything of it runs.
//!
//! The policy answers a few of the seeds, which shows its speed and the length of its solutions. All else is arithmetic on the
//! preset's settings. It is meant to tell an hour from a night (docs/guide/scale.md).

use std::path::{Path, PathBuf};
use std::time::Instant;

use dataset::Dataset;
use decoding::{AnyModel, ModelAt, Models, Question, Runtime, Sampler, TextConfig};
use policy::Policy;
use schema::Prompt;
use serde::Serialize;
use stage::{Failure, Inference, Preset};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    inference: Inference,
    /// The preset's folder.
    #[arg(long)]
    preset: PathBuf,
    /// The model that round 0 starts from.
    #[arg(long)]
    policy: ModelAt,
    /// The seeds.
    #[arg(long)]
    seeds: PathBuf,
    /// The validation problems.
    #[arg(long)]
    validation: PathBuf,
    /// The problems of a split that is measured; repeat it for each.
    #[arg(long = "problems", required = true)]
    problems: Vec<PathBuf>,
    /// How many seeds to answer at first; more of them if that takes no time.
    #[arg(long, default_value_t = 64)]
    pilot: usize,
    /// Print the estimate as JSON.
    #[arg(long)]
    json: bool,
}

/// The speed of the policy and the length of its solutions, from a few answers.
#[derive(Debug, Clone, Copy, Serialize)]
struct Pilot {
    /// Seconds per token that goes through the model, read or written.
    seconds_per_token: f64,
    /// Tokens of a solution: of the policy's own, or of the seeds' if it learns from those first.
    solution: f64,
    /// Options of a solution.
    options: f64,
}

/// The numbers of problems.
#[derive(Debug, Clone, Copy)]
struct Problems {
    seeds: f64,
    validation: f64,
    /// Of all splits that are measured together.
    measured: f64,
    /// The number of those splits.
    splits: f64,
}

/// A stage's share of a round.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Item {
    output: &'static str,
    /// The counts behind it, for people to read.
    of: String,
    /// Tokens that a policy generates, or that training reads.
    tokens: f64,
    seconds: f64,
}

/// Time, memory and disk of a round.
#[derive(Debug, Serialize)]
struct Estimate {
    pilot: Pilot,
    items: Vec<Item>,
    seconds: f64,
    /// Bytes of memory for inference and for training.
    memory: [f64; 2],
    /// Bytes on disk.
    disk: f64,
}

/// A token in training takes as long as so many that are written: 1.1 to 1.35 were measured. Training has three times the
/// operations, but in products that are large.
const TRAINING: f64 = 1.3;
/// A tree's tokens are written by the policy and read by the critics: 1.7 was measured.
const SEARCHING: f64 = 1.7;
/// Seconds that a pilot should take, or more seeds are answered: a small model shows its speed in large batches only.
const LONG_ENOUGH: f64 = 3.0;
/// Bytes of the tables for each prompt that is searched; 4.9 KB were measured (docs/PERFORMANCE.md).
const TABLES: f64 = 5e3;
/// Bytes of a checkpoint of adapters: 20 to 35 MB were measured for rank 16.
const ADAPTERS: f64 = 35e6;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let text: Preset<TextConfig> = stage::load(&args.preset.join("text.toml"), &[])?;
    let runtime = Runtime::for_inference(&args.inference, &text.value)?;
    let rows = |dir: &Path| Dataset::<Prompt>::open(dir)?.require_rows();
    let seeds = rows(&args.seeds)?;
    let measured = args.problems.iter().map(|dir| Ok(rows(dir)?.len()));
    let measured = measured.collect::<Result<Vec<_>, Failure>>()?;
    let problems = Problems {
        seeds: seeds.len() as f64,
        validation: rows(&args.validation)?.len() as f64,
        measured: measured.iter().sum::<usize>() as f64,
        splits: measured.len() as f64,
    };
    let models = Models::at(&args.policy, &args.policy, &[], &runtime)?;
    let settings = Settings { dir: &args.preset };
    let learns = settings.number("policy", &["seed_share"])? > 0.0;
    let pilot = pilot(&models, &text.value, &seeds.rows()?, args.pilot.max(1), learns)?;
    let weights = weights(&models.policy)?;
    let (memory, disk) = (settings.memory(weights)?, settings.disk(weights)?);
    let items = Round { settings, pilot, problems }.items()?;
    let seconds = items.iter().map(|item| item.seconds).sum();
    let estimate = Estimate { pilot, items, seconds, memory, disk };
    estimate.print(args.json)
}

/// Answers `count` of the seeds, or more. If the policy `learns` from the seeds' solutions before it writes any, theirs are what
/// it will write.
fn pilot(
    models: &Models,
    text: &TextConfig,
    seeds: &[Prompt],
    mut count: usize,
    learns: bool,
) -> Result<Pilot, Failure> {
    let [policy, _] = models.policies(text)?;
    let sampler = Sampler::new(policy.clone(), models.critic(text)?);
    let (asked, answered, seconds) = loop {
        let asked = &seeds[..count.min(seeds.len())];
        let questions: Vec<Question<'_>> = asked
            .iter()
            .map(|one| Question { id: &one.prompt_id, text: &one.prompt, seed: 0 })
            .collect();
        let begun = Instant::now();
        let answered = sampler.greedy(&questions, &mut |_| {}).map_err(Failure::from)?;
        let seconds = begun.elapsed().as_secs_f64();
        if seconds >= LONG_ENOUGH || asked.len() == seeds.len() {
            break (asked, answered, seconds);
        }
        count *= 8;
    };
    let answers = answered.results;
    let (mut tokens, mut options) = (0.0, 0.0);
    for (one, answer) in asked.iter().zip(&answers) {
        if let Some(solution) = one.solution.as_deref().filter(|_| learns) {
            tokens += length(&policy, &one.prompt, solution)?;
            options += solution.lines().count() as f64;
        } else {
            tokens += f64::from(answer.tokens);
            options += answer.parts.len() as f64;
        }
    }
    let count = answers.len() as f64;
    // A server does not say what went through its model.
    let written = answers.iter().map(|answer| u64::from(answer.tokens)).sum::<u64>();
    let through = answered.cost.policy_tokens.max(written).max(1);
    Ok(Pilot {
        seconds_per_token: seconds / through as f64,
        solution: tokens / count,
        options: (options / count).max(1.0),
    })
}

/// The tokens of a solution; 0 if they are not known here.
fn length(policy: &Policy, question: &str, solution: &str) -> Result<f64, Failure> {
    let taken = |text| policy.taken(question, text).map_err(decoding::Error::from);
    let (whole, before) = (taken(solution)?, taken("")?);
    Ok(whole.zip(before).map_or(0.0, |(whole, before)| (whole - before) as f64))
}

/// The number of weights in a model's matrices; 0 for a server, which has its own memory.
fn weights(model: &AnyModel) -> Result<f64, Failure> {
    let AnyModel::Model(model) = model else { return Ok(0.0) };
    let config = model.engine().map_err(Failure::from)?.config();
    let (width, layers) = (config.hidden_size, config.num_hidden_layers);
    let heads = config.num_attention_heads + config.kv_heads();
    let layer = width * (2 * heads * config.head_width() + 3 * config.intermediate_size);
    let vocabulary = config.vocab_size * width * if config.tie_word_embeddings { 1 } else { 2 };
    Ok((layers * layer + vocabulary) as f64)
}

/// The settings of a preset, as written.
struct Settings<'a> {
    dir: &'a Path,
}

impl Settings<'_> {
    /// A setting's value, by the keys on its way; `None` if the file or the setting is not there.
    fn value(&self, file: &str, keys: &[&str]) -> Result<Option<toml::Value>, Failure> {
        let path = self.dir.join(file).with_extension("toml");
        if !path.exists() {
            return Ok(None);
        }
        let mut value = toml::Value::Table(stage::merged(&path)?);
        for key in keys {
            let Some(inner) = value.get(key) else { return Ok(None) };
            value = inner.clone();
        }
        Ok(Some(value))
    }

    /// A number; 0 if it is not there.
    fn number(&self, file: &str, keys: &[&str]) -> Result<f64, Failure> {
        let value = self.value(file, keys)?;
        let number = value.and_then(|it| it.as_float().or_else(|| Some(it.as_integer()? as f64)));
        Ok(number.unwrap_or(0.0))
    }

    fn has(&self, file: &str, keys: &[&str]) -> Result<bool, Failure> {
        Ok(self.value(file, keys)?.is_some())
    }

    /// Whether weights stay in bf16 for inference.
    fn is_bf16(&self) -> Result<bool, Failure> {
        let precision = self.value("text", &["precision"])?;
        Ok(precision.is_some_and(|it| it.as_str() == Some("bf16")))
    }

    fn has_adapters(&self) -> Result<bool, Failure> {
        self.has("finetune", &["train", "lora"])
    }

    /// Memory for inference and for training: the bytes that a weight needs, and room for what a batch computes.
    fn memory(&self, weights: f64) -> Result<[f64; 2], Failure> {
        let room = |each: f64| weights * each * 1.3 + 0.3e9;
        let inference = room(if self.is_bf16()? { 2.0 } else { 4.0 });
        // Adapters leave the weights as they are; without them there are gradients and two moments in f32, too.
        let training = if self.has_adapters()? { 2.0 * inference } else { room(16.0) };
        Ok([inference, training])
    }

    /// The base, a policy for round 0, a policy and a control for round 1, the critics, and the tables.
    fn disk(&self, weights: f64) -> Result<f64, Failure> {
        let checkpoint = if self.has_adapters()? { ADAPTERS } else { 4.0 * weights };
        Ok(4.0 * checkpoint + TABLES * self.number("prompts", &["count"])?)
    }
}

/// Round 0 and round 1 of a preset.
struct Round<'a> {
    settings: Settings<'a>,
    pilot: Pilot,
    problems: Problems,
}

impl Round<'_> {
    /// The outputs that take long, in the order in which they are made.
    fn items(&self) -> Result<Vec<Item>, Failure> {
        let mut items = vec![self.first_policy()?, self.labels()?, self.critics()?, self.trees()?];
        items.extend(self.training()?);
        items.extend([self.control_labels()?, self.evaluations()?]);
        items.retain(|item| item.tokens > 0.0);
        Ok(items)
    }

    /// `each` is how long a token takes, as a multiple of one that is written.
    fn item(&self, output: &'static str, of: String, tokens: f64, each: f64) -> Item {
        Item { output, of, tokens, seconds: tokens * each * self.pilot.seconds_per_token }
    }

    /// Training on rows of a question and its solution, which are taken to be equally long.
    fn trained(&self, output: &'static str, of: &str, rows: f64, epochs: f64) -> Item {
        let tokens = rows * epochs * 2.0 * self.pilot.solution;
        self.item(output, format!("{rows:.0} {of}, {epochs} passes"), tokens, TRAINING)
    }

    fn first_policy(&self) -> Result<Item, Failure> {
        let seeds = self.problems.seeds * self.settings.number("policy", &["seed_share"])?;
        let epochs = self.settings.number("policy", &["train", "epochs"])?;
        Ok(self.trained("round-00/policy", "seeds", seeds, epochs))
    }

    fn labelled(&self) -> Result<f64, Failure> {
        let share = 1.0 - self.settings.number("label", &["skip_share"])?;
        Ok(self.problems.seeds * share + self.problems.validation)
    }

    fn labels(&self) -> Result<Item, Failure> {
        let number = |key| self.settings.number("label", &[key]);
        let (labelled, samples) = (self.labelled()?, number("samples")?);
        // A rollout begins somewhere in a solution.
        let each = samples + number("prefixes")? * number("rollouts")? / 2.0;
        let of = format!("{labelled:.0} problems, {samples} samples");
        Ok(self.item("round-00/labels", of, labelled * each * self.pilot.solution, 1.0))
    }

    fn critics(&self) -> Result<Item, Failure> {
        let mut epochs = 0.0;
        for critic in ["critic-all", "critic-value", "critic-prm", "critic-orm"] {
            epochs += self.settings.number(critic, &["train", "epochs"])?;
        }
        let solutions = self.labelled()? * self.settings.number("label", &["samples"])?;
        Ok(self.trained("round-00/critics", "solutions", solutions, epochs))
    }

    /// The tokens of a tree: its budget, or those of so many nodes, each an option and its rollouts of half a solution.
    fn tree(&self) -> Result<f64, Failure> {
        let budget = |of: &str| self.settings.number("tree", &["mcts", "budget", of]);
        let tokens = budget("tokens")?;
        if tokens > 0.0 {
            return Ok(tokens);
        }
        let rollouts = self.settings.number("tree", &["mcts", "rollouts"])?;
        let nodes = budget("nodes")?.min(budget("simulations")?.max(1.0));
        Ok(nodes * self.pilot.solution * (1.0 / self.pilot.options + rollouts / 2.0))
    }

    fn prompts(&self) -> Result<f64, Failure> {
        self.settings.number("prompts", &["count"])
    }

    fn trees(&self) -> Result<Item, Failure> {
        // A calibration is fitted to trees of the validation problems.
        let calibrated = self.settings.has("confidence", &[])?;
        let trees = self.prompts()? + if calibrated { self.problems.validation } else { 0.0 };
        let tree = self.tree()?;
        let of = format!("{trees:.0} trees of {tree:.0} tokens");
        Ok(self.item("round-01/trajectories", of, trees * tree, SEARCHING))
    }

    /// The policy and its control, on the most examples that there can be.
    fn training(&self) -> Result<[Item; 2], Failure> {
        let number = |file, key| self.settings.number(file, &[key]);
        let own = number("finetune", "solutions_per_seed")?.min(number("label", "samples")?);
        let of_seeds = number("finetune", "seed_share")?.max(own);
        let kept = number("filter", "per_prompt")?.max(1.0);
        let most = self.problems.seeds * of_seeds + self.prompts()? * kept;
        let epochs = self.settings.number("finetune", &["train", "epochs"])?;
        let trained = |output| self.trained(output, "examples at most", most, epochs);
        Ok(["round-01/policy", "round-01/control"].map(trained))
    }

    fn control_labels(&self) -> Result<Item, Failure> {
        let samples = self.settings.number("control-label", &["samples"])?;
        let seeds = self.problems.seeds;
        let of = format!("{seeds:.0} seeds, {samples} samples");
        let tokens = seeds * samples * self.pilot.solution;
        Ok(self.item("round-01/control-labels", of, tokens, 1.0))
    }

    /// Those of the base, the round's policy and the control.
    fn evaluations(&self) -> Result<Item, Failure> {
        let Problems { measured, splits, .. } = self.problems;
        let searched = self.settings.number("evaluate", &["search_problems"])? * splits;
        let searched = searched.min(measured);
        let tokens = 3.0 * (measured * self.pilot.solution + SEARCHING * searched * self.tree()?);
        let of = format!("3 models, {measured:.0} problems, {searched:.0} trees");
        Ok(self.item("evaluations", of, tokens, 1.0))
    }
}

impl Estimate {
    fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return stage::print_json(self);
        }
        let row = |item: &Item| {
            let (output, tokens) = (item.output.to_owned(), format!("{:.0}", item.tokens));
            vec![output, item.of.clone(), tokens, hours(item.seconds)]
        };
        let mut rows: Vec<Vec<String>> = self.items.iter().map(row).collect();
        rows.push(vec!["all".to_owned(), String::new(), String::new(), hours(self.seconds)]);
        let Pilot { seconds_per_token, solution, .. } = self.pilot;
        let rate = 1.0 / seconds_per_token;
        let title = format!(
            "a round would take about (solutions of {solution:.0} tokens, {rate:.0} tokens/s)"
        );
        stage::print_table(&title, &["output", "of", "tokens", "time"], &rows)?;
        let gigabytes = |bytes: f64| format!("{:.1} GB", bytes / 1e9);
        let [inference, training] = self.memory.map(gigabytes);
        let rows = vec![vec![inference, training, gigabytes(self.disk)]];
        stage::print_table("", &["memory, inference", "memory, training", "disk"], &rows)
    }
}

/// A time as hours and minutes.
fn hours(seconds: f64) -> String {
    let minutes = (seconds / 60.0).ceil();
    format!("{:.0}:{:02.0} h", (minutes / 60.0).floor(), minutes % 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PILOT: Pilot = Pilot { seconds_per_token: 0.01, solution: 100.0, options: 5.0 };
    const PROBLEMS: Problems =
        Problems { seeds: 200.0, validation: 40.0, measured: 660.0, splits: 1.0 };

    fn preset(name: &str) -> PathBuf {
        alphallm::root().join("pipelines").join(name)
    }

    #[test]
    fn a_round_is_reckoned_from_its_settings() {
        let dir = preset("laptop-gsm8k");
        let round = Round { settings: Settings { dir: &dir }, pilot: PILOT, problems: PROBLEMS };
        // Eight nodes, each an option of 20 tokens and a rollout of 50.
        assert!((round.tree().unwrap() - 560.0).abs() < 1e-6);
        let items = round.items().unwrap();
        let item = |output: &str| items.iter().find(|item| item.output == output).unwrap();
        // Four samples of 240 problems, and six of the 200 seeds.
        assert!((item("round-00/labels").tokens - 96_000.0).abs() < 1e-6);
        assert!((item("round-01/control-labels").seconds - 1_200.0).abs() < 1e-6);
        // 400 prompts; what a tree generates is read by critics, too.
        assert!((item("round-01/trajectories").seconds - 3_808.0).abs() < 1e-6);
        assert!(items.iter().all(|item| item.output != "round-00/policy"), "it is taken as it is");
    }

    #[test]
    fn the_memory_is_about_what_was_measured() {
        // Qwen2.5-Coder-0.5B: searching took 1.6 GiB and training adapters 4.1 to 4.6.
        let dir = preset("laptop-gsm8k");
        let [inference, training] = Settings { dir: &dir }.memory(6.3e8).unwrap();
        assert!((1.6e9..2.5e9).contains(&inference), "{inference}");
        assert!((3.5e9..5.4e9).contains(&training), "{training}");
    }

    #[test]
    fn every_preset_can_be_reckoned() {
        for entry in alphallm::root().join("pipelines").read_dir().unwrap() {
            let dir = entry.unwrap().path();
            if dir.join("policy.toml").exists() && dir.join("finetune.toml").exists() {
                let settings = Settings { dir: &dir };
                let items = Round { settings, pilot: PILOT, problems: PROBLEMS }.items().unwrap();
                assert!(items.len() >= 5, "{}: {items:?}", dir.display());
                assert!(items.iter().all(|item| item.seconds.is_finite()), "{items:?}");
            }
        }
    }
}
