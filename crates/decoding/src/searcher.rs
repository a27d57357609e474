//! The models and settings that a question is answered with.

use std::sync::Arc;

use critic::{Critic, Head};
use policy::Policy;

use crate::fitting::{ContextUse, Fitting};
use crate::{Error, SearchConfig};

/// A policy, and the critics that judge what it writes; without any, nothing is judged.
#[derive(Debug, Clone)]
pub struct Sampler {
    pub(crate) policy: Arc<Policy>,
    pub(crate) critic: Arc<Critic>,
    pub(crate) kv_bytes: Option<u64>,
}

/// The policies, critics and settings of a search, checked against each other.
#[derive(Debug, Clone)]
pub struct Searcher {
    pub(crate) sampler: Sampler,
    pub(crate) fast_policy: Arc<Policy>,
    pub(crate) config: SearchConfig,
}

impl Sampler {
    /// Combines a policy and critics.
    pub fn new(policy: Arc<Policy>, critic: Critic) -> Self {
        Self { policy, critic: Arc::new(critic), kv_bytes: None }
    }

    /// Limits the KV cache, in bytes. To stay within the limit fewer questions are in progress at once, and those started
    /// last give up their cache and rebuild it later. A single one always gets what it needs.
    #[must_use]
    pub fn within(self, bytes: Option<u64>) -> Self {
        Self { kv_bytes: bytes, ..self }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The critic, for callers that score more than a search did.
    pub fn critic(&self) -> &Critic {
        &self.critic
    }

    /// Checks which questions, given as (id, text), leave room in every model's context for one option of maximum length.
    ///
    /// # Errors
    /// [`Error::Policy`] or [`Error::Critic`] if a tokenizer or a server fails.
    pub fn fitting<'q>(
        &self,
        questions: impl IntoIterator<Item = (&'q str, &'q str)>,
    ) -> Result<Fitting, Error> {
        self.fitting_beside(None, questions)
    }

    fn fitting_beside<'q>(
        &self,
        fast_policy: Option<&Policy>,
        questions: impl IntoIterator<Item = (&'q str, &'q str)>,
    ) -> Result<Fitting, Error> {
        let room = option_room(&self.policy);
        Fitting::of(questions, room, |question| {
            let of_policy = |policy: &Policy, model| taken_of(policy, model, question, room);
            let fast_policy = fast_policy.map(|fast| of_policy(fast, "fast policy")).transpose()?;
            let critic = self.critic.taken(question)?;
            let all = [
                of_policy(&self.policy, "policy")?,
                fast_policy.flatten(),
                critic.map(|of| ContextUse { model: "critic", of: Some(of) }),
            ];
            Ok(all.into_iter().flatten().collect())
        })
    }
}

impl Searcher {
    /// Combines the policy, the fast policy and the critics.
    ///
    /// # Errors
    /// Fails if a setting is out of range, the critic lacks a head that the settings use, or the policy's server lacks
    /// what the merge needs.
    pub fn new(
        [policy, fast_policy]: [Arc<Policy>; 2],
        critic: Critic,
        config: SearchConfig,
    ) -> Result<Self, Error> {
        Self { sampler: Sampler::new(policy, critic), fast_policy, config }.checked()
    }

    /// Limits the KV cache, in bytes. See [`Sampler::within`].
    #[must_use]
    pub fn within(self, bytes: Option<u64>) -> Self {
        Self { sampler: self.sampler.within(bytes), ..self }
    }

    /// The same models with other settings.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with(&self, config: SearchConfig) -> Result<Self, Error> {
        Self { config, ..self.clone() }.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        let config = &self.config;
        config.validate()?;
        let weights = config.mcts.weights;
        let by_value =
            config.mcts.released.importance == mcts::Importance::Value && config.mcts.alpha > 0.0;
        for (needed, head) in [
            (weights.value > 0.0 || by_value, Head::Value),
            (weights.prm > 0.0, Head::Prm),
            (true, Head::Orm), // The final answer is picked by it.
        ] {
            if needed {
                self.sampler.critic.require(head)?;
            }
        }
        // Only a warning: such a search runs, but finds less than its settings suggest.
        for contradiction in config.mcts.contradictions() {
            tracing::warn!("{contradiction}");
        }
        let distinct = matches!(config.mcts.merge, mcts::Merge::Distinct { .. });
        if self.sampler.policy.is_served() && (distinct || config.similarity.is_some()) {
            let problem = "needs more of the policy than a server shows: take `edit_distance`, `most_distant` or `off`";
            return Err(Error::Config { key: "mcts.merge", problem: problem.to_owned() });
        }
        Ok(self)
    }

    /// The settings.
    pub fn config(&self) -> &SearchConfig {
        &self.config
    }

    /// The policy and the critics.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// As [`Sampler::fitting`], for the fast policy, too.
    ///
    /// # Errors
    /// As [`Sampler::fitting`].
    pub fn fitting<'q>(
        &self,
        questions: impl IntoIterator<Item = (&'q str, &'q str)>,
    ) -> Result<Fitting, Error> {
        self.sampler.fitting_beside(Some(&self.fast_policy), questions)
    }
}

/// Largest room that an option takes, in tokens, including the critic's mark after it.
fn option_room(policy: &Policy) -> usize {
    let config = policy.config();
    config.max_option_tokens.min(config.max_solution_tokens) + 1
}

/// Room that a question takes in a policy's context. Of a served model it may only be known whether the question is too
/// long.
fn taken_of(
    policy: &Policy,
    model: &'static str,
    question: &str,
    room: usize,
) -> Result<Option<ContextUse>, Error> {
    if let Some(of) = policy.taken(question, "")?.zip(policy.context()) {
        return Ok(Some(ContextUse { model, of: Some(of) }));
    }
    Ok((!policy.fits(question, room)?).then_some(ContextUse { model, of: None }))
}

/// Like [`Sampler::fitting`], if only a policy reads the questions.
///
/// # Errors
/// [`Error::Policy`] if a tokenizer or a server fails.
pub fn fitting<'q>(
    policy: &Policy,
    questions: impl IntoIterator<Item = (&'q str, &'q str)>,
) -> Result<Fitting, Error> {
    let room = option_room(policy);
    Fitting::of(questions, room, |question| {
        Ok(taken_of(policy, "policy", question, room)?.into_iter().collect())
    })
}
