//! What the models have read of the questions under way, and what that cost.

use critic::{Critic, Scores, Solution};
use lm::Prefixes;
use lm::prefix::PrefixCounts;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What decoding cost the models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Tokens that went through the policies, read or written.
    pub policy_tokens: u64,
    /// Tokens that went through the critics.
    pub critic_tokens: u64,
    /// Tokens that would have gone through a model again, had their keys and values not been kept.
    pub reused_tokens: u64,
    /// Solutions and states that the critics judged.
    pub judged: u64,
}

/// What was found for each of the questions, and what it cost.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// In the order of the questions.
    pub found: Vec<T>,
    /// Of all of them.
    pub cost: Cost,
}

/// What the models have read.
pub(crate) struct Memory {
    pub(crate) policy: Prefixes,
    pub(crate) fast_policy: Prefixes,
    critic: Vec<Prefixes>,
    judged: u64,
}

impl Cost {
    /// What a policy's reading and writing cost.
    pub fn of_policy(counts: PrefixCounts) -> Self {
        let PrefixCounts { forwarded, reused } = counts;
        Self { policy_tokens: forwarded, reused_tokens: reused, ..Self::default() }
    }

    /// The share of all tokens that did not have to go through a model; none without tokens.
    pub fn hit_rate(&self) -> Option<f64> {
        let all = self.policy_tokens + self.critic_tokens + self.reused_tokens;
        (all > 0).then(|| self.reused_tokens as f64 / all as f64)
    }
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, more: Self) {
        self.policy_tokens += more.policy_tokens;
        self.critic_tokens += more.critic_tokens;
        self.reused_tokens += more.reused_tokens;
        self.judged += more.judged;
    }
}

impl Memory {
    /// Nothing read yet.
    pub(crate) fn new(critic: &Critic) -> Self {
        let (policy, fast_policy) = (Prefixes::default(), Prefixes::default());
        Self { policy, fast_policy, critic: critic.prefixes(), judged: 0 }
    }

    /// What the critic says of every solution.
    pub(crate) fn judge(
        &mut self,
        critic: &Critic,
        solutions: &[Solution<'_>],
    ) -> Result<Vec<Scores>, Error> {
        self.judged += solutions.len() as u64;
        Ok(critic.score(solutions, &mut self.critic)?)
    }

    /// What reading and writing cost so far.
    pub(crate) fn cost(&self) -> Cost {
        let mut cost = Cost { judged: self.judged, ..Cost::default() };
        for prefixes in [&self.policy, &self.fast_policy] {
            cost += Cost::of_policy(prefixes.counts());
        }
        for counts in self.critic.iter().map(Prefixes::counts) {
            cost.critic_tokens += counts.forwarded;
            cost.reused_tokens += counts.reused;
        }
        cost
    }
}
