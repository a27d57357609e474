//! Attention for inference, over cached keys and values in place: rows of any length, no padding, no copies.
//!
//! A [`Span`] is the new tokens of a row, following cached pieces of its prefix. A token's result depends on the earlier
//! tokens of its row and nothing else, down to the last bit. The other rows do not matter, nor how the prefix is split
//! into pieces, nor whether it was read in this pass or long ago.

mod attend;
mod span;

pub use self::span::{Piece, Span};
use crate::kv::{HeadAt, KvShape};
use crate::team::Team;

/// The queries, keys and values of the new tokens of a pass, in one layer.
#[derive(Debug, Clone, Copy)]
pub struct Projected<'a> {
    /// Rotated queries, `[heads, tokens, width]`.
    pub queries: &'a [f32],
    /// Rotated keys, `[kv_heads, tokens, width]`.
    pub keys: &'a [f32],
    /// Values, `[tokens, kv_heads * width]`.
    pub values: &'a [f32],
}

/// The rows of a pass, in token order.
#[derive(Debug)]
pub struct Spans {
    /// The rows. They may be added and taken away between passes.
    pub rows: Vec<Span>,
    /// Capacity of the blocks that passes write to, in tokens.
    block: usize,
}

impl Spans {
    /// Rows that write to blocks of at least `block` tokens.
    pub fn new(rows: Vec<Span>, block: usize) -> Self {
        Self { rows, block }
    }

    /// Attention of the new tokens in one layer: writes their keys and values to the rows' blocks, then returns the
    /// attention output, `[tokens, heads * width]`.
    pub fn attend(&mut self, layer: usize, new: Projected<'_>, team: &Team) -> Vec<f32> {
        let Some(shape) = self.rows.first().map(|row| row.shape) else { return Vec::new() };
        self.write(layer, new, shape);
        attend::attend(&self.rows, layer, new.queries, team)
    }

    /// Ends the pass: its tokens become part of the prefix.
    pub fn advance(&mut self) {
        self.rows.iter_mut().for_each(Span::advance);
    }

    fn write(&mut self, layer: usize, new: Projected<'_>, shape: KvShape) {
        let KvShape { kv_heads, width, .. } = shape;
        let total = new.keys.len() / (kv_heads * width);
        let mut start = 0;
        for row in &mut self.rows {
            row.make_room(self.block);
            for token in 0..row.new {
                for head in 0..kv_heads {
                    let key = &new.keys[(head * total + start + token) * width..][..width];
                    let value = &new.values[((start + token) * kv_heads + head) * width..][..width];
                    row.write(token, HeadAt { layer, head }, key, value);
                }
            }
            start += row.new;
        }
    }
}
