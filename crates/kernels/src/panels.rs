//! Matrix products for inference, compiled for the registers at hand.
//!
//! Every element is a single sum over the inner dimension, taken from first to last, however many rows there are and
//! however the right-hand side is split into pieces. So batching does not change a single bit of a row's result.
//!
//! The right-hand side is read where it lies: the panels of a packed weight ([`crate::Packed`]), or keys and values, which
//! are stored in an order that needs none ([`Matrix`]).

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

mod sums;

use half::bf16;
use pulp::Simd;

use self::sums::{Pairs, Value, fill, widen};
use crate::packed::WeightType;

/// Columns of a panel: two of the widest registers (AVX-512, 16 floats).
pub(crate) const PANEL: usize = 32;
/// The longest line read at once, in floats. Also the padding needed after a [`Matrix`].
pub(crate) const SPARE: usize = 4 * PANEL;

/// Most rows of a block that is multiplied by pairs of bfloat16. Widening takes registers that a twelfth row would need:
/// with it, the sums of 16 lanes are spilled, and a product is three times slower (docs/PERFORMANCE.md).
const PAIR_ROWS: usize = 11;

/// The left-hand side of a product: rows `stride` apart in `data`, each starting at column `from`.
pub(crate) struct LeftRows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) from: usize,
    /// Number of columns used.
    pub(crate) inner: usize,
}

/// A row-major right-hand side: rows of values, `stride` apart. [`SPARE`] more values must follow the last
/// row, because lines are read in whole registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: Values<'a>,
    pub(crate) stride: usize,
}

/// Values as they are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

/// Where to put a product: columns `from` to `from + width` of rows `stride` apart.
pub(crate) struct Out<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) stride: usize,
    pub(crate) from: usize,
    pub(crate) width: usize,
}

/// Left-hand sides interleaved for the kernels, in blocks of a few rows: `[inner, rows of the block]`.
#[derive(Debug, Default)]
pub(crate) struct Interleaved {
    pub(crate) data: Vec<f32>,
    pub(crate) inner: usize,
    /// Number of rows in each block.
    pub(crate) blocks: Vec<usize>,
}

/// Lines of a right-hand side, `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) stride: usize,
}

/// Compiles an expression for each possible number of rows in a block, `ROWS`, so that the sums stay in registers.
macro_rules! of_rows {
    ($rows:expr, $call:expr) => {
        of_rows!($rows, $call, 1 2 3 4 5 6 7 8 9 10 11)
    };
    ($rows:expr, $call:expr, $($count:literal)*) => {
        match $rows {
            $($count => {
                const ROWS: usize = $count;
                $call
            })*
            _ => {
                const ROWS: usize = 12;
                $call
            }
        }
    };
}

// Blocks of pairs are for instructions that only these processors have.
#[cfg(target_arch = "x86_64")]
pub(crate) use of_rows;

impl Interleaved {
    /// Interleaves the rows of a left-hand side.
    #[inline(always)]
    pub(crate) fn load<S: Simd>(&mut self, rows: &LeftRows<'_>) {
        self.load_in_blocks(rows, rows_at_once::<S>());
    }

    /// The same for products with pairs of bfloat16.
    #[inline(always)]
    pub(crate) fn load_for_pairs<S: Simd>(&mut self, rows: &LeftRows<'_>) {
        self.load_in_blocks(rows, pair_rows_at_once::<S>());
    }

    /// Room for `count` rows of `inner` values, for products with a weight of a type.
    #[inline(always)]
    pub(crate) fn zeros<S: Simd>(count: usize, inner: usize, stored: WeightType) -> Self {
        let mut zeros = Self::default();
        zeros.resize(
            count,
            inner,
            match stored {
                WeightType::F32 => rows_at_once::<S>(),
                WeightType::Bf16 => pair_rows_at_once::<S>(),
            },
        );
        zeros
    }

