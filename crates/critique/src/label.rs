//! `critique label`: samples the policy's own solutions of labelled problems and derives the critics' targets from them.
//!
//! The targets are defined in [`crate::targets`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use critic::Classes;
use dataset::{Begin, Dataset, METRICS, Output, chunk, row_id, seed_for};
use decoding::{AnyModel, Cost, Fitting, ModelAt, Place, TextConfig};
use lm::{Prefixes, Sampling};
use policy::{Policy, StateRequest, TextOption};
use schema::{Label, Prompt};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Metrics, Preset, Progress};

use crate::targets::{Tally, Targets, beginnings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The preset's text.toml: how a question becomes text.
    #[arg(long)]
    text: PathBuf,
    /// Labelled problems for the critics to learn from.
    #[arg(long)]
    seeds: PathBuf,
    /// Labelled problems to judge the critics on.
    #[arg(long)]
    held_out: PathBuf,
    /// The policy whose solutions are labelled: a checkpoint, or a server's address.
    #[arg(long)]
    policy: ModelAt,
    /// Output folder for the labels.
    #[arg(long)]
    out: PathBuf,
    /// Write the labels even if none of them is right; critics learn nothing from those.
    #[arg(long)]
    allow_one_class: bool,
}

/// The preset's `label.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Problems per part.
    chunk_prompts: usize,
    /// The share of the seeds to leave out, chosen by hash of the id: those the policy was trained on. Its errors on
    /// problems it has memorized are not the ones it makes elsewhere, and critics trained on them were calibrated worse
    /// (ECE 0.09 to 0.18 instead of 0.03 to 0.07, docs/TRIALS.md).
    skip_share: f64,
    /// Solutions sampled per problem, the paper's J.
    samples: u32,
    /// How the solutions are sampled.
    sampling: Sampling,
    /// Prefixes per problem from which rollouts start; 0 turns rollouts off.
    prefixes: usize,
    /// Rollouts from each such prefix.
    rollouts: u32,
    /// The PRM threshold: an option is good if more than this share of its continuations is right; in [0, 1).
    good_above: f32,
}

#[derive(Serialize)]
struct Settings<'a> {
    label: &'a Config,
    text: &'a TextConfig,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    problems: usize,
    too_long: usize,
    /// Solutions left out because, with the marks that a critic reads, they no longer fit the policy's context.
    unreadable: usize,
    solutions: usize,
    right: usize,
    /// Solutions from which no answer can be read.
    without_answer: usize,
    /// Class counts of all labels by split, those of resumed runs included; only in the last row of the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<&'static str, Classes>>,
    tokens: u64,
    #[serde(flatten)]
    cost: Cost,
}

/// One sampled solution of a problem.
struct Sample<'a> {
    problem: &'a Prompt,
    text: String,
    options: Vec<String>,
    right: bool,
    seed: u64,
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        self.sampling.validate().map_err(Failure::config)?;
        let checks = [
            ("chunk_prompts", self.chunk_prompts >= 1, "is 0"),
            ("samples", self.samples >= 1, "is 0: there would be nothing to label"),
            ("skip_share", (0.0..1.0).contains(&self.skip_share), "is not in [0, 1)"),
            ("good_above", (0.0..1.0).contains(&self.good_above), "is not in [0, 1)"),
        ];
        match checks.iter().find(|(_, holds, _)| !holds) {
            Some((key, _, problem)) => Err(Failure::config(format!("`{key}` {problem}"))),
            None => Ok(()),
        }
    }
}

