//! The attention of a pass: rows are cut into parts, and parts that start with the same piece are multiplied together.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use std::ops::Range;
use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};

use super::span::{Seen, Span};
use crate::kv::{HeadAt, KvShape};
use crate::panels::{Interleaved, LeftRows, Out};
use crate::softmax::normalize;
use crate::team::Team;

/// Maximum number of queries processed together. A block computes the scores of every key up to its last query, so larger
/// blocks waste more work on keys that the earlier queries must not see.
const QUERIES: usize = 32;

/// Queries whose attention weights are copied to the order of the products at once: few enough to stay in the L2 cache.
const ROWS: usize = 48;

/// The attention of all rows in one layer, whose keys and values have been written: queries `[heads, tokens, width]` to
/// outputs `[tokens, heads * width]`.
pub(super) fn attend(rows: &[Span], layer: usize, queries: &[f32], team: &Team) -> Vec<f32> {
    let parts = Part::all(rows);
    let Some(shape) = rows.first().map(|row| row.shape) else { return Vec::new() };
    let KvShape { kv_heads, width, .. } = shape;
    let total: usize = rows.iter().map(|row| row.new).sum();
    let heads = queries.len() / (total * width).max(1);
    let group = heads / kv_heads;
    // Threads take heads first: rows that begin alike go together, so their common piece is read once.
    let head_pieces = kv_heads.min(team.size());
    let row_pieces = team.size().div_ceil(head_pieces);
    // Up to about `QUERIES` query tokens at once: decoding has one per row.
    let most = QUERIES.min(total.div_ceil(row_pieces));
    let alike = parts.chunk_by(Part::begins_like).flat_map(|alike| Part::chunks(alike, most));
    let piece = |at: usize| at * kv_heads / head_pieces;
    let runs = alike.flat_map(|parts| {
        (0..head_pieces).map(move |at| {
            let heads = piece(at)..piece(at + 1);
            let visible = Visible::all(parts, group);
            Run { parts, visible, shape, layer, heads, group, total }
        })
    });
    let mut output = vec![0.0; queries.len()];
    let mut place = |run: &Run<'_>, mixed: &[f32]| {
        run.each(|at, token, head| {
            let to = &mut output[(token * heads + head) * width..][..width];
            to.copy_from_slice(&mixed[at * width..][..width]);
        });
    };
    if team.size() == 1 {
        let mut work = Work::default();
        for run in runs {
            Arch::new().dispatch(Attend { run: &run, queries, work: &mut work });
            place(&run, &work.output);
        }
        return output;
    }
    let done = team.map_init(runs.collect(), Work::default, |work, run| {
        Arch::new().dispatch(Attend { run: &run, queries, work });
        (run, std::mem::take(&mut work.output))
    });
    for (run, mixed) in &done {
        place(run, mixed);
    }
    output
}

/// The attention of one run.
struct Attend<'a> {
    run: &'a Run<'a>,
    /// `[heads, tokens, width]`.
    queries: &'a [f32],
    work: &'a mut Work,
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { run, queries, work } = self;
        work.attention_weights(simd, run, queries);
        work.mix_values(simd, run);
    }
}

/// A block of a row's new tokens.
struct Part<'a> {
    row: &'a Span,
    /// Index of the row's first token in the pass.
    start: usize,
    tokens: Range<usize>,
    /// Number of tokens before the row's new ones.
    past: usize,
}

impl<'a> Part<'a> {
    /// Splits rows into blocks of queries to process together.
    fn all(rows: &'a [Span]) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut start = 0;
        for row in rows {
            for from in (0..row.new).step_by(QUERIES) {
                let to = (from + QUERIES).min(row.new);
                parts.push(Self { row, start, tokens: from..to, past: row.past() });
            }
            start += row.new;
        }
        parts
    }

    /// Splits parts into runs of at most `most` tokens, or of a single part.
    fn chunks(mut parts: &[Self], most: usize) -> impl Iterator<Item = &[Self]> {
        std::iter::from_fn(move || {
            let mut tokens = 0;
            let fits = |part: &&Self| {
                tokens += part.tokens.len();
                tokens <= most
            };
            let count = parts.iter().take_while(fits).count().max(1).min(parts.len());
            let (chunk, rest) = parts.split_at(count);
            parts = rest;
            (!chunk.is_empty()).then_some(chunk)
        })
    }

    /// Number of score columns: all tokens up to the end of this part.
    fn columns(&self) -> usize {
        self.past + self.tokens.end
    }

    /// Whether both parts start with the same cached piece, so that their queries can be multiplied with it together.
    fn begins_like(&self, other: &Self) -> bool {
        match (self.row.before.first(), other.row.before.first()) {
            (Some(a), Some(b)) => Arc::ptr_eq(&a.kv, &b.kv) && a.used == b.used,
            _ => false,
        }
    }
}

