//! The two halves of a block and the language modelling loss, each as a single fused operation.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::{Host, OnCpu, added, finish, flex};
use crate::causal::{self, Kept, Shape};
use crate::kernels;
use crate::product::{Place, View, parted, side_by_side};

/// Saved state for the gradient of self-attention.
#[derive(Debug, Clone)]
struct Attended {
    x: Host,
    /// Query, key, value and output weights.
    weights: [Host; 4],
    angles: [Host; 2],
    shape: Shape,
    kept: Kept,
    found: Vec<f32>,
}

/// Saved state for the gradient of the feed-forward layer.
#[derive(Debug, Clone)]
struct Fed {
    x: Host,
    /// Gate, up and down weights.
    weights: [Host; 3],
    /// Gate and up projections next to each other, `[.., 2 * wide]`.
    joined: Vec<f32>,
    shape: [usize; 3],
}

/// Saved state for the gradient of the language modelling loss.
#[derive(Debug, Clone)]
struct Compared {
    hidden: Host,
    head: Host,
    /// Gradient of the loss with respect to the logits.
    gradient: Vec<f32>,
    shapes: [[usize; 2]; 2],
    tied: bool,
}

/// Causal self-attention of whole rows on the CPU, `[batch, time, hidden_size]` to the same shape. Takes the query, key,
/// value and output weights, the cosines and sines of positions that all rows share, and the numbers of query and key
/// heads. `None` on other devices, or if rows have their own positions.
pub(crate) fn self_attention(
    x: &Tensor<3>,
    weights: [Tensor<2>; 4],
    angles: [&Tensor<4>; 2],
    [heads, kv_heads]: [usize; 2],
) -> Option<Tensor<3>> {
    let [batch, time, size] = x.dims();
    let width = weights[0].dims()[1] / heads;
    let shape = Shape { batch, time, heads, kv_heads, width };
    let [query, key, value, output] = weights;
    let inputs = [
        OnCpu::of(x)?,
        OnCpu::of(&query)?,
        OnCpu::of(&key)?,
        OnCpu::of(&value)?,
        OnCpu::of(&output)?,
    ];
    if !alike(&inputs) || angles[0].dims()[0] > 1 {
        return None;
    }
    let [x, query, key, value, output] = inputs.each_ref().map(|input| Host::of(input.plain()));
    let [cos, sin] =
        [Host::of(OnCpu::of(angles[0])?.plain()), Host::of(OnCpu::of(angles[1])?.plain())];
    let joined = project(&x, size, [&query, &key, &value], shape.parts());
    let (found, kept) = causal::attend(shape, joined, [cos.values(), sin.values()]);
    let out = View::of(&found, heads * width).times(View::of(output.values(), size));
    let weights = [query, key, value, output];
    let kept = Attended { x, weights, angles: [cos, sin], shape, kept, found };
    finish(inputs.each_ref(), flex(out, [batch, time, size]), kept, attention_backward)
}

fn attention_backward(of: Attended, grad: &[f32]) -> [FlexTensor; 5] {
    let Attended { x, weights, angles, shape, kept, found } = of;
    let [query, key, value, output] = &weights;
    let (all, size) =
        (shape.heads * shape.width, output.values().len() / (shape.heads * shape.width));
    let grad = View::of(grad, size);
    let by_output = View::of(&found, all).transposed().times(grad);
    let by_found = grad.times(View::of(output.values(), size).transposed());
    let [cos, sin] = &angles;
    let angles = [cos.values(), sin.values()];
    let by_joined = causal::attend_backward(shape, kept, angles, &by_found);
    let parts = shape.parts();
    let by_x = project_back(&by_joined, size, [query, key, value], parts);
    let joined = parts.iter().sum();
    let by_weights = View::of(x.values(), size).transposed().times(View::of(&by_joined, joined));
    let [by_query, by_key, by_value] = parted(&by_weights, parts);
    let [queries, keys, _] = parts;
    [
        flex(by_x, [shape.batch, shape.time, size]),
        flex(by_query, [size, queries]),
        flex(by_key, [size, keys]),
        flex(by_value, [size, keys]),
        flex(by_output, [all, size]),
    ]
}

/// The feed-forward layer `down(silu(gate(x)) * up(x))` on the CPU, `[.., hidden_size]` to the same shape. Takes the
/// gate, up and down weights. `None` on other devices.
pub(crate) fn mlp(x: &Tensor<3>, weights: [Tensor<2>; 3]) -> Option<Tensor<3>> {
    let shape @ [_, _, size] = x.dims();
    let wide = weights[0].dims()[1];
    let [gate, up, down] = weights;
    let inputs = [OnCpu::of(x)?, OnCpu::of(&gate)?, OnCpu::of(&up)?, OnCpu::of(&down)?];
    if !alike(&inputs) {
        return None;
    }
    let [x, gate, up, down] = inputs.each_ref().map(|input| Host::of(input.plain()));
    let joined = project(&x, size, [&gate, &up], [wide; 2]);
    let inner = kernels::joined_swiglu(&joined, wide);
    let out = View::of(&inner, wide).times(View::of(down.values(), size));
    let kept = Fed { x, weights: [gate, up, down], joined, shape };
    finish(inputs.each_ref(), flex(out, shape), kept, mlp_backward)
}

