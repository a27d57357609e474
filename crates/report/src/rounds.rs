//! The prompts, trees, filter counts and operators of each round.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dataset::{Dataset, METRICS, Manifest, MetricsLog};
use filter::FilterConfig;
use schema::{Critique, NodeRow, Prompt, Question, SftExample, Trajectory};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stage::{Failure, Preset, ResultExt};

use crate::Args;
use crate::outputs::Outputs;
use crate::problems::evenly;
use crate::settings;
use crate::trees::{self, Judged, Tree};

/// How many prompts are listed for each tree that is shown.
const PROMPTS_PER_TREE: usize = 2;

/// The same of all rounds together.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) filters: Vec<Filtered>,
    pub(crate) operators: Vec<OperatorYield>,
    pub(crate) prompts: Vec<Prompted>,
    pub(crate) trees: Vec<Tree>,
    pub(crate) sampled: Sampled,
    /// The power of the policy's probability in the vote, as the preset's searches have it.
    likelihood: f64,
}

/// How many of the searched prompts and trees the page has.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Sampled {
    prompts_total: usize,
    trees_total: usize,
    prompts_shown: usize,
    trees_shown: usize,
}

/// The counts of a round's filter.
#[derive(Debug, Serialize)]
pub(crate) struct Filtered {
    round: usize,
    searched: u64,
    solutions: u64,
    kept_prompts: u64,
    kept: u64,
    dropped: Vec<Dropped>,
    /// The share of the kept solutions that are right, where an audit knows the answers.
    precision: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Dropped {
    reason: &'static str,
    count: u64,
}

/// The yield of an operator in a round, in prompts.
#[derive(Debug, Serialize)]
pub(crate) struct OperatorYield {
    round: usize,
    operator: String,
    asked: Option<u64>,
    made: Option<u64>,
    searched: u64,
    kept: u64,
}

/// A prompt that was searched.
#[derive(Debug, Serialize)]
pub(crate) struct Prompted {
    id: String,
    round: usize,
    question: String,
    operator: Option<String>,
    nodes: Option<usize>,
    solutions: usize,
    answers: BTreeSet<String>,
    vote: Option<Vote>,
    greedy: Option<String>,
    kept: usize,
    dropped: Option<&'static str>,
    has_tree: bool,
}

#[derive(Debug, Serialize)]
struct Vote {
    answer: String,
    share: f64,
}

/// The last line of the metrics beside a round's examples.
#[derive(Deserialize)]
struct Summary {
    prompts: u64,
    kept: u64,
    sft: u64,
    criteria: Vec<Cut>,
    operators: Vec<Brought>,
}

#[derive(Deserialize)]
struct Cut {
    criterion: String,
    removed: u64,
    left: u64,
}

#[derive(Deserialize)]
struct Brought {
    operator: String,
    prompts: u64,
    kept: u64,
}

/// A line of the metrics beside a round's prompts.
#[derive(Deserialize)]
struct Made {
    operator: String,
    kept: u64,
    missing: u64,
}

/// An audit of a filter, as `evaluate audit` writes it.
#[derive(Deserialize)]
struct Audit {
    examples: u64,
    right: u64,
}

/// The datasets of a round.
struct Round<'a> {
    number: usize,
    /// The number of prompts.
    prompts: usize,
    /// Those that are listed, by their ids.
    questions: BTreeMap<String, Question>,
    trajectories: Dataset<Trajectory>,
    critiques: Dataset<Critique>,
    nodes: Option<Dataset<NodeRow>>,
    /// By which the round was filtered; `None` if that is not known.
    filter: Option<&'a FilterConfig>,
    /// Ids of the trajectories that were kept.
    kept: BTreeSet<String>,
    /// Ids of those whose trees are shown.
    with_tree: BTreeSet<String>,
}

