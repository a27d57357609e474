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
        self.write(layer, new, shape, team);
        attend::attend(&self.rows, layer, new.queries, team)
    }

    /// Ends the pass: its tokens become part of the prefix.
    pub fn advance(&mut self) {
        self.rows.iter_mut().for_each(Span::advance);
    }

    fn write(&mut self, layer: usize, new: Projected<'_>, shape: KvShape, team: &Team) {
        let KvShape { kv_heads, width, .. } = shape;
        let total = new.keys.len() / (kv_heads * width);
        let mut next = 0;
        let rows = self.rows.iter_mut().map(|row| {
            let start = next;
            next += row.new;
            (start, row)
        });
        team.map(rows.collect(), |(start, row)| {
            row.make_room(self.block);
            for token in 0..row.new {
                for head in 0..kv_heads {
                    let key = &new.keys[(head * total + start + token) * width..][..width];
                    let value = &new.values[((start + token) * kv_heads + head) * width..][..width];
                    row.write(token, HeadAt { layer, head }, key, value);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dot::rounded;
    use crate::fixtures::{bits, numbers};
    use crate::packed::WeightType;

    const HEADS: usize = 4;
    const KV_HEADS: usize = 2;
    const WIDTH: usize = 5;
    const TOKENS: usize = 45;

    /// Rows `[tokens, heads * width]` to `[heads, tokens, width]`.
    fn split(rows: &[f32], heads: usize) -> Vec<f32> {
        let of_head = |head| {
            let rows = rows.chunks(heads * WIDTH);
            rows.flat_map(move |row| &row[head * WIDTH..][..WIDTH]).copied()
        };
        (0..heads).flat_map(of_head).collect()
    }

    /// The attention outputs of a row that is read in passes that end at some tokens, each after the pieces that the others
    /// kept.
    fn in_passes(ends: &[usize], stored: WeightType, keys: &[f32], values: &[f32]) -> Vec<f32> {
        let shape = KvShape { layers: 1, kv_heads: KV_HEADS, width: WIDTH, stored };
        let queries = numbers(TOKENS * HEADS * WIDTH, 7919);
        let (mut before, mut out, mut from) = (Vec::new(), Vec::new(), 0);
        for &to in ends {
            let of =
                |all: &[f32], heads: usize| all[from * heads * WIDTH..to * heads * WIDTH].to_vec();
            let queries = split(&of(&queries, HEADS), HEADS);
            let (keys, values) = (split(&of(keys, KV_HEADS), KV_HEADS), of(values, KV_HEADS));
            let row = Span::reading(shape, before.clone(), to - from);
            let mut spans = Spans::new(vec![row], 1);
            let new = Projected { queries: &queries, keys: &keys, values: &values };
            out.extend(spans.attend(0, new, &Team::of(2)));
            spans.advance();
            let kv = spans.rows[0].kept(to - from);
            before.push(Piece { used: kv.tokens(), kv: Arc::new(kv) });
            from = to;
        }
        out
    }

    /// Passes may end anywhere, and keys and values in bfloat16 are read as what they are.
    #[test]
    fn neither_passes_nor_the_type_of_what_is_kept_change_a_bit() {
        let size = TOKENS * KV_HEADS * WIDTH;
        let (keys, values) = (numbers(size, 104_729), numbers(size, 613));
        let round = |all: &[f32]| all.iter().map(|&x| rounded(x)).collect::<Vec<_>>();
        let (short_keys, short_values) = (round(&keys), round(&values));
        let whole = bits(&in_passes(&[TOKENS], WeightType::F32, &keys, &values));
        let short = bits(&in_passes(&[TOKENS], WeightType::F32, &short_keys, &short_values));
        assert_ne!(whole, short);
        for ends in [&[TOKENS][..], &[1, TOKENS], &[7, 8, 41, TOKENS], &[32, 33, TOKENS]] {
            assert_eq!(bits(&in_passes(ends, WeightType::F32, &keys, &values)), whole, "{ends:?}");
            assert_eq!(bits(&in_passes(ends, WeightType::Bf16, &keys, &values)), short, "{ends:?}");
        }
    }
}
