//! The RMS norm, `x / sqrt(mean(x^2) + epsilon) * weight`.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use crate::simd::{sum, vectorized};

/// Rows to be normed, and the parameters of the norm.
#[derive(Debug, Clone, Copy)]
pub struct RmsNorm<'a> {
    /// The input, rows of `weight.len()` values.
    pub x: &'a [f32],
    /// The learned scale of each value of a row.
    pub weight: &'a [f32],
    /// Added to the mean square, above 0.
    pub epsilon: f32,
}

/// The gradients of an RMS norm.
#[derive(Debug)]
pub struct RmsNormGrads {
    /// With respect to the input.
    pub x: Vec<f32>,
    /// With respect to the weight.
    pub weight: Vec<f32>,
}

impl RmsNorm<'_> {
    /// Computes the normed rows.
    pub fn forward(self) -> Vec<f32> {
        let mut out = vec![0.0; self.x.len()];
        self.forward_into(&mut out);
        out
    }

    /// Writes the normed rows to `out`.
    pub fn forward_into(self, out: &mut [f32]) {
        norm_rows(out, self);
    }

    /// Computes the gradients from that of the output.
    pub fn backward(self, grad: &[f32]) -> RmsNormGrads {
        let mut grads =
            RmsNormGrads { x: vec![0.0; self.x.len()], weight: vec![0.0; self.weight.len()] };
        norm_rows_backward(&mut grads.x, &mut grads.weight, self, grad);
        grads
    }
}

vectorized! {
    fn norm_rows(out: &'a mut [f32], norm: RmsNorm<'a>) {
        let RmsNorm { x, weight, epsilon } = norm;
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
    1.0 / (sum([row], |[x]| x * x) / row.len() as f32 + epsilon).sqrt()
}

vectorized! {
    fn norm_rows_backward(grad_x: &'a mut [f32], grad_weight: &'a mut [f32], norm: RmsNorm<'a>, grad: &'a [f32]) {
        let RmsNorm { x, weight, epsilon } = norm;
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
        for (out, (row, grad)) in grad_x.chunks_exact_mut(width).zip(rows) {
            let scale = inverse_rms(row, epsilon);
            // Scaling a row does not change its norm, so the gradient loses its component along the row.
            let dot = sum([row, grad, weight], |[x, grad, w]| x * grad * w);
            let along = scale * scale * scale * dot / width as f32;
            let outs = out.iter_mut().zip(grad_weight.iter_mut());
            for (((out, grad_weight), (&x, &grad)), &w) in outs.zip(row.iter().zip(grad)).zip(weight) {
                *out = scale * grad * w - along * x;
                *grad_weight += grad * x * scale;
            }
        }
    }
}
