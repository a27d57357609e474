//! The operators, and how many prompts each contributes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stage::Failure;

/// A way to make a question. Only the last four need a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Changes numbers, people and objects of a question.
    Mutate,
    /// Draws a new question from the templates of the embedded world and discards its answer.
    Fresh,
    /// Adds a step, taken from another question.
    Extend,
    /// Removes a step.
    Shorten,
    /// Asks what another question asks, about the same story.
    Requestion,
    /// Joins two questions: the answer of the first becomes a number of the second.
    Compose,
    /// Turns a question of an earlier round backwards: one of its numbers is asked for, and the answer that was found
    /// is given (FOBAR, self-verification).
    Backward,
    /// Rewords a question, with a model.
    Rephrase,
    /// Writes a question after some examples, with a model (Self-Instruct).
    SelfInstruct,
    /// Makes a question harder, with a model (Evol-Instruct in depth).
    Deepen,
    /// Writes a question of another kind, with a model (Evol-Instruct in breadth).
    Widen,
}

impl Operator {
    /// All operators, in declaration order.
    const ALL: [Self; 11] = [
        Self::Mutate,
        Self::Fresh,
        Self::Extend,
        Self::Shorten,
        Self::Requestion,
        Self::Compose,
        Self::Backward,
        Self::Rephrase,
        Self::SelfInstruct,
        Self::Deepen,
        Self::Widen,
    ];

    /// The name in the preset and in the column `operator`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Fresh => "fresh",
            Self::Extend => "extend",
            Self::Shorten => "shorten",
            Self::Requestion => "requestion",
            Self::Compose => "compose",
            Self::Backward => "backward",
            Self::Rephrase => "rephrase",
            Self::SelfInstruct => "self_instruct",
            Self::Deepen => "deepen",
            Self::Widen => "widen",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }

    /// Whether a model writes the question.
    pub(crate) fn is_written(self) -> bool {
        matches!(self, Self::Rephrase | Self::SelfInstruct | Self::Deepen | Self::Widen)
    }
}

/// The payoff of an operator in earlier rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Payoff {
    /// Prompts made.
    pub(crate) made: usize,
    /// Sum over the prompts with a kept solution of `1 - p(y | x)`, the probability that the policy would not have said
    /// the best one. A solution that the policy says anyway teaches it nothing.
    pub(crate) gain: f64,
}

impl Payoff {
    /// The mean over all prompts made, 0 to 1.
    pub(crate) fn mean(&self) -> f64 {
        self.gain / self.made.max(1) as f64
    }
}

/// How much each operator contributes: the section `[operators]` of a preset. Shares are relative: 3 and 1 are the same
/// as 0.75 and 0.25. Operators that are not listed contribute nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shares(pub BTreeMap<Operator, f64>);

