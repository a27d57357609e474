//! `critique score`: writes one critique per trajectory, one part per part of the trajectories.
//!
//! Scores that a search got from the same critics are taken from its trajectories; only the others are computed.

use std::path::{Path, PathBuf};

use critic::agreement::{self, Voter};
use critic::{Confidence, Critic, Evidence, Memory, Scores, Solution, confidence};
use dataset::{Begin, Dataset, Files, Input, METRICS, Output};
use decoding::models;
use decoding::{AnyModel, Cost, ModelAt, Place, TextConfig};
use schema::critiques::{Check, CriticModels};
use schema::trajectories::TextOption;
use schema::{Critique, Trajectory};
use serde::{Deserialize, Serialize};
use stage::{Common, Failure, Metrics, Preset, Progress, ResultExt};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The preset's text.toml: how a question becomes text.
    #[arg(long)]
    text: PathBuf,
    /// The trajectories to judge.
    #[arg(long)]
    trajectories: PathBuf,
    /// A critic: a checkpoint with critic heads, or a checkpoint or server that is asked in words. Repeat the flag for each
    /// model.
    #[arg(long = "critic", required = true)]
    critics: Vec<ModelAt>,
    /// The output of `critique calibrate` for these critics. With it, every critique gets the probability that its answer
    /// is right.
    #[arg(long)]
    confidence: Option<PathBuf>,
    /// Output folder for the critiques.
    #[arg(long)]
    out: PathBuf,
}

/// The preset's `critique.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The betas of AlphaLLM §4.3. The combined score is the weighted mean, so it stays in [0, 1].
    weights: Weights,
    /// How much a solution weighs in the agreement among its prompt's solutions.
    agreement: Agreement,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Agreement {
    /// Whether a solution weighs its outcome reward; otherwise all solutions with an answer weigh the same.
    outcome: bool,
    /// The power of the policy's probability of the solution in its weight, in [0, 1]; 0 leaves the probability out. With
    /// 0.25, two solutions that differ by 4 nats differ by a factor of e.
    likelihood: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    /// Weight of the value after the last option.
    value: f64,
    /// Weight of the smallest process reward: a chain is only as good as its worst option.
    prm: f64,
    /// Weight of the outcome reward.
    orm: f64,
}

#[derive(Serialize)]
struct Settings<'a> {
    critique: &'a Config,
    text: &'a TextConfig,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    trajectories: usize,
    /// Trajectories whose scores came from the search.
    judged_before: usize,
    /// Of the others, those longer than a critic's context.
    unread: u64,
    /// Trajectories with an end and an answer: only these can be right.
    answered: usize,
    /// The smallest and the largest outcome reward among the answered ones.
    outcomes: Option<[f32; 2]>,
    calculator_holds: usize,
    outcome_above_half: usize,
    score: f64,
    #[serde(flatten)]
    cost: Cost,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let files = args.common.files([("text", args.text.as_path())]);
    let preset: Preset<Config> = files.config()?;
    let text: Preset<TextConfig> = files.other("text")?;
    preset.value.validate()?;
    let place = Place::of(&args.common)?;
    let trajectories = Dataset::<Trajectory>::open(&args.trajectories)?;
    let loaded = models::load_critics(&args.critics, &place)?;
    let mut inputs = vec![trajectories.input("trajectories")];
    inputs.extend(loaded.iter().map(|model| model.input().clone()));
    let (input, confidence) = args.confidence.as_deref().map(calibration).transpose()?.unzip();
    inputs.extend(input);
    let settings = Settings { critique: &preset.value, text: &text.value };
    let digest = dataset::digest_of(&settings)?;
    let recipe =
        stage::recipe("critique", env!("CARGO_PKG_VERSION"), &args.common, &digest, inputs);
    let parts = trajectories.parts();
    if args.common.dry_run {
        tracing::info!("would judge {} trajectories in {parts} parts", trajectories.len());
        return Ok(());
    }
    let Begin::Work(output) = Output::begin(&args.out, recipe, parts, args.common.force)? else {
        tracing::info!("up to date");
        return Ok(());
    };
    let judge = Judge {
        critic: models::critic(&loaded, &text.value, &place)?,
        config: preset.value,
        confidence,
        id: models::critics_id(&loaded, &text.value)?,
        models: names(&loaded, &text.value),
        round: args.common.round,
    };
    let mut metrics = Metrics::open(&args.out.join(METRICS))?;
    let mut totals = Totals::default();
    let progress = Progress::new("critique", trajectories.len() as u64);
    for index in 0..parts {
        let rows = trajectories.part_rows(index)?;
        if output.missing().contains(&index) {
            let mut memory = judge.critic.memory();
            let known: Vec<Option<Scores>> = rows.iter().map(|row| judge.known(row)).collect();
            totals.judged_before += known.iter().flatten().count();
            let critiques = judge.all(&rows, known, &mut memory)?;
            totals.add(&rows, &critiques);
            totals.cost += Cost::of_critic(memory.counts());
            totals.unread += memory.cut();
            totals.require(trajectories.len())?;
            output.write_part(index, &critiques)?;
            metrics.row(&totals)?;
            progress.add(rows.len() as u64);
        } else {
            progress.skip(rows.len() as u64);
        }
    }
    progress.done();
    output.commit()?;
    totals.warn();
    if let Some(nothing) = totals.tells_nothing_apart() {
        tracing::warn!("{nothing}");
    }
    totals.print(args.common.json)
}

