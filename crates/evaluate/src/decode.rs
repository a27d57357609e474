//! `evaluate run`: greedy answers to every problem, eta-MCTS answers to the first of each split.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use dataset::{Begin, Dataset, Output, chunk, seed_for};
use decoding::models::Model;
use decoding::{
    Candidate, Cost, Found, Models, Place, Question, SampleConfig, SearchConfig, Searched,
    Searcher, StepConfig, StepMethod, Stepped, TextConfig, candidate,
};
use lm::{Prefixes, Sampling};
use policy::StateRequest;
use schema::{Evaluation, Prompt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stage::{Common, Failure, Metrics, Preset, Progress, ResultExt};

use crate::bill::{Bill, Billed, METRICS};
use crate::compare::GREEDY;
use crate::results::results_json;
use crate::stats::wilson;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// How questions become text: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// How trees are searched: the preset's tree.toml.
    #[arg(long)]
    tree: PathBuf,
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
    /// Problems of each split, the first by id, that are answered at all; absent is all.
    #[serde(default)]
    problems: Option<usize>,
    /// Other searches by name: keys that replace those of `tree.toml`, in `mcts` one by one.
    #[serde(default)]
    variants: BTreeMap<String, Map<String, Value>>,
    /// Independent samples to compare the search with; without it there are none.
    #[serde(default)]
    sample: Option<SampleConfig>,
    /// Step searches to compare it with; without it there are none.
    #[serde(default)]
    steps: Option<StepConfig>,
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        self.sample.as_ref().map_or(Ok(()), SampleConfig::validate).map_err(Failure::from)?;
        self.steps.as_ref().map_or(Ok(()), StepConfig::validate).map_err(Failure::from)
    }

    /// The search and its variants, with what follows the names of their decoders.
    fn searches(&self, tree: &SearchConfig) -> Result<Vec<(String, SearchConfig)>, Failure> {
        let mut searches = vec![(String::new(), tree.clone())];
        for (name, keys) in &self.variants {
            let wrong = |e: serde_json::Error| Failure::config(format!("variants.{name}: {e}"));
            let mut search = serde_json::to_value(tree).map_err(Failure::bug)?;
            replace(&mut search, keys);
            searches.push((format!("@{name}"), serde_json::from_value(search).map_err(wrong)?));
        }
        for (name, search) in &searches {
            let wrong = |e: decoding::Error| Failure::config(format!("search{name}: {e}"));
            search.validate().map_err(wrong)?;
        }
        Ok(searches)
    }
}

/// Puts keys in the place of those that a search has, one by one within `mcts`.
fn replace(search: &mut Value, keys: &Map<String, Value>) {
    for (key, value) in keys {
        match (key.as_str(), value, search.get_mut("mcts")) {
            ("mcts", Value::Object(inner), Some(mcts)) => {
                for (key, value) in inner {
                    mcts[key] = value.clone();
                }
            }
            _ => search[key] = value.clone(),
        }
    }
    // Another merge has no use for it, and there is no way to write that a key is absent.
    if search["mcts"]["merge"].get("similarity").is_none() {
        search["similarity"] = Value::Null;
    }
}

