//! `evaluate run`: greedy answers to every problem; eta-MCTS and the other decoders on the first problems of each
//! split.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use dataset::{Dataset, Input, METRICS, Output, chunk, seed_for};
use decoding::{
    Cost, Fitting, ModelAt, Models, Question, Runtime, SearchConfig, Searcher, StepMethod,
    TextConfig,
};
use lm::{Prefixes, Sampling};
use policy::StateRequest;
use schema::{Evaluation, Prompt};
use serde::Serialize;
use stage::{CacheLimit, Common, Failure, Inference, Metrics, Plan, Preset};

use crate::answers::{Answer, Decoded, by_samples, by_steps, by_tree};
use crate::config::{Config, searches};
use crate::cost::{CostRow, DecodingCost};
use crate::decoder::Decoder;
use crate::results::{is_too_long, results_json};
use crate::stats::wilson;
use crate::warnings::{AnswerCounts, unread, useless_decoders};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    inference: Inference,
    #[command(flatten)]
    cache: CacheLimit,
    /// How questions become prompts: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// How trees are searched: the preset's tree.toml.
    #[arg(long)]
    tree: PathBuf,
    /// The policy to measure: a checkpoint, or the address of a server, `http://host:port/v1#model`.
    #[arg(long)]
    policy: ModelAt,
    /// The small policy for rollouts: a checkpoint, or the address of a server.
    #[arg(long)]
    fast_policy: ModelAt,
    /// A critic: a checkpoint with critic heads, or a model that is prompted for its verdict (a checkpoint or a
    /// server's address); repeat it for each critic.
    #[arg(long = "critic", required = true)]
    critics: Vec<ModelAt>,
    /// Problems with their gold answers; repeat it for each split.
    #[arg(long = "problems", required = true)]
    problems: Vec<PathBuf>,
    /// Folder for the evaluations.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Serialize)]
struct Settings<'a> {
    evaluate: &'a Config,
    searches: &'a [(String, SearchConfig)],
    text: &'a TextConfig,
}