/// Reads a calibration, together with its entry in the recipe.
fn calibration(dir: &Path) -> Result<(Input, Confidence), Failure> {
    let files = Files::open(dir)?;
    let path = files.path(confidence::FILE)?;
    let text = std::fs::read(&path).or_io(path.display())?;
    Ok((files.input("confidence"), serde_json::from_slice(&text).or_data(path.display())?))
}

/// The model behind each head.
fn names(models: &[AnyModel], text: &TextConfig) -> CriticModels {
    let of = |head: &str| {
        let has = |model: &&AnyModel| model.heads(text).iter().any(|other| other == head);
        models.iter().find(has).map(AnyModel::label)
    };
    CriticModels { value: of(critic::VALUE), prm: of(critic::PRM), orm: of(critic::ORM) }
}

struct Judge {
    critic: Critic,
    config: Config,
    confidence: Option<Confidence>,
    /// The hash of critics and prompt texts that a search writes next to its scores.
    id: String,
    models: CriticModels,
    round: i32,
}

impl Judge {
    /// The scores that these critics gave during the search; `None` if the critics were others or some scores are missing.
    fn known(&self, row: &Trajectory) -> Option<Scores> {
        let heads: Vec<&str> = self.critic.heads().map(String::as_str).collect();
        (row.critics.as_ref() == Some(&self.id)).then(|| said(row, &heads)).flatten()
    }

    /// Judges the trajectories of a part, reusing the scores in `known`. A part must hold all trajectories of each of its
    /// prompts, or `agreement` would count only some of the votes.
    fn all(
        &self,
        rows: &[Trajectory],
        known: Vec<Option<Scores>>,
        memory: &mut Memory,
    ) -> Result<Vec<Critique>, Failure> {
        let unknown = rows.iter().zip(&known).filter(|(_, scores)| scores.is_none());
        let solutions: Vec<Solution<'_>> = unknown
            .map(|(row, _)| Solution {
                question: &row.prompt,
                options: row.options.iter().map(|option| option.text.clone()).collect(),
                finished: true,
                branch: 0,
            })
            .collect();
        let read = self.critic.score(&solutions, memory).map_err(decoding::Error::from)?;
        let mut read = read.into_iter();
        // `read` has the scores of the unknown rows in order, so taking the next one for each gap puts them in their
        // places.
        let scores: Vec<Scores> =
            known.into_iter().filter_map(|scores| scores.or_else(|| read.next())).collect();
        let outcomes: Vec<f32> = rows.iter().zip(&scores).map(|(row, s)| outcome(row, s)).collect();
        // The outcomes of all rows come first: a solution's agreement depends on those of its siblings.
        let agreement = self.config.agreement.shares(rows, &outcomes)?;
        let all = rows.iter().zip(scores).zip(outcomes.into_iter().zip(agreement));
        Ok(all
            .map(|((row, s), (outcome, agreement))| self.one(row, s, outcome, agreement))
            .collect())
    }

