//! CPU attention over cached keys and values in place: rows of any length, no padding, no copies.
//!
//! A [`Span`] is the new tokens of a row, following cached pieces of its prefix. A token's result depends on the earlier
//! tokens of its row and nothing else, down to the last bit. The other rows do not matter, nor how the prefix is split
//! into pieces, nor whether it was read in this pass or long ago.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::kernels::normalize;
use crate::packed::{Matrix, Place, Rows, SPARE, Turned};
use crate::prefix::KvShape;

/// Maximum number of queries processed together. A block computes the scores of every key up to its last query, so larger
/// blocks waste more work on keys that the earlier queries must not see.
const QUERIES: usize = 64;

/// Keys and values of consecutive tokens in every layer, with a fixed capacity. Each layer has the keys,
/// `[kv_heads, width, tokens]`, then the values, `[kv_heads, tokens, width]`; the buffer ends with the padding that a
/// [`Matrix`] needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kv {
    /// Capacity in tokens.
    pub(crate) tokens: usize,
    data: Vec<f32>,
}

impl Kv {
    /// Allocates room for `tokens` tokens.
    pub(crate) fn zeros(tokens: usize, shape: KvShape) -> Self {
        let size = shape.layers * 2 * shape.kv_heads * shape.width * tokens;
        Self { tokens, data: vec![0.0; size + SPARE] }
    }

    /// Size of the buffer in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.data.as_slice())
    }

    /// The keys of one head in a layer, `[width, tokens]`.
    pub(crate) fn keys(&self, layer: usize, head: usize, shape: KvShape) -> &[f32] {
        &self.data[self.place(layer, 0, head, shape)]
    }

    /// The values of one head in a layer, `[tokens, width]`.
    pub(crate) fn values(&self, layer: usize, head: usize, shape: KvShape) -> &[f32] {
        &self.data[self.place(layer, 1, head, shape)]
    }

    /// [`Self::keys`] of the first `used` tokens, as the right-hand side of a product.
    fn key_matrix(&self, layer: usize, head: usize, used: usize, shape: KvShape) -> Matrix<'_> {
        let from = self.place(layer, 0, head, shape).start;
        Matrix { data: &self.data[from..], stride: self.tokens, columns: used }
    }

    /// [`Self::values`] as the right-hand side of a product.
    fn value_matrix(&self, layer: usize, head: usize, shape: KvShape) -> Matrix<'_> {
        let from = self.place(layer, 1, head, shape).start;
        Matrix { data: &self.data[from..], stride: shape.width, columns: shape.width }
    }

    /// The range of one head's keys (`which` 0) or values (1).
    fn place(&self, layer: usize, which: usize, head: usize, shape: KvShape) -> Range<usize> {
        let size = self.tokens * shape.width;
        let at = ((layer * 2 + which) * shape.kv_heads + head) * size;
        at..at + size
    }

    /// Writes the key and value of one token in one head.
    pub(crate) fn write(
        &mut self,
        token: usize,
        (layer, head): (usize, usize),
        [key, value]: [&[f32]; 2],
        shape: KvShape,
    ) {
        let (keys, values) = (self.place(layer, 0, head, shape), self.place(layer, 1, head, shape));
        let tokens = self.tokens;
        for (slot, &x) in self.data[keys][token..].iter_mut().step_by(tokens).zip(key) {
            *slot = x;
        }
        self.data[values][token * shape.width..][..shape.width].copy_from_slice(value);
    }

    /// Concatenates pieces, each restricted to a range of its tokens.
    pub(crate) fn joined<'a, I: Iterator<Item = (&'a Self, Range<usize>)> + Clone>(
        pieces: &I,
        shape: KvShape,
    ) -> Self {
        let mut joined = Self::zeros(pieces.clone().map(|(_, tokens)| tokens.len()).sum(), shape);
        if joined.tokens == 0 {
            return joined;
        }
        for (layer, head) in
            (0..shape.layers).flat_map(|layer| (0..shape.kv_heads).map(move |head| (layer, head)))
        {
            let (keys, values) =
                (joined.place(layer, 0, head, shape), joined.place(layer, 1, head, shape));
            let (whole, width) = (joined.tokens, shape.width);
            let mut at = 0;
            for (piece, tokens) in pieces.clone() {
                let from = piece.keys(layer, head, shape).chunks_exact(piece.tokens);
                for (to, from) in joined.data[keys.clone()].chunks_exact_mut(whole).zip(from) {
                    to[at..at + tokens.len()].copy_from_slice(&from[tokens.clone()]);
                }
                let from =
                    &piece.values(layer, head, shape)[tokens.start * width..tokens.end * width];
                joined.data[values.clone()][at * width..][..from.len()].copy_from_slice(from);
                at += tokens.len();
            }
        }
        joined
    }
}

