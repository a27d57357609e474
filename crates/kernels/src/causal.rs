//! Causal self-attention of whole rows for training, and its gradient.
//!
//! Queries are processed in blocks, each against only the keys that one of its queries may see. A block's scores stay in
//! the cache, and most of the scores that a mask would remove are never computed.

use crate::matmul::{View, ViewMut};
use crate::rotary::{Angles, RotaryShape, rotary, rotate_back};
use crate::softmax::{CausalRows, causal_softmax, causal_softmax_backward};

/// Queries per block.
const BLOCK: usize = 64;

/// Which tokens of a row see which. Texts that begin alike may be in one row: what they share comes first, the trunk, and then
/// the rest of each, a branch. A branch sees the trunk and itself, so every text is computed as if it were alone in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branches {
    /// Number of tokens in the trunk.
    trunk: usize,
    /// One past the last token of each branch.
    ends: Vec<usize>,
}

/// The tokens of a trunk or a branch, and those before them that they see.
#[derive(Debug, Clone, Copy)]
struct Segment {
    trunk: usize,
    from: usize,
    to: usize,
}

impl Branches {
    /// A row of `time` tokens that is one text.
    pub fn none(time: usize) -> Self {
        Self { trunk: 0, ends: vec![time] }
    }

    /// A trunk, and branches of these lengths after it.
    pub fn new(trunk: usize, lengths: impl IntoIterator<Item = usize>) -> Self {
        let end = |end: &mut usize, length| {
            *end += length;
            Some(*end)
        };
        Self { trunk, ends: lengths.into_iter().scan(trunk, end).collect() }
    }

    /// Most keys that a token sees.
    fn most_keys(&self) -> usize {
        self.segments().map(|segment| segment.trunk + segment.to - segment.from).max().unwrap_or(0)
    }

    fn segments(&self) -> impl Iterator<Item = Segment> {
        let trunk = self.trunk;
        let first = (trunk > 0).then_some(Segment { trunk: 0, from: 0, to: trunk });
        let starts = std::iter::once(trunk).chain(self.ends.iter().copied());
        let branches = starts.zip(&self.ends).map(move |(from, &to)| Segment { trunk, from, to });
        first.into_iter().chain(branches)
    }
}

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
    /// Attention weights, `[batch, heads, time, keys]` with as many keys as a token sees at most, the trunk's first; zero
    /// where no block computed any.
    weights: Vec<f32>,
    branches: Branches,
}

/// A block of one head's queries.
struct Block {
    row: usize,
    head: usize,
    /// First query of the block, and one past its last.
    from: usize,
    to: usize,
    /// The trunk's length, if the block is in a branch, and the first token of that.
    trunk: usize,
    branch: usize,
}

/// Consecutive keys that a block sees.
struct Keys {
    /// The first one, in its row.
    from: usize,
    count: usize,
    /// The column of the first one among the block's scores.
    column: usize,
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

