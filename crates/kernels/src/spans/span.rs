//! A row of a forward pass: its cached prefix, and the keys and values that its own passes write.

use std::ops::Range;
use std::sync::Arc;

use crate::kv::{HeadAt, Kv, KvShape};

/// The leading tokens of cached keys and values, which other rows may share.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The keys and values.
    pub kv: Arc<Kv>,
    /// How many of its tokens to use, from the first on.
    pub used: usize,
}

/// The leading tokens of keys and values that a row sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) kv: &'a Kv,
    pub(super) used: usize,
}

/// A row of a forward pass.
#[derive(Debug)]
pub struct Span {
    pub(super) shape: KvShape,
    /// Cached prefix of the row.
    pub(super) before: Vec<Piece>,
    /// Tokens copied from the prefix, then those written by the row's own passes. All blocks but the last are full.
    blocks: Vec<Kv>,
    copied: usize,
    /// Tokens in the blocks so far: those copied and those written by earlier passes.
    written: usize,
    /// Number of tokens in this pass.
    pub(super) new: usize,
}

impl Span {
    /// A row of `new` tokens to read after a cached prefix.
    pub fn reading(shape: KvShape, before: Vec<Piece>, new: usize) -> Self {
        Self { shape, before, blocks: Vec::new(), copied: 0, written: 0, new }
    }

    /// A row decoded token by token, with `room` spare slots. All prefix pieces but the first are copied into one block:
    /// for every single token, going through many small pieces would cost more than the copy. The first stays in place
    /// because rows often share it.
    pub fn decoding(shape: KvShape, mut before: Vec<Piece>, room: usize) -> Self {
        let own = before.split_off(before.len().min(1));
        let copied = own.iter().map(|piece| piece.used).sum();
        let empty = Kv::zeros(room, shape);
        let pieces = own.iter().map(|piece| (&*piece.kv, 0..piece.used));
        let pieces = pieces.chain([(&empty, 0..room)]);
        let blocks = if copied > 0 { vec![Kv::concat(&pieces, shape)] } else { Vec::new() };
        Self { shape, before, blocks, copied, written: copied, new: 1 }
    }

    /// The positions of this pass's tokens in the row.
    pub fn positions(&self) -> Range<usize> {
        let past = self.past();
        past..past + self.new
    }

    /// Sets the number of tokens of the next pass; otherwise it has as many as the one before.
    pub fn expect(&mut self, tokens: usize) {
        self.new = tokens;
    }

    /// Takes back the last tokens of the passes so far. The next pass writes in their place.
    pub fn take_back(&mut self, tokens: usize) {
        self.written -= tokens;
    }

    /// A copy of the keys and values of the first `tokens` tokens that the row's passes wrote.
    pub fn kept(&self, tokens: usize) -> Kv {
        let (mut skip, mut left) = (self.copied, tokens);
        let pieces = self.blocks.iter().map(move |block| {
            let from = skip.min(block.tokens());
            let to = block.tokens().min(from + left);
            skip -= from;
            left -= to - from;
            (block, from..to)
        });
        Kv::concat(&pieces, self.shape)
    }

    /// Number of tokens before those of this pass.
    pub(super) fn past(&self) -> usize {
        self.before.iter().map(|piece| piece.used).sum::<usize>() + self.written
    }

    /// Makes room for the tokens of this pass, in blocks of at least `block` tokens.
    pub(super) fn make_room(&mut self, block: usize) {
        let room: usize = self.blocks.iter().map(Kv::tokens).sum();
        let missing = (self.written + self.new).saturating_sub(room);
        if missing > 0 {
            self.blocks.push(Kv::zeros(missing.max(block), self.shape));
        }
    }

    /// Ends a pass: its tokens become part of the prefix.
    pub(super) fn advance(&mut self) {
        self.written += self.new;
    }

    /// All pieces before new token `end`.
    pub(super) fn pieces(&self, end: usize) -> impl Iterator<Item = Seen<'_>> {
        let mut left = self.written + end;
        let own = self.blocks.iter().map_while(move |kv| {
            let used = left.min(kv.tokens());
            left -= used;
            (used > 0).then_some(Seen { kv, used })
        });
        self.before.iter().map(|piece| Seen { kv: &piece.kv, used: piece.used }).chain(own)
    }

    /// Writes the key and value of a new token in one head.
    pub(super) fn write(&mut self, token: usize, at: HeadAt, key: &[f32], value: &[f32]) {
        let mut token = self.written + token;
        for block in &mut self.blocks {
            if token < block.tokens() {
                block.write(token, at, key, value);
                return;
            }
            token -= block.tokens();
        }
        unreachable!("there is room for the tokens of this pass");
    }
}
