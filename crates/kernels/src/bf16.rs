//! Products whose factors are rounded to bfloat16, for training; sums are in `f32`.
//!
//! Training has hundreds of rows per product, weights that change, and needs each in both orientations. So a right-hand side
//! is brought into the order of the kernels anew for every product ([`crate::Packed`] does it once, for inference).

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use std::ops::Range;

use half::bf16;
use pulp::{Arch, NullaryFnOnce};

use crate::WeightType;
use crate::dot::{self, Kernel, Pairs};
use crate::matmul::{View, ViewMut};
use crate::panels::{Out, PANEL};

/// Words of panels that are packed before they are multiplied: they stay in the second-level cache.
const PACKED: usize = 1 << 16;

/// Values that are widened before they are multiplied, for processors that do not multiply pairs faster.
const WIDENED: usize = 1 << 20;

/// A number that is bfloat16, or is rounded to it.
trait Number: Copy {
    const ZERO: Self;

    /// The bits of the bfloat16, in the lower half.
    fn short(self) -> u32;

    /// The value of the bfloat16.
    fn wide(self) -> f32;
}

impl Number for bf16 {
    const ZERO: Self = Self::ZERO;

    #[inline(always)]
    fn short(self) -> u32 {
        u32::from(self.to_bits())
    }

    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from_bits(self.short() << 16)
    }
}

impl Number for f32 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn short(self) -> u32 {
        dot::rounded(self).to_bits() >> 16
    }

    #[inline(always)]
    fn wide(self) -> f32 {
        dot::rounded(self)
    }
}

/// A matrix of bfloat16 in a slice, as it lies or transposed.
#[derive(Debug, Clone, Copy)]
pub struct Bf16View<'a>(Right<'a, bf16>);

impl<'a> Bf16View<'a> {
    /// A row-major matrix.
    pub fn new(data: &'a [bf16], columns: usize) -> Self {
        Self(Right {
            data,
            stride: columns,
            rows: data.len() / columns,
            columns,
            transposed: false,
        })
    }

    /// Swaps rows and columns, without a copy.
    #[must_use]
    pub fn transposed(self) -> Self {
        let Right { rows, columns, transposed, .. } = self.0;
        Self(Right { rows: columns, columns: rows, transposed: !transposed, ..self.0 })
    }

    /// The product of `left`, `[n, rows]`, with this matrix: `[n, columns]`.
    pub fn product(self, left: &[f32]) -> Vec<f32> {
        self.0.product(left)
    }
}

/// A right-hand side.
#[derive(Debug, Clone, Copy)]
struct Right<'a, T> {
    data: &'a [T],
    /// Values from one row to the next, or if it is transposed from one column to the next.
    stride: usize,
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl View<'_> {
    /// Multiplies by another matrix, with the factors rounded to a type. Returns the product in row-major order.
    pub fn times_as(self, right: View<'_>, factors: WeightType) -> Vec<f32> {
        match factors {
            WeightType::F32 => self.times(right),
            WeightType::Bf16 => {
                let ([rows, columns], (data, [row, column])) = (right.shape(), right.parts());
                let (stride, transposed) = if column == 1 { (row, false) } else { (column, true) };
                let right = Right { data, stride, rows, columns, transposed };
                right.product(&self.row_major())
            }
        }
    }
}

impl<T: Number> Right<'_, T> {
    fn product(self, left: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; left.len() / self.rows * self.columns];
        match Kernel::here() {
            Some(kernel) => self.product_of_pairs(kernel, left, &mut out),
            None => self.widened_product(left, &mut out),
        }
        out
    }

    fn product_of_pairs(self, kernel: Kernel, left: &[f32], out: &mut [f32]) {
        let (inner, columns) = (self.rows, self.columns);
        let left = Pairs::of_rows(kernel, left, inner);
        let size = inner.div_ceil(2) * PANEL;
        let mut panels = vec![0; size * (PACKED / size).max(1)];
        for from in (0..columns).step_by(panels.len() / size * PANEL) {
            let group = (columns - from).min(panels.len() / size * PANEL);
            Arch::new().dispatch(Pack { matrix: self, panels: &mut panels, from, group });
            for (at, panel) in panels.chunks_exact(size).take(group.div_ceil(PANEL)).enumerate() {
                let column = at * PANEL;
                let width = (group - column).min(PANEL);
                left.times(panel, Out { data: out, stride: columns, from: from + column, width });
            }
        }
    }

    fn widened_product(self, left: &[f32], out: &mut [f32]) {
        let Self { rows: inner, columns, stride, transposed, .. } = self;
        let left: Vec<f32> = left.iter().map(|&x| dot::rounded(x)).collect();
        let rows = left.len() / inner;
        let (lines, width) = if transposed { (columns, inner) } else { (inner, columns) };
        let at_once = (WIDENED / width).max(1);
        for from in (0..lines).step_by(at_once) {
            let count = (lines - from).min(at_once);
            let line = |line: usize| self.data[(from + line) * stride..][..width].iter();
            let wide: Vec<f32> = (0..count).flat_map(line).map(|&x| x.wide()).collect();
            let wide = View::new(&wide, width);
            if transposed {
                let out = ViewMut { data: &mut out[from..], stride: columns };
                View::new(&left, inner).times_into(wide.transposed(), out);
            } else {
                let left = View::strided(&left[from..], [rows, count], inner);
                left.add_times(wide, ViewMut { data: out, stride: columns });
            }
        }
    }
}

/// Packs columns `from` to `from + group` of a matrix as panels of pairs.
struct Pack<'a, T> {
    matrix: Right<'a, T>,
    panels: &'a mut [u32],
    from: usize,
    group: usize,
}