    fn one(
        &self,
        row: &Trajectory,
        scores: Scores,
        outcome: f32,
        agreement: Option<f32>,
    ) -> Critique {
        let weights = &self.config.weights;
        let worst = scores.process.iter().copied().reduce(f32::min).unwrap_or(0.0);
        let value = scores.values.last().copied().unwrap_or(0.0);
        let sum = weights.value * f64::from(value)
            + weights.prm * f64::from(worst)
            + weights.orm * f64::from(outcome);
        let score = sum / (weights.value + weights.prm + weights.orm);
        let checks = answer::check(&row.completion).into_iter().map(|check| Check {
            expression: check.expression,
            claimed: Some(check.claimed),
            computed: check.computed,
            ok: check.ok,
        });
        let chance = |confidence: Confidence| match evidence(row, outcome, agreement) {
            Some(evidence) => confidence.of(evidence) as f32,
            None => 0.0,
        };
        Critique {
            trajectory_id: row.trajectory_id.clone(),
            // A solution without an end or an answer cannot be right, whatever its critics say.
            prompt_id: row.prompt_id.clone(),
            values: scores.values,
            process_rewards: scores.process,
            outcome_reward: outcome,
            checks: checks.collect(),
            score: score as f32,
            agreement,
            confidence: self.confidence.map(chance),
            critic_models: self.models.clone(),
            round: self.round,
        }
    }
}

/// The critic scores stored in a trajectory, for `heads`; `None` unless they are complete.
fn said(row: &Trajectory, heads: &[&str]) -> Option<Scores> {
    let has = |head| heads.contains(&head);
    let options = |head, score: fn(&TextOption) -> Option<f32>| {
        let scores = row.options.iter().map(score);
        if has(head) { scores.collect::<Option<Vec<f32>>>() } else { Some(Vec::new()) }
    };
    Some(Scores {
        root: 0.0,
        values: options(critic::VALUE, |option| option.value)?,
        process: options(critic::PRM, |option| option.prm)?,
        outcome: if has(critic::ORM) { Some(row.reward?) } else { None },
    })
}

/// The outcome reward that counts: 0 for a solution without an end or an answer, which cannot be right.
fn outcome(row: &Trajectory, scores: &Scores) -> f32 {
    let valid = row.finished && row.answer.is_some();
    scores.outcome.filter(|_| valid).unwrap_or(0.0)
}

/// The evidence for a solution; `None` if it has no end or no answer and so cannot be right.
pub(crate) fn evidence(row: &Trajectory, outcome: f32, agreement: Option<f32>) -> Option<Evidence> {
    let agreement = agreement.filter(|_| row.finished && row.answer.is_some())?;
    Some(Evidence { outcome: f64::from(outcome), agreement: f64::from(agreement) })
}

impl Agreement {
    /// For every trajectory with an answer, that answer's share of the total weight of its prompt's answers, in [0, 1].
    fn shares(&self, rows: &[Trajectory], outcomes: &[f32]) -> Result<Vec<Option<f32>>, Failure> {
        let weigh = |(row, &outcome): (&Trajectory, &f32)| match row.answer {
            Some(_) => self.weight(row, outcome),
            None => Ok(0.0),
        };
        let weights: Vec<f64> =
            rows.iter().zip(outcomes).map(weigh).collect::<Result<_, Failure>>()?;
        let voters: Vec<Voter<'_>> = rows
            .iter()
            .zip(weights)
            .map(|(row, weight)| Voter {
                group: &row.prompt_id,
                answer: row.answer.as_deref(),
                weight,
            })
            .collect();
        Ok(agreement::shares(&voters).into_iter().map(|share| share.map(|s| s as f32)).collect())
    }

