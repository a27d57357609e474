//! Sampling of solutions and rollouts, and the labels made of them.

use std::collections::{BTreeMap, BTreeSet};

use dataset::{row_id, seed_for};
use decoding::{Cost, Fitting};
use lm::Prefixes;
use policy::{Continuation, Policy, StateRequest};
use schema::{Label, Prompt};
use stage::{Common, Failure};

use super::{Config, Totals};
use crate::targets::{self, Tally, Targets};

/// One sampled solution of a problem.
struct Sample<'a> {
    problem: &'a Prompt,
    text: String,
    options: Vec<String>,
    right: bool,
    seed: u64,
}

/// The policy that is labelled, with the counters of this run.
pub(super) struct Labeller<'a> {
    policy: Policy,
    fitting: Fitting,
    config: Config,
    common: &'a Common,
    pub(super) totals: Totals,
}

impl<'a> Labeller<'a> {
    pub(super) fn new(
        policy: Policy,
        fitting: Fitting,
        config: Config,
        common: &'a Common,
    ) -> Self {
        Self { policy, fitting, config, common, totals: Totals::default() }
    }

    /// The labels of the problems of one part, one for each distinct solution.
    pub(super) fn chunk(&mut self, problems: &[(Prompt, &str)]) -> Result<Vec<Label>, Failure> {
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
            if option.tokens == 0 && !option.finish.is_natural() {
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
    fn is_readable(&self, problem: &Prompt, option: &Continuation) -> Result<bool, Failure> {
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
            let open: Vec<String> = targets::prefixes(&sample.options).collect();
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
        let of_sample = tally.targets(id, &sample.options, self.config.good_above);
        let Targets { root, values, process } = of_sample;
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
