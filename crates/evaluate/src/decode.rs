//! `evaluate run`: greedy answers to every problem, eta-MCTS answers to the first of each split.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dataset::{Begin, Dataset, Output, chunk, seed_for};
use decoding::models::Model;
use decoding::{
    Candidate, Models, Place, Question, SampleConfig, SearchConfig, Searcher, StepConfig,
    StepMethod, TextConfig, candidate,
};
use lm::{Prefixes, Sampling};
use policy::StateRequest;
use schema::{Evaluation, Prompt};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Metrics, Preset, Progress, ResultExt};

use crate::results::results_json;
use crate::stats::wilson;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// How questions become text: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// The policy to measure.
    #[arg(long)]
    policy: PathBuf,
    /// The small policy of the rollouts.
    #[arg(long)]
    fast_policy: PathBuf,
    /// A checkpoint with critics' heads; once for each.
    #[arg(long = "critic", required = true)]
    critics: Vec<PathBuf>,
    /// Problems with their gold answers; once for each split.
    #[arg(long = "problems", required = true)]
    problems: Vec<PathBuf>,
    /// Where the evaluations go.
    #[arg(long)]
    out: PathBuf,
}

/// The preset's `evaluate.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Name of the task in the results.
    task: String,
    /// Problems of one part.
    chunk_problems: usize,
    /// Problems of each split, the first by id, that are not only answered greedily; 0 for none.
    search_problems: usize,
    /// The search.
    search: SearchConfig,
    /// Independent samples to compare the search with; without it there are none.
    #[serde(default)]
    sample: Option<SampleConfig>,
    /// Step searches to compare it with; without it there are none.
    #[serde(default)]
    steps: Option<StepConfig>,
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        self.search.validate().map_err(Failure::from)?;
        self.sample.as_ref().map_or(Ok(()), SampleConfig::validate).map_err(Failure::from)?;
        self.steps.as_ref().map_or(Ok(()), StepConfig::validate).map_err(Failure::from)
    }
}

#[derive(Serialize)]
struct Settings<'a> {
    evaluate: &'a Config,
    text: &'a TextConfig,
}

/// A problem and whether it is searched.
struct Job {
    problem: Prompt,
    searched: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let preset: Preset<Config> = args.common.preset()?;
    let text: Preset<TextConfig> = stage::load(&args.text, &[])?;
    preset.value.validate()?;
    let place = Place::of(&args.common)?;
    let models = Models::load(&args.policy, &args.fast_policy, &args.critics, &place)?;
    let mut inputs = models.inputs();
    let mut jobs = Vec::new();
    for (i, dir) in args.problems.iter().enumerate() {
        let dataset = Dataset::<Prompt>::open(dir)?.require_rows()?;
        inputs.push(dataset.input(&format!("problems-{i}")));
        let rows = dataset.rows()?.into_iter().enumerate();
        let most = preset.value.search_problems;
        jobs.extend(rows.map(|(at, problem)| Job { problem, searched: at < most }));
    }
    let settings = Settings { evaluate: &preset.value, text: &text.value };
    let digest = dataset::digest_of(&settings)?;
    let version = env!("CARGO_PKG_VERSION");
    let recipe = stage::recipe("evaluate", version, &args.common, &digest, inputs);
    let chunks = chunk(jobs.len(), preset.value.chunk_problems);
    if args.common.dry_run {
        tracing::info!("would evaluate {} problems in {} parts", jobs.len(), chunks.len());
        return Ok(());
    }
    let begun = Output::begin(&args.out, recipe, chunks.len(), args.common.force)?;
    let Begin::Work(output) = begun else {
        tracing::info!("up to date");
        return Ok(());
    };
    let evaluator = Evaluator::new(args, &preset.value, &text.value, &models, &place)?;
    let mut metrics = Metrics::open(&args.out.join("metrics.jsonl"))?;
    let progress = Progress::new("evaluate", jobs.len() as u64);
    for (index, range) in chunks.into_iter().enumerate() {
        let chunk = &jobs[range];
        if output.missing().contains(&index) {
            let rows = evaluator.chunk(chunk)?;
            output.write_part(index, &rows)?;
            metrics.row(&serde_json::json!({"problems": chunk.len(), "answers": rows.len()}))?;
        }
        progress.add(chunk.len() as u64);
    }
    progress.done();
    finish(output, args, &models.policy)
}

