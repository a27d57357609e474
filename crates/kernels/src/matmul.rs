//! Matrix products of strided views, for training: large, and with a general-purpose kernel.

use std::borrow::Cow;

use gemm::Parallelism;

/// A matrix within a slice.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    /// Strides between rows and between columns, in values.
    strides: [usize; 2],
}

/// Destination of a product: rows `stride` apart, from the beginning of a slice on.
#[derive(Debug)]
pub struct ViewMut<'a> {
    /// The values; those between the rows are left alone.
    pub data: &'a mut [f32],
    /// Values from one row to the next.
    pub stride: usize,
}

impl<'a> View<'a> {
    /// A contiguous row-major matrix.
    pub fn new(data: &'a [f32], columns: usize) -> Self {
        Self::strided(data, [data.len() / columns, columns], columns)
    }

    /// The leading columns of rows that are `stride` apart.
    ///
    /// # Panics
    /// Panics if the matrix does not lie within the slice.
    pub fn strided(data: &'a [f32], [rows, columns]: [usize; 2], stride: usize) -> Self {
        // The last row need not be a whole stride long: a view of a head begins in the middle of a row.
        assert!(columns <= stride && data.len() + stride >= rows * stride + columns);
        Self { data, rows, columns, strides: [stride, 1] }
    }

    /// Swaps rows and columns, without a copy.
    #[must_use]
    pub fn transposed(self) -> Self {
        let [rows, columns] = self.strides;
        Self { rows: self.columns, columns: self.rows, strides: [columns, rows], ..self }
    }

    /// Multiplies by another matrix. Returns the product in row-major order.
    #[expect(
        unsafe_code,
        reason = "a product writes all of its result, which need not be cleared before"
    )]
    pub fn times(self, right: View<'_>) -> Vec<f32> {
        let size = self.rows * right.columns;
        let mut out = Vec::with_capacity(size);
        // SAFETY: the buffer has capacity for `size` values.
        unsafe { self.write(right, out.as_mut_ptr(), right.columns, false) };
        // SAFETY: the product has written every one of them.
        unsafe { out.set_len(size) };
        out
    }

    /// Multiplies by another matrix, and stores the product in `out`.
    pub fn times_into(self, right: View<'_>, out: ViewMut<'_>) {
        self.write_within(right, out, false);
    }

    /// Multiplies by another matrix, and adds the product to `out`.
    pub fn add_times(self, right: View<'_>, out: ViewMut<'_>) {
        self.write_within(right, out, true);
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The slice that it is in, and the strides between rows and between columns, one of which is 1.
    pub(crate) fn parts(&self) -> (&'a [f32], [usize; 2]) {
        (self.data, self.strides)
    }

    /// Its values in row-major order, copied only if they lie otherwise.
    pub(crate) fn row_major(&self) -> Cow<'a, [f32]> {
        let Self { data, rows, columns, strides: [row, column] } = *self;
        if column == 1 && row == columns {
            return data[..rows * columns].into();
        }
        let at = |index| data[index / columns * row + index % columns * column];
        (0..rows * columns).map(at).collect()
    }

    #[expect(unsafe_code, reason = "the product takes pointers")]
    fn write_within(self, right: View<'_>, out: ViewMut<'_>, add: bool) {
        let (ViewMut { data, stride }, columns) = (out, right.columns);
        assert!(columns <= stride && data.len() + stride >= self.rows * stride + columns);
        // SAFETY: the assertion above checks that the result lies within `data` (overflow checks are on in all profiles),
        // and the mutable borrow is exclusive.
        unsafe { self.write(right, data.as_mut_ptr(), stride, add) };
    }

    /// Stores the product to rows `stride` apart, or adds it to them.
    ///
    /// # Safety
    /// `out` must have room for all the rows and, if `add` is set, be initialized.
    #[expect(unsafe_code, reason = "the product takes pointers")]
    unsafe fn write(self, right: View<'_>, out: *mut f32, stride: usize, add: bool) {
        assert_eq!(self.columns, right.rows);
        let strides = |view: View<'_>| view.strides.map(|stride| stride as isize);
        let ([left_row, left_column], [right_row, right_column]) = (strides(self), strides(right));
        // SAFETY: both views were checked to lie within their slices when they were created.
        unsafe {
            // One thread per product: small matrices do not scale over threads, and every worker multiplies its own.
            // Unless `add` is set, `out` is not read: `times` passes memory that nobody has initialized.
            gemm::gemm(
                self.rows,
                right.columns,
                self.columns,
                out,
                1,
                stride as isize,
                add,
                self.data.as_ptr(),
                left_column,
                left_row,
                right.data.as_ptr(),
                right_column,
                right_row,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

/// Joins row-major matrices with the same number of rows side by side.
///
/// # Panics
/// Panics if their numbers of rows differ, or if one is transposed.
pub fn join_columns<const N: usize>(matrices: [View<'_>; N]) -> Vec<f32> {
    assert!(matrices.iter().all(|one| one.rows == matrices[0].rows && one.strides[1] == 1));
    let [rows, columns] = [matrices[0].rows, matrices.iter().map(|matrix| matrix.columns).sum()];
    let mut joined = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for View { data, columns, strides: [stride, _], .. } in matrices {
            joined.extend_from_slice(&data[row * stride..][..columns]);
        }
    }
    joined
}

/// Splits a row-major matrix into matrices of the given widths.
pub fn split_columns<const N: usize>(matrix: &[f32], widths: [usize; N]) -> [Vec<f32>; N] {
    let all = widths.iter().sum();
    let mut parts = widths.map(|width| Vec::with_capacity(matrix.len() / all * width));
    for mut row in matrix.chunks_exact(all) {
        for (part, width) in parts.iter_mut().zip(widths) {
            let (piece, rest) = row.split_at(width);
            part.extend_from_slice(piece);
            row = rest;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37) % 101) as f32 / 25.0 - 2.0).collect()
    }

    fn at(view: View<'_>, row: usize, column: usize) -> f32 {
        view.data[row * view.strides[0] + column * view.strides[1]]
    }

    #[test]
    fn products_of_views_are_their_sums() {
        let (a, b) = (numbers(300), numbers(400));
        let left = View::strided(&a[3..], [7, 5], 11);
        for left in [left, View::strided(&a[1..], [5, 7], 9).transposed()] {
            for right in [View::strided(&b, [5, 6], 13), View::new(&b[..30], 5).transposed()] {
                let mut out = vec![1.0; 7 * 8];
                left.add_times(right, ViewMut { data: &mut out[1..], stride: 8 });
                let plain = left.times(right);
                for row in 0..7 {
                    for column in 0..6 {
                        let sum: f32 =
                            (0..5).map(|k| at(left, row, k) * at(right, k, column)).sum();
                        assert!((plain[row * 6 + column] - sum).abs() < 1e-4);
                        assert!((out[1 + row * 8 + column] - sum - 1.0).abs() < 1e-4);
                    }
                }
                assert!((out[0] - 1.0).abs() < f32::EPSILON, "nothing else is written");
            }
        }
    }

    #[test]
    fn joined_columns_are_split_again() {
        let (a, b) = (numbers(12), numbers(20));
        let joined = join_columns([View::new(&a, 3), View::new(&b, 5)]);
        assert_eq!(joined[..8], [&a[..3], &b[..5]].concat());
        assert_eq!(split_columns(&joined, [3, 5]), [a, b]);
    }
}
