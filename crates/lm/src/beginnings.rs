//! Attention to long beginnings that rows have in common, such as a prompt with its examples: keys and values are read
//! once for all rows that begin so, where each row would otherwise read a copy of its own at every token.
//!
//! Neighbouring rows with the same beginning are a run. The queries of a run are folded into the rows of one matrix
//! product with the beginning; what a row attends to of its own is beside it, and one softmax goes over both. Whether a
//! row has such a beginning depends on what was read in its scope, and on nothing else in the batch: a run of one row
//! is computed as a run of many is.

use burn::tensor::{Device, Tensor};

use crate::engine::MIN_ROWS;
use crate::model::{self, MASKED};

/// Beginnings of fewer tokens are copied for every row: that is cheaper than products of their own.
pub(crate) const LEAST: usize = 128;
/// Columns of the scores are filled up to a multiple of this, so that sums over a row's own columns fall into the same
/// lanes whatever the longest beginning of the batch is.
const ALIGNED: usize = 32;

/// Keys and values of one beginning in one layer, ready for products.
#[derive(Debug, Clone)]
pub(crate) struct Beginning {
    /// `[1, kv_heads, d_head, tokens]`, row-major: a transposed right-hand side is several times slower.
    pub(crate) keys: Tensor<4>,
    /// `[1, kv_heads, tokens, d_head]`.
    pub(crate) values: Tensor<4>,
}

/// Which rows of a batch begin alike.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    /// How many rows, and their beginning among those of the batch, with its tokens.
    rows: Vec<(usize, Option<(usize, usize)>)>,
    /// Columns of the longest beginning, filled up.
    columns: usize,
    /// 0 for the columns of a row's beginning, `[rows, 1, 1, columns]`.
    mask: Tensor<4>,
}

impl Runs {
    /// The runs of rows of which each has a beginning, by its place and its tokens, or none; none if no row has any.
    pub(crate) fn of(rows: &[Option<(usize, usize)>], device: &Device) -> Option<Self> {
        let longest = rows.iter().flatten().map(|(_, tokens)| *tokens).max()?;
        let columns = longest.next_multiple_of(ALIGNED);
        let counted = rows.chunk_by(|a, b| a == b).map(|run| (run.len(), run[0])).collect();
        let mask = rows.iter().flat_map(|row| {
            let tokens = row.map_or(0, |(_, tokens)| tokens);
            (0..columns).map(move |column| if column < tokens { 0.0 } else { MASKED })
        });
        let mask = model::tensor(mask.collect(), [rows.len(), 1, 1, columns], device);
        Some(Self { rows: counted, columns, mask })
    }

    /// The mask of the beginnings before a mask of the rows' own columns, `[rows, 1, time or 1, keys]`.
    pub(crate) fn masked(&self, own: Tensor<4>) -> Tensor<4> {
        let [rows, _, time, _] = own.dims();
        let beginnings = self.mask.clone().expand([rows, 1, time, self.columns]);
        Tensor::cat(vec![beginnings, own], 3)
    }

    /// Scores of the beginnings for queries `[rows, kv_heads, queries, d_head]`:
    /// `[rows, kv_heads, queries, columns]`.
    pub(crate) fn scores(&self, queries: &Tensor<4>, beginnings: &[Beginning]) -> Tensor<4> {
        self.each(queries, self.columns, |folded, at, tokens| {
            let scores = folded.matmul(beginnings[at].keys.clone());
            let [_, heads, rows, _] = scores.dims();
            let missing = self.columns - tokens;
            if missing == 0 {
                return scores;
            }
            let rest = Tensor::zeros([1, heads, rows, missing], &scores.device());
            Tensor::cat(vec![scores, rest], 3)
        })
    }

    /// What the weights `[rows, kv_heads, queries, columns]` take from the beginnings' values:
    /// `[rows, kv_heads, queries, d_head]`.
    pub(crate) fn mixed(&self, weights: &Tensor<4>, beginnings: &[Beginning]) -> Tensor<4> {
        let d_head = beginnings.first().map_or(0, |one| one.values.dims()[3]);
        self.each(weights, d_head, |folded, at, tokens| {
            folded.narrow(3, 0, tokens).matmul(beginnings[at].values.clone())
        })
    }

    /// How many columns the beginnings have in the scores.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Applies `product` to the rows of each run, folded to `[1, kv_heads, rows * queries, _]`; rows without a beginning
    /// get zeros, `width` of them.
    fn each(
        &self,
        x: &Tensor<4>,
        width: usize,
        product: impl Fn(Tensor<4>, usize, usize) -> Tensor<4>,
    ) -> Tensor<4> {
        let [_, heads, queries, _] = x.dims();
        let mut from = 0;
        let mut of_run = |(rows, beginning): (usize, Option<(usize, usize)>)| {
            let part = x.clone().narrow(0, from, rows);
            from += rows;
            let Some((at, tokens)) = beginning else {
                return Tensor::zeros([rows, heads, queries, width], &x.device());
            };
            let out = product(fold(part), at, tokens);
            let out = out.narrow(2, 0, rows * queries).reshape([heads, rows, queries, width]);
            out.swap_dims(0, 1)
        };
        let parts: Vec<Tensor<4>> = self.rows.iter().map(|run| of_run(*run)).collect();
        Tensor::cat(parts, 0)
    }
}

/// `[rows, kv_heads, queries, width]` to `[1, kv_heads, rows * queries, width]`, filled up to [`MIN_ROWS`].
fn fold(x: Tensor<4>) -> Tensor<4> {
    let [rows, heads, queries, width] = x.dims();
    let folded = x.swap_dims(0, 1).reshape([1, heads, rows * queries, width]);
    let missing = MIN_ROWS.saturating_sub(rows * queries);
    if missing == 0 {
        return folded;
    }
    let fillers = Tensor::zeros([1, heads, missing, width], &folded.device());
    Tensor::cat(vec![folded, fillers], 2)
}
