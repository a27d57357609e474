//! The critics' training targets: how many continuations of a state reach the right answer.
//!
//! The reward of a solution is 1 if its answer is right, else 0. The value target of a state is the share of right answers
//! among all continuations from it: the samples that pass through it, and rollouts from a few prefixes of each problem
//! (Monte Carlo, AlphaLLM §4.3). An option counts as good if that share is above a threshold.

use std::collections::BTreeMap;

/// Counts of right continuations and of all continuations of each state, keyed by problem and text so far.
#[derive(Debug, Default)]
pub(crate) struct Tally<'a>(BTreeMap<(&'a str, String), (u32, u32)>);

/// The targets of one solution, each in [0, 1].
#[derive(Debug, PartialEq)]
pub(crate) struct Targets {
    /// The value before the first option.
    pub(crate) root: f32,
    /// The value after each option.
    pub(crate) values: Vec<f32>,
    /// Whether each option is good: 0 or 1.
    pub(crate) process: Vec<f32>,
}

impl<'a> Tally<'a> {
    /// Counts a sampled solution as a continuation of every state it passes through, including the bare question.
    pub(crate) fn solution(&mut self, problem: &'a str, options: &[String], right: bool) {
        self.continuation(problem, String::new(), right);
        for prefix in prefixes(options) {
            self.continuation(problem, prefix, right);
        }
    }

    /// Counts a continuation of the state `prefix` only.
    pub(crate) fn continuation(&mut self, problem: &'a str, prefix: String, right: bool) {
        let entry = self.0.entry((problem, prefix)).or_default();
        entry.0 += u32::from(right);
        entry.1 += 1;
    }

    /// The targets of a solution that has been counted.
    pub(crate) fn targets(&self, problem: &'a str, options: &[String], good_above: f32) -> Targets {
        let share = |prefix: String| {
            let (right, all) = self.0[&(problem, prefix)];
            right as f32 / all as f32
        };
        let values: Vec<f32> = prefixes(options).map(share).collect();
        let good = |share: &f32| if *share > good_above { 1.0 } else { 0.0 };
        Targets { root: share(String::new()), process: values.iter().map(good).collect(), values }
    }
}

/// The text up to the end of each option.
pub(crate) fn prefixes(options: &[String]) -> impl Iterator<Item = String> {
    (1..=options.len()).map(|n| options[..n].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn tally() -> Tally<'static> {
        let mut tally = Tally::default();
        for _ in 0..4 {
            tally.solution("one", &options("a b"), true);
        }
        tally.solution("one", &options("a c"), false);
        tally.solution("one", &options("d e"), false);
        tally.solution("two", &options("a b"), false);
        tally
    }

    #[test]
    fn the_value_of_a_state_is_the_share_of_its_samples_that_are_right() {
        let tally = tally();
        let right = tally.targets("one", &options("a b"), 0.0);
        // Repeated samples count as often as they were drawn, both for the question and for the first option.
        assert_eq!((right.root, right.values), (4.0 / 6.0, vec![0.8, 1.0]));
        let wrong = tally.targets("one", &options("d e"), 0.0);
        assert_eq!((wrong.root, wrong.values), (4.0 / 6.0, vec![0.0, 0.0]));
        assert_eq!(tally.targets("two", &options("a b"), 0.0).values, [0.0, 0.0]);
    }

    #[test]
    fn a_rollout_says_something_of_the_state_that_it_starts_from_alone() {
        let mut tally = tally();
        for right in [false, false, true] {
            tally.continuation("one", "a".to_owned(), right);
        }
        let targets = tally.targets("one", &options("a b"), 0.0);
        assert_eq!((targets.root, targets.values), (4.0 / 6.0, vec![5.0 / 8.0, 1.0]));
    }

    #[test]
    fn an_option_is_good_when_more_than_so_many_of_its_continuations_are_right() {
        let process = |good_above| tally().targets("one", &options("a c"), good_above).process;
        assert_eq!(process(0.5), [1.0, 0.0]);
        assert_eq!(process(0.8), [0.0, 0.0], "0.8 is not more than 0.8");
    }
}
