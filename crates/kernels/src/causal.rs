//! Causal self-attention of whole rows for training, and its gradient.
//!
//! Queries are processed in blocks, each against only the keys that one of its queries may see. A block's scores stay in
//! the cache, and most of the scores that a mask would remove are never computed.

use crate::matmul::{View, ViewMut};
use crate::rotary::{Angles, RotaryShape, rotary, rotate_back};
use crate::softmax::{CausalRows, causal_softmax, causal_softmax_backward};

/// Queries per block.
const BLOCK: usize = 64;

/// Dimensions of the joined queries, keys and values of some rows, `[batch, time, (heads + 2 * kv_heads) * width]`.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Number of rows.
    pub batch: usize,
    /// Tokens in a row.
    pub time: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads, a divisor of `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub width: usize,
}

/// The values that the backward pass needs.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Rotated queries, `[batch, heads, time, width]`.
    queries: Vec<f32>,
    /// Rotated keys, `[batch, kv_heads, time, width]`.
    keys: Vec<f32>,
    /// Queries, keys and values as they came in. The values are read from here, so they are not copied.
    joined: Vec<f32>,
    /// Attention weights, `[batch, heads, time, time]`; zero where no block computed any.
    weights: Vec<f32>,
}

/// A block of one head's queries.
struct Block {
    row: usize,
    head: usize,
    /// First query of the block, and one past its last. By causality `to` is also the number of keys the block sees.
    from: usize,
    to: usize,
}

impl Shape {
    /// Values per token of the queries, the keys and the values.
    pub fn parts(&self) -> [usize; 3] {
        [self.heads, self.kv_heads, self.kv_heads].map(|heads| heads * self.width)
    }

    /// Values per token of all three together.
    fn stride(&self) -> usize {
        self.parts().iter().sum()
    }

    /// Values per token of the output.
    fn output(&self) -> usize {
        self.heads * self.width
    }

    /// How to rotate the queries, or the keys.
    fn rotary(&self, heads: usize) -> RotaryShape {
        let Self { batch, time, width, .. } = *self;
        RotaryShape { batch, time, heads, width, stride: self.stride(), per_row: false }
    }

    fn blocks(&self) -> impl Iterator<Item = Block> {
        let Self { batch, time, heads, .. } = *self;
        let of_head = move |(row, head)| {
            let block = move |from| Block { row, head, from, to: time.min(from + BLOCK) };
            (0..time).step_by(BLOCK).map(block)
        };
        (0..batch).flat_map(move |row| (0..heads).map(move |head| (row, head))).flat_map(of_head)
    }

    fn kv_head(&self, block: &Block) -> usize {
        block.head / (self.heads / self.kv_heads)
    }

    /// Offset of the block's rotated queries.
    fn queries_at(&self, block: &Block) -> usize {
        ((block.row * self.heads + block.head) * self.time + block.from) * self.width
    }

    /// Offset of the rotated keys it sees.
    fn keys_at(&self, block: &Block) -> usize {
        (block.row * self.kv_heads + self.kv_head(block)) * self.time * self.width
    }

    /// Offset of the values it sees, in the joined rows.
    fn values_at(&self, block: &Block) -> usize {
        let head = self.heads + self.kv_heads + self.kv_head(block);
        block.row * self.time * self.stride() + head * self.width
    }

    /// Offset of its attention weights.
    fn weights_at(&self, block: &Block) -> usize {
        ((block.row * self.heads + block.head) * self.time + block.from) * self.time
    }

    /// Offset of its output.
    fn output_at(&self, block: &Block) -> usize {
        (block.row * self.time + block.from) * self.output() + block.head * self.width
    }

    /// The block's rows of scores and attention weights.
    fn causal_rows(&self, block: &Block) -> CausalRows {
        let scale = 1.0 / (self.width as f32).sqrt();
        CausalRows { stride: self.time, keys: block.to, scale }
    }
}

impl Block {
    fn queries(&self) -> usize {
        self.to - self.from
    }
}

/// Computes the attention output `[batch, time, heads * width]`, and what the backward pass needs. Rows share their
/// angles, `[time, width / 2]`.
pub fn attend(shape: Shape, joined: Vec<f32>, angles: Angles<'_>) -> (Vec<f32>, Saved) {
    let Shape { batch, time, heads, kv_heads, width } = shape;
    let queries = rotary(&joined, angles, shape.rotary(heads));
    let keys = rotary(&joined[heads * width..], angles, shape.rotary(kv_heads));
    let mut weights = vec![0.0; batch * heads * time * time];
    let mut output = vec![0.0; batch * time * shape.output()];
    // One buffer for all blocks, so that the softmax finds a block's scores still in the cache.
    let mut scores = vec![0.0; BLOCK * time];
    for block in shape.blocks() {
        let (count, visible) = (block.queries(), block.to);
        let queries = View::strided(&queries[shape.queries_at(&block)..], [count, width], width);
        let keys = View::strided(&keys[shape.keys_at(&block)..], [visible, width], width);
        let values = &joined[shape.values_at(&block)..];
        let values = View::strided(values, [visible, width], shape.stride());
        let scores = &mut scores[..count * visible];
        queries.times_into(keys.transposed(), ViewMut { data: scores, stride: visible });
        let weights = &mut weights[shape.weights_at(&block)..];
        causal_softmax(weights, scores, shape.causal_rows(&block), block.from + 1);
        let output = &mut output[shape.output_at(&block)..];
        let output = ViewMut { data: output, stride: shape.output() };
        View::strided(weights, [count, visible], time).times_into(values, output);
    }
    (output, Saved { queries, keys, joined, weights })
}

/// The gradient of [`attend`] with respect to the joined queries, keys and values.
pub fn attend_backward(shape: Shape, saved: Saved, angles: Angles<'_>, grad: &[f32]) -> Vec<f32> {
    let Shape { time, heads, kv_heads, width, .. } = shape;
    let Saved { queries, keys, joined, weights } = saved;
    let mut grad_joined = vec![0.0; joined.len()];
    let (mut grad_queries, mut grad_keys) = (vec![0.0; queries.len()], vec![0.0; keys.len()]);
    let mut grad_scores = vec![0.0; BLOCK * time];
    for block in shape.blocks() {
        let (count, visible) = (block.queries(), block.to);
        let (query, key) = (shape.queries_at(&block), shape.keys_at(&block));
        let value = shape.values_at(&block);
        let grad = &grad[shape.output_at(&block)..];
        let grad = View::strided(grad, [count, width], shape.output());
        let weights = &weights[shape.weights_at(&block)..];
        let values = View::strided(&joined[value..], [visible, width], shape.stride());
        let grad_values = ViewMut { data: &mut grad_joined[value..], stride: shape.stride() };
        // Value and key gradients accumulate, because several blocks and query heads use the same keys. A query is in one
        // block only.
        View::strided(weights, [count, visible], time).transposed().add_times(grad, grad_values);
        let grad_scores = &mut grad_scores[..count * visible];
        grad.times_into(values.transposed(), ViewMut { data: grad_scores, stride: visible });
        causal_softmax_backward(grad_scores, weights, shape.causal_rows(&block));
        let grad_scores = View::new(grad_scores, visible);
        let keys = View::strided(&keys[key..], [visible, width], width);
        grad_scores.times_into(keys, ViewMut { data: &mut grad_queries[query..], stride: width });
        let queries = View::strided(&queries[query..], [count, width], width);
        grad_scores
            .transposed()
            .add_times(queries, ViewMut { data: &mut grad_keys[key..], stride: width });
    }
    rotate_back(&mut grad_joined, &grad_queries, angles, shape.rotary(heads));
    let grad_joined_keys = &mut grad_joined[heads * width..];
    rotate_back(grad_joined_keys, &grad_keys, angles, shape.rotary(kv_heads));
    grad_joined
}
