//! Weights for inference, packed once.
//!
//! A general-purpose product copies its right-hand side into register-sized panels on every call. With few rows on the
//! left, the copy costs more than the product. [`Packed`] builds a weight's panels once. The result for a row does not
//! depend on the other rows (`panels`).

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};

use crate::panels::{Interleaved, LeftRows, Lines, Out, PANEL};

/// Rows multiplied with all panels before the next ones: few enough to stay in the L2 cache.
const CHUNK: usize = 96;

/// A matrix `[inner, columns]` in panels. Clones share them.
#[derive(Debug, Clone)]
pub struct Packed {
    inner: usize,
    columns: usize,
    /// `[panels, inner, PANEL]`, the last panel padded with zeros.
    panels: Arc<[f32]>,
}

impl Packed {
    /// Packs a row-major matrix.
    pub fn new(matrix: &[f32], inner: usize, columns: usize) -> Self {
        let mut packed = vec![0.0; columns.div_ceil(PANEL) * inner * PANEL];
        let panels = packed.chunks_exact_mut(inner * PANEL);
        for (panel, from) in panels.zip((0..).step_by(PANEL)) {
            let width = PANEL.min(columns - from);
            for (line, row) in panel.chunks_exact_mut(PANEL).zip(matrix.chunks_exact(columns)) {
                line[..width].copy_from_slice(&row[from..from + width]);
            }
        }
        Self { inner, columns, panels: packed.into() }
    }

    /// Number of columns in a product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Multiplies `[rows, inner]` by this matrix: `[rows, columns]`.
    pub fn product(&self, rows: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; rows.len() / self.inner * self.columns];
        Arch::new().dispatch(WithWeight { weight: self, rows, out: &mut out });
        out
    }
}

struct WithWeight<'a> {
    weight: &'a Packed,
    rows: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for WithWeight<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weight, rows, out } = self;
        let (inner, columns) = (weight.inner, weight.columns);
        let mut left = Interleaved::default();
        let chunks = rows.chunks(CHUNK * inner).zip(out.chunks_mut(CHUNK * columns));
        for (rows, out) in chunks {
            left.load::<S>(&LeftRows { data: rows, stride: inner, from: 0, inner });
            for (panel, from) in weight.panels.chunks_exact(inner * PANEL).zip((0..).step_by(PANEL))
            {
                let width = PANEL.min(columns - from);
                let to = Out { data: &mut *out, stride: columns, from, width };
                left.times(simd, Lines { data: panel, stride: PANEL }, to, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rows_are_no_result() {
        assert!(Packed::new(&[1.0, 2.0], 1, 2).product(&[]).is_empty());
    }
}