/// Writes the results and commits.
fn finish(output: Output<Evaluation>, args: &Args, model: &Model) -> Result<(), Failure> {
    let rows = output.rows()?;
    let results = results_json(&rows, &model.label());
    let text = serde_json::to_vec_pretty(&results).map_err(Failure::bug)?;
    output.write_file("results.json", &text)?;
    output.commit()?;
    if args.common.json {
        return stage::print_json(&results);
    }
    let mut groups = BTreeMap::<(&str, &str), (u64, u64)>::new();
    for row in &rows {
        let entry = groups.entry((&row.split, &row.decoder)).or_default();
        entry.0 += u64::from(row.correct);
        entry.1 += 1;
    }
    let line = |(&(split, decoder), &(correct, count)): (&(&str, &str), &(u64, u64))| {
        let interval = wilson(correct, count);
        let percent = |x: f64| format!("{:.1}", x * 100.0);
        let range = format!("{} to {}", percent(interval.low), percent(interval.high));
        let accuracy = percent(interval.estimate);
        vec![split.to_owned(), decoder.to_owned(), count.to_string(), accuracy, range]
    };
    let lines: Vec<Vec<String>> = groups.iter().map(line).collect();
    let header = ["split", "decoder", "problems", "accuracy %", "95 % interval"];
    stage::print_table("evaluate", &header, &lines)
}

/// Decoders by independent samples: the first one, and three ways to pick one of all.
const SAMPLING: &str = "sampling";
const SELF_CONSISTENCY: &str = "self-consistency";
const BEST_OF_N: &str = "best-of-n";
const ORM_VOTE: &str = "orm-vote";

struct Evaluator<'a> {
    common: &'a Common,
    config: &'a Config,
    searcher: Searcher,
    model: String,
}

impl<'a> Evaluator<'a> {
    fn new(
        args: &'a Args,
        config: &'a Config,
        text: &TextConfig,
        models: &Models,
        place: &Place,
    ) -> Result<Self, Failure> {
        let searcher = Searcher::new(
            models.policy.policy(text, place)?,
            models.fast_policy.policy(text, place)?,
            models.critic(text, place)?,
            config.search.clone(),
        );
        Ok(Self {
            common: &args.common,
            config,
            searcher: searcher.map_err(Failure::from)?,
            model: models.policy.label(),
        })
    }

    fn chunk(&self, jobs: &[Job]) -> Result<Vec<Evaluation>, Failure> {
        let mut rows = self.greedy(jobs)?;
        let searched: Vec<&Prompt> =
            jobs.iter().filter(|job| job.searched).map(|job| &job.problem).collect();
        rows.extend(self.search(&searched)?);
        Ok(rows)
    }

    fn greedy(&self, jobs: &[Job]) -> Result<Vec<Evaluation>, Failure> {
        let states: Vec<StateRequest<'_>> = jobs
            .iter()
            .map(|job| StateRequest {
                question: &job.problem.prompt,
                written: String::new(),
                sampling: Sampling::Greedy,
                to_end: true,
                seed: 0,
            })
            .collect();
        let options =
            self.searcher.policy().write(&states, &mut Prefixes::default()).or_data("policy")?;
        jobs.iter()
            .zip(options)
            .map(|(job, option)| {
                let answer = Answer::new("greedy", Some(option.text), u64::from(option.tokens));
                self.row(&job.problem, answer)
            })
            .collect()
    }

    fn search(&self, problems: &[&Prompt]) -> Result<Vec<Evaluation>, Failure> {
        let seed =
            |p: &Prompt| seed_for(self.common.seed, "evaluate", self.common.round, &p.prompt_id);
        let mut asked = Vec::with_capacity(problems.len());
        let mut rows = Vec::new();
        for &problem in problems {
            if self.searcher.fits(&problem.prompt).map_err(Failure::from)? {
                let seed = seed(problem);
                let question = Question { id: &problem.prompt_id, text: &problem.prompt, seed };
                asked.push((problem, question));
            } else {
                tracing::warn!("problem {} is too long to search: no answer", problem.prompt_id);
                for decoder in self.decoders() {
                    rows.push(self.row(problem, Answer::new(decoder, None, 0))?);
                }
            }
        }
        let questions: Vec<Question<'_>> = asked.iter().map(|(_, question)| *question).collect();
        let mut answers = self.by_tree(&questions)?;
        answers.extend(self.by_samples(&questions)?);
        answers.extend(self.by_steps(&questions)?);
        for (at, answer) in answers {
            let (problem, question) = &asked[at];
            rows.push(self.row(problem, Answer { seed: Some(question.seed as i64), ..answer })?);
        }
        Ok(rows)
    }

