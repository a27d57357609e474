//! Model operations fused into a single pass each, with hand-written gradients, on the CPU. Other devices compose them
//! from burn's own operations.
//!
//! burn composes a norm, a masked softmax or a gate from five to ten passes over memory, and keeps as many tensors for
//! the gradient. In training these passes cost more than the matrix products between them (docs/PERFORMANCE.md).

mod sublayers;

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::activation::{log_softmax, silu, softmax};
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::FlexTensor;

pub(crate) use self::sublayers::{language_loss, mlp, self_attention};
use crate::kernels::{self, AdamW, MaskShape, RotaryShape};
use crate::packed::Packed;
use crate::spans::Spans;
use crate::tensors::values;

type Tracked = FloatTensor<Autodiff<Flex>>;

/// A CPU tensor, with or without an autodiff graph.
enum OnCpu {
    Plain(FlexTensor),
    Tracked(Tracked),
}

impl OnCpu {
    /// Wraps the tensor, or returns `None` if it is not on the CPU.
    fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if let Ok(plain) = tensor.clone().try_into_primitive::<Flex>() {
            return Some(Self::Plain(plain));
        }
        let tracked = tensor.clone().try_into_primitive::<Autodiff<Flex>>();
        tracked.ok().map(Self::Tracked)
    }

    fn plain(&self) -> &FlexTensor {
        match self {
            Self::Plain(tensor) => tensor,
            Self::Tracked(tensor) => tensor.primitive(),
        }
    }
}

/// A tensor whose values can be read in row-major order.
#[derive(Debug, Clone)]
struct Host(FlexTensor);

impl Host {
    fn of(tensor: &FlexTensor) -> Self {
        Self(if tensor.as_slice::<f32>().is_some() {
            tensor.clone()
        } else {
            tensor.to_contiguous()
        })
    }

    fn values(&self) -> &[f32] {
        self.0.as_slice().expect("a contiguous tensor of f32")
    }
}

fn flex<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
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

/// Wraps the output as a tensor and, if the inputs are tracked, adds it to the autodiff graph. `kept` is the state that
/// `backward` needs. `None` if only some inputs are tracked.
fn finish<const D: usize, const N: usize, S: Clone + Send + Debug + 'static>(
    inputs: [&OnCpu; N],
    output: FlexTensor,
    kept: S,
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
        OpsKind::Tracked(prepared) => prepared.finish(kept, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(output))
}

/// Packs a matrix for CPU inference; `None` on other devices.
pub(crate) fn packed(matrix: &Tensor<2>) -> Option<Packed> {
    let [inner, columns] = matrix.dims();
    let matrix = Host::of(OnCpu::of(matrix)?.plain());
    Some(Packed::new(matrix.values(), inner, columns))
}

/// Multiplies by a packed matrix, `[.., inner]` to `[.., columns]`, without a gradient.
pub(crate) fn product<const D: usize>(x: &Tensor<D>, matrix: &Packed) -> Tensor<D> {
    let mut shape = x.dims();
    shape[D - 1] = matrix.columns();
    let x = on_cpu(x);
    Tensor::from_primitive::<Flex>(flex(matrix.product(x.values()), shape))
}

/// Attention of new tokens in one layer of the spans. Writes their keys `[1, kv_heads, tokens, width]` and values
/// `[1, tokens, kv_heads * width]`, and returns the output for queries `[1, heads, tokens, width]` as
/// `[1, tokens, heads * width]`.
pub(crate) fn attend(
    spans: &mut Spans<'_>,
    layer: usize,
    q: &Tensor<4>,
    k: &Tensor<4>,
    v: &Tensor<3>,
) -> Tensor<3> {
    let [_, heads, tokens, width] = q.dims();
    let [q, k, v] = [on_cpu(q), on_cpu(k), on_cpu(v)];
    let found = spans.attend(layer, [q.values(), k.values(), v.values()]);
    Tensor::from_primitive::<Flex>(flex(found, [1, tokens, heads * width]))
}

fn on_cpu<const D: usize>(x: &Tensor<D>) -> Host {
    Host::of(OnCpu::of(x).expect("weights are packed on the CPU alone").plain())
}

/// The gated activation `silu(gate) * up`.
pub(crate) fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    fused_swiglu(&gate, &up).unwrap_or_else(|| silu(gate) * up)
}

fn fused_swiglu<const D: usize>(gate: &Tensor<D>, up: &Tensor<D>) -> Option<Tensor<D>> {
    let shape = gate.dims();
    let inputs = [OnCpu::of(gate)?, OnCpu::of(up)?];
    let [gate, up] = [&inputs[0], &inputs[1]].map(|input| Host::of(input.plain()));
    let output = flex(kernels::swiglu(gate.values(), up.values()), shape);
    finish([&inputs[0], &inputs[1]], output, (gate, up, shape), |(gate, up, shape), grad| {
        let both = kernels::swiglu_backward(gate.values(), up.values(), grad);
        both.map(|values| flex(values, shape))
    })
}

