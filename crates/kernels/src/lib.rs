//! The numerics of the CPU, on plain slices: every part of a transformer that is not a matrix product, matrix products
//! for training and for inference, and attention over keys and values where they lie.
//!
//! This crate knows no tensors, no autodiff and no models: every function takes slices and sizes, and a backward function
//! is the gradient of the one above it. Each elementwise kernel reads its inputs once and writes its outputs once.
//!
//! In everything but the products for training ([`matmul`]), a row's result depends on that row alone, down to the last
//! bit: a sum is taken in an order that the length of the row decides.

mod adamw;
#[cfg(target_arch = "x86_64")]
mod amx;
mod bf16;
pub mod causal;
mod dot;
#[cfg(test)]
mod fixtures;
mod gated;
mod kv;
mod left;
mod logits;
pub mod matmul;
mod packed;
mod panels;
mod residual;
mod rms_norm;
mod rotary;
mod simd;
mod softmax;
pub mod spans;
mod swiglu;
mod team;

pub use adamw::{AdamW, sum_of_squares};
pub use bf16::Bf16View;
pub use gated::Gated;
pub use kv::{HeadAt, Kv, KvShape};
pub use left::Left;
pub use logits::{cross_entropies, exponentials, max, sum_of_exponentials};
pub use packed::{Packed, WeightType};
pub use residual::{add, add_bias};
pub use rms_norm::{RmsNorm, RmsNormGrads};
pub use rotary::{Angles, RotaryShape, rotary, rotary_backward};
pub use softmax::{MaskShape, masked_softmax, masked_softmax_backward};
pub use swiglu::{joined_swiglu, joined_swiglu_backward, swiglu, swiglu_backward};
pub use team::Team;