/// A row of a forward pass.
#[derive(Debug)]
pub(crate) struct Span<'a> {
    /// Cached prefix of the row: pieces, and how many of their leading tokens to use.
    pub(crate) before: Vec<(&'a Kv, usize)>,
    /// Tokens copied from the prefix, then those written by the row's own passes. All blocks but the last are full.
    blocks: Vec<Kv>,
    copied: usize,
    /// Tokens in the blocks so far: those copied and those written by earlier passes.
    written: usize,
    /// Number of tokens in this pass.
    pub(crate) new: usize,
}

impl<'a> Span<'a> {
    /// A row of `new` tokens to read after a cached prefix.
    pub(crate) fn new(before: Vec<(&'a Kv, usize)>, new: usize) -> Self {
        Self { before, blocks: Vec::new(), copied: 0, written: 0, new }
    }

    /// A row decoded token by token, with `room` spare slots. All prefix pieces but the first are copied into one block:
    /// for every single token, going through many small pieces would cost more than the copy. The first stays in place
    /// because rows often share it.
    pub(crate) fn joined(mut before: Vec<(&'a Kv, usize)>, room: usize, shape: KvShape) -> Self {
        let own = before.split_off(before.len().min(1));
        let copied = own.iter().map(|(_, used)| used).sum();
        let empty = Kv::zeros(room, shape);
        let pieces = own.iter().map(|&(kv, used)| (kv, 0..used)).chain([(&empty, 0..room)]);
        let blocks = if copied > 0 { vec![Kv::joined(&pieces, shape)] } else { Vec::new() };
        Self { before, blocks, copied, written: copied, new: 1 }
    }

    /// Number of tokens before those of this pass.
    pub(crate) fn past(&self) -> usize {
        self.before.iter().map(|(_, used)| used).sum::<usize>() + self.written
    }

    /// A copy of the keys and values of the first `tokens` tokens that the row's passes wrote.
    pub(crate) fn kept(&self, tokens: usize, shape: KvShape) -> Kv {
        let (mut skip, mut left) = (self.copied, tokens);
        let pieces = self.blocks.iter().map(move |block| {
            let from = skip.min(block.tokens);
            let to = block.tokens.min(from + left);
            skip -= from;
            left -= to - from;
            (block, from..to)
        });
        Kv::joined(&pieces, shape)
    }

    /// Makes room for the tokens of this pass, in blocks of at least `block` tokens.
    fn make_room(&mut self, block: usize, shape: KvShape) {
        let room: usize = self.blocks.iter().map(|block| block.tokens).sum();
        let missing = (self.written + self.new).saturating_sub(room);
        if missing > 0 {
            self.blocks.push(Kv::zeros(missing.max(block), shape));
        }
    }

    /// All pieces before new token `end`, each with the number of its tokens among them.
    fn pieces(&self, end: usize) -> impl Iterator<Item = (&Kv, usize)> {
        let mut left = self.written + end;
        let own = self.blocks.iter().map_while(move |block| {
            let take = left.min(block.tokens);
            left -= take;
            (take > 0).then_some((block, take))
        });
        self.before.iter().copied().chain(own)
    }

    fn write(&mut self, token: usize, at: (usize, usize), kv: [&[f32]; 2], shape: KvShape) {
        let mut token = self.written + token;
        for block in &mut self.blocks {
            if token < block.tokens {
                block.write(token, at, kv, shape);
                return;
            }
            token -= block.tokens;
        }
        unreachable!("there is room for the tokens of this pass");
    }
}

/// The rows of a pass, in token order.
#[derive(Debug)]
pub(crate) struct Spans<'a> {
    pub(crate) rows: Vec<Span<'a>>,
    shape: KvShape,
    /// Capacity of the blocks that passes write to, in tokens.
    block: usize,
}

impl<'a> Spans<'a> {
    /// Rows that write to blocks of at least `block` tokens.
    pub(crate) fn new(rows: Vec<Span<'a>>, shape: KvShape, block: usize) -> Self {
        Self { rows, shape, block }
    }

