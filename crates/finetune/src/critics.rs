//! `finetune critic`: trains critic heads on labels, and measures them on held-out problems.

use std::collections::BTreeMap;
use std::path::PathBuf;

use critic::agreement::{self, Voter};
use critic::quality::{self, Judged, Quality, measure};
use critic::targets::{Labelled, examples};
use critic::{Classes, CriticConfig, Encoder, Head, Scores, Solution, words};
use dataset::Dataset;
use decoding::{AnyModel, InitialModel, Model, Runtime, TextConfig, models};
use lm::train::{Example, TrainConfig};
use lm::{Checkpoint, ModelConfig};
use schema::Label;
use schema::labels::TRAIN;
use serde::{Deserialize, Serialize};
use stage::{Common, Compute, Failure, Plan, Preset, ResultExt};

use crate::training::{self, NamedRow, TrainingRun};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    compute: Compute,
    /// The preset's text.toml: how a question becomes text.
    #[arg(long)]
    text: PathBuf,
    /// The checkpoint to start from; in the paper, the policy.
    #[arg(long)]
    init: PathBuf,
    /// The labels to learn from and to be judged on.
    #[arg(long)]
    labels: PathBuf,
    /// Output folder for the checkpoint.
    #[arg(long)]
    out: PathBuf,
    /// Go on even if all training or all held-out labels are right, or none is; a head learns a constant from such labels.
    #[arg(long)]
    allow_one_class: bool,
}

/// The preset's `critic-*.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The heads to train, at least one.
    heads: Vec<Head>,
    /// Answer in words, as `text.toml` says, instead of with scalar heads: the paper's text critics.
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

