//! Model operations fused into a single pass each, with hand-written gradients, on the CPU.
//!
//! burn composes a norm, a masked softmax or a gate from five to ten passes over memory, and keeps as many tensors for
//! the gradient. In training these passes cost more than the matrix products between them (docs/PERFORMANCE.md).
//!
//! The small operations compose themselves from burn's own on other devices. The sublayers, which are a block's halves
//! and the language modelling loss, and the frozen layers exist on the CPU only: whoever starts a pass asks
//! `device::is_cpu`.

mod elementwise;
mod frozen;
mod losses;
mod optimizer;
mod sublayers;
#[cfg(test)]
mod tests;

pub(crate) use self::elementwise::{masked_softmax, rms_norm, rotary, swiglu};
pub(crate) use self::frozen::{AdapterWeights, FrozenLinear, frozen_language_loss, frozen_linear};
pub(crate) use self::losses::{cross_entropies, cross_entropy};
pub(crate) use self::optimizer::{adamw, sum_of_squares};
pub(crate) use self::sublayers::{
    AttentionWeights, LinearWeight, MlpWeights, causal_attention, language_loss, linear, mlp,
    self_attention,
};