#[derive(Serialize)]
struct Settings<'a> {
    evaluate: &'a Config,
    searches: &'a [(String, SearchConfig)],
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
    let tree: Preset<SearchConfig> = stage::load(&args.tree, &[])?;
    preset.value.validate()?;
    let searches = preset.value.searches(&tree.value)?;
    let place = Place::of(&args.common)?;
    let models = Models::load(&args.policy, &args.fast_policy, &args.critics, &place)?;
    let mut inputs = models.inputs();
    let mut jobs = Vec::new();
    for (i, dir) in args.problems.iter().enumerate() {
        let dataset = Dataset::<Prompt>::open(dir)?.require_rows()?;
        inputs.push(dataset.input(&format!("problems-{i}")));
        let rows = dataset.rows()?.into_iter().take(preset.value.problems.unwrap_or(usize::MAX));
        let most = preset.value.search_problems;
        let job = |(at, problem)| Job { problem, searched: at < most };
        jobs.extend(rows.enumerate().map(job));
    }
    let settings = Settings { evaluate: &preset.value, searches: &searches, text: &text.value };
    let digest = dataset::digest_of(&settings)?;
    let recipe =
        stage::recipe("evaluate", env!("CARGO_PKG_VERSION"), &args.common, &digest, inputs);
    let chunks = chunk(jobs.len(), preset.value.chunk_problems);
    if args.common.dry_run {
        tracing::info!("would evaluate {} problems in {} parts", jobs.len(), chunks.len());
        return Ok(());
    }
    let made_with = recipe.config.clone();
    let Begin::Work(output) = Output::begin(&args.out, recipe, chunks.len(), args.common.force)?
    else {
        tracing::info!("up to date");
        return Ok(());
    };
    let evaluator = Evaluator {
        common: &args.common,
        config: &preset.value,
        searchers: searchers(searches, &models, &text.value, &place)?,
        model: models.policy.label(),
    };
    let mut metrics = Metrics::open(&args.out.join(METRICS))?;
    let progress = Progress::new("evaluate", jobs.len() as u64);
    for (index, range) in chunks.into_iter().enumerate() {
        let chunk = &jobs[range];
        if output.missing().contains(&index) {
            let (rows, bills) = evaluator.chunk(chunk)?;
            output.write_part(index, &rows)?;
            for bill in bills {
                metrics.row(&Billed { settings: made_with.clone(), part: index, bill })?;
            }
        }
        progress.add(chunk.len() as u64);
    }
    progress.done();
    finish(output, args, &models.policy)
}

/// The searches with their models; the first is that of `tree.toml`.
fn searchers(
    searches: Vec<(String, SearchConfig)>,
    models: &Models,
    text: &TextConfig,
    place: &Place,
) -> Result<Vec<(String, Searcher)>, Failure> {
    let (_, tree) = searches.first().ok_or_else(|| Failure::bug("there is no search"))?;
    let searcher = Searcher::new(
        models.policy.policy(text, place)?,
        models.fast_policy.policy(text, place)?,
        models.critic(text, place)?,
        tree.clone(),
    );
    let searcher = searcher.map_err(Failure::from)?;
    let with = |(name, search)| Ok((name, searcher.with(search)?));
    searches.into_iter().map(with).collect::<Result<_, decoding::Error>>().map_err(Failure::from)
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

/// Decoders by independent samples: a single one, and three ways to pick one of several.
const SAMPLING: &str = "sampling";
const SELF_CONSISTENCY: &str = "self-consistency";
const BEST_OF_N: &str = "best-of-n";
const ORM_VOTE: &str = "orm-vote";

struct Evaluator<'a> {
    common: &'a Common,
    config: &'a Config,
    /// The search and its variants, with what follows the names of their decoders.
    searchers: Vec<(String, Searcher)>,
    model: String,
}