/// `x / sqrt(mean(x^2) + epsilon) * weight` over the last dimension.
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    fused_rms_norm(&x, &weight, epsilon as f32).unwrap_or_else(|| {
        let rms = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt();
        (x / rms) * weight.unsqueeze()
    })
}

fn fused_rms_norm<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<1>,
    epsilon: f32,
) -> Option<Tensor<D>> {
    let shape = x.dims();
    let inputs = [OnCpu::of(x)?, OnCpu::of(weight)?];
    let [x, weight] = [&inputs[0], &inputs[1]].map(|input| Host::of(input.plain()));
    let output = flex(kernels::rms_norm(x.values(), weight.values(), epsilon), shape);
    let kept = (x, weight, epsilon, shape);
    finish([&inputs[0], &inputs[1]], output, kept, |(x, weight, epsilon, shape), grad| {
        let [by_x, by_weight] =
            kernels::rms_norm_backward(x.values(), weight.values(), epsilon, grad);
        [flex(by_x, shape), flex(by_weight, [shape[D - 1]])]
    })
}

/// `softmax(scale * scores + mask)` over the keys, for scores `[batch, heads, time, keys]` and a mask
/// `[batch or 1, 1, time or 1, keys]`, which gets no gradient.
pub(crate) fn masked_softmax(scores: Tensor<4>, mask: Tensor<4>, scale: f64) -> Tensor<4> {
    fused_masked_softmax(&scores, &mask, scale as f32)
        .unwrap_or_else(|| softmax(scores.mul_scalar(scale) + mask, 3))
}

fn fused_masked_softmax(scores: &Tensor<4>, mask: &Tensor<4>, scale: f32) -> Option<Tensor<4>> {
    let shape @ [_, heads, time, keys] = scores.dims();
    let [by_batch, _, by_time, _] = mask.dims().map(|size| size > 1);
    let place = MaskShape { heads, time, keys, by_batch, by_time };
    let input = OnCpu::of(scores)?;
    let mask = Host::of(OnCpu::of(mask)?.plain());
    let scores = Host::of(input.plain());
    let output = kernels::masked_softmax(scores.values(), mask.values(), place, scale);
    let output = flex(output, shape);
    let kept = (Host::of(&output), scale, shape);
    finish([&input], output, kept, |(output, scale, shape), grad| {
        let gradient = kernels::masked_softmax_backward(output.values(), grad, shape[3], scale);
        [flex(gradient, shape)]
    })
}

/// Splits `heads` heads and rotates each by its angles in the rotate-half convention,
/// `(a, b) -> (a cos - b sin, b cos + a sin)`: `[batch, time, heads * width]` to `[batch, heads, time, width]`. Angles
/// are `[batch or 1, 1, time, width / 2]`.
pub(crate) fn rotary(x: Tensor<3>, cos: Tensor<4>, sin: Tensor<4>, heads: usize) -> Tensor<4> {
    fused_rotary(&x, &cos, &sin, heads).unwrap_or_else(|| {
        let [batch, time, all] = x.dims();
        let x = x.reshape([batch, time, heads, all / heads]).swap_dims(1, 2);
        let half = all / heads / 2;
        let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let left = a.clone() * cos.clone() - b.clone() * sin.clone();
        Tensor::cat(vec![left, b * cos + a * sin], 3)
    })
}

fn fused_rotary(
    x: &Tensor<3>,
    cos: &Tensor<4>,
    sin: &Tensor<4>,
    heads: usize,
) -> Option<Tensor<4>> {
    let [batch, time, all] = x.dims();
    let (width, by_batch) = (all / heads, cos.dims()[0] > 1);
    let shape = RotaryShape { batch, time, heads, width, stride: all, by_batch };
    let input = OnCpu::of(x)?;
    let [cos, sin] = [Host::of(OnCpu::of(cos)?.plain()), Host::of(OnCpu::of(sin)?.plain())];
    let x = Host::of(input.plain());
    let output = kernels::rotary(x.values(), cos.values(), sin.values(), shape);
    let output = flex(output, [batch, heads, time, width]);
    finish([&input], output, (cos, sin, shape), |(cos, sin, shape), grad| {
        let values = kernels::rotary_back(grad, cos.values(), sin.values(), shape);
        [flex(values, [shape.batch, shape.time, shape.heads * shape.width])]
    })
}

/// The weighted sum of the cross-entropies of logits `[rows, vocabulary]` against one target per row.
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: &[u32], weights: &[f32]) -> Tensor<1> {
    fused_cross_entropy(&logits, targets, weights).unwrap_or_else(|| {
        let weights = TensorData::new(weights.to_vec(), [targets.len()]);
        let weights = Tensor::from_data(weights, &logits.device());
        (log_probabilities(logits, targets) * weights).sum().neg()
    })
}

