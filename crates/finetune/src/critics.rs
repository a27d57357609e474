//! `finetune critic`: scalar heads on labels, judged on problems they have not learned from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use critic::agreement::{self, Voter};
use critic::quality::{self, Judged, Quality, measure};
use critic::targets::{Labelled, examples};
use critic::{Encoder, ORM, PRM, Scores, Solution, VALUE, words};
use dataset::{Begin, Dataset, FilesOutput};
use decoding::models::{self, Model};
use decoding::{AnyModel, Place, TextConfig};
use lm::train::{Example, TrainConfig};
use lm::{Checkpoint, ModelConfig};
use schema::Label;
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Preset, ResultExt};
use task::Finding;

use crate::run::{self, Job, Named};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// How questions become text: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// The checkpoint to start from: the policy, as in the paper.
    #[arg(long)]
    init: PathBuf,
    /// The labels.
    #[arg(long)]
    labels: PathBuf,
    /// Where the checkpoint goes.
    #[arg(long)]
    out: PathBuf,
}

/// The preset's `critic.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The heads of this model: some of `value`, `prm`, `orm`.
    heads: Vec<String>,
    /// Answer for them in words, as `text.toml` says, instead of by scalar heads: the paper's text critics.
    #[serde(default)]
    words: bool,
    /// Hyperparameters.
    train: TrainConfig,
}

#[derive(Serialize)]
struct Settings<'a> {
    critic: &'a Config,
    text: &'a TextConfig,
}

/// Judgements by agreement, beside those of the heads.
const AGREEMENT: &str = "agreement";

/// The split that is learned from; the others are judged on.
const TRAIN: &str = "train";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let preset: Preset<Config> = args.common.preset()?;
    let text: Preset<TextConfig> = stage::load(&args.text, &[])?;
    let config = &preset.value;
    config.validate()?;
    let place = Place::of(&args.common)?;
    let labels = Dataset::<Label>::open(&args.labels)?.require_rows()?;
    let init = Model::load("init", &args.init, &place)?;
    let settings = Settings { critic: config, text: &text.value };
    let digest = dataset::digest_of(&settings)?;
    let inputs = vec![labels.input("labels"), init.input.clone()];
    let version = env!("CARGO_PKG_VERSION");
    let recipe = stage::recipe("finetune-critic", version, &args.common, &digest, inputs);
    if args.common.dry_run {
        tracing::info!("would train {} on {} labels", config.heads.join(", "), labels.len());
        return Ok(());
    }
    let begun = FilesOutput::begin(&args.out, recipe, args.common.force)?;
    let Begin::Work(output) = begun else {
        tracing::info!("up to date");
        return Ok(());
    };
    let (train, held_out): (Vec<Label>, Vec<Label>) =
        labels.rows()?.into_iter().partition(|row| row.split == TRAIN);
    let start = config.start(init.checkpoint.clone(), &place)?;
    let (train, long) = fitting(train, &start, &text.value)?;
    let (held_out, longer) = fitting(held_out, &start, &text.value)?;
    let too_long = long + longer;
    let rows = |labels: &[Label]| rows(labels, &start, &text.value);
    let (learned, judged) = (rows(&train)?, rows(&held_out)?);
    let job = Job {
        start: &start,
        examples: &learned,
        preferences: None,
        validation: &judged,
        too_long,
        config: &config.train,
        updates: None,
        seed: args.common.seed,
    };
    let trained = run::train(&job, &output, &args.out, &place)?;
    let model = Model { checkpoint: trained.checkpoint.clone(), ..init };
    let figures = figures(AnyModel::Model(Box::new(model)), &held_out, &text.value, &place)?;
    output.write(quality::FILE, &run::pretty(&figures)?)?;
    run::finish(output, &trained)?;
    if args.common.json {
        return stage::print_json(&figures);
    }
    run::summary("critic", &trained.record, false)?;
    print(&figures)
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        let known = |head: &String| [VALUE, PRM, ORM].contains(&head.as_str());
        match self.heads.iter().find(|head| !known(head)) {
            Some(head) => Err(Failure::config(format!("heads: `{head}` is not value, prm or orm"))),
            None if self.heads.is_empty() => Err(Failure::config("heads: name at least one")),
            None => Ok(()),
        }
    }

    /// The model before it learns, with the heads that it will have.
    fn start(&self, checkpoint: Checkpoint, place: &Place) -> Result<Checkpoint, Failure> {
        let (scalar, word) =
            if self.words { (&[][..], self.heads.clone()) } else { (&self.heads[..], Vec::new()) };
        let checkpoint = checkpoint.with_scalar_heads(scalar, place.device()).or_config("heads")?;
        let config = ModelConfig { word_heads: word, ..checkpoint.config };
        Ok(Checkpoint { config, ..checkpoint })
    }
}

