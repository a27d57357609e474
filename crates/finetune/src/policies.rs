//! `finetune policy`: supervised fine-tuning on completions, and preference optimization on pairs of them.

use std::path::{Path, PathBuf};

use dataset::{Begin, Dataset, Files, FilesOutput, Input, Recipe};
use decoding::models::Model;
use decoding::{Place, TextConfig};
use lm::train::{Course, PreferenceConfig, Preferences, TrainConfig};
use schema::{Preference, Prompt, SftExample};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Preset, ResultExt};

use crate::external;
use crate::lesson::{Couple, Lesson, Row, kept, labelled};
use crate::run::{self, Job, RECORD, Record, Trained};
use crate::writer::Writer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// How questions become text: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// The checkpoint to start from.
    #[arg(long)]
    init: PathBuf,
    /// Labelled problems to learn from.
    #[arg(long)]
    seeds: PathBuf,
    /// Kept trajectories to learn from; once for each dataset.
    #[arg(long)]
    sft: Vec<PathBuf>,
    /// Pairs of a better and a worse solution to learn from, as the preset's `[preferences]` says; once for each dataset.
    #[arg(long)]
    preferences: Vec<PathBuf>,
    /// Labelled problems to judge by.
    #[arg(long)]
    validation: PathBuf,
    /// Make exactly as many updates as this checkpoint's run did, by the same learning rates: for a control.
    #[arg(long)]
    updates_of: Option<PathBuf>,
    /// Who trains: this program, or the preset's `external_trainer`.
    #[arg(long, value_enum, default_value_t = Trainer::Embedded)]
    trainer: Trainer,
    /// Where the checkpoint goes.
    #[arg(long)]
    out: PathBuf,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Trainer {
    /// This program.
    Embedded,
    /// The command of the preset.
    External,
}

/// The preset's `policy.toml`, `fast-policy.toml` and `finetune.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The share of the seeds to learn from, by their ids; what is left can teach the critics which
    /// errors the policy makes on problems it has not seen. With 0, and nothing that was kept, the checkpoint stays as it
    /// is: for a model that follows instructions already.
    seed_share: f64,
    /// With `--trainer external`: a command for the shell, in which `{init}`, `{examples}`, `{validation}`, `{out}`,
    /// `{updates}`, `{planned}` (how many the learning rate is planned for; both 0: as it likes) and `{seed}` are filled in.
    /// It leaves a Hugging Face directory in `{out}`, with a `training.json` that says how many `updates` it made, and how
    /// many were `planned` if it stopped early.
    #[serde(default)]
    external_trainer: Option<String>,
    /// How the pairs of `--preferences` are learned from, beside the examples; without the option there are none, and the
    /// section changes nothing that is learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferences: Option<PreferenceConfig>,
    /// Hyperparameters.
    train: TrainConfig,
}

#[derive(Serialize)]
struct Settings<'a> {
    policy: &'a Config,
    text: &'a TextConfig,
    external: bool,
}

impl Config {
    /// Whether there are pairs only where they can be learned from.
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

