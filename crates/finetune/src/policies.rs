//! `finetune policy`: supervised fine-tuning on completions.

use std::path::{Path, PathBuf};

use dataset::{Begin, Dataset, Files, FilesOutput, Input};
use decoding::models::Model;
use decoding::{Place, TextConfig};
use lm::train::{Example, TrainConfig};
use lm::{Checkpoint, Tokenizer};
use policy::{PromptFormat, PromptText};
use schema::{Prompt, SftExample};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Preset, ResultExt};

use crate::external::{self, Line};
use crate::run::{self, Job, RECORD, Record, Trained};

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
    /// Labelled problems to judge by.
    #[arg(long)]
    validation: PathBuf,
    /// Make exactly as many updates as this checkpoint's run did: for a control.
    #[arg(long)]
    updates_of: Option<PathBuf>,
    /// Who trains: this program, or the preset's `external_trainer`.
    #[arg(long, value_enum, default_value_t = Trainer::Embedded)]
    trainer: Trainer,
    /// Where the checkpoint goes.
    #[arg(long)]
    out: PathBuf,
}

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
    /// `{updates}` (0: as it likes) and `{seed}` are filled in. It leaves a Hugging Face directory in `{out}`, with a
    /// `training.json` that says how many updates it made.
    #[serde(default)]
    external_trainer: Option<String>,
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
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let preset: Preset<Config> = args.common.preset()?;
    let text: Preset<TextConfig> = stage::load(&args.text, &[])?;
    let place = Place::of(&args.common)?;
    let data = Data::open(args)?;
    let init = Model::load("init", &args.init, &place)?;
    let mut inputs = data.inputs();
    inputs.push(init.input.clone());
    let updates = args.updates_of.as_deref().map(|dir| updates(dir, &mut inputs)).transpose()?;
    let command = preset.value.command(args.trainer)?;
    let external = command.is_some();
    let settings = Settings { policy: &preset.value, text: &text.value, external };
    let digest = dataset::digest_of(&settings)?;
    let version = env!("CARGO_PKG_VERSION");
    let recipe = stage::recipe("finetune-policy", version, &args.common, &digest, inputs);
    if args.common.dry_run {
        tracing::info!("would train on {} rows", data.len());
        return Ok(());
    }
    let begun = FilesOutput::begin(&args.out, recipe, args.common.force)?;
    let Begin::Work(output) = begun else {
        tracing::info!("up to date");
        return Ok(());
    };
    let writer = Writer::new(&init.checkpoint, &text.value.policy.format)?;
    let mut rows = labelled(&data.seeds, preset.value.seed_share)?;
    for dataset in &data.sft {
        rows.extend(kept(dataset)?);
    }
    let validation = labelled(&data.validation, 1.0)?;
    let (as_it_is, seed) = (preset.value.seed_share == 0.0 && rows.is_empty(), args.common.seed);
    let record = if as_it_is {
        run::finish(output, &Trained::as_it_is(init.checkpoint))?
    } else if let Some(command) = command {
        let (examples, validation) = (writer.lines(&rows)?, writer.lines(&validation)?);
        let (examples, validation) = (&examples[..], &validation[..]);
        let job = external::Job {
            command,
            init: &args.init,
            examples,
            validation,
            tokens: writer.examples(&rows)?.iter().map(|e| e.ids.len()).sum(),
            updates: updates.unwrap_or(0),
            seed,
        };
        external::train(&job, output, &place)?
    } else {
        let (examples, validation) = (writer.examples(&rows)?, writer.examples(&validation)?);
        let job = Job {
            start: &init.checkpoint,
            examples: &examples,
            validation: &validation,
            config: &preset.value.train,
            updates,
            seed,
        };
        let trained = run::train(&job, &output, &args.out, &place)?;
        run::finish(output, &trained)?
    };
    run::summary("policy", &record, args.common.json)
}

