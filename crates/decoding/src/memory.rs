//! What the models have read of the questions under way, and what that cost.

use critic::{Critic, Scores, Solution};
use lm::Prefixes;
use lm::prefix::{PrefixCounts, scope_of};
use serde::{Deserialize, Serialize};

use crate::Error;

/// What decoding cost the models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Tokens that went through the policies, read or written.
    pub policy_tokens: u64,
    /// Tokens that went through the critics.
    pub critic_tokens: u64,
    /// Floating point operations of both, as [`lm::ModelConfig::layer_flops`] counts them; those of servers are not known.
    pub flops: u64,
    /// Tokens that would have gone through a model again, had their keys and values not been kept.
    pub reused_tokens: u64,
    /// Solutions and states that the critics judged.
    pub judged: u64,
    /// Those of them that a critic's context had no room for, and that were read as far as it went.
    #[serde(default)]
    pub unread: u64,
    /// The most bytes of keys and values that were kept at once.
    pub kept_bytes: u64,
    /// How often a question's keys and values were given up to make room, and read again later.
    pub evicted: u64,
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
    critic: critic::Memory,
    judged: u64,
    most: u64,
    evicted: u64,
}

impl Cost {
    /// What a policy's reading and writing cost.
    pub fn of_policy(counts: PrefixCounts) -> Self {
        let PrefixCounts { forwarded, reused, flops } = counts;
        Self { policy_tokens: forwarded, reused_tokens: reused, flops, ..Self::default() }
    }

    /// What a critic's reading cost.
    pub fn of_critic(counts: PrefixCounts) -> Self {
        let PrefixCounts { forwarded, reused, flops } = counts;
        Self { critic_tokens: forwarded, reused_tokens: reused, flops, ..Self::default() }
    }

    /// The share of all tokens that did not have to go through a model; none without tokens.
    pub fn hit_rate(&self) -> Option<f64> {
        let all = self.policy_tokens.saturating_add(self.critic_tokens);
        let all = all.saturating_add(self.reused_tokens);
        (all > 0).then(|| self.reused_tokens as f64 / all as f64)
    }
}

impl std::ops::AddAssign for Cost {
    // Costs are read from logs, too, and those may hold any number.
    fn add_assign(&mut self, more: Self) {
        self.policy_tokens = self.policy_tokens.saturating_add(more.policy_tokens);
        self.critic_tokens = self.critic_tokens.saturating_add(more.critic_tokens);
        self.flops = self.flops.saturating_add(more.flops);
        self.reused_tokens = self.reused_tokens.saturating_add(more.reused_tokens);
        self.judged = self.judged.saturating_add(more.judged);
        self.unread = self.unread.saturating_add(more.unread);
        self.kept_bytes = self.kept_bytes.max(more.kept_bytes);
        self.evicted = self.evicted.saturating_add(more.evicted);
    }
}

impl Memory {
    /// Nothing read yet.
    pub(crate) fn new(critic: &Critic) -> Self {
        let (policy, fast_policy) = (Prefixes::default(), Prefixes::default());
        Self { policy, fast_policy, critic: critic.memory(), judged: 0, most: 0, evicted: 0 }
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

    /// Bytes of what is kept.
    pub(crate) fn bytes(&self) -> u64 {
        (self.policy.bytes() + self.fast_policy.bytes() + self.critic.bytes()) as u64
    }

    /// Takes note of how much is kept.
    pub(crate) fn measure(&mut self) {
        self.most = self.most.max(self.bytes());
    }

    /// Bytes of what is kept of a question.
    pub(crate) fn bytes_of(&self, question: &str) -> u64 {
        let scope = scope_of(question);
        let of_policies = self.policy.bytes_of(scope) + self.fast_policy.bytes_of(scope);
        (of_policies + self.critic.bytes_of(scope)) as u64
    }

    /// Gives up what is kept of a question that is done.
    pub(crate) fn forget(&mut self, question: &str) {
        let scope = scope_of(question);
        self.policy.forget(scope);
        self.fast_policy.forget(scope);
        self.critic.forget(scope);
    }

    /// Gives up what is kept of a question that will be read again.
    pub(crate) fn evict(&mut self, question: &str) {
        self.evicted += 1;
        self.forget(question);
    }

    /// What reading and writing cost so far.
    pub(crate) fn cost(&self) -> Cost {
        let (judged, kept_bytes, evicted) = (self.judged, self.most, self.evicted);
        let unread = self.critic.cut();
        let mut cost = Cost { judged, unread, kept_bytes, evicted, ..Cost::default() };
        for prefixes in [&self.policy, &self.fast_policy] {
            cost += Cost::of_policy(prefixes.counts());
        }
        cost += Cost::of_critic(self.critic.counts());
        cost
    }
}
