//! How a search runs.

use lm::Sampling;
use serde::{Deserialize, Serialize};

use crate::Error;

/// How a search runs: the preset's `tree.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// How options are sampled; the paper uses temperature 1.0 or 0.8.
    pub option_sampling: Sampling,
    /// How fast rollouts are sampled.
    pub rollout_sampling: Sampling,
    /// How the greedy and the global leaf are written to the end when they are not finished.
    pub completion_sampling: Sampling,
    /// Whether finished rollouts are candidates for re-ranking and the vote, beside the terminals and
    /// the two completed leaves. The paper leaves them out; a small tree has few terminals.
    pub rollouts_are_candidates: bool,
    /// The tree's settings.
    pub mcts: mcts::Config,
}

impl SearchConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Config`] names the setting.
    pub fn validate(&self) -> Result<(), Error> {
        self.mcts.validate()?;
        check_sampling("option_sampling", self.option_sampling)?;
        check_sampling("rollout_sampling", self.rollout_sampling)?;
        check_sampling("completion_sampling", self.completion_sampling)
    }
}

/// Checks a way of sampling that a preset names `key`.
pub(crate) fn check_sampling(key: &'static str, sampling: Sampling) -> Result<(), Error> {
    sampling.validate().map_err(|problem| Error::Config { key, problem })
}
