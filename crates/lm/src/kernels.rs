//! Every part of the model that is not a matrix product, on plain slices. Each kernel reads its inputs once and writes
//! its outputs once, in loops that the compiler vectorizes for the machine at hand.
//!
//! Sums are split over sixteen lanes, in an order that depends only on the length of a row.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

#[cfg(test)]
mod tests;

/// Lanes of a sum: an AVX-512 register of `f32`.
const LANES: usize = 16;

/// Defines a function that is compiled for several instruction sets and calls the best one available. A struct, not a
/// closure: a closure is not always inlined, and then it is compiled for the baseline instruction set.
macro_rules! vectorized {
    ($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$attribute])*
        fn $name<'a>($($argument: $type),*) {
            struct Arguments<'a> {
                $($argument: $type),*
            }
            impl pulp::NullaryFnOnce for Arguments<'_> {
                type Output = ();
                #[inline(always)]
                fn call(self) {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Arguments { $($argument),* });
        }
    };
}

mod attention;

pub(crate) use self::attention::{
    MaskShape, RotaryShape, causal_softmax, causal_softmax_backward, masked_softmax,
    masked_softmax_backward, rotary, rotary_back, turned_back,
};

/// `e^x` to about 2 units in the last place, and 0 below -87. It has no branches or calls, so it vectorizes.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts. The first has few bits, so that multiplying it by an integer is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 * 2^23 rounds to an integer, which ends up in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = clamped - whole * LN2_HIGH - whole * LN2_LOW;
    let series = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5];
    let mut sum = series[0];
    for term in &series[1..] {
        sum = sum * rest + term;
    }
    let fraction = sum * rest * rest + rest + 1.0;
    // The integer part goes straight into the exponent bits.
    let power = f32::from_bits(fraction.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < -87.0 { 0.0 } else { power }
}

/// The sum of `f(0)` to `f(count - 1)`, in lanes.
#[inline(always)]
fn sum(count: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let whole = count - count % LANES;
    let mut at = 0;
    while at < whole {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane += f(at + i);
        }
        at += LANES;
    }
    for (lane, i) in lanes.iter_mut().zip(whole..count) {
        *lane += f(i);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest value of a row; negative infinity if it is empty.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let rest = chunks.remainder().iter().copied();
    lanes.into_iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// The largest value of a row; negative infinity if it is empty.
pub(crate) fn largest_of(row: &[f32]) -> f32 {
    let mut found = f32::NEG_INFINITY;
    find_largest(row, &mut found);
    found
}

vectorized! {
    fn find_largest(row: &'a [f32], found: &'a mut f32) {
        *found = largest(row);
    }
}

/// `exp((x - highest) * scale)` of every value.
pub(crate) fn exponentials(row: &[f32], highest: f32, scale: f32) -> Vec<f32> {
    let mut out = vec![0.0; row.len()];
    exponential_each(&mut out, row, highest, scale);
    out
}

vectorized! {
    fn exponential_each(out: &'a mut [f32], row: &'a [f32], highest: f32, scale: f32) {
        for (out, &x) in out.iter_mut().zip(row) {
            *out = exp((x - highest) * scale);
        }
    }
}

/// The sum of `exp(x - highest)` over a row.
pub(crate) fn sum_of_exponentials(row: &[f32], highest: f32) -> f32 {
    let mut total = 0.0;
    add_exponentials(row, highest, &mut total);
    total
}

vectorized! {
    fn add_exponentials(row: &'a [f32], highest: f32, total: &'a mut f32) {
        *total = sum(row.len(), |i| exp(row[i] - highest));
    }
}

/// `gate * sigmoid(gate) * up`.
#[inline(always)]
fn gated(gate: f32, up: f32) -> f32 {
    gate / (1.0 + exp(-gate)) * up
}

/// The same, and its gradients with respect to `gate` and `up`.
#[inline(always)]
fn gated_backward(gate: f32, up: f32, grad: f32) -> [f32; 3] {
    let sigmoid = 1.0 / (1.0 + exp(-gate));
    let by_gate = grad * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
    [gate * sigmoid * up, by_gate, grad * gate * sigmoid]
}

/// [`swiglu`] of rows `[gate, up]` with `width` values each.
pub(crate) fn joined_swiglu(rows: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows.len() / 2];
    joined_swiglu_rows(&mut out, rows, width);
    out
}

vectorized! {
    fn joined_swiglu_rows(out: &'a mut [f32], rows: &'a [f32], width: usize) {
        for (out, row) in out.chunks_exact_mut(width).zip(rows.chunks_exact(2 * width)) {
            let (gate, up) = row.split_at(width);
            for ((out, &g), &u) in out.iter_mut().zip(gate).zip(up) {
                *out = gated(g, u);
            }
        }
    }
}

