//! Rows of logits: exponentials to sample from, and cross-entropies to train on.

use crate::simd::{exp, row_max, sum, vectorized};
use crate::softmax::normalize;

/// The largest value of a row; negative infinity if it is empty.
pub fn max(row: &[f32]) -> f32 {
    let mut largest = f32::NEG_INFINITY;
    store_max(row, &mut largest);
    largest
}

vectorized! {
    fn store_max(row: &'a [f32], largest: &'a mut f32) {
        *largest = row_max(row);
    }
}

/// `exp((x - highest) * scale)` of every value.
pub fn exponentials(row: &[f32], highest: f32, scale: f32) -> Vec<f32> {
    let mut out = vec![0.0; row.len()];
    store_exponentials(&mut out, row, highest, scale);
    out
}

vectorized! {
    fn store_exponentials(out: &'a mut [f32], row: &'a [f32], highest: f32, scale: f32) {
        for (out, &x) in out.iter_mut().zip(row) {
            *out = exp((x - highest) * scale);
        }
    }
}

/// The sum of `exp(x - highest)` over a row.
pub fn sum_of_exponentials(row: &[f32], highest: f32) -> f32 {
    let mut total = 0.0;
    store_sum_of_exponentials(row, highest, &mut total);
    total
}

vectorized! {
    fn store_sum_of_exponentials(row: &'a [f32], highest: f32, total: &'a mut f32) {
        *total = sum([row], |[x]| exp(x - highest));
    }
}

/// Weighted cross-entropies of logits `[rows, vocabulary]` against one target per row, `[rows]`. Replaces the logits by
/// the gradient of their sum.
pub fn cross_entropies(logits: &mut [f32], targets: &[u32], weights: &[f32]) -> Vec<f32> {
    let mut losses = vec![0.0; targets.len()];
    store_cross_entropies(logits, targets, weights, &mut losses);
    losses
}

vectorized! {
    fn store_cross_entropies(logits: &'a mut [f32], targets: &'a [u32], weights: &'a [f32], losses: &'a mut [f32]) {
        let vocabulary = logits.len() / targets.len().max(1);
        let rows = logits.chunks_exact_mut(vocabulary.max(1)).zip(losses);
        for ((row, loss), (&target, &weight)) in rows.zip(targets.iter().zip(weights)) {
            let target = target as usize;
            // Read first: `normalize` overwrites the row.
            let logit = row[target];
            *loss = weight * (normalize(row) - logit);
            for p in row.iter_mut() {
                *p *= weight;
            }
            row[target] -= weight;
        }
    }
}
