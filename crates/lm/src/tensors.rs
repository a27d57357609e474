//! Tensors from host values, and back.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// A row-major tensor on the host, in the shape of a file: linear weights are `[out, in]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f32>,
}

impl HostTensor {
    /// Copies a tensor to the host.
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        Self { shape, data: values(tensor) }
    }

    /// Swaps the rows and columns of a matrix.
    pub(crate) fn transposed(&self) -> Self {
        let (rows, columns) = (self.shape[0], self.shape[1]);
        let data =
            (0..columns).flat_map(|c| (0..rows).map(move |r| self.data[r * columns + c])).collect();
        Self { shape: vec![columns, rows], data }
    }
}

/// Builds a tensor from row-major host values.
pub(crate) fn tensor<const D: usize>(
    data: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data, shape), device)
}

/// Uploads token ids. burn's integer type is `i32`, which every id fits.
pub(crate) fn ids<const D: usize>(
    data: &[u32],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Int> {
    let data: Vec<i32> = data.iter().map(|&id| id as i32).collect();
    Tensor::from_data(TensorData::new(data, shape), device)
}

/// The row-major values of a tensor, as `f32`.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("the data was just converted to f32")
}
