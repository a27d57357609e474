//! Causal self-attention of whole rows on the CPU for training, and its gradient.
//!
//! Queries are processed in blocks, each against only the keys that one of its queries may see. A block's scores stay in
//! the cache, and most of the scores that a mask would remove are never computed.

use crate::kernels::{self, RotaryShape};
use crate::product::{Place, View};

/// Queries per block.
const BLOCK: usize = 64;

/// Dimensions of the joined queries, keys and values of some rows, `[batch, time, (heads + 2 * kv_heads) * width]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    /// Width of a head.
    pub(crate) width: usize,
}

/// The values that the backward pass needs.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Rotated queries `[batch, heads, time, width]` and keys `[batch, kv_heads, time, width]`.
    turned: [Vec<f32>; 2],
    /// Queries, keys and values as they came in. The values are read from here, so they are not copied.
    joined: Vec<f32>,
    /// Attention weights, `[batch, heads, time, time]`; zero where no block computed any.
    shares: Vec<f32>,
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
    pub(crate) fn parts(&self) -> [usize; 3] {
        [self.heads, self.kv_heads, self.kv_heads].map(|heads| heads * self.width)
    }

    /// Values per token of all three together.
    fn stride(&self) -> usize {
        self.parts().iter().sum()
    }

    /// Values per token of the output.
    fn found(&self) -> usize {
        self.heads * self.width
    }

    /// How to rotate the queries and the keys.
    fn rotary(&self) -> [RotaryShape; 2] {
        let Self { batch, time, width, .. } = *self;
        let stride = self.stride();
        [self.heads, self.kv_heads].map(|heads| RotaryShape {
            batch,
            time,
            heads,
            width,
            stride,
            by_batch: false,
        })
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

    /// Offsets of the block's queries and of the keys it sees, in the rotated tensors.
    fn in_turned(&self, block: &Block) -> [usize; 2] {
        let Self { time, heads, kv_heads, width, .. } = *self;
        let queries = (block.row * heads + block.head) * time + block.from;
        [queries, (block.row * kv_heads + self.kv_head(block)) * time].map(|at| at * width)
    }

    /// Offset of the values it sees, in the joined tensor.
    fn in_joined(&self, block: &Block) -> usize {
        let head = self.heads + self.kv_heads + self.kv_head(block);
        block.row * self.time * self.stride() + head * self.width
    }

    /// Offset of its attention weights.
    fn in_shares(&self, block: &Block) -> usize {
        ((block.row * self.heads + block.head) * self.time + block.from) * self.time
    }

    /// Offset of its output.
    fn in_found(&self, block: &Block) -> usize {
        (block.row * self.time + block.from) * self.found() + block.head * self.width
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

impl Block {
    fn queries(&self) -> usize {
        self.to - self.from
    }
}

/// Computes the attention output `[batch, time, heads * width]`, and what the backward pass needs. Angles are
/// `[time, width / 2]`.
pub(crate) fn attend(shape: Shape, joined: Vec<f32>, angles: [&[f32]; 2]) -> (Vec<f32>, Kept) {
    let Shape { batch, time, heads, width, .. } = shape;
    let [of_queries, of_keys] = shape.rotary();
    let [cos, sin] = angles;
    let queries = kernels::rotary(&joined, cos, sin, of_queries);
    let keys = kernels::rotary(&joined[heads * width..], cos, sin, of_keys);
    let mut shares = vec![0.0; batch * heads * time * time];
    let mut found = vec![0.0; batch * time * shape.found()];
    let mut scores = vec![0.0; BLOCK * time];
    for block in shape.blocks() {
        let (count, seen) = (block.queries(), block.to);
        let [query, key] = shape.in_turned(&block);
        let queries = View::within(&queries[query..], [count, width], width);
        let keys = View::within(&keys[key..], [seen, width], width);
        let values =
            View::within(&joined[shape.in_joined(&block)..], [seen, width], shape.stride());
        let scores = &mut scores[..count * seen];
        queries.times_into(keys.transposed(), Place { data: scores, stride: seen }, false);
        let shares = &mut shares[shape.in_shares(&block)..];
        let sizes = [time, seen, block.from + 1];
        kernels::causal_softmax(shares, scores, sizes, shape.scale());
        let to = Place { data: &mut found[shape.in_found(&block)..], stride: shape.found() };
        View::within(shares, [count, seen], time).times_into(values, to, false);
    }
    (found, Kept { turned: [queries, keys], joined, shares })
}

/// The gradient of [`attend`] with respect to `joined`.
pub(crate) fn attend_backward(
    shape: Shape,
    kept: Kept,
    angles: [&[f32]; 2],
    grad: &[f32],
) -> Vec<f32> {
    let Shape { heads, width, time, .. } = shape;
    let Kept { turned: [queries, keys], joined, shares } = kept;
    let mut by_joined = vec![0.0; joined.len()];
    let (mut by_queries, mut by_keys) = (vec![0.0; queries.len()], vec![0.0; keys.len()]);
    let mut by_scores = vec![0.0; BLOCK * time];
    for block in shape.blocks() {
        let (count, seen) = (block.queries(), block.to);
        let [query, key] = shape.in_turned(&block);
        let value = shape.in_joined(&block);
        let grad = View::within(&grad[shape.in_found(&block)..], [count, width], shape.found());
        let shares = &shares[shape.in_shares(&block)..];
        let values = View::within(&joined[value..], [seen, width], shape.stride());
        let to = Place { data: &mut by_joined[value..], stride: shape.stride() };
        // Value and key gradients accumulate, because several blocks and query heads use the same keys. A query is in one
        // block only.
        View::within(shares, [count, seen], time).transposed().times_into(grad, to, true);
        let by_scores = &mut by_scores[..count * seen];
        grad.times_into(values.transposed(), Place { data: by_scores, stride: seen }, false);
        kernels::causal_softmax_backward(by_scores, shares, time, seen, shape.scale());
        let by_scores = View::of(by_scores, seen);
        let keys = View::within(&keys[key..], [seen, width], width);
        let to = Place { data: &mut by_queries[query..], stride: width };
        by_scores.times_into(keys, to, false);
        let queries = View::within(&queries[query..], [count, width], width);
        let to = Place { data: &mut by_keys[key..], stride: width };
        by_scores.transposed().times_into(queries, to, true);
    }
    let [of_queries, of_keys] = shape.rotary();
    kernels::turned_back(&mut by_joined, &by_queries, angles, of_queries);
    kernels::turned_back(&mut by_joined[heads * width..], &by_keys, angles, of_keys);
    by_joined
}
