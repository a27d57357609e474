//! The KV caches of a question in progress, and the cost of decoding.

use critic::{Critic, Scores, Solution};
use lm::Prefixes;
use lm::prefix::{PrefixCounts, scope_of};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The cost of decoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Tokens processed by the policies, read or generated.
    pub policy_tokens: u64,
    /// Tokens processed by the critics.
    pub critic_tokens: u64,
    /// Floating-point operations of policies and critics, as counted by [`lm::ModelConfig::layer_flops`]; 0 for models
    /// behind a server.
    pub flops: u64,
    /// Tokens served from the KV cache instead of being processed again.
    pub reused_tokens: u64,
    /// Number of solutions and states scored by the critics.
    pub judged: u64,
    /// Number of those that exceeded a critic's context and were read only in part.
    #[serde(default)]
    pub unread: u64,
    /// Largest size of the KV caches, in bytes.
    pub kept_bytes: u64,
    /// Number of times a question's cache was evicted, to be rebuilt later.
    pub evicted: u64,
}

/// Results for all questions, with the total cost.
#[derive(Debug, Clone)]
pub struct Costed<T> {
    /// The results, in the order of the questions.
    pub results: Vec<T>,
    /// The cost of all of them.
    pub cost: Cost,
}

/// The KV caches and the cost counters.
pub(crate) struct Memory {
    pub(crate) policy: Prefixes,
    pub(crate) fast_policy: Prefixes,
    critic: critic::Memory,
    judged: u64,
    evicted: u64,
}

impl Cost {
    /// Cost of a policy's token counts.
    pub fn of_policy(counts: PrefixCounts) -> Self {
        let PrefixCounts { forwarded, reused, flops } = counts;
        Self { policy_tokens: forwarded, reused_tokens: reused, flops, ..Self::default() }
    }

    /// Cost of a critic's token counts.
    pub fn of_critic(counts: PrefixCounts) -> Self {
        let PrefixCounts { forwarded, reused, flops } = counts;
        Self { critic_tokens: forwarded, reused_tokens: reused, flops, ..Self::default() }
    }

    /// Share of tokens served from the KV cache, 0 to 1; `None` without tokens.
    pub fn hit_rate(&self) -> Option<f64> {
        let all = self.policy_tokens.saturating_add(self.critic_tokens);
        let all = all.saturating_add(self.reused_tokens);
        (all > 0).then(|| self.reused_tokens as f64 / all as f64)
    }
}

impl std::ops::AddAssign for Cost {
    // Saturating, because costs are also read from logs, which may hold any number.
    fn add_assign(&mut self, more: Self) {
        self.policy_tokens = self.policy_tokens.saturating_add(more.policy_tokens);
        self.critic_tokens = self.critic_tokens.saturating_add(more.critic_tokens);
        self.flops = self.flops.saturating_add(more.flops);
        self.reused_tokens = self.reused_tokens.saturating_add(more.reused_tokens);
        self.judged = self.judged.saturating_add(more.judged);
        self.unread = self.unread.saturating_add(more.unread);
        // A peak, not a sum.
        self.kept_bytes = self.kept_bytes.max(more.kept_bytes);
        self.evicted = self.evicted.saturating_add(more.evicted);
    }
}

impl Memory {
    /// Empty caches.
    pub(crate) fn new(critic: &Critic) -> Self {
        let (policy, fast_policy) = (Prefixes::default(), Prefixes::default());
        Self { policy, fast_policy, critic: critic.memory(), judged: 0, evicted: 0 }
    }

    /// Scores every solution.
    pub(crate) fn judge(
        &mut self,
        critic: &Critic,
        solutions: &[Solution<'_>],
    ) -> Result<Vec<Scores>, Error> {
        self.judged += solutions.len() as u64;
        Ok(critic.score(solutions, &mut self.critic)?)
    }

    /// Size of all caches, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        (self.policy.bytes() + self.fast_policy.bytes() + self.critic.bytes()) as u64
    }

    /// Frees the caches of a question that will be read again.
    pub(crate) fn evict(&mut self, question: &str) {
        self.evicted += 1;
        let scope = scope_of(question);
        self.policy.forget(scope);
        self.fast_policy.forget(scope);
        self.critic.forget(scope);
    }

    /// The cost so far, without the size of the caches.
    pub(crate) fn cost(&self) -> Cost {
        let (judged, evicted) = (self.judged, self.evicted);
        let unread = self.critic.cut();
        let mut cost = Cost { judged, unread, evicted, ..Cost::default() };
        for prefixes in [&self.policy, &self.fast_policy] {
            cost += Cost::of_policy(prefixes.counts());
        }
        cost += Cost::of_critic(self.critic.counts());
        cost
    }
}
