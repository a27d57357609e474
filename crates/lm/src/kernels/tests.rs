//! Checks the kernels against independently computed values.

use super::*;

#[test]
fn exponentials_are_exact_to_a_few_units() {
    let mut worst = 0.0_f64;
    for i in -860..880 {
        let x = i as f32 * 0.1 + 0.013;
        let (found, right) = (f64::from(exp(x)), f64::from(x).exp());
        worst = worst.max((found / right - 1.0).abs());
    }
    assert!(worst < 3e-7, "{worst}");
    let exact = [exp(f32::NEG_INFINITY), exp(-100.0), exp(0.0)].map(f32::to_bits);
    assert_eq!(exact, [0.0_f32, 0.0, 1.0].map(f32::to_bits));
    assert!(exp(1000.0) > 1e38);
}

#[test]
fn sums_and_largest_of_any_length() {
    for count in 0..70 {
        let row: Vec<f32> = (0..count).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
        let right: f32 = row.iter().sum();
        assert!((sum(count, |i| row[i]) - right).abs() < 1e-4);
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(largest(&row).to_bits(), most.to_bits());
    }
}

#[test]
fn squares_of_many_numbers() {
    let many: Vec<f32> = (0..10_000).map(|i| (i % 3) as f32).collect();
    assert!((sum_of_squares(&many) - 16_665.0).abs() < 1e-6, "3333 ones, 3333 fours");
}

#[test]
fn a_masked_key_has_no_share() {
    let mask = [0.0, f32::NEG_INFINITY, 0.0, 0.0];
    let shape = MaskShape { heads: 1, time: 2, keys: 2, by_batch: false, by_time: true };
    let out = masked_softmax(&[1.0, 9.0, 0.0, 2.0_f32.ln()], &mask, shape, 1.0);
    assert!((out[0] - 1.0).abs() < 1e-6 && out[1] <= 0.0);
    assert!((out[3] - 2.0 / 3.0).abs() < 1e-6);
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
    adamw(&mut value, [&mut first, &mut second], &[-4.0], how);
    // The gradient is -2, so the unbiased step is -1: 2 * 0.95 + 0.1.
    assert!((value[0] - 2.0).abs() < 1e-6, "{}", value[0]);
    assert!((first[0] + 0.2).abs() < 1e-6 && (second[0] - 0.04).abs() < 1e-6);
}