    /// Attention of the new tokens in one layer: writes keys `[kv_heads, tokens, width]` and values
    /// `[tokens, kv_heads * width]` to the rows' blocks, then returns the outputs for queries `[heads, tokens, width]` as
    /// `[tokens, heads * width]`.
    pub(crate) fn attend(&mut self, layer: usize, [q, k, v]: [&[f32]; 3]) -> Vec<f32> {
        self.write(layer, k, v);
        let mut out = vec![0.0; q.len()];
        Arch::new().dispatch(Attend { spans: self, layer, q, out: &mut out });
        out
    }

    /// Ends the pass: its tokens become part of the prefix.
    pub(crate) fn advance(&mut self) {
        for row in &mut self.rows {
            row.written += row.new;
        }
    }

    fn write(&mut self, layer: usize, k: &[f32], v: &[f32]) {
        let (shape, block) = (self.shape, self.block);
        let KvShape { kv_heads, width, .. } = shape;
        let total = k.len() / (kv_heads * width);
        let mut start = 0;
        for row in &mut self.rows {
            row.make_room(block, shape);
            for token in 0..row.new {
                for head in 0..kv_heads {
                    let key = &k[(head * total + start + token) * width..][..width];
                    let value = &v[((start + token) * kv_heads + head) * width..][..width];
                    row.write(token, (layer, head), [key, value], shape);
                }
            }
            start += row.new;
        }
    }

    /// Splits rows into blocks of queries to process together.
    fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        let mut start = 0;
        for row in &self.rows {
            for from in (0..row.new).step_by(QUERIES) {
                let to = (from + QUERIES).min(row.new);
                parts.push(Part { row, start, tokens: from..to, past: row.past() });
            }
            start += row.new;
        }
        parts
    }
}

/// A block of a row's new tokens.
struct Part<'a> {
    row: &'a Span<'a>,
    /// Index of the row's first token in the pass.
    start: usize,
    tokens: Range<usize>,
    /// Number of tokens before the row's new ones.
    past: usize,
}

impl Part<'_> {
    /// Number of score columns: all tokens up to the end of this part.
    fn columns(&self) -> usize {
        self.past + self.tokens.end
    }

    /// Whether both parts start with the same cached piece, so that their queries can be multiplied with it together.
    fn begins_like(&self, other: &Self) -> bool {
        match (self.row.before.first(), other.row.before.first()) {
            (Some(a), Some(b)) => std::ptr::eq(a.0, b.0) && a.1 == b.1,
            _ => false,
        }
    }
}

struct Attend<'a, 'b> {
    spans: &'a Spans<'b>,
    layer: usize,
    q: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Attend<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { spans, layer, q, out } = self;
        let shape = spans.shape;
        let parts = spans.parts();
        let total: usize = spans.rows.iter().map(|row| row.new).sum();
        let heads = q.len() / (total * shape.width).max(1);
        let group = heads / shape.kv_heads;
        let longest = parts.iter().map(|part| part.tokens.len()).max().unwrap_or(1);
        let alike = parts.chunk_by(Part::begins_like);
        let mut work = Work::default();
        // Rows that start with the same piece go together, up to about `QUERIES` query tokens: decoding has one per row.
        for run in alike.flat_map(|alike| alike.chunks(QUERIES.div_ceil(longest))) {
            let run = Run { parts: run, seen: Seen::all(run, group), shape, layer, group, total };
            work.scores(simd, &run, q);
            work.mix(simd, &run);
            run.each(|at, token, head| {
                let found = &work.found[at * shape.width..][..shape.width];
                out[(token * heads + head) * shape.width..][..shape.width].copy_from_slice(found);
            });
        }
    }
}

/// Parts that start with the same piece.
struct Run<'a> {
    parts: &'a [Part<'a>],
    seen: Vec<Seen<'a>>,
    shape: KvShape,
    layer: usize,
    /// Number of query heads per key head.
    group: usize,
    /// Number of tokens in the pass.
    total: usize,
}

impl Run<'_> {
    /// Number of score columns.
    fn columns(&self) -> usize {
        self.parts.iter().map(Part::columns).max().unwrap_or(0)
    }

    /// Number of query rows per key head.
    fn queries(&self) -> usize {
        self.parts.iter().map(|part| part.tokens.len() * self.group).sum()
    }

    /// Visits every query, grouped by key head. Calls with its index in the run, its token in the pass, and its head.
    fn each(&self, mut call: impl FnMut(usize, usize, usize)) {
        let mut at = 0;
        for key_head in 0..self.shape.kv_heads {
            for part in self.parts {
                for head in key_head * self.group..(key_head + 1) * self.group {
                    for token in part.tokens.clone() {
                        call(at, part.start + token, head);
                        at += 1;
                    }
                }
            }
        }
    }
}

