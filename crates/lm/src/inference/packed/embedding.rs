//! The embedding, in the type that its file has.

use crate::stored::StoredTensor;

/// Rows of an embedding, `[vocab_size, hidden_size]`. They are widened as they are read: few are, so nothing is gained by
/// keeping them as `f32`.
#[derive(Debug)]
pub(super) struct Embedding {
    values: Values,
    width: usize,
}

#[derive(Debug)]
enum Values {
    F32(Vec<f32>),
    /// The upper halves.
    Bf16(Vec<u16>),
}

impl Embedding {
    pub(super) fn new(tensor: &StoredTensor) -> Self {
        let width = tensor.shape[1];
        let values = if tensor.is_bf16() {
            let mut halves = Vec::with_capacity(tensor.count());
            let mut row = vec![0.0; width];
            for from in (0..tensor.count()).step_by(width) {
                tensor.read(from, &mut row);
                halves.extend(row.iter().map(|x| (x.to_bits() >> 16) as u16));
            }
            Values::Bf16(halves)
        } else {
            Values::F32(tensor.to_host().data)
        };
        tensor.forget();
        Self { values, width }
    }

    /// The rows of some tokens, `[tokens, hidden_size]`.
    pub(super) fn rows(&self, tokens: &[u32]) -> Vec<f32> {
        let mut rows = Vec::with_capacity(tokens.len() * self.width);
        for &token in tokens {
            let at = token as usize * self.width..(token as usize + 1) * self.width;
            match &self.values {
                Values::F32(values) => rows.extend_from_slice(&values[at]),
                Values::Bf16(halves) => {
                    rows.extend(
                        halves[at].iter().map(|&half| f32::from_bits(u32::from(half) << 16)),
                    );
                }
            }
        }
        rows
    }
}
