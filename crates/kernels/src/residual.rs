//! Sums of activations: residual connections and biases.

use crate::simd::vectorized;

vectorized! {
    /// Adds `more` to `x`, value by value.
    pub fn add(x: &'a mut [f32], more: &'a [f32]) {
        for (x, &more) in x.iter_mut().zip(more) {
            *x += more;
        }
    }
}

vectorized! {
    /// Adds a bias to every row of `bias.len()` values.
    pub fn add_bias(rows: &'a mut [f32], bias: &'a [f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (x, &bias) in row.iter_mut().zip(bias) {
                *x += bias;
            }
        }
    }
}
