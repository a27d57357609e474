//! Softmax over attention scores, under a mask or a causal limit.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use crate::simd::{LANES, exp, joined, row_max, sum, vectorized};

/// Replaces a row by its softmax. Returns the log of the sum of exponentials.
#[inline(always)]
pub(crate) fn normalize(row: &mut [f32]) -> f32 {
    // Subtracting the largest value first keeps the exponentials from overflowing.
    let top = row_max(row);
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = row.as_chunks_mut();
    for chunk in chunks {
        add_exponentials(&mut lanes, chunk, top);
    }
    // As long as a chunk, so that it takes no longer: what is added has no weight.
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    add_exponentials(&mut lanes, &mut last, top);
    rest.copy_from_slice(&last[..rest.len()]);
    let all = joined(lanes);
    let share = 1.0 / all;
    for x in row.iter_mut() {
        *x *= share;
    }
    top + all.ln()
}

/// Replaces values by `exp(x - top)`, and adds these to the lanes.
#[inline(always)]
fn add_exponentials(lanes: &mut [f32; LANES], values: &mut [f32; LANES], top: f32) {
    for (lane, x) in lanes.iter_mut().zip(values) {
        *x = exp(*x - top);
        *lane += *x;
    }
}

/// How to find the mask of each row of scores `[batch, heads, time, keys]` in a mask `[batch or 1, 1, time or 1, keys]`.
#[derive(Debug, Clone, Copy)]
pub struct MaskShape {
    /// Number of query heads.
    pub heads: usize,
    /// Number of queries.
    pub time: usize,
    /// Number of keys.
    pub keys: usize,
    /// Whether each batch row has its own mask.
    pub per_row: bool,
    /// Whether each query has its own mask.
    pub per_query: bool,
}

impl MaskShape {
    #[inline(always)]
    fn start(&self, row: usize) -> usize {
        let time = row % self.time;
        let batch = row / (self.time * self.heads);
        let times = if self.per_query { self.time } else { 1 };
        let row = usize::from(self.per_row) * batch * times + usize::from(self.per_query) * time;
        row * self.keys
    }
}

/// `softmax(scale * scores + mask)` over the keys.
pub fn masked_softmax(scores: &[f32], mask: &[f32], shape: MaskShape, scale: f32) -> Vec<f32> {
    let mut out = vec![0.0; scores.len()];
    masked_softmax_rows(&mut out, scores, mask, shape, scale);
    out
}

vectorized! {
    fn masked_softmax_rows(out: &'a mut [f32], scores: &'a [f32], mask: &'a [f32], shape: MaskShape, scale: f32) {
        let keys = shape.keys;
        let rows = out.chunks_exact_mut(keys).zip(scores.chunks_exact(keys));
        for (row, (out, scores)) in rows.enumerate() {
            let start = shape.start(row);
            let mask = &mask[start..start + keys];
            for ((out, &score), &mask) in out.iter_mut().zip(scores).zip(mask) {
                *out = score * scale + mask;
            }
            normalize(out);
        }
    }
}

/// The gradient of [`masked_softmax`] with respect to the scores, computed from its output.
pub fn masked_softmax_backward(output: &[f32], grad: &[f32], keys: usize, scale: f32) -> Vec<f32> {
    let mut grad_scores = vec![0.0; output.len()];
    masked_softmax_backward_rows(&mut grad_scores, output, grad, keys, scale);
    grad_scores
}

vectorized! {
    fn masked_softmax_backward_rows(
        grad_scores: &'a mut [f32],
        output: &'a [f32],
        grad: &'a [f32],
        keys: usize,
        scale: f32,
    ) {
        let rows = output.chunks_exact(keys).zip(grad.chunks_exact(keys));
        for (out, (row, grad)) in grad_scores.chunks_exact_mut(keys).zip(rows) {
            let dot = sum([row, grad], |[p, grad]| p * grad);
            for ((out, &p), &g) in out.iter_mut().zip(row).zip(grad) {
                *out = scale * p * (g - dot);
            }
        }
    }
}

/// Consecutive queries of one head. Their rows of scores are contiguous, their rows of attention weights `stride` apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CausalRows {
    /// Values from one row of attention weights to the next.
    pub(crate) stride: usize,
    /// Number of keys that the last query sees, the length of a row.
    pub(crate) keys: usize,
    /// Scale of the scores, `1 / sqrt(d_head)`.
    pub(crate) scale: f32,
}

vectorized! {
    /// `softmax(scale * scores)` under a causal limit: the first query sees `visible` of the keys, the next one more, and
    /// so on.
    pub(crate) fn causal_softmax(weights: &'a mut [f32], scores: &'a [f32], rows: CausalRows, visible: usize) {
        let CausalRows { stride, keys, scale } = rows;
        let rows = weights.chunks_mut(stride).zip(scores.chunks_exact(keys));
        for ((weights, scores), visible) in rows.zip(visible..) {
            let (weights, masked) = weights[..keys].split_at_mut(visible);
            for (weight, &score) in weights.iter_mut().zip(scores) {
                *weight = score * scale;
            }
            normalize(weights);
            masked.fill(0.0);
        }
    }
}

vectorized! {
    /// Turns the gradient of the attention weights into that of the scores, in place.
    pub(crate) fn causal_softmax_backward(grad: &'a mut [f32], weights: &'a [f32], rows: CausalRows) {
        let CausalRows { stride, keys, scale } = rows;
        for (grad, row) in grad.chunks_exact_mut(keys).zip(weights.chunks(stride)) {
            let row = &row[..keys];
            let dot = sum([row, grad], |[p, grad]| p * grad);
            for (grad, &weight) in grad.iter_mut().zip(row) {
                *grad = scale * weight * (*grad - dot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_key_has_no_weight() {
        let mask = [0.0, f32::NEG_INFINITY, 0.0, 0.0];
        let shape = MaskShape { heads: 1, time: 2, keys: 2, per_row: false, per_query: true };
        let out = masked_softmax(&[1.0, 9.0, 0.0, 2.0_f32.ln()], &mask, shape, 1.0);
        assert!((out[0] - 1.0).abs() < 1e-6 && out[1] <= 0.0);
        assert!((out[3] - 2.0 / 3.0).abs() < 1e-6);
    }
}
