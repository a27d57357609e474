//! The models of a search, put together.

use std::sync::Arc;

use critic::Critic;
use policy::Policy;

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

    /// Whether the models' contexts hold a question and the deepest path below it.
    ///
    /// # Errors
    /// [`Error::Policy`] when the tokenizer fails.
    pub fn fits(&self, question: &str) -> Result<bool, Error> {
        let config = self.policy.config();
        // Every option may be cut at its longest, with a mark for the critic after each.
        let options = self.config.mcts.max_depth as usize * (config.max_option_tokens + 1);
        let tokens = options + config.max_solution_tokens;
        Ok(self.policy.fits(question, tokens)? && self.fast_policy.fits(question, tokens)?)
    }
}