    fn weight(&self, row: &Trajectory, outcome: f32) -> Result<f64, Failure> {
        let outcome = if self.outcome { f64::from(outcome) } else { 1.0 };
        if self.likelihood == 0.0 {
            return Ok(outcome);
        }
        let Some(logprob) = row.logprob else {
            let message = format!("trajectory {} has no log-probability", row.trajectory_id);
            return Err(Failure::data(message).hint("set agreement.likelihood to 0"));
        };
        Ok(outcome * (self.likelihood * f64::from(logprob)).exp())
    }
}

impl Config {
    fn validate(&self) -> Result<(), Failure> {
        if !(0.0..=1.0).contains(&self.agreement.likelihood) {
            return Err(Failure::config("agreement.likelihood: it must be in [0, 1]"));
        }
        let weights = [self.weights.value, self.weights.prm, self.weights.orm];
        if weights.iter().all(|w| w.is_finite() && *w >= 0.0) && weights.iter().sum::<f64>() > 0.0 {
            return Ok(());
        }
        Err(Failure::config("weights: each must be 0 or more, and one above 0"))
    }
}

impl Totals {
    fn add(&mut self, rows: &[Trajectory], critiques: &[Critique]) {
        for (row, critique) in rows.iter().zip(critiques) {
            if row.finished && row.answer.is_some() {
                let outcome = critique.outcome_reward;
                let [least, most] = self.outcomes.unwrap_or([outcome; 2]);
                self.outcomes = Some([least.min(outcome), most.max(outcome)]);
                self.answered += 1;
            }
        }
        let holds = |c: &&Critique| Check::all_hold(&c.checks);
        self.trajectories += critiques.len();
        self.calculator_holds += critiques.iter().filter(holds).count();
        self.outcome_above_half += critiques.iter().filter(|c| c.outcome_reward > 0.5).count();
        self.score += critiques.iter().map(|c| f64::from(c.score)).sum::<f64>();
    }

    fn warn(&self) {
        if self.unread > 0 {
            let (unread, all) = (self.unread, self.trajectories);
            tracing::warn!(
                "{unread} of {all} trajectories are longer than a critic's context: what it did not read is worth 0"
            );
        }
    }

    /// Fails as soon as more than half of *all* trajectories are known to be too long. Measured against the whole and not
    /// against what was read so far: parts differ in length, and an earlier run may have judged some of them.
    fn require(&self, all: usize) -> Result<(), Failure> {
        if 2 * self.unread <= all as u64 {
            return Ok(());
        }
        let message = format!(
            "{} of {all} trajectories at least are longer than a critic's context",
            self.unread
        );
        Err(Failure::data(message)
            .hint("take critics with a longer context, or shorter prompts and solutions"))
    }