/// Replaces rows `[gate, up]` by their gradients, and the gradient of [`joined_swiglu`] by its output. The output is
/// recomputed here rather than kept from the forward pass.
pub(crate) fn joined_swiglu_backward(rows: &mut [f32], grad: &mut [f32], width: usize) {
    joined_swiglu_backward_rows(rows, grad, width);
}

vectorized! {
    fn joined_swiglu_backward_rows(rows: &'a mut [f32], grad: &'a mut [f32], width: usize) {
        for (grad, row) in grad.chunks_exact_mut(width).zip(rows.chunks_exact_mut(2 * width)) {
            let (gate, up) = row.split_at_mut(width);
            let (grads, grad) = grad.as_chunks_mut();
            let (gates, gate) = gate.as_chunks_mut();
            let (ups, up) = up.as_chunks_mut();
            for (grad, (gate, up)) in grads.iter_mut().zip(gates.iter_mut().zip(ups)) {
                [*grad, *gate, *up] = swiglu_backward_lanes([*grad, *gate, *up]);
            }
            let filled = |part: &[f32]| {
                let mut lanes = [0.0; LANES];
                lanes[..part.len()].copy_from_slice(part);
                lanes
            };
            let outs = swiglu_backward_lanes([filled(grad), filled(gate), filled(up)]);
            for (to, from) in [grad, gate, up].into_iter().zip(outs) {
                to.copy_from_slice(&from[..to.len()]);
            }
        }
    }
}

/// [`joined_swiglu_backward`] for a few values at a time: the incoming gradient, gate and up. Written value by value in
/// place, the loop did not vectorize, since the compiler must assume that the slices overlap, and it cost a quarter of a
/// training step.
#[inline(always)]
fn swiglu_backward_lanes([grad, gate, up]: [[f32; LANES]; 3]) -> [[f32; LANES]; 3] {
    let mut outs = [[0.0; LANES]; 3];
    for i in 0..LANES {
        [outs[0][i], outs[1][i], outs[2][i]] = gated_backward(gate[i], up[i], grad[i]);
    }
    outs
}

/// `gate * sigmoid(gate) * up`.
pub(crate) fn swiglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; gate.len()];
    swiglu_each(&mut out, gate, up);
    out
}

vectorized! {
    fn swiglu_each(out: &'a mut [f32], gate: &'a [f32], up: &'a [f32]) {
        for ((out, &g), &u) in out.iter_mut().zip(gate).zip(up) {
            *out = gated(g, u);
        }
    }
}

/// The gradients of [`swiglu`] with respect to both inputs.
pub(crate) fn swiglu_backward(gate: &[f32], up: &[f32], grad: &[f32]) -> [Vec<f32>; 2] {
    let (mut by_gate, mut by_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
    swiglu_backward_each([&mut by_gate, &mut by_up], gate, up, grad);
    [by_gate, by_up]
}

vectorized! {
    fn swiglu_backward_each(outs: [&'a mut [f32]; 2], gate: &'a [f32], up: &'a [f32], grad: &'a [f32]) {
        let [by_gate, by_up] = outs;
        let outs = by_gate.iter_mut().zip(by_up);
        for ((((by_gate, by_up), &g), &u), &grad) in outs.zip(gate).zip(up).zip(grad) {
            [_, *by_gate, *by_up] = gated_backward(g, u, grad);
        }
    }
}

/// `x / sqrt(mean(x^2) + epsilon) * weight` for each row of `weight.len()` values.
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    rms_norm_rows(&mut out, x, weight, epsilon);
    out
}

vectorized! {
    fn rms_norm_rows(out: &'a mut [f32], x: &'a [f32], weight: &'a [f32], epsilon: f32) {
        let width = weight.len();
        for (out, row) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let scale = inverse_rms(row, epsilon);
            for ((out, &x), &w) in out.iter_mut().zip(row).zip(weight) {
                *out = x * scale * w;
            }
        }
    }
}

#[inline(always)]
fn inverse_rms(row: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum(row.len(), |i| row[i] * row[i]) / row.len() as f32 + epsilon).sqrt()
}

/// The gradients of [`rms_norm`] with respect to `x` and `weight`.
pub(crate) fn rms_norm_backward(
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    grad: &[f32],
) -> [Vec<f32>; 2] {
    let (mut by_x, mut by_weight) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
    rms_norm_backward_rows([&mut by_x, &mut by_weight], [x, weight, grad], epsilon);
    [by_x, by_weight]
}

