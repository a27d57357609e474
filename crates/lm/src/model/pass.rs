//! A forward pass, as chosen when it begins.

use burn::tensor::Tensor;
use kernels::causal::Branches;

use crate::Precision;
use crate::cache::Caches;
use crate::rotary::Positions;

/// A forward pass: where its tokens stand, and how it computes the halves of a block.
pub(crate) struct Pass<'a> {
    pub(crate) positions: Positions,
    /// Type that factors of matrix products are rounded to.
    pub(crate) precision: Precision,
    pub(crate) attention: AttentionPath<'a>,
    pub(crate) mlp: MlpPath,
}

/// How whole rows of a tensor are computed, all in the same way.
#[derive(Debug, Clone)]
pub(crate) struct RowLayout {
    /// Position of each token in its text.
    pub(crate) positions: Vec<usize>,
    /// The texts in a row.
    pub(crate) branches: Branches,
}

impl RowLayout {
    /// Rows of `time` tokens that are one text each.
    pub(crate) fn of_one_text(time: usize) -> Self {
        Self { positions: (0..time).collect(), branches: Branches::none(time) }
    }
}

/// How the tokens of a pass attend. Inference on the CPU has a decoder of its own (`inference::packed`).
pub(crate) enum AttentionPath<'a> {
    /// Whole rows, each block's attention as one operation with a gradient of its own: on the CPU, for models whose
    /// attention is nothing but four weights.
    Fused,
    /// Whole rows on the CPU, attention as one operation beside its projections, which may have biases and adapters.
    Causal,
    /// Whole rows, in burn's own operations, under a causal mask `[1, 1, time, time]`.
    Whole(Tensor<4>),
    /// The next tokens of rows in padded caches.
    Cached {
        caches: &'a mut Caches,
        /// Where to write the new tokens.
        column: usize,
        /// `[batch, 1, time or 1, columns]`.
        mask: Tensor<4>,
    },
}

/// How a pass computes the feed-forward layers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MlpPath {
    /// As one operation with a gradient of its own, on the CPU.
    Fused,
    /// In burn's own operations.
    Composed,
}
