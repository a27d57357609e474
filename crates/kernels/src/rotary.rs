//! Rotary position embeddings in the rotate-half convention, `(a, b) -> (a cos - b sin, b cos + a sin)`.

use crate::simd::vectorized;

/// Cosines and sines of rotary angles, `[batch or 1, time, width / 2]` each.
#[derive(Debug, Clone, Copy)]
pub struct Angles<'a> {
    /// The cosines.
    pub cos: &'a [f32],
    /// The sines.
    pub sin: &'a [f32],
}

/// Shape of the queries or keys to rotate: `heads * width` values per token, in `[batch, time]` tokens.
#[derive(Debug, Clone, Copy)]
pub struct RotaryShape {
    /// Number of batch rows.
    pub batch: usize,
    /// Tokens in a batch row.
    pub time: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub width: usize,
    /// Values from one token to the next, where the heads are joined.
    pub stride: usize,
    /// Whether each batch row has its own positions.
    pub per_row: bool,
}

impl RotaryShape {
    /// Number of values rotated.
    fn size(&self) -> usize {
        self.batch * self.time * self.heads * self.width
    }
}

/// Splits the heads and rotates each one by its angles: to `[batch, heads, time, width]`.
pub fn rotary(x: &[f32], angles: Angles<'_>, shape: RotaryShape) -> Vec<f32> {
    let mut out = vec![0.0; shape.size()];
    rotate(&mut out, x, angles, shape, true);
    out
}

/// The gradient of [`rotary`] with respect to its input, `[batch, time, heads * width]`.
pub fn rotary_backward(grad: &[f32], angles: Angles<'_>, shape: RotaryShape) -> Vec<f32> {
    let mut out = vec![0.0; shape.size()];
    rotate_back(&mut out, grad, angles, shape);
    out
}

/// Rotates `[batch, heads, time, width]` back and writes the heads next to each other again. `stride` lets it write into
/// a wider row, so that queries and keys share one gradient buffer.
pub(crate) fn rotate_back(out: &mut [f32], grad: &[f32], angles: Angles<'_>, shape: RotaryShape) {
    rotate(out, grad, angles, shape, false);
}

vectorized! {
    /// Rotates each head's vector and splits the heads, or rotates back and joins them.
    fn rotate(out: &'a mut [f32], x: &'a [f32], angles: Angles<'a>, shape: RotaryShape, forward: bool) {
        let Angles { cos, sin } = angles;
        let RotaryShape { batch, time, heads, width, stride, per_row } = shape;
        let half = width / 2;
        let sign = if forward { 1.0 } else { -1.0 };
        for b in 0..batch {
            for t in 0..time {
                let angles = (usize::from(per_row) * b * time + t) * half;
                let (cos, sin) = (&cos[angles..angles + half], &sin[angles..angles + half]);
                for h in 0..heads {
                    let joined = (b * time + t) * stride + h * width;
                    let split = ((b * heads + h) * time + t) * width;
                    let (from, to) = if forward { (joined, split) } else { (split, joined) };
                    let (low, high) = x[from..from + width].split_at(half);
                    let (out_low, out_high) = out[to..to + width].split_at_mut(half);
                    let outs = out_low.iter_mut().zip(out_high);
                    let angles = cos.iter().zip(sin);
                    for (((out_low, out_high), (&low, &high)), (&cos, &sin)) in
                        outs.zip(low.iter().zip(high)).zip(angles)
                    {
                        *out_low = low * cos - high * (sign * sin);
                        *out_high = high * cos + low * (sign * sin);
                    }
                }
            }
        }
    }
}
