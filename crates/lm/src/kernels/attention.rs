//! Softmax and rotary kernels.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use super::{normalize, sum};

/// How to find the mask of each row of scores `[batch, heads, time, keys]` in a mask `[batch or 1, 1, time or 1, keys]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaskShape {
    pub(crate) heads: usize,
    pub(crate) time: usize,
    pub(crate) keys: usize,
    /// Whether each batch row has its own mask.
    pub(crate) by_batch: bool,
    /// Whether each query has its own mask.
    pub(crate) by_time: bool,
}

impl MaskShape {
    #[inline(always)]
    fn start(&self, row: usize) -> usize {
        let time = row % self.time;
        let batch = row / (self.time * self.heads);
        let times = if self.by_time { self.time } else { 1 };
        let row = usize::from(self.by_batch) * batch * times + usize::from(self.by_time) * time;
        row * self.keys
    }
}

/// `softmax(scale * scores + mask)` over the keys.
pub(crate) fn masked_softmax(
    scores: &[f32],
    mask: &[f32],
    shape: MaskShape,
    scale: f32,
) -> Vec<f32> {
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
pub(crate) fn masked_softmax_backward(
    output: &[f32],
    grad: &[f32],
    keys: usize,
    scale: f32,
) -> Vec<f32> {
    let mut by_scores = vec![0.0; output.len()];
    masked_softmax_backward_rows(&mut by_scores, output, grad, keys, scale);
    by_scores
}

vectorized! {
    fn masked_softmax_backward_rows(by_scores: &'a mut [f32], output: &'a [f32], grad: &'a [f32], keys: usize, scale: f32) {
        let rows = output.chunks_exact(keys).zip(grad.chunks_exact(keys));
        for (out, (row, grad)) in by_scores.chunks_exact_mut(keys).zip(rows) {
            let dot = sum(keys, |i| row[i] * grad[i]);
            for ((out, &p), &g) in out.iter_mut().zip(row).zip(grad) {
                *out = scale * p * (g - dot);
            }
        }
    }
}

/// Shape of the queries or keys to rotate: `heads * width` values per token, in `[batch, time]` tokens that are `stride`
/// values apart. The angles are `[batch or 1, 1, time, width / 2]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RotaryShape {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) heads: usize,
    pub(crate) width: usize,
    /// Values from one token to the next.
    pub(crate) stride: usize,
    /// Whether each batch row has its own positions.
    pub(crate) by_batch: bool,
}

impl RotaryShape {
    /// Number of values rotated.
    fn size(&self) -> usize {
        self.batch * self.time * self.heads * self.width
    }
}

/// Splits the heads and rotates each one by its angles (rotate-half): to `[batch, heads, time, width]`.
pub(crate) fn rotary(x: &[f32], cos: &[f32], sin: &[f32], shape: RotaryShape) -> Vec<f32> {
    let mut out = vec![0.0; shape.size()];
    turn(&mut out, x, [cos, sin], shape, true);
    out
}

/// The gradient of [`rotary`] with respect to its input, `[batch, time, heads * width]`.
pub(crate) fn rotary_back(grad: &[f32], cos: &[f32], sin: &[f32], shape: RotaryShape) -> Vec<f32> {
    let mut out = vec![0.0; shape.size()];
    turned_back(&mut out, grad, [cos, sin], shape);
    out
}

/// Rotates `[batch, heads, time, width]` back and writes the heads next to each other again. `stride` lets it write into
/// a wider row, so that queries and keys share one gradient buffer.
pub(crate) fn turned_back(out: &mut [f32], grad: &[f32], angles: [&[f32]; 2], shape: RotaryShape) {
    turn(out, grad, angles, shape, false);
}

vectorized! {
    /// Rotates each head's vector and splits the heads, or rotates back and joins them.
    fn turn(out: &'a mut [f32], x: &'a [f32], angles: [&'a [f32]; 2], shape: RotaryShape, forth: bool) {
        let [cos, sin] = angles;
        let RotaryShape { batch, time, heads, width, stride, by_batch } = shape;
        let half = width / 2;
        let sign = if forth { 1.0 } else { -1.0 };
        for b in 0..batch {
            for t in 0..time {
                let angles = (usize::from(by_batch) * b * time + t) * half;
                let (cos, sin) = (&cos[angles..angles + half], &sin[angles..angles + half]);
                for h in 0..heads {
                    let joined = (b * time + t) * stride + h * width;
                    let split = ((b * heads + h) * time + t) * width;
                    let (from, to) = if forth { (joined, split) } else { (split, joined) };
                    let (low, high) = x[from..from + width].split_at(half);
                    let (out_low, out_high) = out[to..to + width].split_at_mut(half);
                    for i in 0..half {
                        out_low[i] = low[i] * cos[i] - high[i] * (sign * sin[i]);
                        out_high[i] = high[i] * cos[i] + low[i] * (sign * sin[i]);
                    }
                }
            }
        }
    }
}

/// `softmax(scale * scores)` with a causal limit: the first query sees `seen` of the `keys`, the next one more, and so
/// on. Rows of scores are contiguous; rows of weights (`shares`) are `stride` apart.
pub(crate) fn causal_softmax(
    shares: &mut [f32],
    scores: &[f32],
    [stride, keys, seen]: [usize; 3],
    scale: f32,
) {
    causal_softmax_rows(shares, scores, [stride, keys, seen], scale);
}

vectorized! {
    fn causal_softmax_rows(shares: &'a mut [f32], scores: &'a [f32], sizes: [usize; 3], scale: f32) {
        let [stride, keys, seen] = sizes;
        let rows = shares.chunks_mut(stride).zip(scores.chunks_exact(keys));
        for ((shares, scores), seen) in rows.zip(seen..) {
            let (shares, hidden) = shares[..keys].split_at_mut(seen);
            for (share, &score) in shares.iter_mut().zip(scores) {
                *share = score * scale;
            }
            normalize(shares);
            hidden.fill(0.0);
        }
    }
}

/// Turns the gradient of the attention weights into that of the scores, in place. Rows of gradients are contiguous; rows
/// of weights (`shares`) are `stride` apart.
pub(crate) fn causal_softmax_backward(
    grad: &mut [f32],
    shares: &[f32],
    stride: usize,
    keys: usize,
    scale: f32,
) {
    causal_softmax_backward_rows(grad, shares, [stride, keys], scale);
}

vectorized! {
    fn causal_softmax_backward_rows(grad: &'a mut [f32], shares: &'a [f32], sizes: [usize; 2], scale: f32) {
        let [stride, keys] = sizes;
        for (grad, row) in grad.chunks_exact_mut(keys).zip(shares.chunks(stride)) {
            let row = &row[..keys];
            let dot = sum(keys, |i| row[i] * grad[i]);
            for (grad, &share) in grad.iter_mut().zip(row) {
                *grad = scale * share * (*grad - dot);
            }
        }
    }
}