impl<T: Number> NullaryFnOnce for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { matrix, panels, from, group } = self;
        let size = matrix.rows.div_ceil(2) * PANEL;
        for (panel, at) in panels.chunks_exact_mut(size).zip((0..group).step_by(PANEL)) {
            let columns = from + at..from + group.min(at + PANEL);
            if columns.len() < PANEL {
                panel.fill(0);
            }
            if matrix.transposed {
                matrix.pack_columns(panel, columns);
            } else {
                matrix.pack_rows(panel, columns);
            }
        }
    }
}

impl<T: Number> Right<'_, T> {
    /// Packs columns of a matrix that lies row by row.
    #[inline(always)]
    fn pack_rows(&self, panel: &mut [u32], columns: Range<usize>) {
        let row = |index: usize| &self.data[index * self.stride..][columns.clone()];
        let zeros = [T::ZERO; PANEL];
        for (pair, line) in panel.chunks_exact_mut(PANEL).enumerate() {
            let low = row(2 * pair);
            // A pair needs two values: an odd number of rows gets one of zeros at the end.
            let high = if 2 * pair + 1 < self.rows { row(2 * pair + 1) } else { &zeros };
            for ((word, low), high) in line.iter_mut().zip(low).zip(high) {
                *word = low.short() | high.short() << 16;
            }
        }
    }

    /// Packs columns of a matrix that lies column by column.
    #[inline(always)]
    fn pack_columns(&self, panel: &mut [u32], columns: Range<usize>) {
        /// Pairs of a column that are moved at once: a cache line.
        const LINE: usize = 16;
        for (index, lines) in panel.chunks_mut(LINE * PANEL).enumerate() {
            for (slot, column) in columns.clone().enumerate() {
                let column = &self.data[column * self.stride..][..self.rows];
                let pairs = column[2 * LINE * index..].chunks(2);
                for (word, pair) in lines[slot..].iter_mut().step_by(PANEL).zip(pairs) {
                    let high = pair.get(1).copied().unwrap_or(T::ZERO);
                    *word = pair[0].short() | high.short() << 16;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::numbers;

    /// The products of rounded factors, whichever way a processor takes, in both orientations, for sizes that fill panels,
    /// pairs and blocks and that do not, and for matrices among other values.
    #[test]
    fn products_are_those_of_rounded_factors() {
        let kernels = Kernel::ALL.into_iter().filter(|kernel| kernel.is_there());
        let ways: Vec<Option<Kernel>> = kernels.map(Some).chain([None]).collect();
        for (rows, columns) in [(1, 1), (2, 33), (5, 31), (37, 32), (64, 70), (300, 1200)] {
            for (transposed, spare) in [(false, 0), (true, 0), (false, 3), (true, 3)] {
                let stride = spare + if transposed { rows } else { columns };
                let values = numbers(stride * if transposed { columns } else { rows }, 7919);
                let short: Vec<bf16> = values.iter().copied().map(bf16::from_f32).collect();
                let full = Right { data: &values[..], stride, rows, columns, transposed };
                let short = Right { data: &short[..], stride, rows, columns, transposed };
                let at = |k: usize, column: usize| {
                    let [k, column] = if transposed { [column, k] } else { [k, column] };
                    f64::from(dot::rounded(values[k * stride + column]))
                };
                for count in [1, 12, 29] {
                    let left = numbers(count * rows, 104_729);
                    let exact = |row: usize, column: usize| -> f64 {
                        let left = left[row * rows..][..rows].iter().enumerate();
                        left.map(|(k, &x)| f64::from(dot::rounded(x)) * at(k, column)).sum()
                    };
                    let exact: Vec<f64> = (0..count * columns)
                        .map(|index| exact(index / columns, index % columns))
                        .collect();
                    for &way in &ways {
                        for out in [made(full, &left, way), made(short, &left, way)] {
                            let mut pairs = out.iter().zip(&exact);
                            assert!(pairs.all(|(&x, y)| (f64::from(x) - y).abs() < 1e-4));
                        }
                    }
                }
            }
        }
    }

    fn made<T: Number>(right: Right<'_, T>, left: &[f32], way: Option<Kernel>) -> Vec<f32> {
        let mut out = vec![0.0; left.len() / right.rows * right.columns];
        match way {
            Some(kernel) => right.product_of_pairs(kernel, left, &mut out),
            None => right.widened_product(left, &mut out),
        }
        out
    }

    #[test]
    fn views_of_all_kinds_are_multiplied_with_rounded_factors() {
        let (a, b) = (numbers(300, 37), numbers(400, 101));
        let short =
            |values: &[f32]| -> Vec<f32> { values.iter().map(|&x| dot::rounded(x)).collect() };
        let (short_a, short_b) = (short(&a), short(&b));
        let lefts =
            |data| [View::strided(data, [7, 5], 11), View::strided(data, [5, 7], 9).transposed()];
        let rights =
            |data| [View::strided(data, [5, 6], 13), View::strided(data, [6, 5], 8).transposed()];
        for (left, short_left) in lefts(&a).into_iter().zip(lefts(&short_a)) {
            for (right, short_right) in rights(&b).into_iter().zip(rights(&short_b)) {
                let (rounded, exact) =
                    (left.times_as(right, WeightType::Bf16), short_left.times(short_right));
                assert!(rounded.iter().zip(&exact).all(|(x, y)| (x - y).abs() < 1e-5));
                assert_eq!(left.times_as(right, WeightType::F32), left.times(right));
            }
        }
    }
}
