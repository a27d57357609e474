//! The two halves of a block and the language modelling loss, each as a single operation on the CPU.
//!
//! The inputs of an operation are all tracked by autodiff, or none is: they come from one model on one device.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::causal::{self, Saved, Shape};
use kernels::matmul::{View, ViewMut, join_columns, split_columns};
use kernels::{Angles, WeightType};

use super::losses::sum_losses;
use crate::autodiff::{Host, OnCpu, finish, flex};
use crate::rotary::Positions;

/// The weights of self-attention, `[inputs, outputs]` each, and the type that factors of their products are rounded to.
pub(crate) struct AttentionWeights {
    pub(crate) query: Tensor<2>,
    pub(crate) key: Tensor<2>,
    pub(crate) value: Tensor<2>,
    pub(crate) output: Tensor<2>,
    pub(crate) factors: WeightType,
}

/// The weights of the feed-forward layer, `[inputs, outputs]` each, and the type that factors of their products are rounded
/// to.
pub(crate) struct MlpWeights {
    pub(crate) gate: Tensor<2>,
    pub(crate) up: Tensor<2>,
    pub(crate) down: Tensor<2>,
    pub(crate) factors: WeightType,
}

/// The weight of a linear layer.
pub(crate) enum LinearWeight {
    /// The embedding as output projection, `[outputs, inputs]`.
    Tied(Tensor<2>),
    /// A weight of its own, `[inputs, outputs]`.
    Untied(Tensor<2>),
}

impl LinearWeight {
    /// The weight, and whether it is tied.
    pub(super) fn parts(&self) -> (&Tensor<2>, bool) {
        match self {
            Self::Tied(weight) => (weight, true),
            Self::Untied(weight) => (weight, false),
        }
    }
}

/// Saved state for the gradient of self-attention.
#[derive(Debug, Clone)]
struct AttentionState {
    x: Host,
    query: Host,
    key: Host,
    value: Host,
    output: Host,
    cos: Host,
    sin: Host,
    shape: Shape,
    saved: Saved,
    /// The attention output, before the output projection.
    attended: Vec<f32>,
    factors: WeightType,
}

/// Saved state for the gradient of the feed-forward layer.
#[derive(Debug, Clone)]
struct MlpState {
    x: Host,
    gate: Host,
    up: Host,
    down: Host,
    /// Gate and up projections next to each other, `[.., 2 * wide]`.
    joined: Vec<f32>,
    shape: [usize; 3],
    factors: WeightType,
}

/// Saved state for the gradient of the language modelling loss.
#[derive(Debug, Clone)]
struct LossState {
    hidden: Host,
    weight: Host,
    /// Gradient of the loss with respect to the logits.
    grad_logits: Vec<f32>,
    hidden_shape: [usize; 2],
    weight_shape: [usize; 2],
    tied: bool,
    factors: WeightType,
}

pub(super) fn on_cpu<const D: usize>(tensor: &Tensor<D>) -> OnCpu {
    OnCpu::of(tensor).expect("sublayers are fused on the CPU alone")
}

pub(super) fn host<const D: usize>(tensor: &Tensor<D>) -> Host {
    Host::of(on_cpu(tensor).plain())
}

/// Causal self-attention of whole rows, `[batch, time, hidden_size]` to the same shape. The rows share their positions and
/// branches.
pub(crate) fn self_attention(
    x: &Tensor<3>,
    weights: &AttentionWeights,
    positions: &Positions,
    heads: usize,
    kv_heads: usize,
) -> Tensor<3> {
    let [batch, time, size] = x.dims();
    let AttentionWeights { query, key, value, output, factors } = weights;
    let factors = *factors;
    let width = query.dims()[1] / heads;
    let shape = Shape { batch, time, heads, kv_heads, width };
    let inputs = [on_cpu(x), on_cpu(query), on_cpu(key), on_cpu(value), on_cpu(output)];
    let [x, query, key, value, output] = inputs.each_ref().map(|input| Host::of(input.plain()));
    let (cos, sin) = (host(&positions.cos), host(&positions.sin));
    let joined = project(&x, size, [&query, &key, &value], shape.parts(), factors);
    let angles = Angles { cos: cos.values(), sin: sin.values() };
    let (attended, saved) = causal::attend(shape, positions.branches.clone(), joined, angles);
    let out = View::new(output.values(), size);
    let out = View::new(&attended, heads * width).times_as(out, factors);
    let state =
        AttentionState { x, query, key, value, output, cos, sin, shape, saved, attended, factors };
    finish(inputs.each_ref(), flex(out, [batch, time, size]), state, attention_backward)
        .expect(TRACKED_ALIKE)
}

