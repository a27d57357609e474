//! `finetune policy`: supervised fine-tuning on completions, and preference optimization on pairs.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use dataset::{Dataset, Files, Input};
use decoding::{InitialModel, Runtime, TextConfig};
use lm::Precision;
use lm::train::{Course, PreferenceConfig, Preferences, TrainConfig};
use schema::{Label, Preference, Prompt, SftExample};
use serde::{Deserialize, Serialize};
use stage::{Common, Compute, Failure, Plan, Preset, ResultExt};

use crate::external::{self, ExternalTraining};
use crate::training::{self, RECORD, Record, Trained, TrainingRun};
use crate::training_text::{PairText, SolutionText, TrainingText, kept, labelled, own};
use crate::writer::Writer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    compute: Compute,
    /// The preset's text.toml: how a question becomes text.
    #[arg(long)]
    text: PathBuf,
    /// The checkpoint to start from.
    #[arg(long)]
    init: PathBuf,
    /// Labelled problems to learn from.
    #[arg(long)]
    seeds: PathBuf,
    /// Solutions of the seeds that a policy wrote itself, judged by the seeds' answers (`critique label`): the right ones are
    /// learned from, as `solutions_per_seed` in the preset says. Repeat the flag for each dataset.
    #[arg(long)]
    labels: Vec<PathBuf>,
    /// Kept trajectories to learn from; repeat the flag for each dataset.
    #[arg(long)]
    sft: Vec<PathBuf>,
    /// Preference pairs to learn from, as `[preferences]` in the preset says; repeat the flag for each dataset.
    #[arg(long)]
    preferences: Vec<PathBuf>,
    /// Labelled problems for the validation loss.
    #[arg(long)]
    validation: PathBuf,
    /// Make exactly as many updates as the run of this checkpoint, at the same learning rates: for a control.
    #[arg(long)]
    updates_of: Option<PathBuf>,
    /// Who trains: this program, or the preset's `external_trainer`.
    #[arg(long, value_enum, default_value_t = Trainer::Embedded)]
    trainer: Trainer,
    /// Output folder for the checkpoint.
    #[arg(long)]
    out: PathBuf,
}

/// The program that trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Trainer {
    /// This program.
    Embedded,
    /// The preset's `external_trainer` command.
    External,
}

/// The preset's `policy.toml`, `fast-policy.toml` and `finetune.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The share of the seeds to learn from, chosen by hash of the id. The rest can show the critics which errors the
    /// policy makes on problems it has not seen. With 0 and no kept examples the checkpoint stays as it is, which suits a
    /// model that follows instructions already.
    seed_share: f64,
    /// The most distinct right solutions of a seed to learn from, of those in `--labels`: what seeds with an answer but without
    /// a worked solution can teach. Absent: none.
    // Not written if absent, so that recipes from before the key existed keep their digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    solutions_per_seed: Option<NonZeroUsize>,
    /// The shell command for `--trainer external`. `{init}`, `{examples}`, `{validation}`, `{out}`, `{updates}`,
    /// `{planned}` and `{seed}` are filled in. `{planned}` is the number of updates that the learning rate is planned for;
    /// `{updates}` and `{planned}` are 0 if the trainer may choose. The command must leave a Hugging Face directory in
    /// `{out}`, with a `training.json` that has the number of `updates` made, and `planned` if it stopped early.
    #[serde(default)]
    external_trainer: Option<String>,
    /// How to learn from the pairs of `--preferences`, beside the examples. Without that option the section has no effect.
    // Not written if absent, so that recipes from before the section existed keep their digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferences: Option<PreferenceConfig>,
    /// Hyperparameters.
    train: TrainConfig,
}

#[derive(Serialize)]
struct Settings<'a> {
    policy: &'a Config,
    text: &'a TextConfig,
    /// Who trains is a flag and not part of the preset, but it decides the result, so it belongs in the recipe.
    external: bool,
}

impl Args {
    /// The type to load the matrices of the checkpoint in: that of its file if it is taken as it is.
    fn stored(&self, config: &Config) -> Option<Precision> {
        let given = [!self.labels.is_empty(), !self.sft.is_empty(), !self.preferences.is_empty()];
        let learns = config.seed_share > 0.0 || given.contains(&true);
        learns.then(|| config.train.frozen())
    }
}

impl Config {
    /// Refuses `--labels` if nothing is learned from them, and the other way round.
    fn allows_labels(&self, args: &Args) -> Result<(), Failure> {
        match (self.solutions_per_seed, &args.labels[..]) {
            (None, [_, ..]) => Err(Failure::config("--labels: the preset has no `solutions_per_seed`")
                .hint("say there how many right solutions of a seed to learn from, or leave `--labels` out")),
            (Some(_), []) => Err(Failure::config("solutions_per_seed: there are no `--labels`")
                .hint("give the labels of `critique label`, or leave the key out")),
            _ => Ok(()),
        }
    }

