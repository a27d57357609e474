//! Matrix products with rounded factors.

use burn::tensor::module::linear;
use burn::tensor::{DType, FloatDType, Tensor};
use kernels::WeightType;
use serde::{Deserialize, Serialize};

use crate::device;
use crate::fused::{self, LinearWeight};

/// The type that factors of matrix products are rounded to. In training, weights, gradients and optimizer moments stay in
/// `f32` regardless; in inference, the weights, keys and values are kept in this type. Sums, norms, softmax and losses are always in `f32`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// No rounding.
    #[default]
    F32,
    /// bfloat16, with 8 significant bits. A GPU's matrix units are many times as fast with it. In inference on a CPU it
    /// halves the memory of the weights, keys and values, and the time of steps that are limited by reading them. Training on a CPU is faster
    /// with it where the processor multiplies pairs of bfloat16 faster than `f32`, and slower elsewhere; scores and weighted
    /// values of attention are never rounded there.
    Bf16,
}

impl Precision {
    /// The type of packed weights.
    pub(crate) fn of_weights(self) -> WeightType {
        match self {
            Self::F32 => WeightType::F32,
            Self::Bf16 => WeightType::Bf16,
        }
    }

    /// The product of two batches of matrices, as `f32`.
    pub(crate) fn matmul<const D: usize>(self, left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => full(left).matmul(full(right)),
            // burn has no autocast, so the factors of each product are cast here.
            Self::Bf16 => short(left).matmul(short(right)).cast(FloatDType::F32),
        }
    }

    /// A linear layer: `[.., inputs]` times `[inputs, outputs]` to `[.., outputs]`, as `f32`.
    pub(crate) fn linear<const D: usize>(
        self,
        x: Tensor<D>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
    ) -> Tensor<D> {
        match self {
            Self::F32 => linear(x, full(weight), bias),
            Self::Bf16 => {
                // The bias is added after the cast, so that it is not rounded.
                let product = if device::is_cpu(&x.device()) {
                    fused::linear(&x, &LinearWeight::Untied(weight), self.of_weights())
                } else {
                    linear(short(x), short(weight), None).cast(FloatDType::F32)
                };
                match bias {
                    Some(bias) => product + bias.unsqueeze(),
                    None => product,
                }
            }
        }
    }
}

/// A tensor as `f32`: frozen weights may be bfloat16.
pub(crate) fn full<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.dtype() == DType::F32 { x } else { x.cast(FloatDType::F32) }
}

fn short<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(FloatDType::BF16)
}