fn fused_cross_entropy(logits: &Tensor<2>, targets: &[u32], weights: &[f32]) -> Option<Tensor<1>> {
    let shape = logits.dims();
    let input = OnCpu::of(logits)?;
    let mut gradient = Host::of(input.plain()).values().to_vec();
    let loss = added(&kernels::cross_entropies(&mut gradient, targets, weights));
    finish([&input], flex(vec![loss], [1]), (gradient, shape), |(gradient, shape), grad| {
        [flex(gradient.iter().map(|x| x * grad[0]).collect(), shape)]
    })
}

/// Sums losses in `f64`, because a batch has many terms.
fn added(losses: &[f32]) -> f32 {
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() as f32
}

/// The cross-entropy of each row of logits `[rows, vocabulary]` against its target, `[rows]`.
pub(crate) fn cross_entropies(logits: Tensor<2>, targets: &[u32]) -> Tensor<1> {
    fused_cross_entropies(&logits, targets)
        .unwrap_or_else(|| log_probabilities(logits, targets).neg())
}

fn fused_cross_entropies(logits: &Tensor<2>, targets: &[u32]) -> Option<Tensor<1>> {
    let shape @ [rows, _] = logits.dims();
    let input = OnCpu::of(logits)?;
    let mut gradient = Host::of(input.plain()).values().to_vec();
    // With weight 1 the kernel leaves each row's own gradient, which the backward pass scales by the incoming one.
    let losses = kernels::cross_entropies(&mut gradient, targets, &vec![1.0; rows]);
    finish([&input], flex(losses, [rows]), (gradient, shape), |(gradient, shape), grad| {
        let rows = gradient.chunks_exact(shape[1]).zip(grad);
        [flex(rows.flat_map(|(row, grad)| row.iter().map(move |x| x * grad)).collect(), shape)]
    })
}

/// The log-probability of each row's target, `[rows]`.
fn log_probabilities(logits: Tensor<2>, targets: &[u32]) -> Tensor<1> {
    let (count, device) = (targets.len(), logits.device());
    let ids: Vec<i32> = targets.iter().map(|&id| id as i32).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [count, 1]), &device);
    log_softmax(logits, 1).gather(1, ids).reshape([count])
}

/// The sum of the squared values of a tensor.
pub(crate) fn sum_of_squares(x: &Tensor<1>) -> f64 {
    match OnCpu::of(x) {
        Some(tensor) => kernels::sum_of_squares(Host::of(tensor.plain()).values()),
        None => f64::from(values(x.clone().square().sum())[0]),
    }
}

/// Applies one AdamW update to a parameter and its two moments.
pub(crate) fn adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    moments: [Tensor<1>; 2],
    how: AdamW,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let [first, second] = moments;
    let on_cpu = [&value, &gradient, &first, &second].map(OnCpu::of);
    let [
        Some(OnCpu::Plain(x)),
        Some(OnCpu::Plain(g)),
        Some(OnCpu::Plain(m)),
        Some(OnCpu::Plain(v)),
    ] = on_cpu
    else {
        return composed_adamw(value, gradient, [first, second], how);
    };
    // Drop our handles to the tensors: the moments can only be written in place if nobody else owns them.
    drop((value, first, second));
    let [mut x, mut m, mut v] = [x, m, v].map(|tensor| tensor.to_contiguous());
    let gradient = Host::of(&g);
    let [values, first, second] = [&mut x, &mut m, &mut v].map(FlexTensor::storage_mut::<f32>);
    kernels::adamw(values, [first, second], gradient.values(), how);
    let [x, m, v] = [x, m, v].map(Tensor::from_primitive::<Flex>);
    (x, [m, v])
}

fn composed_adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    [first, second]: [Tensor<1>; 2],
    how: AdamW,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let AdamW { rate, beta_1, beta_2, epsilon, weight_decay, scale, update } = how;
    let gradient = gradient.mul_scalar(scale);
    let first = first.mul_scalar(beta_1) + gradient.clone().mul_scalar(1.0 - beta_1);
    let second = second.mul_scalar(beta_2) + gradient.square().mul_scalar(1.0 - beta_2);
    let unbiased =
        |moment: &Tensor<1>, beta: f32| moment.clone().mul_scalar(1.0 / (1.0 - beta.powi(update)));
    let step = unbiased(&first, beta_1) / (unbiased(&second, beta_2).sqrt() + epsilon);
    let value = value.mul_scalar(1.0 - rate * weight_decay) - step.mul_scalar(rate);
    (value, [first, second])
}

#[cfg(test)]
mod tests;