impl Data {
    fn open(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            seeds: Dataset::open(&args.seeds)?.require_rows()?,
            validation: Dataset::open(&args.validation)?.require_rows()?,
            sft: args.sft.iter().map(|dir| Dataset::open(dir)).collect::<Result<_, _>>()?,
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![self.seeds.input("seeds"), self.validation.input("validation")];
        let sft = self.sft.iter().enumerate();
        inputs.extend(sft.map(|(i, dataset)| dataset.input(&format!("sft-{i}"))));
        inputs
    }

    fn len(&self) -> usize {
        self.seeds.len() + self.sft.iter().map(Dataset::len).sum::<usize>()
    }
}

/// The updates of another run, which becomes an input.
fn updates(dir: &Path, inputs: &mut Vec<Input>) -> Result<usize, Failure> {
    let files = Files::open(dir)?;
    let path = files.path(RECORD)?;
    inputs.push(files.input("updates"));
    let text = std::fs::read(&path).or_io(path.display())?;
    let record: Record = serde_json::from_slice(&text).or_data(path.display())?;
    Ok(record.updates)
}

/// A question and its solution to learn from.
struct Row {
    question: String,
    solution: String,
    weight: f32,
}

/// Rows from a share of some labelled problems.
fn labelled(problems: &Dataset<Prompt>, share: f64) -> Result<Vec<Row>, Failure> {
    let row = |row: Prompt| match row.solution {
        Some(solution) => Ok(Row { question: row.prompt, solution, weight: 1.0 }),
        None => Err(Failure::data(format!(
            "{}: problem {} has no solution to learn from",
            problems.dir().display(),
            row.prompt_id
        ))),
    };
    let rows = problems.rows()?.into_iter();
    rows.filter(|row| dataset::place_of(&row.prompt_id) < share).map(row).collect()
}

/// Rows from kept trajectories.
fn kept(examples: &Dataset<SftExample>) -> Result<Vec<Row>, Failure> {
    let text = |messages: &[schema::Message]| {
        messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n")
    };
    let row = |row: SftExample| Row {
        question: text(&row.prompt),
        solution: text(&row.completion),
        weight: row.weight,
    };
    Ok(examples.rows()?.into_iter().map(row).collect())
}

/// Writes rows as a model is to learn them.
struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    prompt: PromptText,
    end: u32,
}

impl<'a> Writer<'a> {
    fn new(checkpoint: &'a Checkpoint, format: &PromptFormat) -> Result<Self, Failure> {
        let end = checkpoint.config.end_tokens().first().copied();
        let end =
            end.ok_or_else(|| Failure::data("the checkpoint's config.json has no eos_token_id"))?;
        let prompt =
            format.prompt(&checkpoint.tokenizer, &checkpoint.config).or_config("text.toml")?;
        Ok(Self { tokenizer: &checkpoint.tokenizer, prompt, end })
    }

    /// As tokens, of which those of the solution are learned.
    fn examples(&self, rows: &[Row]) -> Result<Vec<Example>, Failure> {
        let example = |row: &Row| {
            let prompt = self.prompt.render(&row.question, "");
            let mut ids = self.tokenizer.encode(&prompt).or_data("tokenizer")?;
            let from = ids.len();
            ids.extend(self.tokenizer.encode_after(&row.solution).or_data("tokenizer")?);
            ids.push(self.end);
            Ok(Example { ids, targets_from: Some(from), heads: Vec::new(), weight: row.weight })
        };
        rows.iter().map(example).collect()
    }

    /// As text.
    fn lines(&self, rows: &[Row]) -> Result<Vec<Line>, Failure> {
        let end = self.tokenizer.token(self.end);
        let end =
            end.ok_or_else(|| Failure::data("the end token has no entry in tokenizer.json"))?;
        let line = |row: &Row| Line {
            prompt: self.prompt.render(&row.question, ""),
            completion: [row.solution.as_str(), &end].concat(),
            weight: row.weight,
        };
        Ok(rows.iter().map(line).collect())
    }
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
        }
    }
}