    /// The values of each block, `[inner, rows of the block]`.
    pub(crate) fn blocks_mut(&mut self) -> impl Iterator<Item = (usize, &mut [f32])> {
        split_blocks(&mut self.data, self.inner, &self.blocks)
    }

    fn resize(&mut self, count: usize, inner: usize, most: usize) {
        self.blocks.clear();
        self.blocks.extend(even_blocks(count, most));
        self.inner = inner;
        self.data.resize(count * inner, 0.0);
    }

    #[inline(always)]
    fn load_in_blocks(&mut self, rows: &LeftRows<'_>, most: usize) {
        let LeftRows { data, stride, from, inner } = *rows;
        self.resize(data.len() / stride, inner, most);
        let mut rows = data;
        for (block, to) in self.blocks_mut() {
            let (block_rows, rest) = rows.split_at(block * stride);
            interleave_block(to, block_rows, (block, stride), from);
            rows = rest;
        }
    }

    /// Multiplies by a matrix with `inner` rows and the columns of `to`, and stores the product or adds it to `to`.
    #[inline(always)]
    pub(crate) fn times_matrix<S: Simd>(
        &self,
        simd: S,
        matrix: Matrix<'_>,
        to: Out<'_>,
        add: bool,
    ) {
        let Matrix { data, stride } = matrix;
        match data {
            Values::F32(data) => self.times_lines(simd, Lines { data, stride }, to, add),
            Values::Bf16(data) => self.times_lines(simd, Lines { data, stride }, to, add),
        }
    }

    #[inline(always)]
    fn times_lines<S: Simd, T: Value>(&self, simd: S, lines: Lines<'_, T>, to: Out<'_>, add: bool) {
        let Lines { data, stride } = lines;
        let Out { data: out, stride: out_stride, from: out_from, width: columns } = to;
        // A single row has few sums per line loaded from memory. Longer lines give it more, which keeps the adders busy.
        let longest = match (self.blocks.as_slice(), S::F32_LANES) {
            ([1], 16) => 4 * PANEL,
            ([1], 8) => 2 * PANEL,
            _ => PANEL,
        };
        let mut from = 0;
        while from < columns {
            let left = columns - from;
            let long = left.next_multiple_of(PANEL).min(longest);
            let (place, width) = (out_from + from, left.min(long));
            let place = Out { data: &mut *out, stride: out_stride, from: place, width };
            let lines = Lines { data: &data[from..], stride };
            match (S::F32_LANES, long / PANEL) {
                (16, 4) | (8, 2) => fill::<S, T, 1, 8>(simd, &self.data, lines, place, add),
                (16, 3) => fill::<S, T, 1, 6>(simd, &self.data, lines, place, add),
                (16, 2) => fill::<S, T, 1, 4>(simd, &self.data, lines, place, add),
                _ => self.times(simd, lines, place, add),
            }
            from += long;
        }
    }

    /// Multiplies all rows by one panel.
    #[inline(always)]
    pub(crate) fn times<S: Simd, T: Value>(
        &self,
        simd: S,
        lines: Lines<'_, T>,
        to: Out<'_>,
        add: bool,
    ) {
        let Out { data, stride, from, width } = to;
        let (mut rows, mut out) = (self.data.as_slice(), data);
        for &block in &self.blocks {
            let (block_rows, rest) = rows.split_at(block * self.inner);
            let (block_out, out_rest) = out.split_at_mut(block * stride);
            let to = Out { data: block_out, stride, from, width };
            match S::F32_LANES {
                16 => of_rows!(block, fill::<S, T, ROWS, 2>(simd, block_rows, lines, to, add)),
                8 => of_rows!(block, fill::<S, T, ROWS, 4>(simd, block_rows, lines, to, add)),
                4 => of_rows!(block, fill::<S, T, ROWS, 8>(simd, block_rows, lines, to, add)),
                _ => of_rows!(block, fill::<S, T, ROWS, 32>(simd, block_rows, lines, to, add)),
            }
            (rows, out) = (rest, out_rest);
        }
    }