/// All problems, each with its split. A seed that is also a held-out problem (an import with `--allow-overlap` leaves such
/// seeds) is held out only: critics must not be measured on what they learned from.
fn problems(
    seeds: Vec<Prompt>,
    held_out: Vec<Prompt>,
    dir: &Path,
) -> Result<Vec<(Prompt, &'static str)>, Failure> {
    let measured: BTreeSet<String> = held_out.iter().map(|p| p.prompt_id.clone()).collect();
    let all = seeds.len();
    let (shared, seeds): (Vec<Prompt>, Vec<Prompt>) =
        seeds.into_iter().partition(|p| measured.contains(&p.prompt_id));
    if let Some(first) = shared.first() {
        let (id, count, dir) = (&first.prompt_id, shared.len(), dir.display());
        let said = format!("{dir}: problem {id} is among the seeds, too: {count} of {all} seeds");
        if seeds.is_empty() {
            let remedy = "give held-out problems that nothing learns from";
            return Err(Failure::data(said).hint(remedy));
        }
        tracing::warn!("{said} are held out, and critics do not learn from them");
    }
    let seeds = seeds.into_iter().map(|p| (p, TRAIN));
    Ok(seeds.chain(held_out.into_iter().map(|p| (p, HELD_OUT))).collect())
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let files = args.common.files([("text", args.text.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    preset.value.validate()?;
    let place = Place::of(&args.common)?;
    let seeds = Dataset::<Prompt>::open(&args.seeds)?.require_rows()?;
    let held_out = Dataset::<Prompt>::open(&args.held_out)?.require_rows()?;
    let model = AnyModel::load("policy", &args.policy, &place)?;
    let inputs = vec![seeds.input("seeds"), held_out.input("held-out"), model.input().clone()];
    let settings = Settings { label: &preset.value, text: &text.value };
    let digest = dataset::digest_of(&settings)?;
    let recipe =
        stage::recipe("critique-label", env!("CARGO_PKG_VERSION"), &args.common, &digest, inputs);
    let learned = |p: &Prompt| dataset::place_of(&p.prompt_id) >= preset.value.skip_share;
    let seeds: Vec<Prompt> = seeds.rows()?.into_iter().filter(learned).collect();
    let problems = problems(seeds, held_out.rows()?, &args.held_out)?;
    let chunks = chunk(problems.len(), preset.value.chunk_prompts);
    if args.common.dry_run {
        tracing::info!("would label {} problems in {} parts", problems.len(), chunks.len());
        return Ok(());
    }
    let policy = model.policy(&text.value, &place)?;
    // The policy holds its own copy of the weights in another layout: free these, rather than keep both in memory.
    drop(model);
    let each = problems.iter().map(|(p, _)| (p.prompt_id.as_str(), p.prompt.as_str()));
    let fitting = decoding::fitting(&policy, each).map_err(Failure::from)?;
    fitting.require("problems")?;
    let begun = Output::begin(&args.out, recipe, chunks.len(), args.common.force)?;
    let Begin::Work(output) = begun else {
        tracing::info!("up to date");
        return Ok(());
    };
    let (config, totals) = (preset.value, Totals::default());
    let mut labeller = Labeller { policy, fitting, config, common: &args.common, totals };
    let mut metrics = Metrics::open(&args.out.join(METRICS))?;
    let progress = Progress::new("label", problems.len() as u64);
    for (index, range) in chunks.into_iter().enumerate() {
        let count = range.len() as u64;
        if output.missing().contains(&index) {
            output.write_part(index, &labeller.chunk(&problems[range])?)?;
            metrics.row(&labeller.totals)?;
            progress.add(count);
        } else {
            progress.skip(count);
        }
    }
    progress.done();
    // Read back from disk: parts of an earlier run are not in this run's counters.
    let written = Written { rows: output.rows()?, problems: &problems };
    labeller.totals.labels = Some(written.classes());
    metrics.row(&labeller.totals)?;
    written.check(args.allow_one_class)?;
    output.commit()?;
    labeller.totals.warn();
    labeller.totals.print(args.common.json)
}

/// The two splits, each with the words that messages use for it.
const TRAIN: &str = "train";
const HELD_OUT: &str = "held_out";
const SPLITS: [(&str, &str); 2] = [
    (TRAIN, "labelled solutions of the seeds"),
    (HELD_OUT, "labelled solutions of the held-out problems"),
];

/// How many solutions to show when the labels are refused.
const SHOWN: usize = 3;

/// All labels, with the problems they belong to.
struct Written<'a> {
    rows: Vec<Label>,
    problems: &'a [(Prompt, &'a str)],
}

