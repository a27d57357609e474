//! How questions and solutions become text: shared by every stage that runs a model.

use critic::CriticConfig;
use policy::PolicyConfig;
use serde::{Deserialize, Serialize};

/// The preset's `text.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// How the policies write.
    pub policy: PolicyConfig,
    /// What the critics read.
    pub critic: CriticConfig,
}
