//! Keys and values that a model has computed for consecutive tokens, in the order that attention reads them.

use std::ops::Range;

use crate::panels::{Matrix, SPARE};

/// The dimensions of a token's keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// Number of transformer blocks.
    pub layers: usize,
    /// Number of key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub width: usize,
}

/// A key and value head of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadAt {
    /// Index of the layer.
    pub layer: usize,
    /// Index of the head in its layer.
    pub head: usize,
}

/// Keys and values of consecutive tokens in every layer, with a fixed capacity. Each layer has the keys,
/// `[kv_heads, width, tokens]`, then the values, `[kv_heads, tokens, width]`; the buffer ends with the padding that the
/// right-hand side of a product needs.
#[derive(Debug, Clone)]
pub struct Kv {
    shape: KvShape,
    tokens: usize,
    data: Vec<f32>,
}

impl KvShape {
    /// All heads of all layers, in memory order.
    pub fn heads(self) -> impl Iterator<Item = HeadAt> {
        let of_layer = move |layer| (0..self.kv_heads).map(move |head| HeadAt { layer, head });
        (0..self.layers).flat_map(of_layer)
    }
}

impl Kv {
    /// Allocates room for `tokens` tokens.
    pub fn zeros(tokens: usize, shape: KvShape) -> Self {
        let size = shape.layers * 2 * shape.kv_heads * shape.width * tokens;
        Self { shape, tokens, data: vec![0.0; size + SPARE] }
    }

    /// The dimensions of a token.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// The capacity, in tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Size of the buffer in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.data.as_slice())
    }

    /// The keys of one head, `[width, tokens]`.
    pub(crate) fn keys(&self, at: HeadAt) -> &[f32] {
        &self.data[self.keys_at(at)]
    }

    /// The values of one head, `[tokens, width]`.
    pub(crate) fn values(&self, at: HeadAt) -> &[f32] {
        &self.data[self.values_at(at)]
    }

    /// Copies the keys of one head, transposed to `[tokens, width]`; those of the first tokens, if there is no room for
    /// more.
    pub fn copy_keys(&self, at: HeadAt, to: &mut [f32]) {
        let width = self.shape.width;
        for (i, keys) in self.keys(at).chunks_exact(self.tokens).enumerate() {
            for (slot, &key) in to[i..].iter_mut().step_by(width).zip(keys) {
                *slot = key;
            }
        }
    }

    /// Copies the values of one head, `[tokens, width]`; those of the first tokens, if there is no room for more.
    pub fn copy_values(&self, at: HeadAt, to: &mut [f32]) {
        to.copy_from_slice(&self.values(at)[..to.len()]);
    }

    /// Writes the key and value of one token in one head.
    pub fn write(&mut self, token: usize, at: HeadAt, key: &[f32], value: &[f32]) {
        let (keys, values) = (self.keys_at(at), self.values_at(at));
        let (tokens, width) = (self.tokens, self.shape.width);
        // Keys are kept transposed: scattered writes are paid once per token, scattered reads would be at every later one.
        for (slot, &x) in self.data[keys][token..].iter_mut().step_by(tokens).zip(key) {
            *slot = x;
        }
        self.data[values][token * width..][..width].copy_from_slice(value);
    }

    /// A copy of some of the tokens.
    #[must_use]
    pub fn slice(&self, tokens: Range<usize>) -> Self {
        Self::concat(&std::iter::once((self, tokens)), self.shape)
    }

    /// Concatenates pieces, each restricted to a range of its tokens.
    pub(crate) fn concat<'a, I: Iterator<Item = (&'a Self, Range<usize>)> + Clone>(
        pieces: &I,
        shape: KvShape,
    ) -> Self {
        let mut joined = Self::zeros(pieces.clone().map(|(_, tokens)| tokens.len()).sum(), shape);
        // `chunks_exact` panics for a size of 0.
        if joined.tokens == 0 {
            return joined;
        }
        for head in shape.heads() {
            let (keys, values) = (joined.keys_at(head), joined.values_at(head));
            let (whole, width) = (joined.tokens, shape.width);
            let mut at = 0;
            for (piece, tokens) in pieces.clone() {
                let from = piece.keys(head).chunks_exact(piece.tokens);
                for (to, from) in joined.data[keys.clone()].chunks_exact_mut(whole).zip(from) {
                    to[at..at + tokens.len()].copy_from_slice(&from[tokens.clone()]);
                }
                let from = &piece.values(head)[tokens.start * width..tokens.end * width];
                joined.data[values.clone()][at * width..][..from.len()].copy_from_slice(from);
                at += tokens.len();
            }
        }
        joined
    }

    /// The keys of the first `used` tokens, as the right-hand side of a product.
    pub(crate) fn key_matrix(&self, at: HeadAt, used: usize) -> Matrix<'_> {
        let from = self.keys_at(at).start;
        Matrix { data: &self.data[from..], stride: self.tokens, columns: used }
    }

    /// The values, as the right-hand side of a product.
    pub(crate) fn value_matrix(&self, at: HeadAt) -> Matrix<'_> {
        let from = self.values_at(at).start;
        Matrix { data: &self.data[from..], stride: self.shape.width, columns: self.shape.width }
    }

    fn keys_at(&self, at: HeadAt) -> Range<usize> {
        self.head_at(2 * at.layer * self.shape.kv_heads + at.head)
    }

    fn values_at(&self, at: HeadAt) -> Range<usize> {
        self.head_at((2 * at.layer + 1) * self.shape.kv_heads + at.head)
    }

    /// The range of the keys or values of one head, counted over all keys and values.
    fn head_at(&self, index: usize) -> Range<usize> {
        let size = self.tokens * self.shape.width;
        index * size..(index + 1) * size
    }
}