fn attention_backward(state: AttentionState, grad: &[f32]) -> [FlexTensor; 5] {
    let AttentionState { x, query, key, value, output, cos, sin, shape, saved, attended, factors } =
        state;
    let all = shape.heads * shape.width;
    let size = output.values().len() / all;
    let grad = View::new(grad, size);
    let grad_output = View::new(&attended, all).transposed().times_as(grad, factors);
    let grad_attended = grad.times_as(View::new(output.values(), size).transposed(), factors);
    let angles = Angles { cos: cos.values(), sin: sin.values() };
    let grad_joined = causal::attend_backward(shape, saved, angles, &grad_attended);
    let parts = shape.parts();
    let weights = [&query, &key, &value];
    let grad_x = project_backward(&grad_joined, size, weights, parts, factors);
    let grad_joined = View::new(&grad_joined, parts.iter().sum());
    let grad_weights = View::new(x.values(), size).transposed().times_as(grad_joined, factors);
    let [grad_query, grad_key, grad_value] = split_columns(&grad_weights, parts);
    let [queries, keys, values] = parts;
    [
        flex(grad_x, [shape.batch, shape.time, size]),
        flex(grad_query, [size, queries]),
        flex(grad_key, [size, keys]),
        flex(grad_value, [size, values]),
        flex(grad_output, [all, size]),
    ]
}

/// Causal attention of whole rows, for layers whose projections are operations of their own: queries
/// `[batch, time, heads * width]`, keys and values `[batch, time, kv_heads * width]`, not rotated yet, to the shape of the
/// queries. The rows share their positions and branches.
pub(crate) fn causal_attention(
    projected: [&Tensor<3>; 3],
    positions: &Positions,
    heads: usize,
    kv_heads: usize,
) -> Tensor<3> {
    let out_shape @ [batch, time, all] = projected[0].dims();
    let shape = Shape { batch, time, heads, kv_heads, width: all / heads };
    let inputs = projected.map(on_cpu);
    let [query, key, value] = inputs.each_ref().map(|input| Host::of(input.plain()));
    let (cos, sin) = (host(&positions.cos), host(&positions.sin));
    let [queries, keys, values] = shape.parts();
    let joined = join_columns([
        View::new(query.values(), queries),
        View::new(key.values(), keys),
        View::new(value.values(), values),
    ]);
    let angles = Angles { cos: cos.values(), sin: sin.values() };
    let (attended, saved) = causal::attend(shape, positions.branches.clone(), joined, angles);
    let state = (cos, sin, shape, saved);
    finish(inputs.each_ref(), flex(attended, out_shape), state, |(cos, sin, shape, saved), grad| {
        let angles = Angles { cos: cos.values(), sin: sin.values() };
        let grad_joined = causal::attend_backward(shape, saved, angles, grad);
        let parts = shape.parts();
        let grads = split_columns(&grad_joined, parts);
        let of_part = |(grad, part)| flex(grad, [shape.batch, shape.time, part]);
        let mut grads = grads.into_iter().zip(parts).map(of_part);
        std::array::from_fn(|_| grads.next().expect("there are three parts"))
    })
    .expect(TRACKED_ALIKE)
}

