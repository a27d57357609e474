//! Cross-entropies.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use crate::autodiff::{Host, OnCpu, finish, flex};

/// The weighted sum of the cross-entropies of logits `[rows, vocabulary]` against one target per row.
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: &[u32], weights: &[f32]) -> Tensor<1> {
    fused_cross_entropy(&logits, targets, weights).unwrap_or_else(|| {
        let weights = TensorData::new(weights.to_vec(), [targets.len()]);
        let weights = Tensor::from_data(weights, &logits.device());
        (log_probabilities(logits, targets) * weights).sum().neg()
    })
}

fn fused_cross_entropy(logits: &Tensor<2>, targets: &[u32], weights: &[f32]) -> Option<Tensor<1>> {
    let shape = logits.dims();
    let input = OnCpu::of(logits)?;
    let mut gradient = Host::of(input.plain()).values().to_vec();
    let loss = sum_losses(&kernels::cross_entropies(&mut gradient, targets, weights));
    finish([&input], flex(vec![loss], [1]), (gradient, shape), |(gradient, shape), grad| {
        [flex(gradient.iter().map(|x| x * grad[0]).collect(), shape)]
    })
}

/// Sums losses in `f64`, because a batch has many terms.
pub(super) fn sum_losses(losses: &[f32]) -> f32 {
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() as f32
}

/// The cross-entropy of each row of logits `[rows, vocabulary]` against its target, `[rows]`.
pub(crate) fn cross_entropies(logits: Tensor<2>, targets: &[u32]) -> Tensor<1> {
    fused_cross_entropies(&logits, targets)
        .unwrap_or_else(|| log_probabilities(logits, targets).neg())
}

fn fused_cross_entropies(logits: &Tensor<2>, targets: &[u32]) -> Option<Tensor<1>> {
    let shape @ [rows, _] = logits.dims();
    let input = OnCpu::of(logits)?;
    let mut gradient = Host::of(input.plain()).values().to_vec();
    // With weight 1 the kernel leaves each row's own gradient, which the backward pass scales by the incoming one.
    let losses = kernels::cross_entropies(&mut gradient, targets, &vec![1.0; rows]);
    finish([&input], flex(losses, [rows]), (gradient, shape), |(gradient, shape), grad| {
        let rows = gradient.chunks_exact(shape[1]).zip(grad);
        [flex(rows.flat_map(|(row, grad)| row.iter().map(move |x| x * grad)).collect(), shape)]
    })
}

/// The log-probability of each row's target, `[rows]`.
pub(super) fn log_probabilities(logits: Tensor<2>, targets: &[u32]) -> Tensor<1> {
    let (count, device) = (targets.len(), logits.device());
    let ids: Vec<i32> = targets.iter().map(|&id| id as i32).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [count, 1]), &device);
    log_softmax(logits, 1).gather(1, ids).reshape([count])
}
