//! `evaluate run`: greedy answers to every problem; eta-MCTS and the other decoders on the first problems of each
//! split.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use dataset::{Dataset, Input, Output, chunk, seed_for};
use decoding::{
    Cost, Fitting, ModelAt, Models, Question, Runtime, SampleBudget, Sampler, SearchConfig,
    Searcher, StepMethod, TextConfig,
};
use schema::{Evaluation, Prompt};
use serde::Serialize;
use stage::{
    CacheLimit, Common, Failure, Inference, Metrics, Parts, Plan, Preset, Progress, Sharing,
};

use crate::answers::{Answer, Asked, Decoded, by_samples, by_steps, by_tree, greedily};
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
    #[command(flatten)]
    sharing: Sharing,
    /// How questions become prompts: the preset's text.toml.
    #[arg(long)]
    text: PathBuf,
    /// How trees are searched: the preset's tree.toml. Without it, none are.
    #[arg(long)]
    tree: Option<PathBuf>,
    /// The policy to measure: a checkpoint, or the address of a server, `http://host:port/v1#model`.
    #[arg(long)]
    policy: ModelAt,
    /// The small policy for rollouts: a checkpoint, or the address of a server; the policy if it is left out.
    #[arg(long)]
    fast_policy: Option<ModelAt>,
    /// A critic: a checkpoint with critic heads, or a model that is prompted for its verdict (a checkpoint or a
    /// server's address); repeat it for each critic. Without any, answers are greedy, sampled, or those of most samples.
    #[arg(long = "critic")]
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
    if args.sharing.told(&[&args.out], args.common.json)? {
        return Ok(());
    }
    let tree = args.tree.as_deref().map(|tree| ("tree", tree));
    let files = args.common.files([("text", args.text.as_path())].into_iter().chain(tree));
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    preset.value.validate()?;
    let searches = match tree {
        Some(_) => searches(&preset, &files.other("tree")?)?,
        None => Vec::new(),
    };
    let runtime = Runtime::for_inference(&args.sharing.inference(&args.inference), &text.value)?;
    let fast_policy = args.fast_policy.as_ref().unwrap_or(&args.policy);
    let models = Models::at(&args.policy, fast_policy, &args.critics, &runtime)?;
    let mut inputs = models.inputs();
    let problems = problems(&args.problems, &preset.value, &mut inputs)?;
    let settings = Settings { evaluate: &preset.value, searches: &searches, text: &text.value };
    let plan = Plan { tool: "evaluate", common: &args.common, settings: &settings, inputs };
    let parts = chunk(problems.len(), preset.value.chunk_problems);
    let would = format_args!("evaluate {} problems in {} parts", problems.len(), parts.len());
    let Some(work) = plan.unless_dry(would)? else { return Ok(()) };
    let model = models.policy.label();
    let work = work.shared(args.sharing).unless_shared(&args.out, parts.len(), |output| {
        let mut metrics = Metrics::shared(&args.out, args.sharing)?;
        finish(output, args, &model, &mut metrics, Cost::default())
    })?;
    let Some(work) = work else { return Ok(()) };
    let kv_bytes = args.cache.kv_bytes();
    let searchers = searchers(searches, &models, &text.value, kv_bytes)?;
    let each =
        problems.iter().map(|one| (one.problem.prompt_id.as_str(), one.problem.prompt.as_str()));
    let sampler = sampler(&searchers, &models, &text.value, kv_bytes)?;
    // All searchers share their models, so any of them can tell what fits.
    let fitting = if let Some((_, searcher)) = searchers.first() {
        searcher.fitting(each)
    } else {
        sampler.fitting(each)
    };
    let fitting = fitting.map_err(Failure::from)?;
    fitting.require("problems")?;
    let (common, config) = (&args.common, &preset.value);
    let evaluator = Evaluator { common, config, sampler, searchers, fitting, model };
    evaluator.check()?;
    // The output is begun after all that can be refused: a refusal leaves no begun folder and, with --force, costs no old one.
    let Some(output) = work.table(&args.out, parts.len())? else { return Ok(()) };
    let (mut metrics, mut cost) = (Metrics::shared(&args.out, args.sharing)?, Cost::default());
    let parts = Parts { label: "evaluate", items: parts, sharing: args.sharing };
    let whole = parts.make_missing(&output, &mut metrics, |part| {
        let (rows, group_costs) = evaluator.part(&problems[part.items], part.progress)?;
        for group_cost in &group_costs {
            cost += group_cost.cost;
        }
        let row = move |group_cost| CostRow { part: part.index, group_cost };
        Ok((rows, group_costs.into_iter().map(row)))
    })?;
    if whole { finish(output, args, &evaluator.model, &mut metrics, cost) } else { Ok(()) }
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
    let Some((_, tree)) = searches.first() else { return Ok(Vec::new()) };
    let searcher = Searcher::new(models.policies(text)?, models.critic(text)?, tree.clone());
    let searcher = searcher.map_err(Failure::from)?.within(kv_bytes);
    let with = |(name, search)| Ok((name, searcher.with(search)?));
    searches.into_iter().map(with).collect::<Result<_, decoding::Error>>().map_err(Failure::from)
}