    /// Multiplies all rows by the first panel of pairs of bfloat16, of `panel` words, and stores the product. Meanwhile, asks
    /// for the panel after it.
    #[inline(always)]
    pub(crate) fn times_pairs<S: Simd>(&self, simd: S, panels: &[u32], panel: usize, to: Out<'_>) {
        let Out { data, stride, .. } = to;
        let (mut rows, mut out) = (self.data.as_slice(), data);
        let (panel, next) = panels.split_at(panel);
        let last = self.blocks.len() - 1;
        for (at, &block) in self.blocks.iter().enumerate() {
            let (block_rows, rest) = rows.split_at(block * self.inner);
            let (block_out, out_rest) = out.split_at_mut(block * stride);
            // The first block waits for the memory, the others read from the cache. So the last one can fetch.
            let next = if at == last { next } else { &[] };
            let pairs = Pairs { panel, next };
            match S::F32_LANES {
                16 => of_rows!(block, widen::<S, ROWS, 2>(simd, block_rows, pairs, block_out)),
                8 => of_rows!(block, widen::<S, ROWS, 4>(simd, block_rows, pairs, block_out)),
                4 => of_rows!(block, widen::<S, ROWS, 8>(simd, block_rows, pairs, block_out)),
                _ => of_rows!(block, widen::<S, ROWS, 32>(simd, block_rows, pairs, block_out)),
            }
            (rows, out) = (rest, out_rest);
        }
    }
}

/// Splits `count` rows into blocks of similar size, of at most `most` rows: 13 rows become 6 and 7, not 12 and a single one,
/// which would have few sums per line loaded.
pub(crate) fn even_blocks(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let blocks = count.div_ceil(most);
    (0..blocks).map(move |b| (b + 1) * count / blocks - b * count / blocks)
}

/// Splits interleaved rows of `inner` values into blocks, each with its number of rows.
pub(crate) fn split_blocks<'a, T>(
    data: &'a mut [T],
    inner: usize,
    blocks: &'a [usize],
) -> impl Iterator<Item = (usize, &'a mut [T])> {
    let mut rest = data;
    blocks.iter().map(move |&block| {
        let (own, others) = std::mem::take(&mut rest).split_at_mut(block * inner);
        rest = others;
        (block, own)
    })
}

/// Rows per block so that the sums of a panel fit the registers: 12 rows of 2 registers with 16 lanes, 3 rows with 8 or 4
/// lanes.
#[inline(always)]
fn rows_at_once<S: Simd>() -> usize {
    match S::F32_LANES {
        16 => 12,
        8 | 4 => 3,
        _ => 1,
    }
}

/// The same for products with pairs of bfloat16.
#[inline(always)]
fn pair_rows_at_once<S: Simd>() -> usize {
    rows_at_once::<S>().min(PAIR_ROWS)
}

/// Transposes the rows of a block, `stride` apart and each starting at column `from`, to `[inner, block]`.
#[inline(always)]
pub(crate) fn interleave_block(
    to: &mut [f32],
    rows: &[f32],
    (block, stride): (usize, usize),
    from: usize,
) {
    of_rows!(block, interleave::<ROWS>(to, rows, stride, from));
}

