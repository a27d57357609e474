//! Step-by-step searches without tree statistics: step beam search, DVTS and REBASE.
//!
//! All three keep a set of partial solutions, extend them by options, score the new ones by the PRM (finished ones by the
//! ORM) and continue with some of them. They differ in how often each partial solution is extended and which ones are
//! kept:
//!
//! - beam search keeps the best `width / branch` overall and extends each `branch` times;
//! - DVTS (diverse verifier tree search) does the same in `width / branch` separate groups, and keeps the best one of
//!   each;
//! - REBASE keeps all and extends them in proportion to the softmax of their rewards.

use critic::{Head, Scores, Solution};
use dataset::seed_for;
use lm::Sampling;
use policy::{Continuation, StateRequest};
use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::concurrent::InProgress;
use crate::config::check_sampling;
use crate::memory::Costed;
use crate::{Error, Question, Sampler, SearchProgress};

/// The `[steps]` section of `evaluate.toml` and `compare.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// Number of options sampled per step, a multiple of `branch`.
    pub width: u32,
    /// Number of options sampled after each partial solution that is kept, at least 1.
    pub branch: u32,
    /// How options are sampled.
    pub sampling: Sampling,
    /// Maximum number of options per solution, at least 1. The last one is written to the end.
    pub max_depth: u32,
    /// Temperature of REBASE's softmax over rewards, above 0.
    pub balance: f64,
}

/// The search algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepMethod {
    /// Step beam search.
    Beam,
    /// Diverse verifier tree search.
    Dvts,
    /// Reward-balanced search.
    Rebase,
}

impl StepMethod {
    /// All algorithms.
    pub const ALL: [Self; 3] = [Self::Beam, Self::Dvts, Self::Rebase];

    /// The decoder's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beam => "beam",
            Self::Dvts => "dvts",
            Self::Rebase => "rebase",
        }
    }
}

/// The result of a step search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepSolutions {
    /// The finished solutions.
    pub candidates: Vec<Candidate>,
    /// Number of partial and finished solutions that were scored.
    pub nodes: u32,
    /// Tokens generated in total.
    pub tokens: u64,
}

/// A partial solution.
#[derive(Debug, Clone)]
struct Partial {
    options: Vec<String>,
    /// The DVTS group. Only the best of each group is kept.
    group: u32,
    reward: f64,
    tokens: u32,
}

impl StepConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting.
    pub fn validate(&self) -> Result<(), Error> {
        let multiple = self.branch > 0 && self.width.is_multiple_of(self.branch);
        let balanced = self.balance.is_finite() && self.balance > 0.0;
        for (holds, key, problem) in [
            (
                multiple && self.width > 0,
                "steps.width",
                "must be a multiple of `branch`, both at least 1",
            ),
            (self.max_depth > 0, "steps.max_depth", "must be at least 1"),
            (balanced, "steps.balance", "must be above 0"),
        ] {
            if !holds {
                return Err(Error::Config { key, problem: problem.to_owned() });
            }
        }
        check_sampling("steps.sampling", self.sampling)
    }

    /// How often to extend each partial solution. `width` is the part of the width not yet used by finished solutions.
    fn expansions(&self, method: StepMethod, kept: &[Partial], width: u32) -> Vec<u32> {
        match method {
            StepMethod::Beam | StepMethod::Dvts => vec![self.branch; kept.len()],
            StepMethod::Rebase => balanced(kept, width, self.balance),
        }
    }

    /// The partial solutions to continue with, when `done` solutions are finished.
    fn keep(&self, method: StepMethod, mut partials: Vec<Partial>, done: usize) -> Vec<Partial> {
        // The sort is stable: among equal rewards, the one sampled first wins.
        partials.sort_by(|a, b| b.reward.total_cmp(&a.reward));
        match method {
            StepMethod::Beam => {
                let beams = (self.width / self.branch) as usize;
                // Finished solutions keep their share of the width.
                partials.truncate(beams.saturating_sub(done.div_ceil(self.branch as usize)));
            }
            StepMethod::Dvts => {
                let mut seen = std::collections::BTreeSet::new();
                // Sorted by reward, so the first of a group is its best.
                partials.retain(|partial| seen.insert(partial.group));
            }
            StepMethod::Rebase => {}
        }
        partials
    }
}