impl Evaluator<'_> {
    /// The searcher without a variant's settings.
    fn searcher(&self) -> &Searcher {
        &self.searchers[0].1
    }

    fn chunk(&self, jobs: &[Job]) -> Result<(Vec<Evaluation>, Vec<Bill>), Failure> {
        let (mut rows, bill) = self.greedy(jobs)?;
        let searched: Vec<&Prompt> =
            jobs.iter().filter(|job| job.searched).map(|job| &job.problem).collect();
        let (found, mut bills) = self.search(&searched)?;
        rows.extend(found);
        bills.insert(0, bill);
        Ok((rows, bills))
    }

    fn greedy(&self, jobs: &[Job]) -> Result<(Vec<Evaluation>, Bill), Failure> {
        let states: Vec<StateRequest<'_>> = jobs
            .iter()
            .map(|job| StateRequest {
                question: &job.problem.prompt,
                written: String::new(),
                sampling: Sampling::Greedy,
                to_end: true,
                keep: false,
                excluded: Vec::new(),
                seed: 0,
            })
            .collect();
        let (clock, mut prefixes) = (Instant::now(), Prefixes::default());
        let options = self.searcher().policy().write(&states, &mut prefixes).or_data("policy")?;
        let bill = Bill {
            decoders: vec![GREEDY.to_owned()],
            problems: jobs.len(),
            seconds: clock.elapsed().as_secs_f64(),
            cost: Cost::of_policy(prefixes.counts()),
        };
        let rows = jobs.iter().zip(options).map(|(job, option)| {
            let answer = Answer::new(GREEDY, Some(option.text), u64::from(option.tokens));
            self.row(&job.problem, answer)
        });
        Ok((rows.collect::<Result<_, _>>()?, bill))
    }

    fn search(&self, problems: &[&Prompt]) -> Result<(Vec<Evaluation>, Vec<Bill>), Failure> {
        let seed =
            |p: &Prompt| seed_for(self.common.seed, "evaluate", self.common.round, &p.prompt_id);
        let mut asked = Vec::with_capacity(problems.len());
        let mut long = Vec::new();
        for &problem in problems {
            if self.fits(problem)? {
                let seed = seed(problem);
                let question = Question { id: &problem.prompt_id, text: &problem.prompt, seed };
                asked.push((problem, question));
            } else {
                tracing::warn!("problem {} is too long to search: no answer", problem.prompt_id);
                long.push(problem);
            }
        }
        let questions: Vec<Question<'_>> = asked.iter().map(|(_, question)| *question).collect();
        let (mut rows, mut bills) = (Vec::new(), Vec::new());
        for decoded in self.decoded(&questions) {
            let Decoded { bill, answers } = decoded?;
            for (at, answer) in answers {
                let (problem, question) = &asked[at];
                rows.push(
                    self.row(problem, Answer { seed: Some(question.seed as i64), ..answer })?,
                );
            }
            for decoder in &bill.decoders {
                for problem in &long {
                    rows.push(self.row(problem, Answer::new(decoder, None, 0))?);
                }
            }
            bills.push(bill);
        }
        Ok((rows, bills))
    }

    fn fits(&self, problem: &Prompt) -> Result<bool, Failure> {
        let fits = |(_, searcher): &(String, Searcher)| searcher.fits(&problem.prompt);
        let fits: Vec<bool> =
            self.searchers.iter().map(fits).collect::<Result<_, _>>().map_err(Failure::from)?;
        Ok(fits.into_iter().all(|fits| fits))
    }

    /// What all decoders but greedy answer, one kind of decoder after the other.
    fn decoded<'q>(
        &'q self,
        questions: &'q [Question<'q>],
    ) -> impl Iterator<Item = Result<Decoded, Failure>> + 'q {
        let trees =
            self.searchers.iter().map(|(name, searcher)| by_tree(searcher, name, questions));
        let samples = self.config.sample.iter().flat_map(|config| {
            config
                .samples
                .iter()
                .map(|&count| by_samples(self.searcher(), config.sampling, count, questions))
        });
        let steps = self.config.steps.iter().flat_map(|config| {
            StepMethod::ALL.map(|method| by_steps(self.searcher(), config, method, questions))
        });
        trees.chain(samples).chain(steps)
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
            decoder: answer.decoder,
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

/// What one kind of decoder answered, by the place of the question.
struct Decoded {
    bill: Bill,
    answers: Vec<(usize, Answer)>,
}

impl Decoded {
    /// Runs a decoder and takes the time.
    fn timed<T>(
        decoders: Vec<String>,
        problems: usize,
        decode: impl FnOnce() -> Result<Found<T>, decoding::Error>,
        answers: impl Fn(&T) -> Vec<Answer>,
    ) -> Result<Self, Failure> {
        let clock = Instant::now();
        let Found { found, cost } = decode().map_err(Failure::from)?;
        let seconds = clock.elapsed().as_secs_f64();
        let answers: Vec<(usize, Answer)> = found
            .iter()
            .enumerate()
            .flat_map(|(at, found)| answers(found).into_iter().map(move |answer| (at, answer)))
            .collect();
        Ok(Self { bill: Bill { decoders, problems, seconds, cost }, answers })
    }
}