fn rows(labels: &[Label], start: &Checkpoint, text: &TextConfig) -> Result<Vec<Example>, Failure> {
    let labelled: Vec<Labelled<'_>> = labels
        .iter()
        .map(|label| Labelled {
            question: &label.prompt,
            options: &label.options,
            root: label.root_target,
            values: &label.value_targets,
            process: &label.process_targets,
            outcome: label.outcome,
            weight: label.weight,
        })
        .collect();
    let heads = &start.config.word_heads;
    if !heads.is_empty() {
        let rows = words::examples(&labelled, heads, &text.critic, &start.tokenizer);
        return rows.or_config("text.toml");
    }
    let prompt = text.policy.format.prompt(&start.tokenizer, &start.config);
    let prompt = prompt.or_config("text.toml")?;
    let encoder = Encoder::new(&start.tokenizer, &prompt, &text.critic).or_config("text.toml")?;
    examples(&labelled, &encoder, &start.config).or_data("labels")
}

/// The labels that the model can read, and how many it cannot.
fn fitting(
    labels: Vec<Label>,
    start: &Checkpoint,
    text: &TextConfig,
) -> Result<(Vec<Label>, usize), Failure> {
    let limit = start.config.max_position_embeddings;
    let longest = |labels: &[Label]| -> Result<usize, Failure> {
        Ok(rows(labels, start, text)?.iter().map(|row| row.ids.len()).max().unwrap_or(0))
    };
    if longest(&labels)? <= limit {
        return Ok((labels, 0));
    }
    let named = |label: Label| {
        let tokens = longest(std::slice::from_ref(&label))?;
        let name = format!("label {} of problem {}", label.trajectory_id, label.prompt_id);
        Ok(Named { name, tokens, row: label })
    };
    let named = labels.into_iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
    run::fitting(named, limit)
}

/// The figures of each head on the held-out labels: the value and the PRM option by option (a value
/// is right when the solution is), the ORM solution by solution.
fn figures(
    model: AnyModel,
    labels: &[Label],
    text: &TextConfig,
    place: &Place,
) -> Result<BTreeMap<String, Quality>, Failure> {
    let critic = models::critic(&[model], text, place)?;
    let solutions: Vec<Solution<'_>> = labels
        .iter()
        .map(|row| Solution {
            question: &row.prompt,
            options: row.options.clone(),
            finished: true,
            branch: 0,
        })
        .collect();
    let scores = critic.score(&solutions, &mut critic.memory()).or_data("labels")?;
    let numbers = scores.iter().flat_map(|s| s.values.iter().chain(&s.process).chain(&s.outcome));
    if !numbers.copied().all(f32::is_finite) {
        return Err(Failure::data("the critic's scores are not numbers: its training diverged")
            .hint("lower `learning_rate`"));
    }
    let mut judged = BTreeMap::<&str, Vec<Judged<'_>>>::new();
    for (row, scores) in labels.iter().zip(&scores) {
        let right = row.outcome > 0.5;
        let one = |tool, score: f32, right| Judged { group: &row.prompt_id, tool, score, right };
        let tools: Vec<Finding> = row.options.iter().map(|text| task::finding(text)).collect();
        let whole = task::verdict(&row.options.concat());
        let values = tools.iter().zip(&scores.values).map(|(&tool, &v)| one(tool, v, right));
        judged.entry(VALUE).or_default().extend(values);
        let process = tools.iter().zip(scores.process.iter().zip(&row.process_targets));
        let process = process.map(|(&tool, (&p, &t))| one(tool, p, t > 0.5));
        judged.entry(PRM).or_default().extend(process);
        judged.entry(ORM).or_default().extend(scores.outcome.map(|o| one(whole, o, right)));
    }
    judged.entry(AGREEMENT).or_default().extend(agreed(labels, &scores));
    judged.retain(|_, rows| !rows.is_empty());
    Ok(judged.into_iter().map(|(head, rows)| (head.to_owned(), measure(&rows))).collect())
}

/// The solutions judged by what their prompt's solutions with the same answer weigh by their outcome rewards; none
/// without an ORM.
fn agreed<'a>(labels: &'a [Label], scores: &[Scores]) -> Vec<Judged<'a>> {
    if scores.iter().all(|one| one.outcome.is_none()) {
        return Vec::new();
    }
    let answer = |row: &Label| task::extract(&row.options.concat()).and_then(task::canonical);
    let answers: Vec<Option<String>> = labels.iter().map(answer).collect();
    let voters: Vec<Voter<'_>> = labels
        .iter()
        .zip(&answers)
        .zip(scores)
        .map(|((row, answer), scores)| Voter {
            group: &row.prompt_id,
            answer: answer.as_deref(),
            weight: f64::from(scores.outcome.unwrap_or(0.0)),
        })
        .collect();
    let shares = labels.iter().zip(agreement::shares(&voters));
    let judged = |(row, share): (&'a Label, Option<f64>)| Judged {
        group: &row.prompt_id,
        tool: task::verdict(&row.options.concat()),
        score: share.unwrap_or(0.0) as f32,
        right: row.outcome > 0.5,
    };
    shares.map(judged).collect()
}

fn print(figures: &BTreeMap<String, Quality>) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = figures.iter().map(|(head, q)| q.cells(head)).collect();
    stage::print_table("critics on held-out problems", &quality::COLUMNS, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name.starts_with("critic-")).unwrap();
        assert!(values.len() >= 11, "{} files", values.len());
        for value in values {
            value.train.validate().unwrap();
            value.validate().unwrap();
        }
    }
}