    /// The command of the external trainer, if it is to train.
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

/// The datasets of a run, open.
struct Data {
    seeds: Dataset<Prompt>,
    validation: Dataset<Prompt>,
    sft: Vec<Dataset<SftExample>>,
    preferences: Vec<Dataset<Preference>>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let files = args.common.files([("text", args.text.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    let config = &preset.value;
    config.allows_pairs(args)?;
    let place = Place::of(&args.common)?;
    let data = Data::open(args)?;
    let mut init = Model::load("init", &args.init, &place)?;
    let mut inputs = [data.inputs(), vec![init.input.clone()]].concat();
    let updates = args.updates_of.as_deref().map(|dir| course(dir, &mut inputs)).transpose()?;
    let command = config.command(args.trainer)?;
    let settings = Settings { policy: config, text: &text.value, external: command.is_some() };
    let recipe = recipe(args, &settings, inputs)?;
    if args.common.dry_run {
        let (rows, pairs) = data.len();
        tracing::info!("would train on {rows} rows and {pairs} pairs");
        return Ok(());
    }
    let begun = FilesOutput::begin(&args.out, recipe, args.common.force)?;
    let Begin::Work(output) = begun else {
        tracing::info!("up to date");
        return Ok(());
    };
    let format = &text.value.policy.format;
    let (lesson, seed) = (data.lesson(config)?, args.common.seed);
    let learns = config.seed_share > 0.0 || !lesson.is_empty();
    let writer = Writer::first(&mut init.checkpoint, format, learns)?;
    let template = writer.chat_template(format);
    // Where nothing is learned, nothing is judged.
    let (lesson, too_long) = if learns { writer.fitting(lesson)? } else { (lesson, 0) };
    let record = if !learns {
        run::finish(output, &Trained::as_it_is(init.checkpoint).with_chat_template(template))?
    } else if let Some(command) = command {
        let job = external::Job {
            command,
            init: &args.init,
            examples: &writer.lines(&lesson.rows)?,
            validation: &writer.lines(&lesson.validation)?,
            tokens: writer.tokens(&lesson.rows)?,
            too_long,
            course: updates,
            seed,
            // A chat has its template from the program, which had it from the checkpoint.
            chat_template: template.as_deref().filter(|_| format.chat.is_none()),
        };
        external::train(&job, output, &place)?
    } else {
        let pairs = writer.pairs(&lesson.couples)?;
        let job = Job {
            start: &init.checkpoint,
            examples: &writer.examples(&lesson.rows)?,
            preferences: config.preferences.map(|config| Preferences { pairs: &pairs, config }),
            validation: &writer.examples(&lesson.validation)?,
            too_long,
            config: &config.train,
            updates,
            seed,
        };
        let trained = run::train(&job, &output, &args.out, &place)?;
        run::finish(output, &trained.with_chat_template(template))?
    };
    run::summary("policy", &record, args.common.json)
}

fn recipe(args: &Args, settings: &Settings<'_>, inputs: Vec<Input>) -> Result<Recipe, Failure> {
    let digest = dataset::digest_of(settings)?;
    Ok(stage::recipe("finetune-policy", VERSION, &args.common, &digest, inputs))
}

impl Data {
    fn open(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            seeds: Dataset::open(&args.seeds)?.require_rows()?,
            validation: Dataset::open(&args.validation)?.require_rows()?,
            sft: args.sft.iter().map(|dir| Dataset::open(dir)).collect::<Result<_, _>>()?,
            preferences: (args.preferences.iter().map(|dir| Dataset::open(dir)))
                .collect::<Result<_, _>>()?,
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![self.seeds.input("seeds"), self.validation.input("validation")];
        let sft = self.sft.iter().enumerate();
        inputs.extend(sft.map(|(i, dataset)| dataset.input(&format!("sft-{i}"))));
        let preferences = self.preferences.iter().enumerate();
        inputs.extend(preferences.map(|(i, dataset)| dataset.input(&format!("preferences-{i}"))));
        inputs
    }

    /// Rows to learn from, and pairs.
    fn len(&self) -> (usize, usize) {
        let rows = self.seeds.len() + self.sft.iter().map(Dataset::len).sum::<usize>();
        (rows, self.preferences.iter().map(Dataset::len).sum())
    }

    /// Says so where there are datasets of kept trajectories, or pairs, and nothing is in them.
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

    /// What there is to learn. Problems of which the answers alone are known can be neither learned from nor judged by; where
    /// nothing is judged, they are passed over.
    fn lesson(&self, config: &Config) -> Result<Lesson, Failure> {
        self.warn_of_nothing_kept();
        let mut rows = labelled(&self.seeds, config.seed_share)?;
        for dataset in &self.sft {
            rows.extend(kept(dataset)?);
        }
        let mut couples = Vec::new();
        for dataset in &self.preferences {
            couples.extend(dataset.rows()?.into_iter().map(|row| Couple::of(&row, dataset.dir())));
        }
        let validation = if config.train.validate_every > 0 {
            labelled(&self.validation, 1.0)?
        } else {
            let dir = self.validation.dir();
            self.validation.rows()?.into_iter().filter_map(|row| Row::of(row, dir).ok()).collect()
        };
        Ok(Lesson { rows, couples, validation })
    }
}

/// How far another run went, which becomes an input.
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

    /// A preset of the repository with more settings.
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