/// Why a criterion of the filter drops a solution.
fn reason(criterion: &str) -> &'static str {
    match criterion {
        "decoders" => "another decoder found it",
        "finished_only" => "it did not end by itself",
        "distinct" => "a better solution has the same text",
        "outcome_above" => "its outcome reward is too low",
        "require_calculator" => "the calculator found a mistake, or nothing to check",
        "expected" => "its answer is not the number that was masked",
        "agreement_at_least" => "too few solutions agree with its answer",
        "confidence_at_least" => "the confidence in its answer is too low",
        "per_prompt" => "its prompt has enough better ones",
        _ => "another criterion",
    }
}

/// Reads what the rounds searched and kept.
pub(crate) fn read(args: &Args, outputs: &Outputs) -> Result<Rounds, Failure> {
    let config = args.filter.as_deref().map(|path| stage::load::<FilterConfig>(path, &[]));
    let config = config.transpose()?;
    let likelihood = args.tree.as_deref().map_or(Ok(0.0), settings::vote_likelihood)?;
    let mut rounds = Rounds { likelihood, ..Rounds::default() };
    for (number, examples) in (1..).zip(&args.examples) {
        let Some(manifest) = outputs.manifest(examples) else {
            tracing::warn!("{}: no output of this run is there", examples.display());
            continue;
        };
        rounds.count(number, examples, outputs)?;
        let share = args.most_trees / args.examples.len();
        if let Some(round) = open(outputs, manifest, number, share)? {
            let kept = kept(examples, &round)?;
            rounds.look_into(&Round {
                filter: same(config.as_ref(), manifest, number),
                kept,
                ..round
            })?;
        }
    }
    rounds.sampled.prompts_shown = rounds.prompts.len();
    rounds.sampled.trees_shown = rounds.trees.len();
    Ok(rounds)
}

/// The ids of the solutions that were kept of the prompts that are listed.
fn kept(examples: &Path, round: &Round<'_>) -> Result<BTreeSet<String>, Failure> {
    let (examples, mut kept) = (Dataset::<SftExample>::open(examples)?, BTreeSet::new());
    for part in 0..examples.parts() {
        let rows = examples.part_rows(part)?.into_iter();
        let listed = rows.filter(|one| round.questions.contains_key(&one.prompt_id));
        kept.extend(listed.map(|one| one.trajectory_id));
    }
    Ok(kept)
}

/// The settings, if the examples of a round were chosen by them.
fn same<'a>(
    config: Option<&'a Preset<FilterConfig>>,
    examples: &Manifest,
    round: usize,
) -> Option<&'a FilterConfig> {
    let chose = |config: &&Preset<FilterConfig>| {
        stage::config(&config.digest, round as i32) == examples.recipe.config
    };
    config.filter(chose).map(|config| &config.value)
}

/// Opens what the examples of a round were chosen from. `None` if it is not in the run's folder.
fn open<'a>(
    outputs: &Outputs,
    examples: &Manifest,
    number: usize,
    trees: usize,
) -> Result<Option<Round<'a>>, Failure> {
    let find = |name| outputs.input(examples, name);
    let (Some(trajectories), Some(critiques), Some(prompts)) =
        (find("trajectories"), find("critiques"), find("prompts"))
    else {
        return Ok(None);
    };
    let trajectories = Dataset::<Trajectory>::open(&trajectories)?;
    let nodes: Option<PathBuf> = outputs.beside::<NodeRow>(trajectories.manifest());
    let nodes = nodes.map(|dir| Dataset::<NodeRow>::open(&dir)).transpose()?;
    let critiques = Dataset::<Critique>::open(&critiques)?;
    let prompts = Dataset::<Prompt>::open(&prompts)?;
    let places = evenly(prompts.len(), trees * PROMPTS_PER_TREE).collect();
    let questions = at(&prompts, &places)?;
    let listed: Vec<&String> = questions.keys().collect();
    let shown = evenly(listed.len(), listed.len().min(trees));
    let with_tree = shown.map(|at| listed[at].clone()).collect();
    Ok(Some(Round {
        number,
        prompts: prompts.len(),
        questions,
        trajectories,
        critiques,
        nodes,
        filter: None,
        kept: BTreeSet::new(),
        with_tree,
    }))
}