vectorized! {
    fn rms_norm_backward_rows(outs: [&'a mut [f32]; 2], inputs: [&'a [f32]; 3], epsilon: f32) {
        let ([by_x, by_weight], [x, weight, grad]) = (outs, inputs);
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
        for (out, (row, grad)) in by_x.chunks_exact_mut(width).zip(rows) {
            let scale = inverse_rms(row, epsilon);
            let dot = sum(width, |i| row[i] * grad[i] * weight[i]);
            let along = scale * scale * scale * dot / width as f32;
            let outs = out.iter_mut().zip(by_weight.iter_mut());
            for (((out, by_weight), (&x, &grad)), &w) in outs.zip(row.iter().zip(grad)).zip(weight) {
                *out = scale * grad * w - along * x;
                *by_weight += grad * x * scale;
            }
        }
    }
}

/// Replaces a row by its softmax. Returns the log of the sum of exponentials.
#[inline(always)]
pub(crate) fn normalize(row: &mut [f32]) -> f32 {
    // Subtracting the largest value first keeps the exponentials from overflowing.
    let top = largest(row);
    for x in row.iter_mut() {
        *x = exp(*x - top);
    }
    let all = sum(row.len(), |i| row[i]);
    let share = 1.0 / all;
    for x in row.iter_mut() {
        *x *= share;
    }
    top + all.ln()
}

/// Weighted cross-entropies of logits `[rows, vocabulary]` against one target per row, `[rows]`. Replaces the logits by
/// the gradient of their sum.
pub(crate) fn cross_entropies(logits: &mut [f32], targets: &[u32], weights: &[f32]) -> Vec<f32> {
    let mut losses = vec![0.0; targets.len()];
    cross_entropy_rows(logits, targets, weights, &mut losses);
    losses
}

vectorized! {
    fn cross_entropy_rows(logits: &'a mut [f32], targets: &'a [u32], weights: &'a [f32], losses: &'a mut [f32]) {
        let vocabulary = logits.len() / targets.len().max(1);
        let rows = logits.chunks_exact_mut(vocabulary.max(1)).zip(losses);
        for ((row, loss), (&target, &weight)) in rows.zip(targets.iter().zip(weights)) {
            let target = target as usize;
            let logit = row[target];
            *loss = weight * (normalize(row) - logit);
            for p in row.iter_mut() {
                *p *= weight;
            }
            row[target] -= weight;
        }
    }
}

/// The sum of the squares of all values.
pub(crate) fn sum_of_squares(x: &[f32]) -> f64 {
    let mut total = 0.0;
    add_squares(x, &mut total);
    total
}

vectorized! {
    fn add_squares(x: &'a [f32], total: &'a mut f64) {
        // Sum in pieces, so that small terms are not lost next to a large total.
        for piece in x.chunks(4096) {
            *total += f64::from(sum(piece.len(), |i| piece[i] * piece[i]));
        }
    }
}

/// Parameters of one AdamW update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamW {
    pub(crate) rate: f32,
    pub(crate) beta_1: f32,
    pub(crate) beta_2: f32,
    pub(crate) epsilon: f32,
    pub(crate) weight_decay: f32,
    /// Factor to multiply the gradient by first, which clips its norm.
    pub(crate) scale: f32,
    /// Number of this update, counted from 1.
    pub(crate) update: i32,
}

/// One AdamW update of a parameter and its two moments, in place (Loshchilov and Hutter, Algorithm 2).
pub(crate) fn adamw(value: &mut [f32], moments: [&mut [f32]; 2], gradient: &[f32], how: AdamW) {
    adamw_each(value, moments, gradient, how);
}

vectorized! {
    fn adamw_each(value: &'a mut [f32], moments: [&'a mut [f32]; 2], gradient: &'a [f32], how: AdamW) {
        let AdamW { rate, beta_1, beta_2, epsilon, weight_decay, scale, update } = how;
        let unbiased_1 = 1.0 / (1.0 - beta_1.powi(update));
        let unbiased_2 = 1.0 / (1.0 - beta_2.powi(update));
        let keep = 1.0 - rate * weight_decay;
        let [first, second] = moments;
        let moments = first.iter_mut().zip(second);
        for ((x, &gradient), (first, second)) in value.iter_mut().zip(gradient).zip(moments) {
            let g = gradient * scale;
            *first = beta_1 * *first + (1.0 - beta_1) * g;
            *second = beta_2 * *second + (1.0 - beta_2) * g * g;
            let step = *first * unbiased_1 / ((*second * unbiased_2).sqrt() + epsilon);
            *x = *x * keep - rate * step;
        }
    }
}
