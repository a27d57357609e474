//! Where the tokens of some rows lie in a tensor: each row padded to the longest, or all behind the beginning that they share.

use burn::tensor::{Device, Int, Tensor};
use kernels::causal::Branches;

use super::rows::Rows;
use crate::device;
use crate::model::RowLayout;
use crate::tensors::ids;

/// Rows that begin with fewer common tokens than this are padded. Prompts of the embedded world share one.
const LEAST_SHARED: usize = 16;

/// The tokens of some rows in a tensor `[batch, time]`.
pub(super) struct Layout {
    tokens: Vec<u32>,
    batch: usize,
    /// Number of tokens that all rows begin with, if they are there once, before the rest of each; else 0.
    shared: usize,
    /// Where the other tokens of each row begin.
    starts: Vec<usize>,
    /// How the rows of the tensor are computed.
    pub(super) rows: RowLayout,
}

impl Layout {
    /// The layout of some rows on a device. On the CPU, where attention can branch, the beginning of prompts is computed once:
    /// with a chat's instructions and solved examples it is most of a row.
    pub(super) fn new(rows: &Rows<'_>, device: &Device) -> Self {
        let rows = rows.ids();
        let shared = if device::is_cpu(device) { common(&rows) } else { 0 };
        if shared < LEAST_SHARED { Self::padded(&rows) } else { Self::branching(&rows, shared) }
    }

    fn padded(rows: &[&[u32]]) -> Self {
        let time = rows.iter().map(|ids| ids.len()).max().unwrap_or(1);
        let mut tokens = vec![0; rows.len() * time];
        for (slot, ids) in tokens.chunks_mut(time).zip(rows) {
            slot[..ids.len()].copy_from_slice(ids);
        }
        let starts = (0..rows.len()).map(|row| row * time).collect();
        Self { tokens, batch: rows.len(), shared: 0, starts, rows: RowLayout::of_one_text(time) }
    }

    fn branching(rows: &[&[u32]], shared: usize) -> Self {
        let mut tokens = rows[0][..shared].to_vec();
        let mut positions: Vec<usize> = (0..shared).collect();
        let mut starts = Vec::with_capacity(rows.len());
        for ids in rows {
            starts.push(tokens.len());
            tokens.extend(&ids[shared..]);
            positions.extend(shared..ids.len());
        }
        let branches = Branches::new(shared, rows.iter().map(|ids| ids.len() - shared));
        Self { tokens, batch: 1, shared, starts, rows: RowLayout { positions, branches } }
    }

    /// The place of a token of a row among all tokens of the tensor.
    pub(super) fn place(&self, row: usize, at: usize) -> usize {
        match at.checked_sub(self.shared) {
            Some(at) => self.starts[row] + at,
            None => at,
        }
    }

    /// The tokens, `[batch, time]`.
    pub(super) fn tensor(&self, device: &Device) -> Tensor<2, Int> {
        ids(&self.tokens, [self.batch, self.tokens.len() / self.batch], device)
    }
}

/// The number of tokens that all of some rows begin with; 0 for a single row, which shares nothing.
fn common(rows: &[&[u32]]) -> usize {
    let Some((first, others)) = rows.split_first().filter(|(_, others)| !others.is_empty()) else {
        return 0;
    };
    let alike = |row: &&[u32]| first.iter().zip(*row).take_while(|(a, b)| a == b).count();
    others.iter().map(alike).min().unwrap_or(0)
}