/// A piece of keys and values, and the queries of the run that see it.
struct Seen<'a> {
    kv: &'a Kv,
    /// How many of its leading tokens are seen.
    used: usize,
    queries: Range<usize>,
    /// The first score column of the piece.
    column: usize,
}

impl<'a> Seen<'a> {
    /// Lists all pieces in token order per query. If the run has several parts, the first piece is shared by all of their
    /// queries.
    fn all(parts: &'a [Part<'_>], group: usize) -> Vec<Self> {
        let queries = |part: &Part<'_>| part.tokens.len() * group;
        let common = parts[0].row.before.first().filter(|_| parts.len() > 1);
        let whole = 0..parts.iter().map(queries).sum();
        let mut seen: Vec<Self> = common
            .map(|&(kv, used)| Seen { kv, used, queries: whole, column: 0 })
            .into_iter()
            .collect();
        let mut from = 0;
        for part in parts {
            let to = from + queries(part);
            let mut column = 0;
            for (at, (kv, used)) in part.row.pieces(part.tokens.end).enumerate() {
                if at > 0 || common.is_none() {
                    seen.push(Seen { kv, used, queries: from..to, column });
                }
                column += used;
            }
            from = to;
        }
        seen
    }
}

/// Buffers reused from run to run.
#[derive(Default)]
struct Work {
    /// `[kv_heads, queries, width]`.
    queries: Vec<f32>,
    /// `[kv_heads, queries, columns]`.
    scores: Vec<f32>,
    /// `[kv_heads, queries, width]`.
    found: Vec<f32>,
    turned: Turned,
}

// Loops, not closures, around products: only inlined code is compiled with vector instructions. Pieces are read in memory
// order: the keys of all heads here, then in `mix` the values of all heads. That made decoding of 64 rows 10 % faster
// than alternating per head (docs/PERFORMANCE.md).
impl Work {
    /// Computes the attention weights, 0 for keys that a query must not see.
    #[inline(always)]
    fn scores<S: Simd>(&mut self, simd: S, run: &Run<'_>, q: &[f32]) {
        let (width, columns, count) = (run.shape.width, run.columns(), run.queries());
        let scale = 1.0 / (width as f32).sqrt();
        self.queries.clear();
        run.each(|_, token, head| {
            let query = &q[(head * run.total + token) * width..][..width];
            self.queries.extend(query.iter().map(|x| x * scale));
        });
        self.scores.clear();
        self.scores.resize(run.shape.kv_heads * count * columns, 0.0);
        for &Seen { kv, used, ref queries, column } in &run.seen {
            for head in 0..run.shape.kv_heads {
                let rows = head * count + queries.start..head * count + queries.end;
                let data = &self.queries[rows.start * width..rows.end * width];
                self.turned.take::<S>(&Rows { data, stride: width, from: 0, inner: width });
                let keys = kv.key_matrix(run.layer, head, used, run.shape);
                let data = &mut self.scores[rows.start * columns..rows.end * columns];
                let to = Place { data, stride: columns, from: column, width: used };
                self.turned.times_matrix(simd, keys, to, false);
            }
        }
        let mut rows = self.scores.chunks_exact_mut(columns);
        for part in std::iter::repeat_n(run.parts, run.shape.kv_heads).flatten() {
            for _ in 0..run.group {
                for (token, row) in part.tokens.clone().zip(&mut rows) {
                    let (seen, rest) = row.split_at_mut(part.past + token + 1);
                    normalize(seen);
                    rest.fill(0.0);
                }
            }
        }
    }

    /// Computes the sums of the values, weighted by the attention weights.
    #[inline(always)]
    fn mix<S: Simd>(&mut self, simd: S, run: &Run<'_>) {
        let (width, columns, count) = (run.shape.width, run.columns(), run.queries());
        self.found.clear();
        self.found.resize(self.queries.len(), 0.0);
        for &Seen { kv, used, ref queries, column } in &run.seen {
            for head in 0..run.shape.kv_heads {
                let rows = head * count + queries.start..head * count + queries.end;
                let data = &self.scores[rows.start * columns..rows.end * columns];
                self.turned.take::<S>(&Rows { data, stride: columns, from: column, inner: used });
                let values = kv.value_matrix(run.layer, head, run.shape);
                let data = &mut self.found[rows.start * width..rows.end * width];
                let to = Place { data, stride: width, from: 0, width };
                self.turned.times_matrix(simd, values, to, true);
            }
        }
    }
}