/// The questions at some places of a dataset, by their ids. One part at a time is in memory.
fn at(
    prompts: &Dataset<Prompt>,
    places: &BTreeSet<usize>,
) -> Result<BTreeMap<String, Question>, Failure> {
    let mut questions = BTreeMap::new();
    for (part, range) in prompts.ranges().into_iter().enumerate() {
        if places.range(range.clone()).next().is_none() {
            continue;
        }
        let rows = range.zip(prompts.part_view::<Question>(part)?);
        let chosen = rows.filter(|(place, _)| places.contains(place));
        questions.extend(chosen.map(|(_, one)| (one.prompt_id.clone(), one)));
    }
    Ok(questions)
}

impl Rounds {
    /// Adds the counts of a round, which are in its metrics.
    fn count(&mut self, round: usize, examples: &Path, outputs: &Outputs) -> Result<(), Failure> {
        let lines = MetricsLog::read(&examples.join(METRICS))?;
        let summary =
            lines.into_iter().rev().find_map(|line| serde_json::from_value::<Summary>(line).ok());
        let Some(Summary { prompts, kept, sft, criteria, operators }) = summary else {
            return Ok(());
        };
        let solutions = criteria.first().map_or(sft, |cut| cut.removed + cut.left);
        let dropped = criteria.iter().filter(|cut| cut.removed > 0);
        let dropped =
            dropped.map(|cut| Dropped { reason: reason(&cut.criterion), count: cut.removed });
        self.filters.push(Filtered {
            round,
            searched: prompts,
            solutions,
            kept_prompts: kept,
            kept: sft,
            dropped: dropped.collect(),
            precision: precision(examples)?,
        });
        let made =
            outputs.manifest(examples).and_then(|manifest| outputs.input(manifest, "prompts"));
        let made = made.map(|dir| made_by(&dir)).transpose()?.unwrap_or_default();
        self.operators.extend(operators.into_iter().map(|Brought { operator, prompts, kept }| {
            let counts = made.get(&operator);
            OperatorYield {
                round,
                asked: counts.map(|made| made.kept + made.missing),
                made: counts.map(|made| made.kept),
                searched: prompts,
                kept,
                operator,
            }
        }));
        Ok(())
    }

    /// Adds the prompts and trees of a round that are shown.
    fn look_into(&mut self, round: &Round<'_>) -> Result<(), Failure> {
        let prompts = round.prompts;
        self.sampled.prompts_total += prompts;
        self.sampled.trees_total +=
            round.nodes.as_ref().map_or(0, |nodes| prompts.min(nodes.len()));
        for part in 0..round.trajectories.parts() {
            let trajectories = round.trajectories.part_rows(part)?;
            let listed = |one: &Trajectory| round.questions.contains_key(&one.prompt_id);
            let trajectories: Vec<Trajectory> = trajectories.into_iter().filter(listed).collect();
            if trajectories.is_empty() {
                continue;
            }
            let critiques = round.critiques.part_rows(part)?;
            let listed = |one: &Critique| round.questions.contains_key(&one.prompt_id);
            let critiques: Vec<Critique> = critiques.into_iter().filter(listed).collect();
            let listed = |one: &NodeRow| round.questions.contains_key(&one.prompt_id);
            let nodes = round.nodes.as_ref().map(|nodes| nodes.part_rows(part)).transpose()?;
            let nodes = nodes.unwrap_or_default().into_iter().filter(listed).collect();
            self.add(round, &Part { trajectories, critiques, nodes })?;
        }
        Ok(())
    }

    fn add(&mut self, round: &Round<'_>, part: &Part) -> Result<(), Failure> {
        let fates = part.fates(round)?;
        let critiques: BTreeMap<&str, &Critique> =
            part.critiques.iter().map(|one| (one.trajectory_id.as_str(), one)).collect();
        for trajectories in part.trajectories.chunk_by(|a, b| a.prompt_id == b.prompt_id) {
            let mut judged = Vec::with_capacity(trajectories.len());
            for trajectory in trajectories {
                let id = trajectory.trajectory_id.as_str();
                let (critique, why) =
                    (critiques.get(id).copied(), fates.get(id).copied().flatten());
                judged.push(Judged { trajectory, critique, kept: round.kept.contains(id), why });
            }
            let id = &trajectories[0].prompt_id;
            let nodes = part.nodes.chunk_by(|a, b| a.prompt_id == b.prompt_id);
            let nodes =
                nodes.into_iter().find(|nodes| nodes[0].prompt_id == *id).unwrap_or_default();
            self.prompts.push(prompted(round, &judged, nodes, self.likelihood));
            if !nodes.is_empty() && round.with_tree.contains(id) {
                let question = &trajectories[0].prompt;
                self.trees.push(Tree::new(question, nodes, &judged, self.likelihood));
            }
        }
        Ok(())
    }
}