impl Written<'_> {
    /// Counts the right and the wrong labels of each split.
    fn classes(&self) -> BTreeMap<&'static str, Classes> {
        let of = |split: &'static str| self.rows.iter().filter(move |row| row.split == split);
        let classes =
            |(split, _)| (split, of(split).map(|row| row.outcome > 0.5).collect::<Classes>());
        SPLITS.map(classes).into()
    }

    /// Warns if the labels of a split are all of one class, or nearly; an error if none is right, unless `allowed`. All
    /// right is only a warning here: the policy may simply be that good, and `finetune critic` refuses such labels itself.
    fn check(&self, allowed: bool) -> Result<(), Failure> {
        let classes = self.classes();
        for (split, labels) in SPLITS {
            if let Some(rare) = classes[split].rare(labels) {
                tracing::warn!("{rare}: critics learn little of what is rare");
            }
        }
        let alike = |(split, labels): (&str, &str)| classes[split].alike(labels);
        let alike: Vec<String> = SPLITS.into_iter().filter_map(alike).collect();
        if alike.is_empty() {
            return Ok(());
        }
        let (silent, all) = (self.rows.iter().filter(|row| said(row).1.is_none()), self.rows.len());
        let message = format!(
            "{}: critics would learn a constant (no answer can be read from {} of {all})",
            alike.join("; "),
            silent.count()
        );
        self.show();
        let none = SPLITS.iter().any(|(split, _)| classes[split].right == 0);
        if allowed || !none {
            tracing::warn!("{message}");
            return Ok(());
        }
        Err(Failure::data(message).hint(
            "look at the solutions above: the prompt's format and `answer_mark` in text.toml, `max_solution_tokens`, \
             `samples` and the sampling in label.toml, or a policy that can (not) solve these problems; \
             --allow-one-class (ONE_CLASS=1 of make) goes on all the same",
        ))
    }

    /// Logs a few solutions beside the gold answers.
    fn show(&self) {
        let gold: BTreeMap<&str, Option<&str>> = self
            .problems
            .iter()
            .map(|(p, _)| (p.prompt_id.as_str(), p.answer.as_deref()))
            .collect();
        for row in self.rows.iter().take(SHOWN) {
            let (text, answer) = said(row);
            let gold = gold.get(row.prompt_id.as_str()).copied().flatten();
            tracing::warn!(
                "problem {} has the answer {gold:?}; read was {answer:?}, from the end of what was written: {}",
                row.prompt_id,
                stage::tail(&text)
            );
        }
    }
}

/// The text of a labelled solution, and the answer read from it.
fn said(row: &Label) -> (String, Option<String>) {
    let text = row.options.concat();
    let answer = answer::extract(&text).map(str::to_owned);
    (text, answer)
}

struct Labeller<'a> {
    policy: Policy,
    fitting: Fitting,
    config: Config,
    common: &'a Common,
    totals: Totals,
}

