//! KV caches in tensors, for padded batches on devices other than the CPU.

use burn::tensor::{Device, Int, Tensor};
use kernels::spans::Piece;
use kernels::{HeadAt, Kv, KvShape};

use crate::tensors::{ids, tensor, values};

/// The keys and values of a padded batch, in every layer.
pub(crate) struct Caches {
    shape: KvShape,
    device: Device,
    layers: Vec<Cache>,
}

/// Keys and values of one layer, preallocated: `[batch, kv_heads, capacity, d_head]`.
struct Cache {
    // With concatenation at every step instead, decoding 64 rows at a context of 512 took 34 ms a step instead of 24.7
    // (burn's CPU backend).
    keys: Slot,
    values: Slot,
}

/// A tensor that is taken out and put back on every write, because burn writes in place only if nothing else owns it.
struct Slot(Option<Tensor<4>>);

/// The keys and values of a layer, up to the columns just written.
pub(crate) struct Written {
    pub(crate) keys: Tensor<4>,
    pub(crate) values: Tensor<4>,
}

impl Caches {
    /// Caches of `capacity` columns. The leading columns of each row hold its cached prefix.
    pub(crate) fn new(rows: &[&[Piece]], capacity: usize, shape: KvShape, device: &Device) -> Self {
        let KvShape { kv_heads, width, .. } = shape;
        let size = kv_heads * capacity * width;
        let gather = |layer: usize, copy: fn(&Kv, HeadAt, &mut [f32])| {
            let mut data = vec![0.0; rows.len() * size];
            for (row, pieces) in data.chunks_mut(size).zip(rows) {
                for (head, row) in row.chunks_mut(capacity * width).enumerate() {
                    let mut rest = row;
                    for Piece { kv, used } in *pieces {
                        let (to, after) = rest.split_at_mut(used * width);
                        copy(kv, HeadAt { layer, head }, to);
                        rest = after;
                    }
                }
            }
            Slot(Some(tensor(data, [rows.len(), kv_heads, capacity, width], device)))
        };
        let layers = (0..shape.layers).map(|layer| Cache {
            keys: gather(layer, Kv::copy_keys),
            values: gather(layer, Kv::copy_values),
        });
        Self { shape, device: device.clone(), layers: layers.collect() }
    }

    /// Adds `columns` empty columns.
    pub(crate) fn grow(&mut self, columns: usize) {
        self.replace(|whole| {
            let [rows, heads, _, width] = whole.dims();
            let more = Tensor::zeros([rows, heads, columns, width], &whole.device());
            Tensor::cat(vec![whole, more], 2)
        });
    }

    /// Keeps the given rows, in the given order.
    pub(crate) fn select(&mut self, rows: &Tensor<1, Int>) {
        self.replace(|whole| whole.select(0, rows.clone()));
    }

    /// Writes keys and values of a layer at `column`, and returns all columns up to the last one written.
    pub(crate) fn write(
        &mut self,
        layer: usize,
        column: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> Written {
        let cache = &mut self.layers[layer];
        Written { keys: cache.keys.write(column, keys), values: cache.values.write(column, values) }
    }

    /// Reads back the keys and values that some rows wrote, as (row, token count), starting at column `from`.
    pub(crate) fn read(&self, rows: &[(u32, usize)], from: usize) -> Vec<Kv> {
        let shape @ KvShape { kv_heads, width, .. } = self.shape;
        let mut all: Vec<Kv> = rows.iter().map(|(_, tokens)| Kv::zeros(*tokens, shape)).collect();
        let most = rows.iter().map(|(_, tokens)| *tokens).max().unwrap_or(0);
        if most == 0 {
            return all;
        }
        // Read all rows at once per layer: every read from a device waits for it.
        let index: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
        let index = ids(&index, [index.len()], &self.device);
        for (layer, cache) in self.layers.iter().enumerate() {
            let [keys, values] =
                [&cache.keys, &cache.values].map(|slot| slot.read(&index, from, most));
            for (row, kv) in all.iter_mut().enumerate() {
                for head in 0..kv_heads {
                    for token in 0..kv.tokens() {
                        let at = ((row * kv_heads + head) * most + token) * width;
                        let (key, value) = (&keys[at..at + width], &values[at..at + width]);
                        kv.write(token, HeadAt { layer, head }, key, value);
                    }
                }
            }
        }
        all
    }

    fn replace(&mut self, change: impl Fn(Tensor<4>) -> Tensor<4>) {
        for cache in &mut self.layers {
            for slot in [&mut cache.keys, &mut cache.values] {
                slot.0 = slot.0.take().map(&change);
            }
        }
    }
}

impl Slot {
    fn write(&mut self, column: usize, new: Tensor<4>) -> Tensor<4> {
        let [batch, heads, time, d_head] = new.dims();
        let whole = self.0.take().expect("every write puts the tensor back");
        let at = [0..batch, 0..heads, column..column + time, 0..d_head];
        let whole = whole.slice_assign(at, new);
        // A view of the same tensor. It has to be gone before the next write, which would otherwise copy the cache.
        let filled = whole.clone().narrow(2, 0, column + time);
        self.0 = Some(whole);
        filled
    }

    /// Reads `count` columns of some rows to the host, `[rows, kv_heads, count, d_head]`.
    fn read(&self, rows: &Tensor<1, Int>, from: usize, count: usize) -> Vec<f32> {
        let whole = self.0.as_ref().expect("every write puts the tensor back");
        values(whole.clone().narrow(2, from, count).select(0, rows.clone()))
    }
}