/// The rows of one part of a round that are shown.
struct Part {
    trajectories: Vec<Trajectory>,
    critiques: Vec<Critique>,
    nodes: Vec<NodeRow>,
}

impl Part {
    /// Why the filter dropped each solution, `None` for those that it kept; empty if its settings are not known.
    fn fates(&self, round: &Round<'_>) -> Result<BTreeMap<String, Option<&'static str>>, Failure> {
        let Some(config) = round.filter else { return Ok(BTreeMap::new()) };
        let questions = round.questions.values().cloned().collect();
        let (trajectories, critiques) = (self.trajectories.clone(), self.critiques.clone());
        let fates = filter::fates(config, Some(questions), trajectories, critiques)?;
        Ok(fates.into_iter().map(|(id, fate)| (id, fate.map(reason))).collect())
    }
}

fn prompted(
    round: &Round<'_>,
    judged: &[Judged<'_>],
    nodes: &[NodeRow],
    likelihood: f64,
) -> Prompted {
    let first = judged[0].trajectory;
    let question = round.questions.get(&first.prompt_id);
    let kept = judged.iter().filter(|one| one.kept).count();
    // Of those that got furthest: what the filter asks last is what the best of them failed.
    let dropped = judged.iter().filter_map(|one| one.why).max_by_key(|why| place(why));
    Prompted {
        id: first.prompt_id.clone(),
        round: round.number,
        question: first.prompt.clone(),
        operator: question.and_then(|question| question.operator.clone()),
        nodes: (!nodes.is_empty()).then_some(nodes.len()),
        solutions: judged.len(),
        answers: judged.iter().filter_map(|one| one.trajectory.answer.clone()).collect(),
        vote: trees::vote(judged, likelihood).map(|(answer, share)| Vote { answer, share }),
        greedy: trees::greedy(nodes, judged),
        kept,
        dropped: if kept == 0 { dropped } else { None },
        has_tree: !nodes.is_empty() && round.with_tree.contains(&first.prompt_id),
    }
}

/// The place of a reason in the order in which the filter asks.
fn place(why: &str) -> usize {
    const ORDER: [&str; 8] = [
        "decoders",
        "finished_only",
        "distinct",
        "outcome_above",
        "require_calculator",
        "expected",
        "agreement_at_least",
        "confidence_at_least",
    ];
    ORDER.iter().position(|criterion| reason(criterion) == why).unwrap_or(ORDER.len())
}

/// The prompts that each operator made, and those it could not make, by operator.
fn made_by(prompts: &Path) -> Result<BTreeMap<String, Made>, Failure> {
    let lines = MetricsLog::read(&prompts.join(METRICS))?.into_iter();
    let made = lines.filter_map(|line: Value| serde_json::from_value::<Made>(line).ok());
    Ok(made.map(|made| (made.operator.clone(), made)).collect())
}

/// The share of right ones among what the filter of a round kept, from the audits beside its examples.
fn precision(examples: &Path) -> Result<Option<f64>, Failure> {
    let Some(round) = examples.parent() else { return Ok(None) };
    let (mut examples, mut right) = (0, 0);
    for (_, path) in crate::outputs::files(round, "audit.json")? {
        let text = std::fs::read(&path).or_io(path.display())?;
        let audit: Audit = serde_json::from_slice(&text).or_data(path.display())?;
        examples += audit.examples;
        right += audit.right;
    }
    Ok((examples > 0).then(|| right as f64 / examples as f64))
}