    /// The decoders of the problems that are searched.
    fn decoders(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> =
            decoding::Picks::default().named().iter().map(|(name, _)| *name).collect();
        if self.config.sample.is_some() {
            names.extend([SAMPLING, SELF_CONSISTENCY, BEST_OF_N, ORM_VOTE]);
        }
        if self.config.steps.is_some() {
            names.extend(StepMethod::ALL.map(StepMethod::name));
        }
        names
    }

    /// What eta-MCTS answers, by the place of the question.
    fn by_tree(&self, questions: &[Question<'_>]) -> Result<Vec<(usize, Answer)>, Failure> {
        let searched = self.searcher.search(questions).map_err(Failure::from)?;
        let answers = searched.iter().enumerate().flat_map(|(at, searched)| {
            searched.picks.named().map(|(decoder, pick)| {
                let text = pick.map(|i| searched.solved[i].text.clone());
                let nodes = Some(searched.tree.tally().nodes as i32);
                (at, Answer { nodes, ..Answer::new(decoder, text, searched.tokens) })
            })
        });
        Ok(answers.collect())
    }

    /// The first sample, and what is picked of all.
    fn by_samples(&self, questions: &[Question<'_>]) -> Result<Vec<(usize, Answer)>, Failure> {
        let Some(config) = &self.config.sample else { return Ok(Vec::new()) };
        let mut answers = Vec::new();
        let sampled =
            self.searcher.independent_samples(questions, config).map_err(Failure::from)?;
        for (at, candidates) in sampled.iter().enumerate() {
            let first = candidates.first().map_or(0, |c| u64::from(c.tokens));
            let tokens = candidates.iter().map(|c| u64::from(c.tokens)).sum();
            for (decoder, pick, tokens) in [
                (SAMPLING, (!candidates.is_empty()).then_some(0), first),
                (SELF_CONSISTENCY, candidate::majority(candidates), tokens),
                (BEST_OF_N, candidate::best(candidates), tokens),
                (ORM_VOTE, candidate::weighted(candidates), tokens),
            ] {
                answers.push((at, Answer::new(decoder, text_of(candidates, pick), tokens)));
            }
        }
        Ok(answers)
    }

    /// What the step searches answer, each by the weighted vote of what it found.
    fn by_steps(&self, questions: &[Question<'_>]) -> Result<Vec<(usize, Answer)>, Failure> {
        let Some(config) = &self.config.steps else { return Ok(Vec::new()) };
        let mut answers = Vec::new();
        for method in StepMethod::ALL {
            let stepped = self.searcher.steps(questions, config, method).map_err(Failure::from)?;
            answers.extend(stepped.iter().enumerate().map(|(at, found)| {
                let text = text_of(&found.candidates, candidate::weighted(&found.candidates));
                let nodes = Some(found.nodes as i32);
                (at, Answer { nodes, ..Answer::new(method.name(), text, found.tokens) })
            }));
        }
        Ok(answers)
    }

    fn row(&self, problem: &Prompt, answer: Answer) -> Result<Evaluation, Failure> {
        let id = &problem.prompt_id;
        let target = problem.answer.clone().ok_or_else(|| {
            Failure::data(format!("problem {id} has no gold answer"))
                .hint("evaluate on a labelled split")
        })?;
        let text = answer.text.as_deref();
        let prediction = text.and_then(task::extract).map(str::to_owned);
        Ok(Evaluation {
            task: self.config.task.clone(),
            split: problem.split.clone(),
            prompt_id: id.clone(),
            decoder: answer.decoder.to_owned(),
            sample: 0,
            answer: prediction.as_deref().and_then(task::canonical),
            prediction,
            correct: text.is_some_and(|text| task::grade(text, &target)),
            target,
            tokens: Some(answer.tokens as i32),
            nodes: answer.nodes,
            model: self.model.clone(),
            seed: answer.seed,
            completion: answer.text,
            difficulty: problem.difficulty.map(|d| d as i32),
            round: self.common.round,
        })
    }
}

/// An answer to a problem, before it is graded.
struct Answer {
    decoder: &'static str,
    text: Option<String>,
    tokens: u64,
    nodes: Option<i32>,
    seed: Option<i64>,
}

impl Answer {
    fn new(decoder: &'static str, text: Option<String>, tokens: u64) -> Self {
        Self { decoder, text, tokens, nodes: None, seed: None }
    }
}

fn text_of(candidates: &[Candidate], pick: Option<usize>) -> Option<String> {
    pick.map(|i| candidates[i].text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name == "evaluate.toml").unwrap();
        assert!(values.len() >= 5, "{} files", values.len());
        for value in values {
            value.validate().unwrap();
        }
    }
}
