//! The AdamW update.

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::AdamW;

use crate::autodiff::{Host, OnCpu};
use crate::tensors::values;

/// The sum of the squared values of a tensor.
pub(crate) fn sum_of_squares(x: &Tensor<1>) -> f64 {
    match OnCpu::of(x) {
        Some(tensor) => kernels::sum_of_squares(Host::of(tensor.plain()).values()),
        None => f64::from(values(x.clone().square().sum())[0]),
    }
}

/// Applies one AdamW update to a parameter and its two moments.
pub(crate) fn adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    moments: [Tensor<1>; 2],
    how: AdamW,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let [first, second] = moments;
    let on_cpu = [&value, &gradient, &first, &second].map(OnCpu::of);
    let [
        Some(OnCpu::Plain(x)),
        Some(OnCpu::Plain(g)),
        Some(OnCpu::Plain(m)),
        Some(OnCpu::Plain(v)),
    ] = on_cpu
    else {
        return composed_adamw(value, gradient, [first, second], how);
    };
    // Drop our handles to the tensors: the moments can only be written in place if nobody else owns them.
    drop((value, first, second));
    let [mut x, mut m, mut v] = [x, m, v].map(|tensor| tensor.to_contiguous());
    let gradient = Host::of(&g);
    let [values, first, second] = [&mut x, &mut m, &mut v].map(FlexTensor::storage_mut::<f32>);
    how.step(values, first, second, gradient.values());
    let [x, m, v] = [x, m, v].map(Tensor::from_primitive::<Flex>);
    (x, [m, v])
}

pub(super) fn composed_adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    [first, second]: [Tensor<1>; 2],
    how: AdamW,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let AdamW { rate, beta_1, beta_2, epsilon, weight_decay, scale, update } = how;
    let gradient = gradient.mul_scalar(scale);
    let first = first.mul_scalar(beta_1) + gradient.clone().mul_scalar(1.0 - beta_1);
    let second = second.mul_scalar(beta_2) + gradient.square().mul_scalar(1.0 - beta_2);
    let unbiased =
        |moment: &Tensor<1>, beta: f32| moment.clone().mul_scalar(1.0 / (1.0 - beta.powi(update)));
    let step = unbiased(&first, beta_1) / (unbiased(&second, beta_2).sqrt() + epsilon);
    let value = value.mul_scalar(1.0 - rate * weight_decay) - step.mul_scalar(rate);
    (value, [first, second])
}
