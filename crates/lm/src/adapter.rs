//! The two thin matrices of a low-rank adapter.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::Precision;
use crate::fused::AdapterWeights;
use crate::lora::LoraConfig;
use crate::tensors::{HostTensor, tensor};

/// The correction that is added to a projection, `scale * x A B`.
#[derive(Module, Debug)]
pub(crate) struct Adapter {
    /// `[inputs, rank]`.
    pub(crate) lora_a: Param<Tensor<2>>,
    /// `[rank, outputs]`.
    pub(crate) lora_b: Param<Tensor<2>>,
    /// The scale is `alpha / rank`.
    pub(crate) alpha: f64,
}

impl Adapter {
    /// A new adapter of a weight `[inputs, outputs]`. A is uniform in `[-1/sqrt(inputs), 1/sqrt(inputs)]` and B is zero,
    /// so that it changes nothing yet.
    pub(crate) fn new(
        weight: &Tensor<2>,
        LoraConfig { rank, alpha, .. }: &LoraConfig,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let (rank, alpha) = (*rank, *alpha);
        let ([inputs, outputs], device) = (weight.dims(), weight.device());
        let bound = 1.0 / (inputs as f64).sqrt();
        let draw = |_| (rng.random_range(-bound..bound)) as f32;
        let a = (0..inputs * rank).map(draw).collect();
        Self {
            lora_a: Param::from_tensor(tensor(a, [inputs, rank], &device)),
            lora_b: Param::from_tensor(Tensor::zeros([rank, outputs], &device)),
            alpha,
        }
    }

    /// An adapter as a file holds it: A is `[rank, inputs]` and B `[outputs, rank]`.
    pub(crate) fn stored(a: HostTensor, b: HostTensor, alpha: f64, device: &Device) -> Self {
        let param = |matrix: HostTensor| {
            let HostTensor { shape, data } = matrix.transposed();
            Param::from_tensor(tensor(data, [shape[0], shape[1]], device))
        };
        Self { lora_a: param(a), lora_b: param(b), alpha }
    }

    /// A as `[rank, inputs]` and B as `[outputs, rank]`.
    pub(crate) fn to_stored(&self) -> [HostTensor; 2] {
        [&self.lora_a, &self.lora_b].map(|matrix| HostTensor::of(matrix.val().transpose()))
    }

    fn scale(&self) -> f64 {
        self.alpha / self.rank() as f64
    }

    pub(crate) fn rank(&self) -> usize {
        self.lora_b.dims()[0]
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>, precision: Precision) -> Tensor<D> {
        let inner = precision.linear(x, self.lora_a.val(), None);
        precision.linear(inner, self.lora_b.val(), None) * self.scale()
    }

    /// The adapter as the operation of a frozen layer takes it.
    pub(crate) fn weights(&self) -> AdapterWeights {
        let [down, up] = [&self.lora_a, &self.lora_b].map(Param::val);
        AdapterWeights { down, up, scale: self.scale() as f32 }
    }

    /// The change to the weight, `scale * A B`, `[inputs, outputs]`.
    pub(crate) fn weight_change(&self) -> Tensor<2> {
        self.lora_a.val().matmul(self.lora_b.val()) * self.scale()
    }
}