/// Distributes `width` extensions in proportion to `exp(reward / temperature)`. Counts are rounded up, best first, until
/// none are left (REBASE, Algorithm 1).
fn balanced(kept: &[Partial], width: u32, temperature: f64) -> Vec<u32> {
    // Subtracting the highest reward keeps `exp` from overflowing at low temperatures.
    let highest = kept.iter().map(|p| p.reward).fold(f64::NEG_INFINITY, f64::max);
    let mut order: Vec<usize> = (0..kept.len()).collect();
    order.sort_by(|&a, &b| kept[b].reward.total_cmp(&kept[a].reward));
    let weight = |at: usize| ((kept[at].reward - highest) / temperature).exp();
    let mut total: f64 = order.iter().map(|&at| weight(at)).sum();
    let (mut left, mut counts) = (width, vec![0; kept.len()]);
    for at in order {
        let count = ((f64::from(left) * weight(at) / total).ceil() as u32).min(left);
        counts[at] = count;
        left -= count;
        total -= weight(at);
        if left == 0 || total <= 0.0 {
            break;
        }
    }
    counts
}

/// A step search in progress.
struct StepSearch<'a> {
    question: Question<'a>,
    kept: Vec<Partial>,
    result: StepSolutions,
}

impl Sampler {
    /// Runs a step search for every question; results are in order. Reports progress to `watch`.
    ///
    /// # Errors
    /// [`Error::Critic`] without a PRM head, which ranks the partial solutions; an error of a model.
    pub fn steps(
        &self,
        questions: &[Question<'_>],
        config: &StepConfig,
        method: StepMethod,
        watch: &mut dyn FnMut(SearchProgress),
    ) -> Result<Costed<StepSolutions>, Error> {
        self.critic().require(Head::Prm)?;
        self.for_each_question(questions, watch, |work, question| {
            self.step_search(question, config, method, work)
        })
    }

    fn step_search(
        &self,
        question: Question<'_>,
        config: &StepConfig,
        method: StepMethod,
        work: &mut InProgress<'_>,
    ) -> Result<StepSolutions, Error> {
        let root = |group| Partial { options: Vec::new(), group, reward: 0.0, tokens: 0 };
        // REBASE spreads the whole width over one root; the others start with a root per beam.
        let groups = match method {
            StepMethod::Rebase => 1,
            StepMethod::Beam | StepMethod::Dvts => config.width / config.branch,
        };
        let (kept, result) = ((0..groups).map(root).collect(), StepSolutions::default());
        let mut search = StepSearch { question, kept, result };
        for depth in 1..=config.max_depth {
            let states = search.expand(config, method, depth);
            if states.is_empty() {
                break;
            }
            let requests: Vec<StateRequest<'_>> =
                states.iter().map(|(_, request)| request.clone()).collect();
            let mut options = self.policy().write(&requests, &mut work.memory.policy)?;
            for option in &mut options {
                // The context is full: the solution ends here.
                option.terminal |= option.tokens == 0 && !option.finish.is_natural();
            }
            let each = states.iter().zip(&options);
            let solutions: Vec<Solution<'_>> =
                each.map(|((partial, _), option)| search.continued(*partial, option)).collect();
            let scores = work.memory.judge(self.critic(), &solutions)?;
            let mut next = Vec::new();
            for (((partial, _), option), scores) in states.iter().zip(options).zip(&scores) {
                let before = search.kept[*partial].clone();
                next.extend(search.result.add(before, option, scores));
            }
            search.kept = config.keep(method, next, search.result.candidates.len());
            let (nodes, tokens) = (u64::from(search.result.nodes), search.result.tokens);
            work.step(SearchProgress { nodes, tokens, ..SearchProgress::default() });
        }
        Ok(search.result)
    }
}

impl<'q> StepSearch<'q> {
    /// A partial solution extended by an option, as the critic reads it.
    fn continued(&self, partial: usize, option: &Continuation) -> Solution<'q> {
        let mut options = self.kept[partial].options.clone();
        options.extend(option.texts());
        let branch = if option.terminal { 0 } else { options.len() };
        Solution { question: self.question.text, options, finished: option.terminal, branch }
    }

