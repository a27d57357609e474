//! Text settings, shared by every stage that runs a model.

use critic::CriticConfig;
use policy::PolicyConfig;
use serde::{Deserialize, Serialize};

/// The preset's `text.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Prompt format and limits of the policies.
    pub policy: PolicyConfig,
    /// Input format of the critics.
    pub critic: CriticConfig,
}