/// Transposes `ROWS` rows, `stride` apart and each starting at column `from`, to `[inner, ROWS]`.
#[inline(always)]
fn interleave<const ROWS: usize>(to: &mut [f32], rows: &[f32], stride: usize, from: usize) {
    let inner = to.len() / ROWS;
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &rows[row * stride + from..][..inner]);
    let (to, _) = to.as_chunks_mut::<ROWS>();
    for (k, to) in to.iter_mut().enumerate() {
        for (slot, row) in to.iter_mut().zip(&rows) {
            *slot = row[k];
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;
    use crate::fixtures::numbers;
    use crate::{Packed, Team, WeightType};

    fn same(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
    }

    /// Adds up a product with a matrix, piece by piece along the inner dimension.
    struct InPieces<'a> {
        left: &'a [f32],
        inner: usize,
        right: &'a [f32],
        columns: usize,
        piece: usize,
        out: &'a mut [f32],
    }

    impl WithSimd for InPieces<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self { left, inner, right, columns, piece, out } = self;
            let mut interleaved = Interleaved::default();
            for from in (0..inner).step_by(piece) {
                let to = inner.min(from + piece);
                interleaved.load::<S>(&LeftRows {
                    data: left,
                    stride: inner,
                    from,
                    inner: to - from,
                });
                let data = Values::F32(&right[from * columns..]);
                let place = Out { data: &mut *out, stride: columns, from: 0, width: columns };
                interleaved.times_matrix(simd, Matrix { data, stride: columns }, place, true);
            }
        }
    }

    #[test]
    fn products_are_right_and_neither_other_rows_nor_pieces_change_a_bit() {
        for (inner, columns) in [(1, 1), (5, 31), (16, 32), (33, 70), (128, 200)] {
            let right = numbers(inner * columns, 7919);
            let column = |at: usize| right[at..].iter().step_by(columns).copied();
            let packed = Packed::new(inner, columns, WeightType::F32, |at, to| {
                to.iter_mut().zip(column(at)).for_each(|(slot, value)| *slot = value);
            });
            let product =
                |rows: &[f32]| packed.product(&packed.left(rows, &Team::alone()), &Team::alone());
            let spare = [right.as_slice(), &[f32::NAN; SPARE]].concat();
            for rows in [1, 2, 3, 5, 11, 12, 13, 25, 96, 97, 200] {
                let left = numbers(rows * inner, 104_729);
                let all = product(&left);
                for (row, all) in left.chunks(inner).zip(all.chunks(columns)) {
                    for (at, sum) in all.iter().enumerate() {
                        let exact: f32 = row.iter().zip(column(at)).map(|(a, b)| a * b).sum();
                        assert!((sum - exact).abs() < 1e-4, "{sum} is not {exact}");
                    }
                    assert!(same(&product(row), all));
                }
                for piece in [1, inner.div_ceil(3), inner] {
                    let left = left.as_slice();
                    let mut out = vec![0.0; rows * columns];
                    let pieces =
                        InPieces { left, inner, right: &spare, columns, piece, out: &mut out };
                    Arch::new().dispatch(pieces);
                    assert!(same(&out, &all), "{rows} rows, pieces of {piece}");
                }
            }
        }
    }

    /// Computes the product in pieces of five, with a given instruction set.
    fn by<M>(
        run: impl Fn(InPieces<'_>) -> M,
        (rows, inner, columns): (usize, usize, usize),
    ) -> Vec<f32> {
        let (left, right) = (numbers(rows * inner, 104_729), numbers(inner * columns, 7919));
        let right = [right.as_slice(), &[f32::NAN; SPARE]].concat();
        let mut out = vec![0.0; rows * columns];
        let (left, right, out_ref) = (&left, &right, &mut out);
        run(InPieces { left, inner, right, columns, piece: 5, out: out_ref });
        out
    }

    #[test]
    fn machines_with_shorter_registers_get_the_same_products() {
        for size in [(1, 33, 150), (1, 16, 33), (7, 33, 70), (13, 20, 31), (40, 64, 64)] {
            let here = by(|pieces| Arch::new().dispatch(pieces), size);
            let plain = by(|pieces| Simd::vectorize(pulp::Scalar::new(), pieces), size);
            assert!(here.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-4), "{size:?}");
            #[cfg(target_arch = "x86_64")]
            if let Some(machine) = pulp::x86::V3::try_new() {
                assert!(
                    same(&by(|pieces| Simd::vectorize(machine, pieces), size), &here),
                    "{size:?}"
                );
            }
        }
    }
}
