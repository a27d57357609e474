//! How a search runs.

use std::collections::BTreeMap;

use lm::Sampling;
use serde::{Deserialize, Serialize};

use crate::{Error, Similarity};

/// How a search runs: the preset's `tree.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// How options are sampled; the paper uses temperature 1.0 or 0.8. Those that a rollout brings are sampled as it is.
    pub option_sampling: Sampling,
    /// How fast rollouts are sampled.
    pub rollout_sampling: Sampling,
    /// Who writes the rollouts, and whether the tree grows along them.
    pub rollouts_by: RolloutsBy,
    /// How the greedy and the global leaf are written to the end when they are not finished.
    pub completion_sampling: Sampling,
    /// Whether finished rollouts are candidates for re-ranking and the vote, beside the terminals and
    /// the two completed leaves. The paper leaves them out; a small tree has few terminals.
    pub rollouts_are_candidates: bool,
    /// The weighted vote weighs a solution by its outcome reward and the policy's probability of it to this power, in
    /// [0, 1]. 0 is the paper's vote. Where options are drawn without replacement every solution is found once, so
    /// that with 1 the vote would be that of samples of the policy.
    pub vote_likelihood: f64,
    /// How options are compared by a merge by similarity; that needs it, and nothing else does.
    #[serde(default)]
    pub similarity: Option<Similarity>,
    /// When a search ends before its budget does; absent is never.
    #[serde(default)]
    pub settled: Option<Settled>,
    /// The tree's settings.
    pub mcts: mcts::Config,
}

/// Who writes the rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutsBy {
    /// The fast policy (the paper).
    FastPolicy,
    /// The policy itself (the paper's Table 6).
    Policy,
    /// The policy itself, and the tree grows along what it wrote: the first options of a node's rollouts are the first
    /// samples drawn there, and what comes after such an option is a rollout of the child. So a rollout is paid once for
    /// all nodes on its way. Where first children are greedy, so is the first rollout below first children alone.
    /// A leaf that is picked unfinished is completed by its best rollout.
    PolicyGrown,
}

/// When there is nothing more to find: most of what was found says the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// Solutions with an answer there must be among those that the final answer is picked from; at least 1.
    pub solutions: u32,
    /// The share of all outcome rewards that one answer's solutions must have, in (0, 1].
    pub share: f64,
}

impl Settled {
    /// Whether solutions, each with its answer and outcome reward, settle the answer.
    pub(crate) fn holds(&self, solutions: &[(&str, f64)]) -> bool {
        let mut sums = BTreeMap::<&str, f64>::new();
        for &(answer, outcome) in solutions {
            *sums.entry(answer).or_default() += outcome;
        }
        let all: f64 = sums.values().sum();
        let most = sums.into_values().fold(0.0, f64::max);
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

/// Checks a way of sampling that a preset names `key`.
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
