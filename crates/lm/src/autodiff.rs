//! Operations with hand-written gradients, in burn's autodiff on the CPU.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData, bf16};
use burn_flex::FlexTensor;

type Tracked = FloatTensor<Autodiff<Flex>>;

/// A CPU tensor, with or without an autodiff graph.
pub(crate) enum OnCpu {
    Plain(FlexTensor),
    Tracked(Tracked),
}

impl OnCpu {
    /// Wraps the tensor, or returns `None` if it is not on the CPU.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if let Ok(plain) = tensor.clone().try_into_primitive::<Flex>() {
            return Some(Self::Plain(plain));
        }
        let tracked = tensor.clone().try_into_primitive::<Autodiff<Flex>>();
        tracked.ok().map(Self::Tracked)
    }

    pub(crate) fn plain(&self) -> &FlexTensor {
        match self {
            Self::Plain(tensor) => tensor,
            Self::Tracked(tensor) => tensor.primitive(),
        }
    }
}

/// A tensor whose values can be read in row-major order.
#[derive(Debug, Clone)]
pub(crate) struct Host(FlexTensor);

impl Host {
    pub(crate) fn of(tensor: &FlexTensor) -> Self {
        // `as_slice` is `None` for a transposed or narrowed view, whose values are not in order.
        let ordered = tensor.as_slice::<f32>().is_some() || tensor.as_slice::<bf16>().is_some();
        Self(if ordered { tensor.clone() } else { tensor.to_contiguous() })
    }

    /// # Panics
    /// Panics if the tensor is not `f32`.
    pub(crate) fn values(&self) -> &[f32] {
        self.0.as_slice().expect("a contiguous tensor of f32")
    }

    /// The values if they are bfloat16.
    pub(crate) fn short(&self) -> Option<&[bf16]> {
        self.0.as_slice()
    }

    /// Number of values.
    pub(crate) fn count(&self) -> usize {
        self.0.layout().num_elements()
    }
}

/// Builds a CPU tensor from row-major values.
pub(crate) fn flex<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// An operation with a hand-written gradient: a function from the saved state and the output's gradient to the gradients
/// of its `N` inputs.
#[derive(Debug)]
struct ByHand<S, const N: usize>(fn(S, &[f32]) -> [FlexTensor; N]);

impl<S: Clone + Send + Debug + 'static, const N: usize> Backward<Flex, N> for ByHand<S, N> {
    type State = S;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = Host::of(&grads.consume::<Flex>(&ops.node));
        let gradients = (self.0)(ops.state, grad.values());
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Wraps the output as a tensor and, if the inputs are tracked, adds it to the autodiff graph. `saved` is the state that
/// `backward` needs. `None` if only some inputs are tracked.
pub(crate) fn finish<const D: usize, const N: usize, S: Clone + Send + Debug + 'static>(
    inputs: [&OnCpu; N],
    output: FlexTensor,
    saved: S,
    backward: fn(S, &[f32]) -> [FlexTensor; N],
) -> Option<Tensor<D>> {
    if inputs.iter().all(|input| matches!(input, OnCpu::Plain(_))) {
        return Some(Tensor::from_primitive::<Flex>(output));
    }
    let mut nodes = Vec::with_capacity(N);
    for input in inputs {
        // A mix of tracked and untracked inputs: fall back to burn's operations, which can handle it.
        let OnCpu::Tracked(tensor) = input else { return None };
        nodes.push(tensor.node());
    }
    let nodes: [_; N] = nodes.try_into().ok()?;
    let prepared = ByHand(backward).prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
    let output = match prepared {
        OpsKind::Tracked(prepared) => prepared.finish(saved, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(output))
}