/// What eta-MCTS answers; `name` follows the names of the four picks.
fn by_tree(
    searcher: &Searcher,
    name: &str,
    questions: &[Question<'_>],
) -> Result<Decoded, Failure> {
    let answers = |searched: &Searched| {
        let nodes = Some(searched.tree.tally().nodes as i32);
        let picks = searched.picks.named().map(|(decoder, pick)| {
            let text = pick.map(|i| searched.solved[i].text.clone());
            let decoder = format!("{decoder}{name}");
            Answer { nodes, ..Answer::new(&decoder, text, searched.tokens) }
        });
        picks.into()
    };
    let names = decoding::Picks::default().named().map(|(decoder, _)| format!("{decoder}{name}"));
    Decoded::timed(names.into(), questions.len(), || searcher.search(questions), answers)
}

/// One sample, or what is picked of several.
fn by_samples(
    searcher: &Searcher,
    sampling: Sampling,
    count: u32,
    questions: &[Question<'_>],
) -> Result<Decoded, Failure> {
    let answers = |candidates: &Vec<Candidate>| {
        let tokens = candidates.iter().map(|c| u64::from(c.tokens)).sum();
        let answer = |decoder: &str, pick: Option<usize>| {
            Answer::new(decoder, text_of(candidates, pick), tokens)
        };
        if count == 1 {
            return vec![answer(SAMPLING, candidates.first().map(|_| 0))];
        }
        let answer = |decoder: &str, pick| answer(&format!("{decoder}@{count}"), pick);
        vec![
            answer(SELF_CONSISTENCY, candidate::majority(candidates)),
            answer(BEST_OF_N, candidate::best(candidates)),
            answer(ORM_VOTE, candidate::weighted(candidates)),
        ]
    };
    let decode = || searcher.independent_samples(questions, sampling, count);
    let names = match count {
        1 => vec![SAMPLING.to_owned()],
        _ => [SELF_CONSISTENCY, BEST_OF_N, ORM_VOTE].map(|name| format!("{name}@{count}")).into(),
    };
    Decoded::timed(names, questions.len(), decode, answers)
}

/// What a step search answers, by the weighted vote of what it found.
fn by_steps(
    searcher: &Searcher,
    config: &StepConfig,
    method: StepMethod,
    questions: &[Question<'_>],
) -> Result<Decoded, Failure> {
    let answers = |found: &Stepped| {
        let text = text_of(&found.candidates, candidate::weighted(&found.candidates));
        let nodes = Some(found.nodes as i32);
        vec![Answer { nodes, ..Answer::new(method.name(), text, found.tokens) }]
    };
    let decode = || searcher.steps(questions, config, method);
    Decoded::timed(vec![method.name().to_owned()], questions.len(), decode, answers)
}

/// An answer to a problem, before it is graded.
struct Answer {
    decoder: String,
    text: Option<String>,
    tokens: u64,
    nodes: Option<i32>,
    seed: Option<i64>,
}

impl Answer {
    fn new(decoder: &str, text: Option<String>, tokens: u64) -> Self {
        Self { decoder: decoder.to_owned(), text, tokens, nodes: None, seed: None }
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
        let names = ["evaluate.toml", "compare.toml", "ablation.toml", "tool.toml"];
        let values: Vec<Config> = stage::shipped(|name| names.contains(&name)).unwrap();
        assert!(values.len() >= 7, "{} files", values.len());
        let trees: Vec<SearchConfig> = stage::shipped(|name| name == "tree.toml").unwrap();
        for value in values {
            value.validate().unwrap();
            for tree in &trees {
                value.searches(tree).unwrap();
            }
        }
    }

    #[test]
    fn a_variant_replaces_single_keys_and_is_refused_by_name() {
        let tree = stage::shipped::<SearchConfig>(|name| name == "tree.toml").unwrap().remove(0);
        let config = |variant: Value| Config {
            task: String::new(),
            chunk_problems: 1,
            search_problems: 1,
            problems: None,
            variants: serde_json::from_value(serde_json::json!({ "other": variant })).unwrap(),
            sample: None,
            steps: None,
        };
        let variant = serde_json::json!({
            "rollouts_are_candidates": true, "mcts": { "merge": "off", "rollouts": 9 },
        });
        let searches = config(variant).searches(&tree).unwrap();
        let mut expected = serde_json::to_value(&tree).unwrap();
        expected["rollouts_are_candidates"] = true.into();
        (expected["mcts"]["merge"], expected["mcts"]["rollouts"]) = ("off".into(), 9.into());
        let expected = serde_json::from_value(expected).unwrap();
        assert_eq!(searches, [(String::new(), tree.clone()), ("@other".to_owned(), expected)]);
        for (wrong, says) in [
            (serde_json::json!({ "mcts": { "width": 3 } }), "variants.other"),
            (serde_json::json!({ "depth": 3 }), "unknown field `depth`"),
            (serde_json::json!({ "mcts": { "max_depth": 0 } }), "`max_depth` is 0"),
        ] {
            let message = config(wrong).searches(&tree).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
