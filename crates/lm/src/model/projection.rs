//! A linear layer that learns.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};

use crate::adapter::Adapter;
use crate::fused::{self, FrozenLinear, LinearWeight};
use crate::{Precision, device};

/// A linear layer, and the `LoRA` adapter that corrects it while the model is trained with one.
#[derive(Module, Debug)]
pub(crate) struct Projection {
    /// `[inputs, outputs]`. A frozen one may be bfloat16.
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
    pub(crate) adapter: Option<Adapter>,
}

impl Projection {
    /// A layer of zeros.
    pub(super) fn zeros(inputs: usize, outputs: usize, biased: bool, device: &Device) -> Self {
        let zeros = burn::nn::Initializer::Zeros;
        let bias = biased.then(|| zeros.init([outputs], device));
        Self { weight: zeros.init([inputs, outputs], device), bias, adapter: None }
    }

    /// Wraps a weight `[inputs, outputs]`.
    pub(crate) fn of(weight: Tensor<2>) -> Self {
        Self { weight: Param::from_tensor(weight), bias: None, adapter: None }
    }

    /// `[.., inputs]` to `[.., outputs]`, with the factors of the products rounded to `precision`.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>, precision: Precision) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        if is_frozen_on_cpu(&self.weight) {
            let adapter = self.adapter.as_ref().map(Adapter::weights);
            let weight = LinearWeight::Untied(self.weight.val());
            let layer = FrozenLinear { weight, bias, adapter };
            return fused::frozen_linear(&x, &layer);
        }
        let product = precision.linear(x.clone(), self.weight.val(), bias);
        match &self.adapter {
            Some(adapter) => product + adapter.forward(x, precision),
            None => product,
        }
    }

    /// Whether a fused operation may compute the layer from its weight alone: it has neither a bias nor an adapter, and
    /// learns if the model does.
    pub(super) fn is_fusible(&self) -> bool {
        self.bias.is_none() && self.adapter.is_none() && learns(&self.weight)
    }
}

/// Whether a weight is not frozen, or nothing is trained. A fused operation computes the gradients of all its weights,
/// which would be wasted work for a frozen one.
fn learns(weight: &Param<Tensor<2>>) -> bool {
    let weight = weight.val();
    let may = weight.is_require_grad() || !weight.device().is_autodiff();
    may && weight.dtype() == DType::F32
}

/// Whether a weight gets no gradient, on the CPU, which has operations for that.
pub(super) fn is_frozen_on_cpu(weight: &Param<Tensor<2>>) -> bool {
    !learns(weight) && device::is_cpu(&weight.val().device())
}
