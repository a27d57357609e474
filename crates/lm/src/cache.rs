//! KV caches in tensors, on devices other than the CPU.

use burn::tensor::{Int, Tensor};

use crate::tensors::values;

/// Keys and values of one block, preallocated: `[batch, kv_heads, capacity, d_head]`.
pub(crate) struct Cache {
    /// Taken out and put back on every write, because burn writes a tensor in place only if nothing else owns it.
    pub(crate) keys: Option<Tensor<4>>,
    pub(crate) values: Option<Tensor<4>>,
}

impl Cache {
    /// A cache whose leading columns are filled.
    pub(crate) fn new(keys: Tensor<4>, values: Tensor<4>) -> Self {
        Self { keys: Some(keys), values: Some(values) }
    }

    /// Adds `columns` empty columns.
    pub(crate) fn grow(&mut self, columns: usize) {
        for slot in [&mut self.keys, &mut self.values] {
            *slot = slot.take().map(|whole| {
                let [rows, heads, _, width] = whole.dims();
                let more = Tensor::zeros([rows, heads, columns, width], &whole.device());
                Tensor::cat(vec![whole, more], 2)
            });
        }
    }

    /// Reads `count` columns of some rows to the host: keys and values, each `[rows, kv_heads, count, d_head]`.
    pub(crate) fn read(&self, rows: &Tensor<1, Int>, from: usize, count: usize) -> [Vec<f32>; 2] {
        [&self.keys, &self.values].map(|slot| {
            let whole = slot.as_ref().expect("every write puts the tensor back");
            values(whole.clone().narrow(2, from, count).select(0, rows.clone()))
        })
    }

    /// Writes keys and values at column `at`, and returns all columns written so far.
    pub(crate) fn write(
        &mut self,
        k: Tensor<4>,
        v: Tensor<4>,
        at: usize,
    ) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, time, d_head] = k.dims();
        let put = |slot: &mut Option<Tensor<4>>, new: Tensor<4>| {
            let whole = slot.take().expect("every write puts the tensor back");
            let whole = whole.slice_assign([0..batch, 0..heads, at..at + time, 0..d_head], new);
            let seen = whole.clone().narrow(2, 0, at + time);
            *slot = Some(whole);
            seen
        };
        (put(&mut self.keys, k), put(&mut self.values, v))
    }

    /// Keeps the given rows, in the given order.
    pub(crate) fn select(&mut self, rows: &Tensor<1, Int>) {
        for slot in [&mut self.keys, &mut self.values] {
            *slot = slot.take().map(|whole| whole.select(0, rows.clone()));
        }
    }
}
