//! Norm, softmax, rotation and gate.

use burn::tensor::Tensor;
use burn::tensor::activation::{silu, softmax};
use kernels::{Angles, MaskShape, RmsNorm, RotaryShape};

use crate::autodiff::{Host, OnCpu, finish, flex};

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
    let norm = RmsNorm { x: x.values(), weight: weight.values(), epsilon };
    let output = flex(norm.forward(), shape);
    let saved = (x, weight, epsilon, shape);
    finish([&inputs[0], &inputs[1]], output, saved, |(x, weight, epsilon, shape), grad| {
        let norm = RmsNorm { x: x.values(), weight: weight.values(), epsilon };
        let grads = norm.backward(grad);
        [flex(grads.x, shape), flex(grads.weight, [shape[D - 1]])]
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
    let [per_row, _, per_query, _] = mask.dims().map(|size| size > 1);
    let place = MaskShape { heads, time, keys, per_row, per_query };
    let input = OnCpu::of(scores)?;
    let mask = Host::of(OnCpu::of(mask)?.plain());
    let scores = Host::of(input.plain());
    let output = kernels::masked_softmax(scores.values(), mask.values(), place, scale);
    let output = flex(output, shape);
    // The gradient of softmax follows from its output, so the scores need not be kept.
    let saved = (Host::of(&output), scale, shape);
    finish([&input], output, saved, |(output, scale, shape), grad| {
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
        // The halves of a head are paired, as in Hugging Face's checkpoints. burn's own rotary encoding pairs neighbours.
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
    let (width, per_row) = (all / heads, cos.dims()[0] > 1);
    let shape = RotaryShape { batch, time, heads, width, stride: all, per_row };
    let input = OnCpu::of(x)?;
    let [cos, sin] = [Host::of(OnCpu::of(cos)?.plain()), Host::of(OnCpu::of(sin)?.plain())];
    let x = Host::of(input.plain());
    let output =
        kernels::rotary(x.values(), Angles { cos: cos.values(), sin: sin.values() }, shape);
    let output = flex(output, [batch, heads, time, width]);
    finish([&input], output, (cos, sin, shape), |(cos, sin, shape), grad| {
        let values =
            kernels::rotary_backward(grad, Angles { cos: cos.values(), sin: sin.values() }, shape);
        [flex(values, [shape.batch, shape.time, shape.heads * shape.width])]
    })
}