impl Labeller<'_> {
    fn chunk(&mut self, problems: &[(Prompt, &str)]) -> Result<Vec<Label>, Failure> {
        let splits: BTreeMap<&str, &str> =
            problems.iter().map(|(p, split)| (p.prompt_id.as_str(), *split)).collect();
        let mut prefixes = Prefixes::default();
        let samples = self.samples(problems, &mut prefixes)?;
        let mut tally = Tally::default();
        for sample in &samples {
            tally.solution(&sample.problem.prompt_id, &sample.options, sample.right);
        }
        self.roll_out(&samples, &mut tally, &mut prefixes)?;
        self.totals.cost += Cost::of_policy(prefixes.counts());
        self.totals.problems += problems.len();
        self.totals.solutions += samples.len();
        self.totals.right += samples.iter().filter(|s| s.right).count();
        let silent = samples.iter().filter(|s| answer::extract(&s.text).is_none());
        self.totals.without_answer += silent.count();
        let mut rows: Vec<Label> = samples
            .iter()
            .map(|sample| self.label(sample, &tally, splits[sample.problem.prompt_id.as_str()]))
            .collect();
        // Keep one row per distinct text: otherwise a policy that repeats itself would weigh some solutions many times
        // over.
        let mut seen = BTreeSet::new();
        rows.retain(|row| seen.insert(row.trajectory_id.clone()));
        Ok(rows)
    }

    fn samples<'p>(
        &mut self,
        problems: &'p [(Prompt, &str)],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Sample<'p>>, Failure> {
        let mut wanted = Vec::new();
        for (problem, _) in problems {
            let id = &problem.prompt_id;
            if problem.answer.is_none() {
                return Err(Failure::data(format!("problem {id} has no answer to label by"))
                    .hint("give labelled problems: the seeds and the validation split"));
            }
            if !self.fitting.holds(id) {
                self.totals.too_long += 1;
                continue;
            }
            for n in 0..self.config.samples {
                let id = format!("{}/{n}", problem.prompt_id);
                let seed = seed_for(self.common.seed, "label", self.common.round, &id);
                wanted.push((problem, seed));
            }
        }
        let states: Vec<StateRequest<'_>> = wanted
            .iter()
            .map(|&(problem, seed)| self.state(problem, String::new(), seed))
            .collect();
        let options = self.policy.write(&states, prefixes).map_err(decoding::Error::from)?;
        self.totals.tokens += options.iter().map(|o| u64::from(o.tokens)).sum::<u64>();
        let mut samples = Vec::with_capacity(options.len());
        let mut unread = BTreeSet::new();
        for ((problem, seed), option) in wanted.into_iter().zip(options) {
            if option.tokens == 0 && !policy::ended(option.stop) {
                // The problem is over the context of a server that does not report one: nothing was written, so there is
                // nothing to label.
                unread.insert(problem.prompt_id.as_str());
            } else if self.is_readable(problem, &option)? {
                let options = option.texts().collect();
                let (right, text) = (right(problem, &option.text), option.text);
                samples.push(Sample { problem, text, options, right, seed });
            } else {
                self.totals.unreadable += 1;
            }
        }
        self.totals.too_long += unread.len();
        Ok(samples)
    }

    /// Whether a critic with the policy's context can read the solution, which then has a mark after each option.
    fn is_readable(&self, problem: &Prompt, option: &TextOption) -> Result<bool, Failure> {
        let Some(context) = self.policy.context() else { return Ok(true) };
        let taken = self.policy.taken(&problem.prompt, &option.text);
        let taken = taken.map_err(decoding::Error::from)?;
        Ok(taken.is_none_or(|taken| taken + option.parts.len() <= context))
    }

    fn state<'p>(&self, problem: &'p Prompt, written: String, seed: u64) -> StateRequest<'p> {
        let sampling = self.config.sampling;
        StateRequest {
            question: &problem.prompt,
            written,
            sampling,
            to_end: true,
            keep: false,
            excluded: Vec::new(),
            seed,
        }
    }

    /// Rolls out from a few prefixes of every problem, one from each of its first samples.
    fn roll_out<'p>(
        &mut self,
        samples: &[Sample<'p>],
        tally: &mut Tally<'p>,
        prefixes: &mut Prefixes,
    ) -> Result<(), Failure> {
        let mut chosen = BTreeMap::<&str, usize>::new();
        let mut wanted = Vec::new();
        for sample in samples {
            let used = chosen.entry(&sample.problem.prompt_id).or_default();
            // The last prefix is the whole solution: there is nothing to continue.
            let open: Vec<String> = beginnings(&sample.options).collect();
            let open = &open[..open.len().saturating_sub(1)];
            if *used >= self.config.prefixes || open.is_empty() {
                continue;
            }
            // The sample's own seed picks the prefix, so the choice does not depend on how the problems are chunked.
            let prefix = &open[sample.seed as usize % open.len()];
            *used += 1;
            for n in 0..self.config.rollouts {
                let seed = seed_for(sample.seed, "prefix", 0, &n.to_string());
                wanted.push((sample.problem, prefix.clone(), seed));
            }
        }
        let states: Vec<StateRequest<'_>> = wanted
            .iter()
            .map(|(problem, prefix, seed)| self.state(problem, prefix.clone(), *seed))
            .collect();
        let options = self.policy.write(&states, prefixes).map_err(decoding::Error::from)?;
        self.totals.tokens += options.iter().map(|o| u64::from(o.tokens)).sum::<u64>();
        for ((problem, prefix, _), option) in wanted.into_iter().zip(options) {
            let whole = [prefix.as_str(), &option.text].concat();
            tally.continuation(&problem.prompt_id, prefix, right(problem, &whole));
        }
        Ok(())
    }

    fn label(&self, sample: &Sample<'_>, tally: &Tally<'_>, split: &str) -> Label {
        let id = &sample.problem.prompt_id;
        let targets = tally.targets(id, &sample.options, self.config.good_above);
        let Targets { root, values, process } = targets;
        Label {
            trajectory_id: row_id(&[id, &sample.text]),
            prompt_id: id.clone(),
            prompt: sample.problem.prompt.clone(),
            options: sample.options.clone(),
            root_target: root,
            value_targets: values,
            process_targets: process,
            outcome: f32::from(u8::from(sample.right)),
            weight: 1.0,
            split: split.to_owned(),
            round: self.common.round,
        }
    }
}

fn right(problem: &Prompt, text: &str) -> bool {
    problem.answer.as_deref().is_some_and(|answer| answer::grade(text, answer))
}

