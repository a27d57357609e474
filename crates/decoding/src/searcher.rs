//! The models of a search, put together.

use std::sync::Arc;

use critic::Critic;
use policy::Policy;

use crate::fitting::{Fitting, Taken};
use crate::{Error, SearchConfig};

/// The models of a search, ready.
#[derive(Debug, Clone)]
pub struct Searcher {
    pub(crate) policy: Arc<Policy>,
    pub(crate) fast_policy: Arc<Policy>,
    pub(crate) critic: Arc<Critic>,
    pub(crate) config: SearchConfig,
    pub(crate) kept_at_most: Option<u64>,
}

impl Searcher {
    /// Puts the models together: the policy, the one of the rollouts, and the critics.
    ///
    /// # Errors
    /// A setting out of range, or a critic without a head that the settings use.
    pub fn new(
        [policy, fast_policy]: [Arc<Policy>; 2],
        critic: Critic,
        config: SearchConfig,
    ) -> Result<Self, Error> {
        Self { policy, fast_policy, critic: Arc::new(critic), config, kept_at_most: None }.checked()
    }

    /// The same with a limit in bytes on the keys and values that are kept: fewer trees are searched at once, and those that
    /// came last give up what they have read and read it again. A single tree has what it needs.
    #[must_use]
    pub fn within(self, bytes: Option<u64>) -> Self {
        Self { kept_at_most: bytes, ..self }
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
        let by_value = config.mcts.importance == mcts::Importance::Value && config.mcts.alpha > 0.0;
        for (needed, head) in [
            (weights.value > 0.0 || by_value, critic::VALUE),
            (weights.prm > 0.0, critic::PRM),
            (true, critic::ORM), // The final answer is picked by it.
        ] {
            if needed {
                self.critic.require(head)?;
            }
        }
        for contradiction in config.mcts.contradictions() {
            tracing::warn!("{contradiction}");
        }
        let distinct = matches!(config.mcts.merge, mcts::Merge::Distinct { .. });
        if self.policy.is_served() && (distinct || config.similarity.is_some()) {
            let problem = "needs more of the policy than a server shows: take `edit_distance`, `most_distant` or `off`";
            return Err(Error::Config { key: "mcts.merge", problem: problem.to_owned() });
        }
        Ok(self)
    }

    /// How it searches.
    pub fn config(&self) -> &SearchConfig {
        &self.config
    }

    /// The policy that is searched with.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The critic, for those who judge more than the search did.
    pub fn critic(&self) -> &Critic {
        &self.critic
    }

    /// Which of some questions, each with its id, the models' contexts hold with an option of the longest kind.
    ///
    /// # Errors
    /// [`Error::Policy`] or [`Error::Critic`] when a tokenizer fails.
    pub fn fitting<'q>(
        &self,
        questions: impl IntoIterator<Item = (&'q str, &'q str)>,
    ) -> Result<Fitting, Error> {
        let room = option_room(&self.policy);
        Fitting::of(questions, room, |question| {
            let of_policy = |policy: &Policy, model| taken_of(policy, model, question, room);
            let critic = self.critic.taken(question)?;
            let all = [
                of_policy(&self.policy, "policy")?,
                of_policy(&self.fast_policy, "fast policy")?,
                critic.map(|of| Taken { model: "critic", of: Some(of) }),
            ];
            Ok(all.into_iter().flatten().collect())
        })
    }
}

/// The room that an option takes at most; what a critic reads has a mark after it.
fn option_room(policy: &Policy) -> usize {
    let config = policy.config();
    config.max_option_tokens.min(config.max_solution_tokens) + 1
}

/// What a question takes of a policy's context. A server may know no more than that it is too long.
fn taken_of(
    policy: &Policy,
    model: &'static str,
    question: &str,
    room: usize,
) -> Result<Option<Taken>, Error> {
    if let Some(of) = policy.taken(question, "")?.zip(policy.context()) {
        return Ok(Some(Taken { model, of: Some(of) }));
    }
    Ok((!policy.fits(question, room)?).then_some(Taken { model, of: None }))
}

/// The same as [`Searcher::fitting`] where nothing but a policy reads the questions.
///
/// # Errors
/// [`Error::Policy`] when the tokenizer fails.
pub fn fitting<'q>(
    policy: &Policy,
    questions: impl IntoIterator<Item = (&'q str, &'q str)>,
) -> Result<Fitting, Error> {
    let room = option_room(policy);
    Fitting::of(questions, room, |question| {
        Ok(taken_of(policy, "policy", question, room)?.into_iter().collect())
    })
}
