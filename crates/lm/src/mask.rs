//! Attention masks: values that are added to the scores before the softmax.

use burn::tensor::{Device, Tensor};

use crate::tensors::tensor;

/// The mask value added to the score of a key that a query must not see. It can be infinite because every query sees at
/// least its own key, so the softmax never divides by zero. A large finite value such as -1e9 is slower to exponentiate.
pub(crate) const MASKED: f32 = f32::NEG_INFINITY;

/// The causal mask, `[1, 1, time, time]`, for rows that start with this pass.
pub(crate) fn causal(time: usize, device: &Device) -> Tensor<4> {
    let mask = (0..time)
        .flat_map(|query| (0..time).map(move |key| if key <= query { 0.0 } else { MASKED }))
        .collect();
    tensor(mask, [1, 1, time, time], device)
}

/// The mask of a padded batch, `[rows, 1, time, columns + time]`. Each row sees its `cached` tokens of the first
/// `columns`, and the new tokens causally.
pub(crate) fn padded(cached: &[usize], columns: usize, time: usize, device: &Device) -> Tensor<4> {
    let query = |cached: usize, query: usize| {
        let sees = move |column: usize| match column.checked_sub(columns) {
            None => column < cached,
            Some(new) => new <= query,
        };
        (0..columns + time).map(move |column| if sees(column) { 0.0 } else { MASKED })
    };
    let values = cached.iter().flat_map(|&cached| (0..time).flat_map(move |q| query(cached, q)));
    tensor(values.collect(), [cached.len(), 1, time, columns + time], device)
}
