//! A row of a forward pass.

use kernels::spans::Piece;

/// A row to run through a model: new tokens after a cached prefix.
#[derive(Debug)]
pub(crate) struct Pending<'a> {
    pub(crate) before: Vec<Piece<'a>>,
    /// The new tokens.
    pub(crate) tokens: &'a [u32],
    /// How many of the new tokens to return keys and values of, from the first on.
    pub(crate) keep: usize,
}

impl Pending<'_> {
    /// Number of cached tokens.
    pub(super) fn cached(&self) -> usize {
        self.before.iter().map(|piece| piece.used).sum()
    }
}