/// The name of the judgements by agreement, listed beside those of the heads.
const AGREEMENT: &str = "agreement";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let files = args.common.files([("text", args.text.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    let config = &preset.value;
    config.validate()?;
    let runtime = Runtime::new(&args.compute)?;
    let labels = Dataset::<Label>::open(&args.labels)?.require_rows()?;
    let init = InitialModel::load("init", &args.init, &runtime, Some(config.train.frozen()))?;
    let plan = Plan {
        tool: "finetune-critic",
        common: &args.common,
        settings: &Settings { critic: config, text: &text.value },
        inputs: vec![labels.input("labels"), init.input.clone()],
    };
    let heads = names(&config.heads).join(", ");
    let would = format_args!("train {heads} on {} labels", labels.len());
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let Some(work) = work.unless_done(&args.out)? else { return Ok(()) };
    let (train, held_out): (Vec<Label>, Vec<Label>) =
        labels.rows()?.into_iter().partition(|row| row.split == TRAIN);
    // Checked before training, so that labels of one class fail at once.
    teaches(&config.heads, &train, &held_out, args.allow_one_class)?;
    let start = config.start(init.checkpoint.clone(), &runtime)?;
    let (train, long) = fitting(train, &start, &text.value)?;
    let (held_out, longer) = fitting(held_out, &start, &text.value)?;
    let too_long = long + longer;
    let rows = |labels: &[Label]| rows(labels, &start, &text.value);
    let (learned, judged) = (rows(&train)?, rows(&held_out)?);
    // Begun only now: labels that are refused leave no begun folder and, with --force, cost no old critic.
    let Some(output) = work.files(&args.out)? else { return Ok(()) };
    let run = TrainingRun {
        start: &start,
        examples: &learned,
        preferences: None,
        validation: &judged,
        too_long,
        config: &config.train,
        updates: None,
        seed: args.common.seed,
    };
    let trained = training::train(&run, &output, &args.out, &runtime)?;
    let base = init.base.clone();
    let model = init.trained(&trained.checkpoint, &runtime);
    let figures = figures(model, &held_out, &text.value)?;
    output.write(quality::FILE, &training::pretty(&figures)?)?;
    training::finish_beside(output, &args.out, &trained, &base)?;
    if args.common.json {
        return stage::print_json(&figures);
    }
    training::summary("critic", &trained.record, false)?;
    print(&figures)
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        if self.heads.is_empty() {
            return Err(Failure::config("heads: name at least one"));
        }
        Ok(())
    }

    /// The model before training, with untrained heads.
    fn start(&self, checkpoint: Checkpoint, runtime: &Runtime) -> Result<Checkpoint, Failure> {
        let (scalar, word) = match names(&self.heads) {
            heads if self.words => (Vec::new(), heads),
            heads => (heads, Vec::new()),
        };
        let checkpoint =
            checkpoint.with_scalar_heads(&scalar, runtime.device()).or_config("heads")?;
        // Heads in words add no weights. The names tell later stages what the model was trained to answer.
        let config = ModelConfig { word_heads: word, ..checkpoint.config };
        Ok(Checkpoint { config, ..checkpoint })
    }
}

fn names(heads: &[Head]) -> Vec<String> {
    heads.iter().map(Head::to_string).collect()
}

/// Warns if the labels of a head are all of one class, or nearly. All of one class is an error unless `allowed`: the head
/// would learn a constant, or could not be measured.
fn teaches(
    heads: &[Head],
    train: &[Label],
    held_out: &[Label],
    allowed: bool,
) -> Result<(), Failure> {
    let mut alike = Vec::new();
    for (labels, split) in [(train, "training"), (held_out, "held-out")] {
        for head in heads {
            let (classes, what) = match head {
                Head::Prm => (processes(labels), format!("{split} options")),
                Head::Value | Head::Orm => (outcomes(labels), format!("{split} solutions")),
            };
            if let Some(rare) = classes.rare(&what) {
                tracing::warn!("{head}: {rare}: it can learn, or show, little of what is rare");
            }
            alike.extend(classes.alike(&what).map(|alike| format!("{head}: {alike}")));
        }
    }
    if train.iter().all(|row| row.weight == 0.0) && !train.is_empty() {
        alike.push(format!("all of {} training solutions weigh 0", train.len()));
    }
    if alike.is_empty() {
        return Ok(());
    }
    let message = format!("labels that tell nothing apart: {}", alike.join("; "));
    for row in train.iter().chain(held_out).take(SHOWN) {
        let tail = stage::tail(&row.options.concat());
        let is = if row.outcome > 0.5 { "right" } else { "wrong" };
        tracing::warn!("problem {}: {is} is what ends in {tail}", row.prompt_id);
    }
    if allowed {
        tracing::warn!("{message}");
        return Ok(());
    }
    Err(Failure::data(message).hint(
        "label with another policy, format or more problems (`critique label` says what was written and what was right); \
         --allow-one-class (ONE_CLASS=1 of make) learns all the same",
    ))
}

/// How many solutions to show when the labels are refused.
const SHOWN: usize = 3;

/// The classes of solutions.
fn outcomes(labels: &[Label]) -> Classes {
    labels.iter().map(|row| row.outcome > 0.5).collect()
}

/// The classes of options.
fn processes(labels: &[Label]) -> Classes {
    labels.iter().flat_map(|row| &row.process_targets).map(|target| *target > 0.5).collect()
}

/// Messages about heads that give everything they judged the same score.
fn constant(judged: &BTreeMap<&'static str, Vec<Judged<'_>>>) -> Vec<String> {
    let said = |(head, rows): (&&str, &Vec<Judged<'_>>)| {
        let first = rows.first().filter(|_| rows.len() > 1)?.score;
        let same = rows.iter().all(|row| row.score.total_cmp(&first).is_eq());
        let count = rows.len();
        same.then(|| {
            format!(
                "{head}: all of {count} held-out judgements are {first}: it tells nothing apart"
            )
        })
    };
    judged.iter().filter_map(said).collect()
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
    let heads = Head::all_of(&start.config.word_heads).or_data("config.json")?;
    if !heads.is_empty() {
        let rows = words::examples(&labelled, &heads, &text.critic, &start.tokenizer);
        return rows.or_config("text.toml");
    }
    let prompt = text.policy.format.prompt(&start.tokenizer, &start.config);
    let prompt = prompt.or_config("text.toml")?;
    let encoder = Encoder::new(&start.tokenizer, &prompt, &text.critic).or_config("text.toml")?;
    examples(&labelled, &encoder, &start.config).or_data("labels")
}

/// The labels that fit the model's context, and the number of those that do not.
fn fitting(
    labels: Vec<Label>,
    start: &Checkpoint,
    text: &TextConfig,
) -> Result<(Vec<Label>, usize), Failure> {
    let limit = start.config.max_position_embeddings;
    let longest = |labels: &[Label]| -> Result<usize, Failure> {
        Ok(rows(labels, start, text)?.iter().map(|row| row.ids.len()).max().unwrap_or(0))
    };
    // Usually everything fits. Only otherwise is each label measured on its own, for the message.
    if longest(&labels)? <= limit {
        return Ok((labels, 0));
    }
    let named = |label: Label| {
        let tokens = longest(std::slice::from_ref(&label))?;
        let name = format!("label {} of problem {}", label.trajectory_id, label.prompt_id);
        Ok(NamedRow { name, tokens, row: label })
    };
    let named = labels.into_iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
    training::fitting(named, limit)
}

/// The figures of each head on the held-out labels. Value and PRM are judged option by option (for the value, an option is
/// right if its solution is), the ORM solution by solution.
fn figures(
    model: Model,
    labels: &[Label],
    text: &TextConfig,
) -> Result<BTreeMap<String, Quality>, Failure> {
    let words = Head::all_of(&model.engine()?.config().word_heads).or_data("config.json")?;
    let shown = Shown { config: &text.critic, words };
    let critic = models::critic(&[AnyModel::Model(Box::new(model))], text)?;
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
    // `measure` sorts by score, and NaN has no place in an order.
    if !numbers.copied().all(f32::is_finite) {
        return Err(Failure::data("the critic's scores are not numbers: its training diverged")
            .hint("lower `learning_rate`"));
    }
    let judged = judged(labels, &scores, &shown);
    for said in constant(&judged) {
        tracing::warn!("{said}");
    }
    Ok(judged.into_iter().map(|(head, rows)| (head.to_owned(), measure(&rows))).collect())
}

/// How the calculator's findings were presented to the critic.
struct Shown<'a> {
    config: &'a CriticConfig,
    /// The heads that answer in words.
    words: Vec<Head>,
}

