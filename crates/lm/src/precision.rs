//! Products of rounded factors.

use burn::tensor::module::linear;
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// What the factors of matrix products are rounded to in training. Weights, their moments and gradients, sums, norms,
/// softmax and losses are `f32` whatever it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Nothing is rounded.
    #[default]
    F32,
    /// Eight bits of mantissa, which the matrix units of a GPU multiply many times as fast. The CPU has none: there it is
    /// slower.
    Bf16,
}

impl Precision {
    /// The product of two batches of matrices.
    pub(crate) fn matmul<const D: usize>(self, left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => left.matmul(right),
            Self::Bf16 => short(left).matmul(short(right)).cast(FloatDType::F32),
        }
    }

    /// A linear layer, `[.., inputs]` and `[inputs, outputs]` to `[.., outputs]`.
    pub(crate) fn linear<const D: usize>(
        self,
        x: Tensor<D>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
    ) -> Tensor<D> {
        match self {
            Self::F32 => linear(x, weight, bias),
            Self::Bf16 => {
                let product = linear(short(x), short(weight), None).cast(FloatDType::F32);
                match bias {
                    Some(bias) => product + bias.unsqueeze(),
                    None => product,
                }
            }
        }
    }
}

fn short<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(FloatDType::BF16)
}
