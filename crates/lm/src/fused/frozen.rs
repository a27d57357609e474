//! Layers whose weights get no gradient, on the CPU: a frozen layer with its adapter, and the language modelling loss over a
//! frozen output projection. The weights may be bfloat16; then products round their other factor to it, too.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::Bf16View;
use kernels::matmul::{View, ViewMut};

use super::losses::sum_losses;
use super::sublayers::{LinearWeight, TRACKED_ALIKE, host, on_cpu};
use crate::autodiff::{Host, OnCpu, finish, flex};

/// A frozen linear layer.
pub(crate) struct FrozenLinear {
    /// `f32` or bfloat16.
    pub(crate) weight: LinearWeight,
    /// `[outputs]`, frozen too.
    pub(crate) bias: Option<Tensor<1>>,
    /// The correction that is learned.
    pub(crate) adapter: Option<AdapterWeights>,
}

/// A low-rank correction of a layer, `scale * x A B`.
pub(crate) struct AdapterWeights {
    /// A, `[inputs, rank]`.
    pub(crate) down: Tensor<2>,
    /// B, `[rank, outputs]`.
    pub(crate) up: Tensor<2>,
    pub(crate) scale: f32,
}

/// A weight that gets no gradient, in row-major order.
#[derive(Debug, Clone)]
struct FrozenWeight {
    values: Host,
    /// Values per row.
    stride: usize,
    transposed: bool,
}

impl FrozenWeight {
    fn of(weight: &LinearWeight) -> Self {
        let (weight, transposed) = weight.parts();
        Self { values: host(weight), stride: weight.dims()[1], transposed }
    }

    /// The number of outputs of the layer.
    fn outputs(&self) -> usize {
        if self.transposed { self.values.count() / self.stride } else { self.stride }
    }

    /// `x W`.
    fn product(&self, x: &[f32]) -> Vec<f32> {
        self.multiplied(x, self.transposed)
    }

    /// `grad W^T`, the gradient with respect to `x`.
    fn gradient(&self, grad: &[f32]) -> Vec<f32> {
        self.multiplied(grad, !self.transposed)
    }

    fn multiplied(&self, rows: &[f32], transposed: bool) -> Vec<f32> {
        if let Some(values) = self.values.short() {
            let view = Bf16View::new(values, self.stride);
            return if transposed { view.transposed() } else { view }.product(rows);
        }
        let view = View::new(self.values.values(), self.stride);
        let inner = if transposed { self.stride } else { self.values.count() / self.stride };
        View::new(rows, inner).times(if transposed { view.transposed() } else { view })
    }
}

/// Saved state for the gradients of an adapted layer.
#[derive(Debug, Clone)]
struct AdaptedState<const D: usize> {
    x: Host,
    weight: FrozenWeight,
    /// A and B.
    adapter: [Host; 2],
    scale: f32,
    /// `scale * x A`, transposed: `[rank, rows]`.
    inner: Vec<f32>,
    shape: [usize; D],
}

/// A frozen layer with its adapter: `x W + bias + scale * x A B`, `[.., inputs]` to `[.., outputs]`.
pub(crate) fn frozen_linear<const D: usize>(x: &Tensor<D>, layer: &FrozenLinear) -> Tensor<D> {
    let FrozenLinear { weight, bias, adapter } = layer;
    let shape = x.dims();
    let mut out_shape = shape;
    let weight = FrozenWeight::of(weight);
    out_shape[D - 1] = weight.outputs();
    let input = on_cpu(x);
    let x = Host::of(input.plain());
    let mut out = weight.product(x.values());
    if let Some(bias) = bias {
        kernels::add_bias(&mut out, host(bias).values());
    }
    let Some(AdapterWeights { down, up, scale }) = adapter else {
        let backward = |(weight, shape): (FrozenWeight, [usize; D]), grad: &[f32]| {
            [flex(weight.gradient(grad), shape)]
        };
        return finish([&input], flex(out, out_shape), (weight, shape), backward)
            .expect(TRACKED_ALIKE);
    };
    let rank = down.dims()[1];
    let parameters = [on_cpu(down), on_cpu(up)];
    let adapter = parameters.each_ref().map(|parameter| Host::of(parameter.plain()));
    let [down, up] = adapter.each_ref().map(Host::values);
    // Transposed, here and below: the kernel is fast along a row of the result, and one of `rank` values is too short for it.
    let down = View::new(down, rank).transposed();
    let mut inner = down.times(View::new(x.values(), shape[D - 1]).transposed());
    for value in &mut inner {
        *value *= scale;
    }
    let width = out_shape[D - 1];
    let to = ViewMut { data: &mut out, stride: width };
    columns(&inner, rank).add_times(View::new(up, width), to);
    let state = AdaptedState { x, weight, adapter, scale: *scale, inner, shape };
    let inputs = [&input, &parameters[0], &parameters[1]];
    finish(inputs, flex(out, out_shape), state, adapted_backward).expect(TRACKED_ALIKE)
}