impl<'a> Shown<'a> {
    /// The marks that `head` had seen when it judged each option.
    fn to(&self, head: Head, options: &[String]) -> Vec<Vec<&'a str>> {
        if self.words.contains(&head) {
            self.config.shown_in_words(head, options)
        } else {
            self.config.shown(options)
        }
    }
}

/// The judgements of each head and of agreement, each with the marks that the critic had seen.
fn judged<'a>(
    labels: &'a [Label],
    scores: &[Scores],
    shown: &Shown<'a>,
) -> BTreeMap<&'static str, Vec<Judged<'a>>> {
    let mut judged = BTreeMap::<&str, Vec<Judged<'_>>>::new();
    for (row, scores) in labels.iter().zip(scores) {
        let right = row.outcome > 0.5;
        let group: &'a str = &row.prompt_id;
        let one = |(shown, (score, right))| Judged { group, shown, score, right };
        let mut add = |head: Head, scores: Vec<(f32, bool)>| {
            let told = shown.to(head, &row.options).into_iter();
            // The ORM has a score for the last option only: skip the marks of the others.
            let told = told.skip(row.options.len().saturating_sub(scores.len()));
            judged.entry(head.name()).or_default().extend(told.zip(scores).map(one));
        };
        add(Head::Value, scores.values.iter().map(|&value| (value, right)).collect());
        let process = scores.process.iter().zip(&row.process_targets);
        add(Head::Prm, process.map(|(&process, &target)| (process, target > 0.5)).collect());
        add(Head::Orm, scores.outcome.iter().map(|&outcome| (outcome, right)).collect());
    }
    judged.entry(AGREEMENT).or_default().extend(agreed(labels, scores, shown));
    judged.retain(|_, rows| !rows.is_empty());
    judged
}