    fn blocks(&self, branches: &Branches) -> impl Iterator<Item = Block> {
        let Self { batch, heads, .. } = *self;
        let of_head = move |(row, head)| {
            let of_segment = move |Segment { trunk, from: branch, to: end }| {
                let to = move |from: usize| end.min(from + BLOCK);
                let block = move |from| Block { row, head, from, to: to(from), trunk, branch };
                (branch..end).step_by(BLOCK).map(block)
            };
            branches.segments().flat_map(of_segment)
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

    /// Offset of some rotated keys that it sees.
    fn keys_at(&self, block: &Block, keys: &Keys) -> usize {
        let row = block.row * self.kv_heads + self.kv_head(block);
        (row * self.time + keys.from) * self.width
    }

    /// Offset of their values, in the joined rows.
    fn values_at(&self, block: &Block, keys: &Keys) -> usize {
        let head = self.heads + self.kv_heads + self.kv_head(block);
        (block.row * self.time + keys.from) * self.stride() + head * self.width
    }

    /// Offset of its attention weights, `stride` of a query.
    fn weights_at(&self, block: &Block, stride: usize) -> usize {
        ((block.row * self.heads + block.head) * self.time + block.from) * stride
    }

    /// Offset of its output.
    fn output_at(&self, block: &Block) -> usize {
        (block.row * self.time + block.from) * self.output() + block.head * self.width
    }

    /// The block's rows of scores and attention weights.
    fn causal_rows(&self, block: &Block, stride: usize) -> CausalRows {
        let scale = 1.0 / (self.width as f32).sqrt();
        CausalRows { stride, keys: block.visible(), scale }
    }
}

impl Block {
    fn queries(&self) -> usize {
        self.to - self.from
    }

    /// Number of keys that its last query sees.
    fn visible(&self) -> usize {
        self.trunk + self.to - self.branch
    }

    /// The keys that it sees: the trunk's if it is in a branch, and those of its own segment.
    fn keys(&self) -> impl Iterator<Item = Keys> {
        let trunk = (self.trunk > 0).then_some(Keys { from: 0, count: self.trunk, column: 0 });
        let count = self.to - self.branch;
        trunk.into_iter().chain([Keys { from: self.branch, count, column: self.trunk }])
    }
}

/// Computes the attention output `[batch, time, heads * width]`, and what the backward pass needs. Rows share their
/// angles, `[time, width / 2]`, and their branches.
pub fn attend(
    shape: Shape,
    branches: Branches,
    joined: Vec<f32>,
    angles: Angles<'_>,
) -> (Vec<f32>, Saved) {
    let Shape { batch, time, heads, kv_heads, width } = shape;
    let queries = rotary(&joined, angles, shape.rotary(heads));
    let keys = rotary(&joined[heads * width..], angles, shape.rotary(kv_heads));
    let stride = branches.most_keys();
    let mut weights = vec![0.0; batch * heads * time * stride];
    let mut output = vec![0.0; batch * time * shape.output()];
    // One buffer for all blocks, so that the softmax finds a block's scores still in the cache.
    let mut scores = vec![0.0; BLOCK * stride];
    for block in shape.blocks(&branches) {
        let (count, visible) = (block.queries(), block.visible());
        let queries = View::strided(&queries[shape.queries_at(&block)..], [count, width], width);
        let scores = &mut scores[..count * visible];
        for seen in block.keys() {
            let keys = &keys[shape.keys_at(&block, &seen)..];
            let keys = View::strided(keys, [seen.count, width], width);
            let scores = ViewMut { data: &mut scores[seen.column..], stride: visible };
            queries.times_into(keys.transposed(), scores);
        }
        let weights = &mut weights[shape.weights_at(&block, stride)..];
        let first = visible + 1 - count;
        causal_softmax(weights, scores, shape.causal_rows(&block, stride), first);
        let output = &mut output[shape.output_at(&block)..];
        for seen in block.keys() {
            let values = &joined[shape.values_at(&block, &seen)..];
            let values = View::strided(values, [seen.count, width], shape.stride());
            let weights = View::strided(&weights[seen.column..], [count, seen.count], stride);
            let output = ViewMut { data: &mut *output, stride: shape.output() };
            if seen.column == 0 {
                weights.times_into(values, output);
            } else {
                weights.add_times(values, output);
            }
        }
    }
    (output, Saved { queries, keys, joined, weights, branches })
}

/// The gradient of [`attend`] with respect to the joined queries, keys and values.
pub fn attend_backward(shape: Shape, saved: Saved, angles: Angles<'_>, grad: &[f32]) -> Vec<f32> {
    let Shape { heads, kv_heads, width, .. } = shape;
    let Saved { queries, keys, joined, weights, branches } = saved;
    let mut grad_joined = vec![0.0; joined.len()];
    let (mut grad_queries, mut grad_keys) = (vec![0.0; queries.len()], vec![0.0; keys.len()]);
    let stride = branches.most_keys();
    let mut grad_scores = vec![0.0; BLOCK * stride];
    for block in shape.blocks(&branches) {
        let (count, visible) = (block.queries(), block.visible());
        let query = shape.queries_at(&block);
        let grad = &grad[shape.output_at(&block)..];
        let grad = View::strided(grad, [count, width], shape.output());
        let weights = &weights[shape.weights_at(&block, stride)..];
        let grad_scores = &mut grad_scores[..count * visible];
        for seen in block.keys() {
            let value = shape.values_at(&block, &seen);
            let values = View::strided(&joined[value..], [seen.count, width], shape.stride());
            let grad_values = ViewMut { data: &mut grad_joined[value..], stride: shape.stride() };
            let weights = View::strided(&weights[seen.column..], [count, seen.count], stride);
            // Value and key gradients accumulate, because several blocks and query heads use the same keys. A query is in
            // one block only.
            weights.transposed().add_times(grad, grad_values);
            let grad_scores = ViewMut { data: &mut grad_scores[seen.column..], stride: visible };
            grad.times_into(values.transposed(), grad_scores);
        }
        causal_softmax_backward(grad_scores, weights, shape.causal_rows(&block, stride));
        let queries = View::strided(&queries[query..], [count, width], width);
        for seen in block.keys() {
            let key = shape.keys_at(&block, &seen);
            let grad_scores =
                View::strided(&grad_scores[seen.column..], [count, seen.count], visible);
            let keys = View::strided(&keys[key..], [seen.count, width], width);
            let grad_queries = ViewMut { data: &mut grad_queries[query..], stride: width };
            if seen.column == 0 {
                grad_scores.times_into(keys, grad_queries);
            } else {
                grad_scores.add_times(keys, grad_queries);
            }
            let grad_keys = ViewMut { data: &mut grad_keys[key..], stride: width };
            grad_scores.transposed().add_times(queries, grad_keys);
        }
    }
    rotate_back(&mut grad_joined, &grad_queries, angles, shape.rotary(heads));
    let grad_joined_keys = &mut grad_joined[heads * width..];
    rotate_back(grad_joined_keys, &grad_keys, angles, shape.rotary(kv_heads));
    grad_joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::numbers;

    const SHAPE: Shape = Shape { batch: 1, time: 0, heads: 4, kv_heads: 2, width: 8 };

    /// Angles of some positions.
    fn angles(positions: impl Iterator<Item = usize>) -> [Vec<f32>; 2] {
        let at: Vec<f32> = positions
            .flat_map(|at| (0..SHAPE.width / 2).map(move |i| at as f32 / (1 << i) as f32))
            .collect();
        [at.iter().map(|x| x.cos()).collect(), at.iter().map(|x| x.sin()).collect()]
    }

    /// The output of a row, and the gradient for that of the output.
    fn run(branches: Branches, joined: &[f32], positions: &[usize], grad: &[f32]) -> [Vec<f32>; 2] {
        let shape = Shape { time: positions.len(), ..SHAPE };
        let [cos, sin] = angles(positions.iter().copied());
        let angles = Angles { cos: &cos, sin: &sin };
        let (output, saved) = attend(shape, branches, joined.to_vec(), angles);
        [output, attend_backward(shape, saved, angles, grad)]
    }

    /// Texts that share their beginning, as a trunk with branches: the same as each text in a row of its own.
    #[test]
    fn branches_are_computed_as_if_each_were_alone() {
        let (stride, out) = (SHAPE.stride(), SHAPE.output());
        for (trunk, lengths) in
            [(5, vec![3, 1, 7]), (70, vec![65, 2]), (1, vec![130]), (40, vec![0, 90, 64])]
        {
            let time = trunk + lengths.iter().sum::<usize>();
            let (joined, grad) = (numbers(time * stride, 7919), numbers(time * out, 31));
            let branches = Branches::new(trunk, lengths.iter().copied());
            let of = |from: usize, length: usize| (0..trunk).chain(from..from + length);
            let starts: Vec<usize> =
                lengths.iter().scan(trunk, |at, n| Some(std::mem::replace(at, *at + n))).collect();
            let positions: Vec<usize> =
                (0..trunk).chain(lengths.iter().flat_map(|&n| trunk..trunk + n)).collect();
            let [output, gradient] = run(branches, &joined, &positions, &grad);
            let mut expected = vec![0.0; gradient.len()];
            for (branch, (&from, &length)) in starts.iter().zip(&lengths).enumerate() {
                let pick = |values: &[f32], width: usize| -> Vec<f32> {
                    of(from, length).flat_map(|at| values[at * width..][..width].to_vec()).collect()
                };
                // What the trunk's own outputs are worth counts once.
                let mut of_text = pick(&grad, out);
                if branch > 0 {
                    of_text[..trunk * out].fill(0.0);
                }
                let whole: Vec<usize> = (0..trunk + length).collect();
                let alone = Branches::none(trunk + length);
                let [alone, back] = run(alone, &pick(&joined, stride), &whole, &of_text);
                near(&pick(&output, out), &alone);
                for (at, token) in of(from, length).enumerate() {
                    let to = &mut expected[token * stride..][..stride];
                    to.iter_mut().zip(&back[at * stride..]).for_each(|(to, back)| *to += back);
                }
            }
            near(&gradient, &expected);
        }
    }

    fn near(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
    }
}