fn mlp_backward(of: Fed, grad: &[f32]) -> [FlexTensor; 4] {
    let Fed { x, weights: [gate, up, down], mut joined, shape } = of;
    let size = shape[2];
    let wide = down.values().len() / size;
    let grad = View::of(grad, size);
    let mut inner = grad.times(View::of(down.values(), size).transposed());
    kernels::joined_swiglu_backward(&mut joined, &mut inner, wide);
    let by_down = View::of(&inner, wide).transposed().times(grad);
    let by_x = project_back(&joined, size, [&gate, &up], [wide; 2]);
    let by_weights = View::of(x.values(), size).transposed().times(View::of(&joined, 2 * wide));
    let [by_gate, by_up] = parted(&by_weights, [wide; 2]).map(|part| flex(part, [size, wide]));
    [flex(by_x, shape), by_gate, by_up, flex(by_down, [wide, size])]
}

/// The weighted sum of the cross-entropies of hidden states `[rows, hidden_size]` against one target per row, on the CPU.
/// The logits are computed once and turn into their own gradient in place, so no second `[rows, vocabulary]` buffer is
/// needed. `head` is the embedding `[vocabulary, hidden_size]` if `tied`, and `[hidden_size, vocabulary]` otherwise.
/// `None` on other devices.
pub(crate) fn language_loss(
    hidden: &Tensor<2>,
    (head, tied): (Tensor<2>, bool),
    targets: &[u32],
    weights: &[f32],
) -> Option<Tensor<1>> {
    let shapes = [hidden.dims(), head.dims()];
    let inputs = [OnCpu::of(hidden)?, OnCpu::of(&head)?];
    if !alike(&inputs) {
        return None;
    }
    assert!(targets.len() == shapes[0][0] && weights.len() == shapes[0][0]);
    let [hidden, head] = inputs.each_ref().map(|input| Host::of(input.plain()));
    let view = View::of(head.values(), shapes[1][1]);
    let view = if tied { view.transposed() } else { view };
    let mut gradient = View::of(hidden.values(), shapes[0][1]).times(view);
    let loss = added(&kernels::cross_entropies(&mut gradient, targets, weights));
    let kept = Compared { hidden, head, gradient, shapes, tied };
    finish(inputs.each_ref(), flex(vec![loss], [1]), kept, |of, grad| {
        let Compared { hidden, head, gradient, shapes: [hidden_shape, head_shape], tied } = of;
        let (hidden, head) =
            (View::of(hidden.values(), hidden_shape[1]), View::of(head.values(), head_shape[1]));
        let gradient = View::of(&gradient, head_shape[usize::from(!tied)]);
        let [by_hidden, by_head] = if tied {
            [gradient.times(head), gradient.transposed().times(hidden)]
        } else {
            [gradient.times(head.transposed()), hidden.transposed().times(gradient)]
        };
        let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * grad[0]).collect();
        [flex(scaled(by_hidden), hidden_shape), flex(scaled(by_head), head_shape)]
    })
}

/// Whether all inputs are tracked by autodiff, or none. The fused operations do not support a mix.
fn alike(inputs: &[OnCpu]) -> bool {
    let tracked = inputs.iter().filter(|input| matches!(input, OnCpu::Tracked(_))).count();
    tracked == 0 || tracked == inputs.len()
}

/// Multiplies `[.., size]` by several weights at once, with the products side by side. A single product packs its
/// left-hand side only once.
fn project<const N: usize>(
    x: &Host,
    size: usize,
    weights: [&Host; N],
    parts: [usize; N],
) -> Vec<f32> {
    let views = std::array::from_fn(|i| View::of(weights[i].values(), parts[i]));
    let joined = side_by_side::<N>(views);
    View::of(x.values(), size).times(View::of(&joined, parts.iter().sum()))
}

/// The gradient of [`project`] with respect to its left-hand side.
fn project_back<const N: usize>(
    grad: &[f32],
    size: usize,
    weights: [&Host; N],
    parts: [usize; N],
) -> Vec<f32> {
    let stride: usize = parts.iter().sum();
    let rows = grad.len() / stride;
    let mut by_x = vec![0.0; rows * size];
    let mut from = 0;
    for (weight, part) in weights.into_iter().zip(parts) {
        let grad = View::within(&grad[from..], [rows, part], stride);
        let weight = View::of(weight.values(), part).transposed();
        grad.times_into(weight, Place { data: &mut by_x, stride: size }, from > 0);
        from += part;
    }
    by_x
}