/// A problem to answer, and whether it is also searched.
struct Selected {
    problem: Prompt,
    searched: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let files = args.common.files([("text", args.text.as_path()), ("tree", args.tree.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    let tree: Preset<SearchConfig> = files.other("tree")?;
    preset.value.validate()?;
    let searches = searches(&preset, &tree)?;
    let runtime = Runtime::for_inference(&args.inference, &text.value)?;
    let models = Models::load(&args.policy, &args.fast_policy, &args.critics, &runtime)?;
    let mut inputs = models.inputs();
    let problems = problems(&args.problems, &preset.value, &mut inputs)?;
    let settings = Settings { evaluate: &preset.value, searches: &searches, text: &text.value };
    let plan = Plan { tool: "evaluate", common: &args.common, settings: &settings, inputs };
    let parts = chunk(problems.len(), preset.value.chunk_problems);
    let would = format_args!("evaluate {} problems in {} parts", problems.len(), parts.len());
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let model = models.policy.label();
    let searchers = searchers(searches, &models, &text.value, args.cache.kv_bytes())?;
    let each =
        problems.iter().map(|one| (one.problem.prompt_id.as_str(), one.problem.prompt.as_str()));
    // All searchers share their models, so any of them can tell what fits.
    let fitting = searchers[0].1.fitting(each).map_err(Failure::from)?;
    fitting.require("problems")?;
    let (common, config) = (&args.common, &preset.value);
    let evaluator = Evaluator { common, config, searchers, fitting, model };
    evaluator.check()?;
    // The output is begun after all that can be refused: a refusal leaves no begun folder and, with --force, costs no old one.
    let Some(output) = work.table(&args.out, parts.len())? else { return Ok(()) };
    let (mut metrics, mut cost) = (Metrics::open(&args.out.join(METRICS))?, Cost::default());
    stage::make_missing("evaluate", &output, parts, &mut metrics, |part| {
        let (rows, group_costs) = evaluator.part(&problems[part.items])?;
        for group_cost in &group_costs {
            cost += group_cost.cost;
        }
        Ok((
            rows,
            group_costs.into_iter().map(move |group_cost| CostRow { part: part.index, group_cost }),
        ))
    })?;
    finish(output, args, &evaluator.model, &mut metrics, cost)
}

/// Reads the problems of all splits and adds their datasets to `inputs`.
fn problems(
    dirs: &[PathBuf],
    config: &Config,
    inputs: &mut Vec<Input>,
) -> Result<Vec<Selected>, Failure> {
    let mut problems = Vec::new();
    let (mut splits, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (i, dir) in dirs.iter().enumerate() {
        let dataset = Dataset::<Prompt>::open(dir)?.require_rows()?;
        inputs.push(dataset.input(&format!("problems-{i}")));
        // Rows are in the order of their ids, which are hashes, so the first ones are as good as a random sample.
        let rows = dataset.rows()?.into_iter().take(config.problems.unwrap_or(usize::MAX));
        for (at, problem) in rows.enumerate() {
            let searched = at < config.searched(&problem.split);
            splits.insert(problem.split.clone());
            if !seen.insert((problem.split.clone(), problem.prompt_id.clone())) {
                let (id, split) = (&problem.prompt_id, &problem.split);
                return Err(Failure::data(format!(
                    "{}: problem {id} of the split `{split}` is among the others, too",
                    dir.display()
                ))
                .hint("give every --problems once"));
            }
            if problem.answer.is_none() {
                let (place, id) = (dir.display(), &problem.prompt_id);
                return Err(Failure::data(format!("{place}: problem {id} has no gold answer"))
                    .hint("evaluate on a labelled split"));
            }
            problems.push(Selected { problem, searched });
        }
    }
    for split in config.unknown_splits(&splits) {
        tracing::warn!("`search_problems_of` has `{split}`, and no problem is of that split");
    }
    Ok(problems)
}

/// Builds one searcher per search, all sharing the same models; the first is that of `tree.toml`.
fn searchers(
    searches: Vec<(String, SearchConfig)>,
    models: &Models,
    text: &TextConfig,
    kv_bytes: Option<u64>,
) -> Result<Vec<(String, Searcher)>, Failure> {
    let (_, tree) = searches.first().ok_or_else(|| Failure::bug("there is no search"))?;
    let searcher = Searcher::new(models.policies(text)?, models.critic(text)?, tree.clone());
    let searcher = searcher.map_err(Failure::from)?.within(kv_bytes);
    let with = |(name, search)| Ok((name, searcher.with(search)?));
    searches.into_iter().map(with).collect::<Result<_, decoding::Error>>().map_err(Failure::from)
}

/// Writes the results and commits the dataset. `cost` covers this run only, not parts that were already there.
fn finish(
    output: Output<Evaluation>,
    args: &Args,
    model: &str,
    metrics: &mut Metrics,
    cost: Cost,
) -> Result<(), Failure> {
    // Read back from disk: parts of an earlier run count too.
    let rows = output.rows()?;
    let mut all = AnswerCounts::default();
    for row in &rows {
        all.add(row);
    }
    metrics.row(&all)?;
    for said in useless_decoders(&rows).into_iter().chain(unread(cost)) {
        tracing::warn!("{said}");
    }
    let results = results_json(&rows, model);
    let text = serde_json::to_vec_pretty(&results).map_err(Failure::bug)?;
    // Before the commit: a committed dataset always has its results.
    output.write_file("results.json", &text)?;
    output.commit()?;
    if args.common.json {
        return stage::print_json(&results);
    }
    let mut groups = BTreeMap::<(&str, &str), AnswerCounts>::new();
    for row in &rows {
        groups.entry((&row.split, &row.decoder)).or_default().add(row);
    }
    let line = |(&(split, decoder), read): (&(&str, &str), &AnswerCounts)| {
        let interval = wilson(read.right, read.outputs);
        let percent = |x: f64| format!("{:.1}", x * 100.0);
        let range = format!("{} to {}", percent(interval.low), percent(interval.high));
        let accuracy = percent(interval.estimate);
        let [outputs, answered] = [read.outputs, read.answered].map(|count| count.to_string());
        vec![split.to_owned(), decoder.to_owned(), outputs, answered, accuracy, range]
    };
    let lines: Vec<Vec<String>> = groups.iter().map(line).collect();
    let header = ["split", "decoder", "problems", "answered", "accuracy %", "95 % interval"];
    let long = rows.iter().filter(|row| is_too_long(row)).count();
    let title = match long {
        0 => "evaluate".to_owned(),
        long => format!(
            "evaluate; {long} problems are too long for the models: no decoder was asked, wrong for all"
        ),
    };
    stage::print_table(&title, &header, &lines)
}

struct Evaluator<'a> {
    common: &'a Common,
    config: &'a Config,
    /// The search and its variants, each with the suffix of its decoders' names.
    searchers: Vec<(String, Searcher)>,
    /// The problems that every decoder is asked. A problem that is too long for any of the models is answered by no
    /// decoder and counts as wrong for all of them, so that all accuracies are over the same problems.
    fitting: Fitting,
    model: String,
}

impl Evaluator<'_> {
    /// The searcher with the settings of `tree.toml`, without a variant.
    fn searcher(&self) -> &Searcher {
        &self.searchers[0].1
    }

    /// Checks now that the step searches have the PRM they need: they run last in each part, so a missing one would only be
    /// noticed after much other work.
    fn check(&self) -> Result<(), Failure> {
        if self.config.steps.is_some() {
            self.searcher().critic().require(critic::Head::Prm).map_err(decoding::Error::from)?;
        }
        Ok(())
    }

    /// Answers the problems of one part with every decoder.
    fn part(&self, problems: &[Selected]) -> Result<(Vec<Evaluation>, Vec<DecodingCost>), Failure> {
        let (mut rows, group_cost) = self.greedy(problems)?;
        let searched: Vec<&Prompt> =
            problems.iter().filter(|one| one.searched).map(|one| &one.problem).collect();
        let (found, mut group_costs) = self.search(&searched)?;
        rows.extend(found);
        group_costs.insert(0, group_cost);
        Ok((rows, group_costs))
    }

    fn greedy(&self, problems: &[Selected]) -> Result<(Vec<Evaluation>, DecodingCost), Failure> {
        let policy = self.searcher().policy();
        let (mut asked, mut rows) = (Vec::with_capacity(problems.len()), Vec::new());
        for Selected { problem, .. } in problems {
            if self.fitting.holds(&problem.prompt_id) {
                asked.push(problem);
            } else {
                rows.push(self.row(problem, Answer::new(Decoder::Greedy.name(), None, 0))?);
            }
        }
        let states: Vec<StateRequest<'_>> = asked
            .iter()
            .map(|problem| StateRequest {
                question: &problem.prompt,
                written: String::new(),
                sampling: Sampling::Greedy,
                to_end: true,
                // Nothing is generated after these answers, so their keys and values would never be read again.
                keep: false,
                excluded: Vec::new(),
                // Greedy decoding draws nothing.
                seed: 0,
            })
            .collect();
        let (clock, mut prefixes) = (Instant::now(), Prefixes::default());
        let options = policy.write(&states, &mut prefixes).map_err(decoding::Error::from)?;
        let group_cost = DecodingCost {
            decoders: vec![Decoder::Greedy.to_string()],
            problems: asked.len(),
            seconds: clock.elapsed().as_secs_f64(),
            tokens: options.iter().map(|option| u64::from(option.tokens)).sum(),
            cost: Cost::of_policy(prefixes.counts()),
        };
        for (problem, option) in asked.into_iter().zip(options) {
            let answer =
                Answer::new(Decoder::Greedy.name(), Some(option.text), u64::from(option.tokens));
            rows.push(self.row(problem, answer)?);
        }
        Ok((rows, group_cost))
    }

    fn search(
        &self,
        problems: &[&Prompt],
    ) -> Result<(Vec<Evaluation>, Vec<DecodingCost>), Failure> {
        // From the problem's id, not its position: adding problems or splits changes no other answer.
        let seed =
            |p: &Prompt| seed_for(self.common.seed, "evaluate", self.common.round, &p.prompt_id);
        let mut asked = Vec::with_capacity(problems.len());
        let mut long = Vec::new();
        for &problem in problems {
            if self.fitting.holds(&problem.prompt_id) {
                let seed = seed(problem);
                let question = Question { id: &problem.prompt_id, text: &problem.prompt, seed };
                asked.push((problem, question));
            } else {
                long.push(problem);
            }
        }
        let questions: Vec<Question<'_>> = asked.iter().map(|(_, question)| *question).collect();
        let (mut rows, mut group_costs) = (Vec::new(), Vec::new());
        for decoded in self.decoded(&questions) {
            let Decoded { group_cost, answers } = decoded?;
            for (at, answer) in answers {
                let (problem, question) = &asked[at];
                rows.push(
                    self.row(problem, Answer { seed: Some(question.seed as i64), ..answer })?,
                );
            }
            for decoder in &group_cost.decoders {
                for problem in &long {
                    rows.push(self.row(problem, Answer::new(decoder, None, 0))?);
                }
            }
            group_costs.push(group_cost);
        }
        Ok((rows, group_costs))
    }

    /// Runs every decoder except greedy, one kind after another.
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
        // Problems without a gold answer were refused before the first one was answered.
        let target = problem.answer.clone().ok_or_else(|| Failure::bug("no gold answer"))?;
        let text = answer.text.as_deref();
        let prediction = text.and_then(answer::extract).map(str::to_owned);
        Ok(Evaluation {
            task: self.config.task.clone(),
            split: problem.split.clone(),
            prompt_id: id.clone(),
            decoder: answer.decoder,
            sample: 0,
            answer: prediction.as_deref().and_then(answer::canonical),
            prediction,
            correct: text.is_some_and(|text| answer::grade(text, &target)),
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
