//! The gated activation of the feed-forward layer, `swiglu(gate, up) = gate * sigmoid(gate) * up`.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use crate::simd::{LANES, exp, vectorized};

/// `gate * sigmoid(gate) * up`.
#[inline(always)]
pub(crate) fn gated(gate: f32, up: f32) -> f32 {
    gate / (1.0 + exp(-gate)) * up
}

/// The same, and its gradients with respect to `gate` and `up`.
#[inline(always)]
fn gated_backward(gate: f32, up: f32, grad: f32) -> [f32; 3] {
    let sigmoid = 1.0 / (1.0 + exp(-gate));
    let grad_gate = grad * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
    [gate * sigmoid * up, grad_gate, grad * gate * sigmoid]
}

/// `gate * sigmoid(gate) * up`, value by value.
pub fn swiglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
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

/// The gradients of [`swiglu`] with respect to `gate` and `up`.
pub fn swiglu_backward(gate: &[f32], up: &[f32], grad: &[f32]) -> [Vec<f32>; 2] {
    let (mut grad_gate, mut grad_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
    swiglu_backward_each(&mut grad_gate, &mut grad_up, gate, up, grad);
    [grad_gate, grad_up]
}

vectorized! {
    fn swiglu_backward_each(
        grad_gate: &'a mut [f32],
        grad_up: &'a mut [f32],
        gate: &'a [f32],
        up: &'a [f32],
        grad: &'a [f32],
    ) {
        let outs = grad_gate.iter_mut().zip(grad_up);
        for ((((grad_gate, grad_up), &g), &u), &grad) in outs.zip(gate).zip(up).zip(grad) {
            [_, *grad_gate, *grad_up] = gated_backward(g, u, grad);
        }
    }
}

/// [`swiglu`] of rows `[gate, up]` with `width` values each.
pub fn joined_swiglu(rows: &[f32], width: usize) -> Vec<f32> {
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

vectorized! {
    /// Replaces rows `[gate, up]` by their gradients, and the gradient of [`joined_swiglu`] by its output. The output is
    /// recomputed here rather than kept from the forward pass.
    pub fn joined_swiglu_backward(rows: &'a mut [f32], grad: &'a mut [f32], width: usize) {
        for (grad, row) in grad.chunks_exact_mut(width).zip(rows.chunks_exact_mut(2 * width)) {
            let (gate, up) = row.split_at_mut(width);
            let (grads, grad) = grad.as_chunks_mut();
            let (gates, gate) = gate.as_chunks_mut();
            let (ups, up) = up.as_chunks_mut();
            for (grad, (gate, up)) in grads.iter_mut().zip(gates.iter_mut().zip(ups)) {
                [*grad, *gate, *up] = backward_lanes([*grad, *gate, *up]);
            }
            let filled = |part: &[f32]| {
                let mut lanes = [0.0; LANES];
                lanes[..part.len()].copy_from_slice(part);
                lanes
            };
            let outs = backward_lanes([filled(grad), filled(gate), filled(up)]);
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
fn backward_lanes([grad, gate, up]: [[f32; LANES]; 3]) -> [[f32; LANES]; 3] {
    let mut outs = [[0.0; LANES]; 3];
    for i in 0..LANES {
        [outs[0][i], outs[1][i], outs[2][i]] = gated_backward(gate[i], up[i], grad[i]);
    }
    outs
}
