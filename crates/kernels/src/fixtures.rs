//! Values for tests.

/// Values from -1 to 1, in an order that the step decides.
pub(crate) fn numbers(count: usize, step: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * step) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// The bits of values, to compare them exactly.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}