    /// Refuses `--preferences` if nothing can learn from them.
    fn allows_pairs(&self, args: &Args) -> Result<(), Failure> {
        if args.preferences.is_empty() {
            return Ok(());
        }
        if args.trainer == Trainer::External {
            let problem = "--preferences: a trainer of `--trainer external` gets no pairs";
            return Err(Failure::config(problem)
                .hint("leave `--preferences` out, or let `--trainer embedded` train"));
        }
        let missing = "--preferences: the preset has no section `[preferences]`";
        self.preferences.map(|_| ()).ok_or_else(|| {
            Failure::config(missing)
                .hint("add `beta` and `sft_weight` there, or leave `--preferences` out")
        })
    }

    /// The external trainer's command; `None` if this program trains.
    fn command(&self, trainer: Trainer) -> Result<Option<&str>, Failure> {
        match (trainer, &self.external_trainer) {
            (Trainer::Embedded, _) => Ok(None),
            (Trainer::External, Some(command)) => Ok(Some(command)),
            (Trainer::External, None) => {
                Err(Failure::config("--trainer external: the preset has no `external_trainer`"))
            }
        }
    }
}

/// The open datasets of a run.
struct Data {
    seeds: Dataset<Prompt>,
    validation: Dataset<Prompt>,
    labels: Vec<Dataset<Label>>,
    sft: Vec<Dataset<SftExample>>,
    preferences: Vec<Dataset<Preference>>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let files = args.common.files([("text", args.text.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    let config = &preset.value;
    config.allows_pairs(args)?;
    config.allows_labels(args)?;
    let runtime = Runtime::new(&args.compute)?;
    let data = Data::open(args)?;
    let mut init = InitialModel::load("init", &args.init, &runtime, args.stored(config))?;
    let mut inputs = [data.inputs(), vec![init.input.clone()]].concat();
    let updates = args.updates_of.as_deref().map(|dir| course(dir, &mut inputs)).transpose()?;
    let command = config.command(args.trainer)?;
    let settings = Settings { policy: config, text: &text.value, external: command.is_some() };
    let plan = Plan { tool: "finetune-policy", common: &args.common, settings: &settings, inputs };
    let (rows, pairs) = data.len();
    let would = format_args!("train on {rows} rows and {pairs} pairs");
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let Some(work) = work.unless_done(&args.out)? else { return Ok(()) };
    let format = &text.value.policy.format;
    let (texts, seed) = (data.texts(config)?, args.common.seed);
    let learns = config.seed_share > 0.0 || !texts.is_empty();
    let writer = Writer::first(&mut init.checkpoint, format, learns)?;
    let template = writer.chat_template(format);
    // If nothing is learned, no loss is measured either, so rows that are too long do not matter.
    let (texts, too_long) = if learns { writer.fitting(texts)? } else { (texts, 0) };
    // Begun only now: rows that are refused leave no begun folder and, with --force, cost no old policy.
    let Some(output) = work.files(&args.out)? else { return Ok(()) };
    let record = if !learns {
        let kept = Trained::as_it_is(init.checkpoint).with_chat_template(template);
        training::finish_beside(output, &args.out, &kept, &init.base)?
    } else if let Some(command) = command {
        let run = ExternalTraining {
            command,
            init: &args.init,
            examples: &writer.lines(&texts.rows)?,
            validation: &writer.lines(&texts.validation)?,
            tokens: writer.tokens(&texts.rows)?,
            too_long,
            course: updates,
            seed,
            // With `format.chat`, keep the template that the trainer saved: it got it with the checkpoint.
            chat_template: template.as_deref().filter(|_| format.chat.is_none()),
        };
        external::train(&run, output, &runtime)?
    } else {
        let pairs = writer.pairs(&texts.pairs)?;
        let run = TrainingRun {
            start: &init.checkpoint,
            examples: &writer.examples(&texts.rows)?,
            preferences: config.preferences.map(|config| Preferences { pairs: &pairs, config }),
            validation: &writer.examples(&texts.validation)?,
            too_long,
            config: &config.train,
            updates,
            seed,
        };
        let trained = training::train(&run, &output, &args.out, &runtime)?;
        let trained = trained.with_chat_template(template);
        training::finish_beside(output, &args.out, &trained, &init.base)?
    };
    training::summary("policy", &record, args.common.json)
}

impl Data {
    fn open(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            seeds: Dataset::open(&args.seeds)?.require_rows()?,
            validation: Dataset::open(&args.validation)?.require_rows()?,
            labels: args.labels.iter().map(|dir| Dataset::open(dir)).collect::<Result<_, _>>()?,
            sft: args.sft.iter().map(|dir| Dataset::open(dir)).collect::<Result<_, _>>()?,
            preferences: (args.preferences.iter().map(|dir| Dataset::open(dir)))
                .collect::<Result<_, _>>()?,
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![self.seeds.input("seeds"), self.validation.input("validation")];
        let labels = self.labels.iter().enumerate();
        inputs.extend(labels.map(|(i, dataset)| dataset.input(&format!("labels-{i}"))));
        let sft = self.sft.iter().enumerate();
        inputs.extend(sft.map(|(i, dataset)| dataset.input(&format!("sft-{i}"))));
        let preferences = self.preferences.iter().enumerate();
        inputs.extend(preferences.map(|(i, dataset)| dataset.input(&format!("preferences-{i}"))));
        inputs
    }

    /// The number of rows to learn from, and of pairs.
    fn len(&self) -> (usize, usize) {
        let labels = self.labels.iter().map(Dataset::len).sum::<usize>();
        let rows = self.seeds.len() + labels + self.sft.iter().map(Dataset::len).sum::<usize>();
        (rows, self.preferences.iter().map(Dataset::len).sum())
    }

    /// Warns if `--sft` or `--preferences` was given and all of its datasets are empty.
    fn warn_of_nothing_kept(&self) {
        let sft = self.sft.iter().map(Dataset::len).collect::<Vec<_>>();
        let preferences = self.preferences.iter().map(Dataset::len).collect::<Vec<_>>();
        for (lengths, option, what) in
            [(sft, "--sft", "examples"), (preferences, "--preferences", "pairs")]
        {
            if !lengths.is_empty() && lengths.iter().all(|len| *len == 0) {
                tracing::warn!(
                    "{option}: there are no {what} in any of {} datasets: nothing of what was searched is learned from, \
                     and a policy that learns from the seeds alone is its own control",
                    lengths.len()
                );
            }
        }
    }

    /// The rows to learn from and to validate on. A problem without a worked solution can do neither, and is an error; if
    /// no validation loss is measured, such validation problems are skipped instead.
    fn texts(&self, config: &Config) -> Result<TrainingText, Failure> {
        self.warn_of_nothing_kept();
        let mut rows = labelled(&self.seeds, config.seed_share)?;
        if let Some(most) = config.solutions_per_seed {
            rows.extend(own(&self.labels, most.get())?);
        }
        for dataset in &self.sft {
            rows.extend(kept(dataset)?);
        }
        let mut pairs = Vec::new();
        for dataset in &self.preferences {
            pairs.extend(dataset.rows()?.into_iter().map(|row| PairText::of(&row, dataset.dir())));
        }
        let validation = if config.train.validate_every > 0 {
            labelled(&self.validation, 1.0)?
        } else {
            let dir = self.validation.dir();
            self.validation
                .rows()?
                .into_iter()
                .filter_map(|row| SolutionText::of(row, dir).ok())
                .collect()
        };
        Ok(TrainingText { rows, pairs, validation })
    }
}

/// The number of updates that another run made and planned. Its record becomes an input of this run.
fn course(dir: &Path, inputs: &mut Vec<Input>) -> Result<Course, Failure> {
    let files = Files::open(dir)?;
    let path = files.path(RECORD)?;
    inputs.push(files.input("updates"));
    let text = std::fs::read(&path).or_io(path.display())?;
    let record: Record = serde_json::from_slice(&text).or_data(path.display())?;
    Ok(record.course())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| {
            ["policy.toml", "fast-policy.toml", "finetune.toml"].contains(&name)
        })
        .unwrap();
        assert!(values.len() >= 14, "{} files", values.len());
        for value in values {
            value.train.validate().unwrap();
            value.preferences.map_or(Ok(()), |config| config.validate()).unwrap();
        }
    }

    /// A preset of the repository, with further settings.
    fn preset(set: &[&str]) -> Result<Preset<Config>, Failure> {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/smoke/finetune.toml");
        let set: Vec<String> = set.iter().map(|&assignment| assignment.to_owned()).collect();
        stage::load(&file, &set)
    }

    #[test]
    fn preferences_are_a_section_of_their_own() {
        let without = preset(&[]).unwrap();
        assert_eq!(without.value.preferences, None);
        let said = serde_json::to_string(&without.value).unwrap();
        assert!(!said.contains("preferences"), "recipes from before the section hold: {said}");
        let set = ["preferences.beta=0.1", "preferences.sft_weight=1"];
        let with = preset(&set).unwrap();
        let section = PreferenceConfig { beta: 0.1, sft_weight: 1.0 };
        assert_eq!(with.value.preferences, Some(section));
        assert_ne!(with.digest, without.digest);
        let refused = |set: &[&str]| preset(set).unwrap_err().to_string();
        assert!(refused(&set[..1]).contains("sft_weight"), "no value of the code's own");
        assert!(refused(&[set[0], set[1], "preferences.gamma=1"]).contains("gamma"));
    }
}