impl Totals {
    fn warn(&self) {
        if self.unreadable > 0 {
            tracing::warn!(
                "{} of {} solutions fill the policy's context, and with marks for the critics are longer: left out",
                self.unreadable,
                self.unreadable + self.solutions
            );
        }
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return stage::print_json(self);
        }
        let share = format!("{:.1} %", self.right as f64 * 100.0 / self.solutions.max(1) as f64);
        let row = vec![
            self.problems.to_string(),
            self.solutions.to_string(),
            share,
            self.tokens.to_string(),
        ];
        stage::print_table("label", &["problems", "solutions", "right", "tokens"], &[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(problem: &str, split: &str, text: &str, right: bool) -> Label {
        Label {
            trajectory_id: format!("{problem}: {text}"),
            prompt_id: problem.to_owned(),
            options: vec![text.to_owned()],
            outcome: f32::from(u8::from(right)),
            split: split.to_owned(),
            ..Label::default()
        }
    }

    #[test]
    fn labels_of_one_kind_are_refused_with_their_counts_unless_they_are_meant() {
        let problem =
            Prompt { prompt_id: "p".to_owned(), answer: Some("5".to_owned()), ..Prompt::default() };
        let problems = [(problem, TRAIN)];
        let check = |train: &[bool], held_out: &[bool], allowed: bool| {
            let of = |split: &str, right: &[bool]| {
                let one = |(i, &right): (usize, &bool)| {
                    let text = if right { "#### 5" } else { "Well." };
                    Label { trajectory_id: format!("{split}{i}"), ..label("p", split, text, right) }
                };
                right.iter().enumerate().map(one).collect::<Vec<_>>()
            };
            let rows = [of(TRAIN, train), of(HELD_OUT, held_out)].concat();
            Written { rows, problems: &problems }.check(allowed)
        };
        check(&[true, false], &[false, true], false).unwrap();
        let refused = |train: &[bool], held_out: &[bool]| {
            check(train, held_out, true).unwrap();
            let failure = check(train, held_out, false).unwrap_err();
            assert_eq!(failure.exit(), stage::Exit::Data);
            failure.to_string()
        };
        let none = refused(&[false, false], &[false, true]);
        let says = "0 of 2 labelled solutions of the seeds are right: critics would learn a constant (no answer can be read from 3 of 4)";
        assert_eq!(none, says);
        check(&[true, true], &[true], false).expect("they are what the policy can");
        let both = refused(&[], &[]);
        assert!(
            both.contains("no labelled solutions of the seeds; there are no labelled"),
            "{both}"
        );
    }

    #[test]
    fn what_is_held_out_is_not_learned_from_though_it_is_among_the_seeds() {
        let of = |ids: &[&str]| -> Vec<Prompt> {
            let one = |id: &&str| Prompt { prompt_id: (*id).to_owned(), ..Prompt::default() };
            ids.iter().map(one).collect()
        };
        let split = |seeds: &[&str], held_out: &[&str]| {
            problems(of(seeds), of(held_out), Path::new("validation"))
        };
        let kept = split(&["a", "b", "c"], &["b", "d"]).unwrap();
        let kept: Vec<(&str, &str)> =
            kept.iter().map(|(p, split)| (p.prompt_id.as_str(), *split)).collect();
        assert_eq!(kept, [("a", TRAIN), ("c", TRAIN), ("b", HELD_OUT), ("d", HELD_OUT)]);
        let failure = split(&["a", "b"], &["b", "a"]).unwrap_err();
        assert_eq!(failure.exit(), stage::Exit::Data);
        let says = "validation: problem a is among the seeds, too: 2 of 2 seeds";
        assert_eq!(failure.to_string(), says);
    }

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name == "label.toml").unwrap();
        assert!(values.len() >= 5, "{} files", values.len());
        for value in values {
            value.validate().unwrap();
            for (key, wrong) in [
                ("samples", Config { samples: 0, ..value.clone() }),
                ("skip_share", Config { skip_share: 1.0, ..value.clone() }),
                ("good_above", Config { good_above: -0.1, ..value.clone() }),
                ("chunk_prompts", Config { chunk_prompts: 0, ..value.clone() }),
            ] {
                let failure = wrong.validate().unwrap_err();
                assert!(failure.to_string().contains(key), "{failure}");
            }
        }
    }
}