/// The sampler of the searchers, or one of its own without any.
fn sampler(
    searchers: &[(String, Searcher)],
    models: &Models,
    text: &TextConfig,
    kv_bytes: Option<u64>,
) -> Result<Sampler, Failure> {
    if let Some((_, searcher)) = searchers.first() {
        return Ok(searcher.sampler().clone());
    }
    let [policy, _] = models.policies(text)?;
    Ok(Sampler::new(policy, models.critic(text)?).within(kv_bytes))
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
    sampler: Sampler,
    /// The search and its variants, each with the suffix of its decoders' names.
    searchers: Vec<(String, Searcher)>,
    /// The problems that every decoder is asked. A problem that is too long for any of the models is answered by no
    /// decoder and counts as wrong for all of them, so that all accuracies are over the same problems.
    fitting: Fitting,
    model: String,
}

impl Evaluator<'_> {
    /// Checks now that the step searches have the PRM they need: they run last in each part, so a missing one would only be
    /// noticed after much other work.
    fn check(&self) -> Result<(), Failure> {
        if self.config.steps.is_some() {
            self.sampler.critic().require(critic::Head::Prm).map_err(decoding::Error::from)?;
        }
        Ok(())
    }

    /// Answers the problems of one part with every decoder.
    fn part(
        &self,
        problems: &[Selected],
        progress: &Progress,
    ) -> Result<(Vec<Evaluation>, Vec<DecodingCost>), Failure> {
        let all: Vec<&Prompt> = problems.iter().map(|one| &one.problem).collect();
        let searched = problems.iter().filter(|one| one.searched).map(|one| &one.problem);
        let searched: Vec<&Prompt> = searched.collect();
        let (mut rows, mut group_costs) = self.answer(&all, |questions| {
            Ok(vec![greedily(&self.sampler, Asked { questions, progress })?])
        })?;
        let (more, more_costs) =
            self.answer(&searched, |questions| self.decoded(Asked { questions, progress }))?;
        rows.extend(more);
        group_costs.extend(more_costs);
        Ok((rows, group_costs))
    }

    /// Asks decoders about problems.
    fn answer(
        &self,
        problems: &[&Prompt],
        decode: impl Fn(&[Question<'_>]) -> Result<Vec<Decoded>, Failure>,
    ) -> Result<(Vec<Evaluation>, Vec<DecodingCost>), Failure> {
        let (asked, long): (Vec<&Prompt>, Vec<&Prompt>) =
            problems.iter().partition(|problem| self.fitting.holds(&problem.prompt_id));
        let questions: Vec<Question<'_>> = asked.iter().map(|p| self.question(p)).collect();
        let (mut rows, mut group_costs) = (Vec::new(), Vec::new());
        for Decoded { group_cost, answers } in decode(&questions)? {
            for (at, answer) in answers {
                // Greedy decoding draws nothing.
                let drawn = !Decoder::Greedy.is(&answer.decoder);
                let seed = drawn.then_some(questions[at].seed as i64);
                rows.push(self.row(asked[at], Answer { seed, ..answer })?);
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

    fn question<'p>(&self, problem: &'p Prompt) -> Question<'p> {
        let (id, text) = (problem.prompt_id.as_str(), problem.prompt.as_str());
        // From the problem's id, not its position: adding problems or splits changes no other answer.
        let seed = seed_for(self.common.seed, "evaluate", self.common.round, id);
        Question { id, text, seed }
    }

    /// Runs every decoder except greedy, one kind after another.
    fn decoded(&self, asked: Asked<'_>) -> Result<Vec<Decoded>, Failure> {
        let sampler = &self.sampler;
        let trees = self.searchers.iter().map(|(name, searcher)| by_tree(searcher, name, asked));
        let search = self.searchers.first().map(|(_, searcher)| searcher.config());
        let samples = self.config.sample.iter().flat_map(|config| {
            config.samples.iter().map(|&count| {
                let budget = SampleBudget { count, tokens: None, sampling: config.sampling };
                by_samples(sampler, search, &budget, asked)
            })
        });
        let steps = self.config.steps.iter().flat_map(|config| {
            StepMethod::ALL.map(|method| by_steps(sampler, config, method, asked))
        });
        trees.chain(samples).chain(steps).collect()
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