/// Each solution scored by agreement, that is, by its answer's share of the outcome rewards of the problem's solutions.
/// Empty without an ORM.
fn agreed<'a>(labels: &'a [Label], scores: &[Scores], shown: &Shown<'a>) -> Vec<Judged<'a>> {
    if scores.iter().all(|one| one.outcome.is_none()) {
        return Vec::new();
    }
    let answer = |row: &Label| answer::final_answer(&row.options.concat());
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
        shown: shown.to(Head::Orm, &row.options).pop().unwrap_or_default(),
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
    use critic::Marks;

    use super::*;

    fn label(text: &[&str], outcome: f32) -> Label {
        Label {
            prompt_id: "p".to_owned(),
            options: text.iter().map(|&line| line.to_owned()).collect(),
            value_targets: vec![outcome; text.len()],
            process_targets: vec![outcome; text.len()],
            outcome,
            weight: 1.0,
            ..Label::default()
        }
    }

    /// Both solutions have the same second line and the same answer. Only the calculator's finding on the first line tells
    /// them apart, and the critic was shown that: it contributes nothing of its own.
    #[test]
    fn judgements_are_compared_where_the_critic_was_shown_the_same() {
        let labels = [
            label(&["2 + 3 = 5\n", "5 + 1 = 6\n", "#### 6"], 1.0),
            label(&["2 + 3 = 4\n", "5 + 1 = 6\n", "#### 6"], 0.0),
        ];
        let score = |score: f32| Scores {
            values: vec![score; 3],
            process: vec![score; 3],
            outcome: Some(score),
            ..Scores::default()
        };
        let (scores, config) = ([score(0.9), score(0.1)], CriticConfig::plain());
        let figures = |config: &CriticConfig| -> BTreeMap<&str, Option<f64>> {
            let shown = Shown { config, words: Vec::new() };
            let judged = judged(&labels, &scores, &shown);
            judged.into_iter().map(|(head, rows)| (head, measure(&rows).within_tool)).collect()
        };
        let none = [AGREEMENT, "orm", "prm", "value"].map(|name| (name, None));
        assert_eq!(figures(&config), BTreeMap::from(none));
        // A critic that is shown no findings deserves all the credit.
        let blind = Marks { holds: "-".into(), fails: "-".into(), nothing: "-".into() };
        let blind = CriticConfig { option: blind.clone(), solution: blind, ..config };
        let all = figures(&blind);
        assert_eq!((all["orm"], all["prm"], all["value"]), (Some(1.0), Some(1.0), Some(1.0)));
        assert_eq!(all[AGREEMENT], Some(0.5), "the answer is the same");
    }

    #[test]
    fn labels_that_tell_nothing_apart_are_refused_by_head() {
        let heads = Head::ALL;
        let (right, wrong) = (label(&["a", "#### 5"], 1.0), label(&["b", "#### 6"], 0.0));
        let both = [right.clone(), wrong.clone()];
        teaches(&heads, &both, &both, false).unwrap();
        let refused = |heads: &[Head], train: &[Label], held_out: &[Label]| {
            teaches(heads, train, held_out, true).unwrap();
            let failure = teaches(heads, train, held_out, false).unwrap_err();
            assert_eq!(failure.exit(), stage::Exit::Data);
            failure.to_string()
        };
        let none = refused(&heads, &[wrong.clone(), wrong.clone()], &both);
        let says = "labels that tell nothing apart: value: 0 of 2 training solutions are right; \
                    prm: 0 of 4 training options are right; orm: 0 of 2 training solutions are right";
        assert_eq!(none, says);
        let all = refused(&heads[2..], &both, std::slice::from_ref(&right));
        assert!(all.ends_with(": orm: all of 1 held-out solutions are right"), "{all}");
        let unjudged = refused(&heads[..1], &both, &[]);
        assert!(unjudged.ends_with("value: there are no held-out solutions"), "{unjudged}");
        let weightless = both.clone().map(|row| Label { weight: 0.0, ..row });
        assert!(
            refused(&heads, &weightless, &both).contains("all of 2 training solutions weigh 0")
        );
        // The outcomes are all alike, but the steps are not.
        let steps = Label { process_targets: vec![1.0, 0.0], ..wrong };
        teaches(&heads[1..2], std::slice::from_ref(&steps), std::slice::from_ref(&steps), false)
            .unwrap();
    }

    #[test]
    fn a_head_that_says_one_thing_is_named() {
        let row = |score| Judged { group: "p", shown: Vec::new(), score, right: true };
        let judged =
            BTreeMap::from([("orm", vec![row(0.5), row(0.5)]), ("prm", vec![row(0.5), row(0.25)])]);
        let said = constant(&judged);
        assert_eq!(said, ["orm: all of 2 held-out judgements are 0.5: it tells nothing apart"]);
        assert!(constant(&BTreeMap::from([("orm", vec![row(0.5)])])).is_empty());
    }

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