/// The feed-forward layer `down(silu(gate(x)) * up(x))`, `[.., hidden_size]` to the same shape.
pub(crate) fn mlp(x: &Tensor<3>, weights: &MlpWeights) -> Tensor<3> {
    let shape @ [_, _, size] = x.dims();
    let MlpWeights { gate, up, down, factors } = weights;
    let factors = *factors;
    let wide = gate.dims()[1];
    let inputs = [on_cpu(x), on_cpu(gate), on_cpu(up), on_cpu(down)];
    let [x, gate, up, down] = inputs.each_ref().map(|input| Host::of(input.plain()));
    let joined = project(&x, size, [&gate, &up], [wide; 2], factors);
    let inner = kernels::joined_swiglu(&joined, wide);
    let out = View::new(&inner, wide).times_as(View::new(down.values(), size), factors);
    let state = MlpState { x, gate, up, down, joined, shape, factors };
    finish(inputs.each_ref(), flex(out, shape), state, mlp_backward).expect(TRACKED_ALIKE)
}

fn mlp_backward(state: MlpState, grad: &[f32]) -> [FlexTensor; 4] {
    let MlpState { x, gate, up, down, mut joined, shape, factors } = state;
    let size = shape[2];
    let wide = down.values().len() / size;
    let grad = View::new(grad, size);
    let mut inner = grad.times_as(View::new(down.values(), size).transposed(), factors);
    kernels::joined_swiglu_backward(&mut joined, &mut inner, wide);
    let grad_down = View::new(&inner, wide).transposed().times_as(grad, factors);
    let grad_x = project_backward(&joined, size, [&gate, &up], [wide; 2], factors);
    let grad_joined = View::new(&joined, 2 * wide);
    let grad_weights = View::new(x.values(), size).transposed().times_as(grad_joined, factors);
    let [grad_gate, grad_up] =
        split_columns(&grad_weights, [wide; 2]).map(|grad| flex(grad, [size, wide]));
    [flex(grad_x, shape), grad_gate, grad_up, flex(grad_down, [wide, size])]
}

/// Saved state for the gradients of a linear layer.
#[derive(Debug, Clone)]
struct LinearState<const D: usize> {
    x: Host,
    weight: Host,
    shape: [usize; D],
    weight_shape: [usize; 2],
    tied: bool,
    factors: WeightType,
}

/// A linear layer without a bias whose factors are rounded to a type, `[.., inputs]` to `[.., outputs]`.
pub(crate) fn linear<const D: usize>(
    x: &Tensor<D>,
    weight: &LinearWeight,
    factors: WeightType,
) -> Tensor<D> {
    let shape = x.dims();
    let (weight, tied) = weight.parts();
    let weight_shape = weight.dims();
    let inputs = [on_cpu(x), on_cpu(weight)];
    let [x, weight] = inputs.each_ref().map(|input| Host::of(input.plain()));
    let view = View::new(weight.values(), weight_shape[1]);
    let view = if tied { view.transposed() } else { view };
    let out = View::new(x.values(), shape[D - 1]).times_as(view, factors);
    let mut out_shape = shape;
    out_shape[D - 1] = weight_shape[usize::from(!tied)];
    let state = LinearState { x, weight, shape, weight_shape, tied, factors };
    finish(inputs.each_ref(), flex(out, out_shape), state, linear_backward).expect(TRACKED_ALIKE)
}

fn linear_backward<const D: usize>(state: LinearState<D>, grad: &[f32]) -> [FlexTensor; 2] {
    let LinearState { x, weight, shape, weight_shape, tied, factors } = state;
    let grad = View::new(grad, weight_shape[usize::from(!tied)]);
    let x = View::new(x.values(), shape[D - 1]);
    let weight = View::new(weight.values(), weight_shape[1]);
    let [grad_x, grad_weight] = gradients(x, weight, grad, tied, factors);
    [flex(grad_x, shape), flex(grad_weight, weight_shape)]
}

/// The gradients of a product with respect to its rows and to its weight, which is `[outputs, inputs]` if it is tied.
fn gradients(
    x: View<'_>,
    weight: View<'_>,
    grad: View<'_>,
    tied: bool,
    factors: WeightType,
) -> [Vec<f32>; 2] {
    if tied {
        [grad.times_as(weight, factors), grad.transposed().times_as(x, factors)]
    } else {
        [grad.times_as(weight.transposed(), factors), x.transposed().times_as(grad, factors)]
    }
}