impl Shares {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |(_, share): &(&Operator, &f64)| !share.is_finite() || **share < 0.0;
        if let Some((operator, share)) = self.0.iter().find(wrong) {
            let (name, expected) = (operator.name(), "it has to be 0 or more");
            return Err(Failure::config(format!("`operators.{name}` is {share}: {expected}")));
        }
        if self.0.values().all(|share| *share == 0.0) {
            return Err(Failure::config("every share of `operators` is 0"));
        }
        Ok(())
    }

    /// Whether any operator with a positive share satisfies `fits`.
    pub(crate) fn has(&self, fits: impl Fn(Operator) -> bool) -> bool {
        self.0.iter().any(|(operator, share)| *share > 0.0 && fits(*operator))
    }

    /// The shares, scaled to sum to 1.
    fn normalised(&self) -> Vec<(Operator, f64)> {
        let sum: f64 = self.0.values().sum();
        self.0.iter().map(|(operator, share)| (*operator, share / sum)).collect()
    }

    /// The shares adapted to the payoffs of earlier rounds, as a bandit that matches shares to payoffs. The part
    /// `exploration` stays as in the preset; the rest is proportional to share times payoff, so an operator with twice
    /// the payoff gets twice as much of it. Operators without a payoff count as the mean of those that have one.
    pub(crate) fn after(&self, payoffs: &BTreeMap<Operator, Payoff>, exploration: f64) -> Self {
        let shares = self.normalised();
        let tried: Vec<f64> = payoffs.values().map(Payoff::mean).collect();
        let usual = tried.iter().sum::<f64>() / tried.len().max(1) as f64;
        let payoff = |operator| payoffs.get(&operator).map_or(usual, Payoff::mean);
        let sum: f64 = shares.iter().map(|(operator, share)| share * payoff(*operator)).sum();
        // Nothing paid: there is nothing to go by, and dividing by the sum would give NaN.
        if sum <= 0.0 {
            return self.clone();
        }
        let adapted = |(operator, share): (Operator, f64)| {
            let paid = share * payoff(operator) / sum;
            (operator, exploration * share + (1.0 - exploration) * paid)
        };
        Self(shares.into_iter().map(adapted).collect())
    }

    /// Splits `count` prompts among the operators: whole numbers close to the shares, which always sum to `count`.
    pub(crate) fn split(&self, count: usize) -> Vec<(Operator, usize)> {
        let (mut total, mut given) = (0.0, 0);
        let so_many = |(operator, share): (Operator, f64)| {
            total += share * count as f64;
            // Capped, because rounding errors of the sum must not hand out one prompt too many.
            let up_to = (total.round() as usize).min(count);
            // Rounding the running total instead of each share makes the counts sum to `count`.
            let own = up_to - given;
            given = up_to;
            (operator, own)
        };
        self.normalised().into_iter().map(so_many).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: &[(Operator, f64)]) -> Shares {
        Shares(of.iter().copied().collect())
    }

    #[test]
    fn names_are_those_of_the_preset() {
        for operator in Operator::ALL {
            let name = serde_json::to_value(operator).unwrap();
            assert_eq!(name, operator.name());
            assert_eq!(Operator::named(operator.name()), Some(operator));
        }
        assert_eq!(Operator::named("dream"), None);
    }

    #[test]
    fn counts_sum_up_whatever_the_shares() {
        use Operator::{Extend, Fresh, Mutate};
        for (of, count, expected) in [
            ([(Mutate, 3.0), (Fresh, 1.0), (Extend, 0.0)], 100, [75, 25, 0]),
            ([(Mutate, 1.0), (Fresh, 1.0), (Extend, 1.0)], 10, [3, 4, 3]),
            ([(Mutate, 1.0), (Fresh, 1.0), (Extend, 1.0)], 1, [0, 1, 0]),
            ([(Mutate, 0.1), (Fresh, 0.0), (Extend, 0.0)], 7, [7, 0, 0]),
        ] {
            let counts: Vec<usize> = shares(&of).split(count).iter().map(|one| one.1).collect();
            assert_eq!(counts, expected, "{of:?}");
        }
    }

    #[test]
    fn what_pays_gets_more_and_the_rest_is_still_tried() {
        use Operator::{Extend, Fresh, Mutate};
        let preset = shares(&[(Mutate, 1.0), (Fresh, 1.0), (Extend, 2.0)]);
        let payoff = |made, gain| Payoff { made, gain };
        // The tried operators have means 0.3 and 0.1; the third was never tried and counts as 0.2.
        let payoffs = BTreeMap::from([(Mutate, payoff(100, 30.0)), (Fresh, payoff(50, 5.0))]);
        let Shares(after) = preset.after(&payoffs, 0.2);
        for (operator, expected) in [
            (Mutate, 0.2 * 0.25 + 0.8 * 0.375),
            (Fresh, 0.2 * 0.25 + 0.8 * 0.125),
            (Extend, 0.2 * 0.5 + 0.8 * 0.5),
        ] {
            assert!((after[&operator] - expected).abs() < 1e-12, "{after:?}");
        }
        let nothing = BTreeMap::from([(Mutate, payoff(10, 0.0)), (Fresh, payoff(10, 0.0))]);
        assert_eq!(preset.after(&nothing, 0.2), preset);
        assert_eq!(preset.after(&BTreeMap::new(), 0.0), preset);
    }

    #[test]
    fn impossible_shares_are_refused() {
        for (mutate, fresh) in [(-1.0, 2.0), (0.0, 0.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            let shares = shares(&[(Operator::Mutate, mutate), (Operator::Fresh, fresh)]);
            assert_eq!(shares.check().unwrap_err().exit(), stage::Exit::Config);
        }
    }
}
