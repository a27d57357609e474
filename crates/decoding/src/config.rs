//! Settings of a search.

use std::collections::BTreeMap;

use lm::Sampling;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The preset's `tree.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// How options are sampled. The paper uses temperature 1.0 or 0.8. Options taken from a rollout were sampled like the
    /// rollout.
    pub option_sampling: Sampling,
    /// How rollouts are sampled.
    pub rollout_sampling: Sampling,
    /// Which model writes the rollouts, and whether the tree grows along them.
    pub rollouts_by: RolloutsBy,
    /// How unfinished greedy and global leaves are completed.
    pub completion_sampling: Sampling,
    /// Whether finished rollouts are candidates for re-ranking and the vote, besides the terminals and the two completed
    /// leaves. The paper leaves them out, but a small tree has few terminals.
    pub rollouts_are_candidates: bool,
    /// Power of the policy's probability in the weighted vote, in [0, 1]: a solution weighs its outcome reward times its
    /// probability to this power. 0 is the paper's vote. Without replacement every solution is found only once, however
    /// likely it is, so 1 would estimate the vote of plain samples. In trials 0.25 gained on 0, and 1 lost
    /// (docs/TRIALS.md).
    pub vote_likelihood: f64,
    /// The similarity measure of `merge = { similarity = … }`. Required by that merge, and refused with any other.
    #[serde(default)]
    pub similarity: Option<Similarity>,
    /// When to end a search before its budget is used up; absent for never.
    #[serde(default)]
    pub settled: Option<Settled>,
    /// Settings of the tree itself.
    pub mcts: mcts::Config,
}

/// The similarity measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Similarity {
    /// Cosine of the policy's last hidden states after the two options, in [-1, 1].
    Cosine,
    /// `P(yes) / (P(yes) + P(no))` as the policy's next token, in [0, 1].
    Judge {
        /// The text the policy reads. Placeholders: `{question}`, `{written}` (the text before the options), `{new}` and
        /// `{old}` (the two options).
        template: String,
        /// The positive answer, a single token.
        yes: String,
        /// The negative answer, a single token.
        no: String,
    },
}

/// Which model writes the rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutsBy {
    /// The fast policy (the paper's default).
    FastPolicy,
    /// The policy (the paper's Table 6).
    Policy,
    /// The policy, and the tree grows along its rollouts: the first option of a node's rollout becomes the first sample
    /// at that node, and the rest is a rollout of the new child. The tokens of a rollout are thus paid once for all nodes
    /// on its path. With greedy first children, the first rollout of a node is greedy if the node and all its ancestors
    /// are first children. An unfinished leaf that is picked is completed by its best rollout.
    PolicyGrown,
}

/// Stops a search early once most of the solutions agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// Minimum number of solutions with an answer, among the candidates for the final answer; at least 1.
    pub solutions: u32,
    /// Minimum share of the total outcome reward held by one answer's solutions, in (0, 1].
    pub share: f64,
}

impl Settled {
    /// Whether the solutions, given as (answer, outcome reward), settle the answer.
    pub(crate) fn holds(&self, solutions: &[(&str, f64)]) -> bool {
        let mut sums = BTreeMap::<&str, f64>::new();
        for &(answer, outcome) in solutions {
            *sums.entry(answer).or_default() += outcome;
        }
        let all: f64 = sums.values().sum();
        let most = sums.into_values().fold(0.0, f64::max);
        // Without `all > 0`, solutions that are all worth 0 would settle any answer: 0 is every share of 0.
        solutions.len() >= self.solutions as usize && all > 0.0 && most >= self.share * all
    }
}

impl SearchConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Config`] names the setting.
    pub fn validate(&self) -> Result<(), Error> {
        self.mcts.validate()?;
        // Rollouts only run if the ORM has a weight.
        let rolled = self.mcts.rollouts > 0 && self.mcts.weights.orm > 0.0;
        if self.rollouts_by == RolloutsBy::PolicyGrown && !rolled {
            let problem = "is `policy_grown`, but there are no rollouts to grow along".to_owned();
            return Err(Error::Config { key: "rollouts_by", problem });
        }
        let needed = matches!(self.mcts.merge, mcts::Merge::Similarity { .. });
        if needed != self.similarity.is_some() {
            let problem =
                if needed { "is missing, but `merge` is by it" } else { "is not used by `merge`" };
            return Err(Error::Config { key: "similarity", problem: problem.to_owned() });
        }
        if let Some(Settled { solutions, share }) = self.settled {
            for (holds, key, problem) in [
                (solutions > 0, "settled.solutions", "is 0; leave `settled` out for never"),
                (share > 0.0 && share <= 1.0, "settled.share", "is not in (0, 1]"),
            ] {
                if !holds {
                    return Err(Error::Config { key, problem: problem.to_owned() });
                }
            }
        }
        if !(0.0..=1.0).contains(&self.vote_likelihood) {
            let problem = "is not in [0, 1]".to_owned();
            return Err(Error::Config { key: "vote_likelihood", problem });
        }
        check_sampling("option_sampling", self.option_sampling)?;
        check_sampling("rollout_sampling", self.rollout_sampling)?;
        check_sampling("completion_sampling", self.completion_sampling)
    }
}

/// Checks the sampling setting at `key`.
pub(crate) fn check_sampling(key: &'static str, sampling: Sampling) -> Result<(), Error> {
    sampling.validate().map_err(|problem| Error::Config { key, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_settled_by_the_weight_behind_it() {
        let settled = Settled { solutions: 3, share: 0.75 };
        let holds = |rows: &[(&str, f64)]| settled.holds(rows);
        assert!(holds(&[("18", 0.5), ("18", 0.25), ("20", 0.25)]));
        assert!(!holds(&[("18", 0.75), ("18", 0.25)]), "too few");
        assert!(!holds(&[("18", 0.5), ("18", 0.2), ("20", 0.3)]));
        assert!(!holds(&[("18", 0.0), ("18", 0.0), ("20", 0.0)]), "nothing speaks for any");
    }
}