/// Parts that start with the same piece.
struct Run<'a> {
    parts: &'a [Part<'a>],
    visible: Vec<Visible<'a>>,
    shape: KvShape,
    layer: usize,
    /// The key heads to attend with.
    heads: Range<usize>,
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
        for key_head in self.heads.clone() {
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
struct Visible<'a> {
    piece: Seen<'a>,
    queries: Range<usize>,
    /// The first score column of the piece.
    column: usize,
}

impl<'a> Visible<'a> {
    /// Lists all pieces in token order per query. If the run has several parts, the first piece is shared by all of their
    /// queries.
    fn all(parts: &'a [Part<'_>], group: usize) -> Vec<Self> {
        let queries = |part: &Part<'_>| part.tokens.len() * group;
        let common = parts[0].row.before.first().filter(|_| parts.len() > 1);
        let whole = 0..parts.iter().map(queries).sum();
        let common = common.map(|piece| Seen { kv: &piece.kv, used: piece.used });
        let mut visible: Vec<Self> =
            common.map(|piece| Visible { piece, queries: whole, column: 0 }).into_iter().collect();
        let mut from = 0;
        for part in parts {
            let to = from + queries(part);
            let mut column = 0;
            for (at, piece) in part.row.pieces(part.tokens.end).enumerate() {
                if at > 0 || common.is_none() {
                    visible.push(Visible { piece, queries: from..to, column });
                }
                column += piece.used;
            }
            from = to;
        }
        visible
    }
}

/// Buffers reused from run to run.
#[derive(Default)]
struct Work {
    /// `[key heads of the run, queries, width]`.
    queries: Vec<f32>,
    /// Scores, then attention weights, `[key heads of the run, queries, columns]`.
    weights: Vec<f32>,
    /// `[key heads of the run, queries, width]`.
    output: Vec<f32>,
    left: Interleaved,
}

// Loops, not closures, around products: only inlined code is compiled with vector instructions. Pieces are read in memory
// order: the keys of all heads here, then in `mix_values` the values of all heads. That made decoding of 64 rows 10 %
// faster than alternating per head (docs/PERFORMANCE.md).
impl Work {
    /// Computes the attention weights, 0 for keys that a query must not see.
    #[inline(always)]
    fn attention_weights<S: Simd>(&mut self, simd: S, run: &Run<'_>, q: &[f32]) {
        let (width, columns, count) = (run.shape.width, run.columns(), run.queries());
        let scale = 1.0 / (width as f32).sqrt();
        self.queries.clear();
        run.each(|_, token, head| {
            let query = &q[(head * run.total + token) * width..][..width];
            // Scaled here rather than in the scores, of which there are more.
            self.queries.extend(query.iter().map(|x| x * scale));
        });
        // Every value is written below, so none is cleared here.
        self.weights.resize(run.heads.len() * count * columns, 0.0);
        for &Visible { piece: Seen { kv, used }, ref queries, column } in &run.visible {
            for (at, head) in run.heads.clone().enumerate() {
                let rows = at * count + queries.start..at * count + queries.end;
                let data = &self.queries[rows.start * width..rows.end * width];
                self.left.load::<S>(&LeftRows { data, stride: width, from: 0, inner: width });
                let keys = kv.key_matrix(HeadAt { layer: run.layer, head });
                let data = &mut self.weights[rows.start * columns..rows.end * columns];
                let to = Out { data, stride: columns, from: column, width: used };
                self.left.times_matrix(simd, keys, to, false);
            }
        }
        let mut rows = self.weights.chunks_exact_mut(columns);
        for part in std::iter::repeat_n(run.parts, run.heads.len()).flatten() {
            for _ in 0..run.group {
                for (token, row) in part.tokens.clone().zip(&mut rows) {
                    let (visible, rest) = row.split_at_mut(part.past + token + 1);
                    normalize(visible);
                    // The products also computed scores of keys after this query, which would count as weights below.
                    rest.fill(0.0);
                }
            }
        }
    }

    /// Computes the sums of the values, weighted by the attention weights.
    #[inline(always)]
    fn mix_values<S: Simd>(&mut self, simd: S, run: &Run<'_>) {
        let (width, columns, count) = (run.shape.width, run.columns(), run.queries());
        self.output.clear();
        self.output.resize(self.queries.len(), 0.0);
        for &Visible { piece: Seen { kv, used }, ref queries, column } in &run.visible {
            for (at, head) in run.heads.clone().enumerate() {
                let values = kv.value_matrix(HeadAt { layer: run.layer, head });
                let rows = at * count + queries.start..at * count + queries.end;
                let weights = &self.weights[rows.start * columns..rows.end * columns];
                let output = &mut self.output[rows.start * width..rows.end * width];
                let outputs = output.chunks_mut(ROWS * width);
                for (data, weights) in outputs.zip(weights.chunks(ROWS * columns)) {
                    let rows =
                        LeftRows { data: weights, stride: columns, from: column, inner: used };
                    self.left.load::<S>(&rows);
                    let to = Out { data, stride: width, from: 0, width };
                    self.left.times_matrix(simd, values, to, true);
                }
            }
        }
    }
}