/// A matrix `[rows, columns]` from its columns, one after the other.
fn columns(values: &[f32], columns: usize) -> View<'_> {
    View::new(values, values.len() / columns).transposed()
}

/// The values of a matrix with rows of `width` values, column by column.
fn transposed(values: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|at| values[at..].iter().step_by(width).copied()).collect()
}

fn adapted_backward<const D: usize>(state: AdaptedState<D>, grad: &[f32]) -> [FlexTensor; 3] {
    let AdaptedState { x, weight, adapter, scale, inner, shape } = state;
    let [down, up] = adapter.each_ref().map(Host::values);
    let size = shape[D - 1];
    let rank = down.len() / size;
    let width = up.len() / rank;
    let grad_rows = View::new(grad, width);
    let grad_up = columns(&inner, rank).transposed().times(grad_rows);
    let mut grad_inner = View::new(up, width).times(grad_rows.transposed());
    for value in &mut grad_inner {
        *value *= scale;
    }
    let grad_inner = columns(&grad_inner, rank);
    let grad_down = grad_inner.transposed().times(View::new(x.values(), size));
    let grad_down = transposed(&grad_down, size);
    let mut grad_x = weight.gradient(grad);
    let to = ViewMut { data: &mut grad_x, stride: size };
    grad_inner.add_times(View::new(down, rank).transposed(), to);
    [flex(grad_x, shape), flex(grad_down, [size, rank]), flex(grad_up, [rank, width])]
}

/// Logits that are in memory at once.
const LOGITS: usize = 1 << 26;

/// [`super::language_loss`] over a frozen output projection. The gradient of the hidden states is computed with the loss, so
/// that the logits of all rows are never in memory together.
pub(crate) fn frozen_language_loss(
    hidden: &Tensor<2>,
    weight: &LinearWeight,
    targets: &[u32],
    weights: &[f32],
) -> Tensor<1> {
    let at_once = (LOGITS / FrozenWeight::of(weight).outputs()).max(1);
    loss_by_rows(hidden, weight, targets, weights, at_once)
}

/// The loss, for `at_once` rows after others.
pub(super) fn loss_by_rows(
    hidden: &Tensor<2>,
    weight: &LinearWeight,
    targets: &[u32],
    weights: &[f32],
    at_once: usize,
) -> Tensor<1> {
    let shape @ [rows, size] = hidden.dims();
    assert!(targets.len() == rows && weights.len() == rows);
    let input = on_cpu(hidden);
    let hidden = Host::of(input.plain());
    let weight = FrozenWeight::of(weight);
    let (mut loss, mut gradient) = (0.0, Vec::with_capacity(rows * size));
    let parts = hidden.values().chunks(at_once * size).zip(targets.chunks(at_once));
    for ((hidden, targets), weights) in parts.zip(weights.chunks(at_once)) {
        let mut logits = weight.product(hidden);
        loss += sum_losses(&kernels::cross_entropies(&mut logits, targets, weights));
        if matches!(input, OnCpu::Tracked(_)) {
            gradient.extend(weight.gradient(&logits));
        }
    }
    finish([&input], flex(vec![loss], [1]), (gradient, shape), |(gradient, shape), grad| {
        [flex(gradient.into_iter().map(|value| value * grad[0]).collect(), shape)]
    })
    .expect(TRACKED_ALIKE)
}
