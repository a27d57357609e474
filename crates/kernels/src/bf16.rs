//! Products with a matrix of bfloat16 where it lies, for training: rows are rounded to bfloat16, sums are in `f32`.
//!
//! Training has hundreds of rows per product and needs the matrix in both orientations. So it is brought into the order of
//! the kernels anew for every product, rather than kept in two such orders ([`crate::Packed`] keeps one, for inference).

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use half::bf16;

use crate::dot::{self, Pairs};
use crate::matmul::{View, ViewMut};
use crate::panels::{Out, PANEL};
use crate::simd::vectorized;

/// Words of panels that are packed before they are multiplied: they stay in the second-level cache.
const PACKED: usize = 1 << 16;

/// Values that are widened before they are multiplied, for processors without a fast dot product of pairs.
const WIDENED: usize = 1 << 20;

/// A matrix of bfloat16 in a slice, as it lies or transposed.
#[derive(Debug, Clone, Copy)]
pub struct Bf16View<'a> {
    data: &'a [bf16],
    /// Values from one row of `data` to the next.
    stride: usize,
    transposed: bool,
}

impl<'a> Bf16View<'a> {
    /// A row-major matrix.
    pub fn new(data: &'a [bf16], columns: usize) -> Self {
        Self { data, stride: columns, transposed: false }
    }

    /// Swaps rows and columns, without a copy.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    fn rows(&self) -> usize {
        if self.transposed { self.stride } else { self.data.len() / self.stride }
    }

    fn columns(&self) -> usize {
        if self.transposed { self.data.len() / self.stride } else { self.stride }
    }

    /// The product of `left`, `[n, rows]`, with this matrix: `[n, columns]`.
    pub fn product(self, left: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; left.len() / self.rows() * self.columns()];
        if dot::is_fast() {
            self.dot_product(left, &mut out);
        } else {
            self.widened_product(left, &mut out);
        }
        out
    }

    fn dot_product(self, left: &[f32], out: &mut [f32]) {
        let (inner, columns) = (self.rows(), self.columns());
        let left = Pairs::of_rows(left, inner);
        let size = inner.div_ceil(2) * PANEL;
        let mut panels = vec![0; size * (PACKED / size).max(1)];
        for from in (0..columns).step_by(panels.len() / size * PANEL) {
            let group = (columns - from).min(panels.len() / size * PANEL);
            if self.transposed {
                pack_transposed(&mut panels, self, from, group);
            } else {
                pack(&mut panels, self, from, group);
            }
            for (at, panel) in panels.chunks_exact(size).take(group.div_ceil(PANEL)).enumerate() {
                let column = at * PANEL;
                let width = (group - column).min(PANEL);
                left.times(panel, Out { data: out, stride: columns, from: from + column, width });
            }
        }
    }

    fn widened_product(self, left: &[f32], out: &mut [f32]) {
        let (inner, columns) = (self.rows(), self.columns());
        let left: Vec<f32> = left.iter().map(|&x| dot::rounded(x)).collect();
        let rows = left.len() / inner;
        let lines = (WIDENED / self.stride).max(1);
        let mut from = 0;
        for block in self.data.chunks(lines * self.stride) {
            let count = block.len() / self.stride;
            let wide: Vec<f32> = block.iter().map(|x| x.to_f32()).collect();
            let wide = View::new(&wide, self.stride);
            if self.transposed {
                let out = ViewMut { data: &mut out[from..], stride: columns };
                View::new(&left, inner).times_into(wide.transposed(), out);
            } else {
                let left = View::strided(&left[from..], [rows, count], inner);
                left.add_times(wide, ViewMut { data: out, stride: columns });
            }
            from += count;
        }
    }
}

/// Joins two values, the first in the lower half.
#[inline(always)]
fn joined(low: bf16, high: bf16) -> u32 {
    u32::from(low.to_bits()) | u32::from(high.to_bits()) << 16
}

