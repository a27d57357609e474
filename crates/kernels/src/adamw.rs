//! The AdamW update, and the squared norm by which gradients are clipped.

use crate::simd::{sum, vectorized};

/// Parameters of one AdamW update (Loshchilov and Hutter, Algorithm 2).
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f32,
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the square root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay; 0 turns it off.
    pub weight_decay: f32,
    /// Factor to multiply the gradient by first, which clips its norm.
    pub scale: f32,
    /// Number of this update, counted from 1.
    pub update: i32,
}

impl AdamW {
    /// Updates a parameter and its two moments in place.
    pub fn step(self, value: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        step_each(self, value, first, second, gradient);
    }
}

vectorized! {
    fn step_each(
        how: AdamW,
        value: &'a mut [f32],
        first: &'a mut [f32],
        second: &'a mut [f32],
        gradient: &'a [f32],
    ) {
        let AdamW { rate, beta_1, beta_2, epsilon, weight_decay, scale, update } = how;
        let unbiased_1 = 1.0 / (1.0 - beta_1.powi(update));
        let unbiased_2 = 1.0 / (1.0 - beta_2.powi(update));
        let keep = 1.0 - rate * weight_decay;
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

/// The sum of the squares of all values.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let mut total = 0.0;
    add_squares(x, &mut total);
    total
}

vectorized! {
    fn add_squares(x: &'a [f32], total: &'a mut f64) {
        // Sum in pieces, so that small terms are not lost next to a large total.
        for piece in x.chunks(4096) {
            *total += f64::from(sum([piece], |[x]| x * x));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_of_many_numbers() {
        let many: Vec<f32> = (0..10_000).map(|i| (i % 3) as f32).collect();
        assert!((sum_of_squares(&many) - 16_665.0).abs() < 1e-6, "3333 ones, 3333 fours");
    }

    #[test]
    fn one_update_of_adamw_by_hand() {
        let how = AdamW {
            rate: 0.1,
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 0.0,
            weight_decay: 0.5,
            scale: 0.5,
            update: 1,
        };
        let (mut value, mut first, mut second) = ([2.0_f32], [0.0_f32], [0.0_f32]);
        how.step(&mut value, &mut first, &mut second, &[-4.0]);
        // The gradient is -2, so the unbiased step is -1: 2 * 0.95 + 0.1.
        assert!((value[0] - 2.0).abs() < 1e-6, "{}", value[0]);
        assert!((first[0] + 0.2).abs() < 1e-6 && (second[0] - 0.04).abs() < 1e-6);
    }
}
