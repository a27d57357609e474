//! The rows that wait to be decoded.

use std::sync::atomic::{AtomicUsize, Ordering};

use kernels::spans::Piece;

use crate::requests::GenerationRequest;

/// A request, and the cached keys and values of its prompt but for the last token.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    pub(crate) request: &'a GenerationRequest,
    pub(crate) before: Vec<Piece<'a>>,
}

/// The waiting rows in batches, which workers take in order.
#[derive(Debug)]
pub(crate) struct Queue<'a> {
    rows: Vec<Waiting<'a>>,
    /// Indices of rows.
    batches: Vec<Vec<usize>>,
    next: AtomicUsize,
}

impl Waiting<'_> {
    /// Number of cached tokens.
    pub(crate) fn cached(&self) -> usize {
        self.before.iter().map(|piece| piece.used).sum()
    }
}

impl<'a> Queue<'a> {
    pub(crate) fn new(rows: Vec<Waiting<'a>>, batches: Vec<Vec<usize>>) -> Self {
        Self { rows, batches, next: AtomicUsize::new(0) }
    }

    /// Takes the next batch. Each row comes with its index in the queue.
    pub(super) fn next(&self) -> Option<impl Iterator<Item = (usize, &Waiting<'a>)>> {
        let batch = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed))?;
        Some(batch.iter().map(|&index| (index, &self.rows[index])))
    }
}