vectorized! {
    /// Packs columns `from` to `from + group` of a matrix that lies row by row.
    fn pack(panels: &'a mut [u32], matrix: Bf16View<'a>, from: usize, group: usize) {
        let Bf16View { data, stride, .. } = matrix;
        let size = matrix.rows().div_ceil(2) * PANEL;
        let zeros = [bf16::ZERO; PANEL];
        for (at, panel) in panels.chunks_exact_mut(size).take(group.div_ceil(PANEL)).enumerate() {
            let columns = from + at * PANEL..(from + group).min(from + (at + 1) * PANEL);
            let width = columns.len();
            for (line, rows) in panel.chunks_exact_mut(PANEL).zip(data.chunks(2 * stride)) {
                let low = &rows[columns.clone()];
                // A pair needs two values: an odd number of rows gets one of zeros at the end.
                let high = rows.get(stride..).filter(|high| !high.is_empty());
                let high = high.map_or(&zeros[..width], |high| &high[columns.clone()]);
                for ((word, &low), &high) in line.iter_mut().zip(low).zip(high) {
                    *word = joined(low, high);
                }
                line[width..].fill(0);
            }
        }
    }
}

vectorized! {
    /// Packs columns `from` to `from + group` of a matrix that lies column by column.
    fn pack_transposed(panels: &'a mut [u32], matrix: Bf16View<'a>, from: usize, group: usize) {
        /// Pairs of a column that are moved at once: a cache line.
        const LINE: usize = 16;
        let Bf16View { data, stride, .. } = matrix;
        let size = stride.div_ceil(2) * PANEL;
        for (at, panel) in panels.chunks_exact_mut(size).take(group.div_ceil(PANEL)).enumerate() {
            let columns = &data[(from + at * PANEL) * stride..(from + group) * stride];
            if columns.len() < PANEL * stride {
                panel.fill(0);
            }
            for (index, lines) in panel.chunks_mut(LINE * PANEL).enumerate() {
                for (slot, column) in columns.chunks_exact(stride).take(PANEL).enumerate() {
                    let pairs = column[2 * LINE * index..].chunks(2);
                    for (word, pair) in lines[slot..].iter_mut().step_by(PANEL).zip(pairs) {
                        *word = joined(pair[0], pair.get(1).copied().unwrap_or(bf16::ZERO));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * step) % 1009) as f32 / 500.0 - 1.0).collect()
    }

    /// Whichever way this processor takes: the products of rounded factors, in both orientations, for sizes that fill
    /// panels, pairs and blocks and that do not.
    #[test]
    fn products_are_those_of_rounded_factors() {
        let ways = if dot::is_fast() { &[true, false][..] } else { &[false] };
        for (inner, columns) in [(1, 1), (2, 33), (5, 31), (37, 32), (64, 70), (300, 1200)] {
            let matrix: Vec<bf16> =
                numbers(inner * columns, 7919).into_iter().map(bf16::from_f32).collect();
            for rows in [1, 12, 29] {
                let left = numbers(rows * inner, 104_729);
                let short: Vec<f32> = left.iter().map(|&x| dot::rounded(x)).collect();
                for transposed in [false, true] {
                    let view = if transposed {
                        Bf16View::new(&matrix, inner).transposed()
                    } else {
                        Bf16View::new(&matrix, columns)
                    };
                    let at = |k: usize, column: usize| {
                        matrix[if transposed { column * inner + k } else { k * columns + column }]
                            .to_f32()
                    };
                    for by_dot in ways {
                        let mut out = vec![0.0; rows * columns];
                        if *by_dot {
                            view.dot_product(&left, &mut out);
                        } else {
                            view.widened_product(&left, &mut out);
                        }
                        for (row, out) in short.chunks(inner).zip(out.chunks(columns)) {
                            for (column, &sum) in out.iter().enumerate() {
                                let exact: f64 = (0..inner)
                                    .map(|k| f64::from(row[k]) * f64::from(at(k, column)))
                                    .sum();
                                assert!((f64::from(sum) - exact).abs() < 1e-4, "{sum}: {exact}");
                            }
                        }
                    }
                }
            }
        }
    }
}