    /// Why this run's scores cannot tell solutions apart; `None` if they can.
    fn tells_nothing_apart(&self) -> Option<String> {
        let Self { trajectories, answered, .. } = *self;
        match self.outcomes {
            None if trajectories > 0 => Some(format!(
                "0 of {trajectories} trajectories have an end and an answer: all count as wrong"
            )),
            Some([least, most]) if answered > 1 && least >= most => Some(format!(
                "all of {answered} solutions have the outcome reward {least}: these critics tell nothing apart"
            )),
            _ => None,
        }
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return stage::print_json(self);
        }
        let share =
            |part: usize| format!("{:.1} %", part as f64 * 100.0 / self.trajectories.max(1) as f64);
        let row = vec![
            self.trajectories.to_string(),
            share(self.calculator_holds),
            share(self.outcome_above_half),
            format!("{:.3}", self.score / self.trajectories.max(1) as f64),
        ];
        let header = ["trajectories", "calculator holds", "outcome > 0.5", "mean score"];
        stage::print_table("critique", &header, &[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `5` has two of three votes, half of the outcome rewards, and a larger share by likelihood.
    #[test]
    fn agreement_counts_what_the_preset_says() {
        let row = |prompt: &str, answer: Option<&str>, logprob: Option<f32>| Trajectory {
            prompt_id: prompt.to_owned(),
            answer: answer.map(str::to_owned),
            logprob,
            ..Trajectory::default()
        };
        let rows = [
            row("a", Some("5"), Some(0.5f32.ln())),
            row("a", Some("7"), Some(0.5f32.ln() * 2.0)),
            row("a", Some("5"), Some(0.5f32.ln())),
            row("a", None, None),
            row("b", Some("5"), Some(-1.0)),
        ];
        let outcomes = [0.25, 0.5, 0.25, 0.0, 0.0];
        let shares = |outcome, likelihood| {
            let all = Agreement { outcome, likelihood }.shares(&rows, &outcomes).unwrap();
            all.into_iter().map(|share| share.map(|s| (s * 1e3).round())).collect::<Vec<_>>()
        };
        let (third, half) = (Some(333.0), Some(500.0));
        assert_eq!(shares(false, 0.0), [Some(667.0), third, Some(667.0), None, Some(1000.0)]);
        assert_eq!(shares(true, 0.0), [half, half, half, None, Some(0.0)]);
        assert_eq!(shares(true, 1.0)[..2], [Some(667.0), third]);
        let unknown = [row("c", Some("5"), None)];
        let likely = Agreement { outcome: true, likelihood: 0.5 };
        let failure = likely.shares(&unknown, &[0.5]).unwrap_err();
        assert!(failure.to_string().contains("log-probability"), "{failure}");
    }

    #[test]
    fn it_is_an_error_when_critics_cannot_read_most() {
        let require = |trajectories, unread, all| {
            Totals { trajectories, unread, ..Totals::default() }.require(all)
        };
        require(8, 4, 8).unwrap();
        // The first part may have the longest ones: the other six are not known yet.
        require(2, 2, 8).unwrap();
        let failure = require(6, 5, 8).unwrap_err();
        assert_eq!(failure.exit(), stage::Exit::Data);
        assert!(failure.to_string().contains("5 of 8 trajectories"), "{failure}");
    }

    #[test]
    fn what_a_search_wrote_is_taken_where_it_is_whole() {
        let option =
            |value, prm| TextOption { value: Some(value), prm: Some(prm), ..TextOption::default() };
        let options = vec![option(0.25, 0.5), option(0.75, 1.0)];
        let row = Trajectory { options, reward: Some(0.125), ..Trajectory::default() };
        let all = [critic::VALUE, critic::PRM, critic::ORM];
        let scores = said(&row, &all).unwrap();
        assert_eq!((scores.values, scores.process), (vec![0.25, 0.75], vec![0.5, 1.0]));
        assert_eq!(scores.outcome, Some(0.125));
        let mut unread = row.clone();
        unread.options[1].value = None;
        assert_eq!(said(&unread, &all), None);
        let scores = said(&unread, &[critic::ORM]).unwrap();
        assert_eq!((scores.values.len(), scores.outcome), (0, Some(0.125)));
        assert_eq!(said(&Trajectory { reward: None, ..row }, &all), None);
    }

    #[test]
    fn critics_that_say_one_thing_of_all_are_named() {
        let row = |answer: Option<&str>| Trajectory {
            answer: answer.map(str::to_owned),
            finished: true,
            ..Trajectory::default()
        };
        let of = |outcomes: &[(Option<&str>, f32)]| {
            let mut totals = Totals::default();
            for &(answer, outcome_reward) in outcomes {
                totals.add(&[row(answer)], &[Critique { outcome_reward, ..Critique::default() }]);
            }
            totals.tells_nothing_apart()
        };
        let (some, none) = (Some("5"), None);
        let constant = of(&[(some, 0.5), (none, 0.0), (some, 0.5)]).unwrap();
        assert!(
            constant.starts_with("all of 2 solutions have the outcome reward 0.5"),
            "{constant}"
        );
        let mute = of(&[(none, 0.0), (none, 0.0)]).unwrap();
        assert!(mute.starts_with("0 of 2 trajectories have an end and an answer"), "{mute}");
        for fine in [&[(some, 0.5), (some, 0.75)][..], &[(some, 0.5)], &[]] {
            assert_eq!(of(fine), None);
        }
    }

    #[test]
    fn every_preset_is_read_and_in_range() {
        let values: Vec<Config> = stage::shipped(|name| name == "critique.toml").unwrap();
        assert!(values.len() >= 5, "{} files", values.len());
        for value in values {
            value.validate().unwrap();
        }
    }
}
