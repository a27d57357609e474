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
    /// Where the checkpoint goes.
    #[arg(long)]
    out: PathBuf,
}

/// The preset's `policy.toml`, `fast-policy.toml` and `finetune.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The share of the seeds to learn from, by their ids; what is left can teach the critics which
    /// errors the policy makes on problems it has not seen. With 0, and nothing that was kept, the checkpoint stays as it
    /// is: for a model that follows instructions already.
    seed_share: f64,
    /// Hyperparameters.
    train: TrainConfig,
}

#[derive(Serialize)]
struct Settings<'a> {
    policy: &'a Config,
    text: &'a TextConfig,
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
    let updates = match &args.updates_of {
        Some(dir) => Some(updates(dir, &mut inputs)?),
        None => None,
    };
    let settings = Settings { policy: &preset.value, text: &text.value };
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
    let mut examples = writer.labelled(&data.seeds, preset.value.seed_share)?;
    for dataset in &data.sft {
        examples.extend(writer.kept(dataset)?);
    }
    let validation = writer.labelled(&data.validation, 1.0)?;
    let job = Job {
        start: &init.checkpoint,
        examples: &examples,
        validation: &validation,
        config: &preset.value.train,
        updates,
        seed: args.common.seed,
    };
    let as_it_is = preset.value.seed_share == 0.0 && examples.is_empty();
    let trained = if as_it_is {
        let (checkpoint, record) = (init.checkpoint.clone(), Record::of_nothing());
        Trained { checkpoint, record, adapter: Vec::new() }
    } else {
        run::train(&job, &output, &args.out, &place)?
    };
    run::finish(output, &trained)?;
    run::summary("policy", &trained.record, args.common.json)
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

/// Writes training rows.
struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    prompt: PromptText,
    eos: u32,
}

impl<'a> Writer<'a> {
    fn new(checkpoint: &'a Checkpoint, format: &PromptFormat) -> Result<Self, Failure> {
        let eos = checkpoint.config.end_tokens().first().copied();
        let eos =
            eos.ok_or_else(|| Failure::data("the checkpoint's config.json has no eos_token_id"))?;
        let prompt =
            format.prompt(&checkpoint.tokenizer, &checkpoint.config).or_config("text.toml")?;
        Ok(Self { tokenizer: &checkpoint.tokenizer, prompt, eos })
    }

    /// Rows from a share of some labelled problems.
    fn labelled(&self, problems: &Dataset<Prompt>, share: f64) -> Result<Vec<Example>, Failure> {
        let example = |row: Prompt| match &row.solution {
            Some(solution) => self.example(&row.prompt, solution, 1.0),
            None => Err(Failure::data(format!(
                "{}: problem {} has no solution to learn from",
                problems.dir().display(),
                row.prompt_id
            ))),
        };
        let rows = problems.rows()?.into_iter();
        rows.filter(|row| dataset::place_of(&row.prompt_id) < share).map(example).collect()
    }

    /// Rows from kept trajectories.
    fn kept(&self, examples: &Dataset<SftExample>) -> Result<Vec<Example>, Failure> {
        let text = |messages: &[schema::Message]| {
            messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n")
        };
        let rows = examples.rows()?.into_iter();
        rows.map(|row| self.example(&text(&row.prompt), &text(&row.completion), row.weight))
            .collect()
    }

    fn example(&self, question: &str, solution: &str, weight: f32) -> Result<Example, Failure> {
        let encode = |text: &str| self.tokenizer.encode(text).or_data("tokenizer");
        let mut ids = encode(&self.prompt.render(question, ""))?;
        let from = ids.len();
        ids.extend(self.tokenizer.encode_after(solution).or_data("tokenizer")?);
        ids.push(self.eos);
        Ok(Example { ids, targets_from: Some(from), heads: Vec::new(), weight })
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
