//! Text settings, shared by every stage that runs a model.

use critic::CriticConfig;
use lm::Precision;
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
    /// Precision of models in this process, in inference on the CPU.
    #[serde(default, skip_serializing_if = "is_exact")]
    pub precision: Precision,
}

/// Whether nothing is rounded. Then the precision is not written, so that recipes are what they were before there was one.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_exact(precision: &Precision) -> bool {
    *precision == Precision::F32
}