    /// The states to sample after, each with the index of its partial solution.
    fn expand(
        &self,
        config: &StepConfig,
        method: StepMethod,
        depth: u32,
    ) -> Vec<(usize, StateRequest<'q>)> {
        let mut states = Vec::new();
        let width = config.width.saturating_sub(self.result.candidates.len() as u32);
        let counts = config.expansions(method, &self.kept, width);
        for (at, (partial, count)) in self.kept.iter().zip(counts).enumerate() {
            let written = partial.options.concat();
            for n in 0..count {
                let attempt = format!("{depth}/{at}/{n}");
                let request = StateRequest {
                    question: self.question.text,
                    written: written.clone(),
                    sampling: config.sampling,
                    to_end: depth == config.max_depth,
                    keep: depth < config.max_depth,
                    excluded: Vec::new(),
                    seed: seed_for(self.question.seed, method.name(), 0, &attempt),
                };
                states.push((at, request));
            }
        }
        states
    }
}

impl StepSolutions {
    /// Adds a new option. Returns the extended partial solution, or `None` if it is finished.
    fn add(
        &mut self,
        mut partial: Partial,
        option: Continuation,
        scores: &Scores,
    ) -> Option<Partial> {
        self.nodes += 1;
        self.tokens += u64::from(option.tokens);
        partial.tokens += option.tokens;
        partial.options.push(option.text);
        if option.terminal {
            let text = partial.options.concat();
            let (outcome, tokens) = (scores.outcome, partial.tokens);
            self.candidates.push(Candidate::new(text, option.finish, outcome, tokens));
            return None;
        }
        // Partial solutions are ranked by the reward of their latest option alone.
        partial.reward = scores.process.last().copied().map_or(0.0, f64::from);
        Some(partial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> StepConfig {
        let sampling = Sampling::Temperature { temperature: 1.0 };
        StepConfig { width: 8, branch: 2, sampling, max_depth: 4, balance: 0.1 }
    }

    fn partials(rewards: &[(u32, f64)]) -> Vec<Partial> {
        rewards
            .iter()
            .map(|&(group, reward)| Partial { options: Vec::new(), group, reward, tokens: 0 })
            .collect()
    }

    fn rewards(partials: Vec<Partial>) -> Vec<f64> {
        partials.into_iter().map(|partial| partial.reward).collect()
    }

    #[test]
    fn beam_keeps_the_best_and_dvts_the_best_of_each_group() {
        let all = partials(&[(0, 0.9), (0, 0.8), (1, 0.1), (1, 0.2), (2, 0.7), (2, 0.6), (3, 0.5)]);
        let kept = |method, done| rewards(config().keep(method, all.clone(), done));
        assert_eq!(kept(StepMethod::Beam, 0), [0.9, 0.8, 0.7, 0.6]);
        assert_eq!(kept(StepMethod::Beam, 3), [0.9, 0.8]);
        assert_eq!(kept(StepMethod::Dvts, 0), [0.9, 0.7, 0.5, 0.2]);
        assert_eq!(kept(StepMethod::Rebase, 0).len(), 7);
    }

    #[test]
    fn rebase_expands_in_proportion_and_never_more_than_the_width() {
        // The weights are 1/3 and 1: the better one gets 3/4 of 15, rounded up, and the other one the rest.
        let thrice = 1.0 / 3.0_f64.ln();
        assert_eq!(balanced(&partials(&[(0, 0.0), (0, 1.0)]), 15, thrice), [3, 12]);
        let equal = partials(&[(0, 0.5), (0, 0.5), (0, 0.5)]);
        assert_eq!(balanced(&equal, 7, 0.1), [3, 2, 2]);
        assert_eq!(balanced(&equal, 1, 0.1), [1, 0, 0]);
        assert_eq!(balanced(&equal, 0, 0.1), [0, 0, 0]);
        let sharp = balanced(&partials(&[(0, 0.1), (0, 0.9)]), 16, 0.01);
        assert_eq!(sharp.iter().sum::<u32>(), 16);
        assert!(sharp[1] >= 15);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        config().validate().unwrap();
        for (wrong, word) in [
            (StepConfig { width: 7, ..config() }, "steps.width"),
            (StepConfig { max_depth: 0, ..config() }, "steps.max_depth"),
            (StepConfig { balance: 0.0, ..config() }, "steps.balance"),
        ] {
            assert!(wrong.validate().unwrap_err().to_string().contains(word));
        }
    }
}