/// The weighted sum of the cross-entropies of hidden states `[rows, hidden_size]` against one target per row. The logits
/// are computed once and turn into their own gradient in place, so no second `[rows, vocabulary]` buffer is needed.
pub(crate) fn language_loss(
    hidden: &Tensor<2>,
    weight: &LinearWeight,
    targets: &[u32],
    weights: &[f32],
    factors: WeightType,
) -> Tensor<1> {
    let (weight, tied) = weight.parts();
    let (hidden_shape, weight_shape) = (hidden.dims(), weight.dims());
    assert!(targets.len() == hidden_shape[0] && weights.len() == hidden_shape[0]);
    let inputs = [on_cpu(hidden), on_cpu(weight)];
    let [hidden, weight] = inputs.each_ref().map(|input| Host::of(input.plain()));
    let view = View::new(weight.values(), weight_shape[1]);
    let view = if tied { view.transposed() } else { view };
    let mut grad_logits = View::new(hidden.values(), hidden_shape[1]).times_as(view, factors);
    let loss = sum_losses(&kernels::cross_entropies(&mut grad_logits, targets, weights));
    let state =
        LossState { hidden, weight, grad_logits, hidden_shape, weight_shape, tied, factors };
    finish(inputs.each_ref(), flex(vec![loss], [1]), state, language_loss_backward)
        .expect(TRACKED_ALIKE)
}

fn language_loss_backward(state: LossState, grad: &[f32]) -> [FlexTensor; 2] {
    let LossState { hidden, weight, grad_logits, hidden_shape, weight_shape, tied, factors } =
        state;
    let hidden = View::new(hidden.values(), hidden_shape[1]);
    let weight = View::new(weight.values(), weight_shape[1]);
    let grad_logits = View::new(&grad_logits, weight_shape[usize::from(!tied)]);
    let [grad_hidden, grad_weight] = gradients(hidden, weight, grad_logits, tied, factors);
    // Scaled after the products, which are linear: the logits usually have more values than both results.
    let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * grad[0]).collect();
    [flex(scaled(grad_hidden), hidden_shape), flex(scaled(grad_weight), weight_shape)]
}

/// Why [`finish`] always has an output here.
pub(super) const TRACKED_ALIKE: &str = "a pass tracks all of its tensors or none";

/// Multiplies `[.., size]` by several weights at once, with the products side by side. A single product packs its
/// left-hand side only once.
fn project<const N: usize>(
    x: &Host,
    size: usize,
    weights: [&Host; N],
    parts: [usize; N],
    factors: WeightType,
) -> Vec<f32> {
    let views = std::array::from_fn(|i| View::new(weights[i].values(), parts[i]));
    let joined = join_columns::<N>(views);
    View::new(x.values(), size).times_as(View::new(&joined, parts.iter().sum()), factors)
}

/// The gradient of [`project`] with respect to its left-hand side.
fn project_backward<const N: usize>(
    grad: &[f32],
    size: usize,
    weights: [&Host; N],
    parts: [usize; N],
    factors: WeightType,
) -> Vec<f32> {
    let stride: usize = parts.iter().sum();
    let rows = grad.len() / stride;
    let mut grad_x = vec![0.0; rows * size];
    let mut from = 0;
    for (weight, part) in weights.into_iter().zip(parts) {
        let grad = View::strided(&grad[from..], [rows, part], stride);
        let weight = View::new(weight.values(), part).transposed();
        let out = ViewMut { data: &mut grad_x, stride: size };
        match factors {
            WeightType::F32 if from == 0 => grad.times_into(weight, out),
            WeightType::F32 => grad.add_times(weight, out),
            WeightType::Bf16 => kernels::add(&mut grad_x, &grad.times_as(weight, factors)),
        }
        from += part;
    }
    grad_x
}
