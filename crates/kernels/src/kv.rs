//! Keys and values that a model has computed for consecutive tokens, in the order that attention reads them.

use std::ops::Range;

use half::bf16;

use crate::dot;
use crate::packed::WeightType;
use crate::panels::{Matrix, SPARE, Values};

/// The dimensions and the type of a token's keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// Number of transformer blocks.
    pub layers: usize,
    /// Number of key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub width: usize,
    /// The type that keys and values are rounded to.
    pub stored: WeightType,
}

/// A key and value head of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadAt {
    /// Index of the layer.
    pub layer: usize,
    /// Index of the head in its layer.
    pub head: usize,
}

/// Keys and values of consecutive tokens in every layer, with a fixed capacity.
#[derive(Debug, Clone)]
pub struct Kv {
    layout: Layout,
    data: Data,
}

/// Where keys and values are. Each layer has the keys, `[kv_heads, width, tokens]`, then the values,
/// `[kv_heads, tokens, width]`; the buffer ends with the padding that the right-hand side of a product needs.
#[derive(Debug, Clone, Copy)]
struct Layout {
    shape: KvShape,
    /// The capacity.
    tokens: usize,
}

#[derive(Debug, Clone)]
enum Data {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

/// Consecutive values to be copied from one buffer to another.
struct Move {
    from: usize,
    to: usize,
    count: usize,
}

impl KvShape {
    /// All heads of all layers, in memory order.
    pub fn heads(self) -> impl Iterator<Item = HeadAt> {
        let of_layer = move |layer| (0..self.kv_heads).map(move |head| HeadAt { layer, head });
        (0..self.layers).flat_map(of_layer)
    }
}

impl Layout {
    fn size(self) -> usize {
        let KvShape { layers, kv_heads, width, .. } = self.shape;
        2 * layers * kv_heads * width * self.tokens + SPARE
    }

    /// The index of the first token's first key in a head. Its next one is `tokens` on, the next token's 1 on.
    fn keys_at(self, at: HeadAt) -> usize {
        self.head_at(2 * at.layer * self.shape.kv_heads + at.head)
    }

    /// The index of the first token's first value in a head. Its next one is 1 on, the next token's `width` on.
    fn values_at(self, at: HeadAt) -> usize {
        self.head_at((2 * at.layer + 1) * self.shape.kv_heads + at.head)
    }

    /// Where the keys or values of a head begin, counted over all keys and values.
    fn head_at(self, index: usize) -> usize {
        index * self.tokens * self.shape.width
    }

    /// Writes the key and value of one token.
    fn write<T>(
        self,
        data: &mut [T],
        (token, at): (usize, HeadAt),
        [key, value]: [&[f32]; 2],
        round: fn(f32) -> T,
    ) {
        // Keys are kept transposed: scattered writes are paid once per token, scattered reads would be at every later one.
        let keys = data[self.keys_at(at) + token..].iter_mut().step_by(self.tokens);
        keys.zip(key).for_each(|(slot, &x)| *slot = round(x));
        let values = &mut data[self.values_at(at) + token * self.shape.width..];
        values.iter_mut().zip(value).for_each(|(slot, &x)| *slot = round(x));
    }

    /// The copies that bring tokens of another buffer to this one, the first of them to token `to`.
    fn moves(self, to: usize, from: Self, tokens: Range<usize>) -> impl Iterator<Item = Move> {
        let (width, count) = (self.shape.width, tokens.len());
        self.shape.heads().flat_map(move |at| {
            let [own, others] = [(self, to), (from, tokens.start)].map(|(layout, token)| {
                let key = move |row| layout.keys_at(at) + row * layout.tokens + token;
                (key, layout.values_at(at) + token * width)
            });
            let keys =
                (0..width).map(move |row| Move { from: others.0(row), to: own.0(row), count });
            keys.chain([Move { from: others.1, to: own.1, count: count * width }])
        })
    }
}

impl Kv {
    /// Allocates room for `tokens` tokens.
    pub fn zeros(tokens: usize, shape: KvShape) -> Self {
        let layout = Layout { shape, tokens };
        let data = match shape.stored {
            WeightType::F32 => Data::F32(vec![0.0; layout.size()]),
            WeightType::Bf16 => Data::Bf16(vec![bf16::ZERO; layout.size()]),
        };
        Self { layout, data }
    }

    /// The dimensions of a token.
    pub fn shape(&self) -> KvShape {
        self.layout.shape
    }

    /// The capacity, in tokens.
    pub fn tokens(&self) -> usize {
        self.layout.tokens
    }

    /// Size of the buffer in bytes.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::F32(data) => size_of_val(data.as_slice()),
            Data::Bf16(data) => size_of_val(data.as_slice()),
        }
    }

    /// Copies the keys of one head, transposed to `[tokens, width]`; those of the first tokens, if there is no room for
    /// more.
    pub fn copy_keys(&self, at: HeadAt, to: &mut [f32]) {
        let Layout { shape: KvShape { width, .. }, tokens } = self.layout;
        let keys = self.layout.keys_at(at);
        for (index, slot) in to.iter_mut().enumerate() {
            *slot = self.value(keys + index % width * tokens + index / width);
        }
    }

    /// Copies the values of one head, `[tokens, width]`; those of the first tokens, if there is no room for more.
    pub fn copy_values(&self, at: HeadAt, to: &mut [f32]) {
        let values = self.layout.values_at(at)..;
        to.iter_mut().zip(values).for_each(|(slot, index)| *slot = self.value(index));
    }

    fn value(&self, index: usize) -> f32 {
        match &self.data {
            Data::F32(data) => data[index],
            Data::Bf16(data) => data[index].to_f32(),
        }
    }

    /// Writes the key and value of one token in one head.
    pub fn write(&mut self, token: usize, at: HeadAt, key: &[f32], value: &[f32]) {
        let (place, both) = ((token, at), [key, value]);
        match &mut self.data {
            Data::F32(data) => self.layout.write(data, place, both, |x| x),
            Data::Bf16(data) => self.layout.write(data, place, both, dot::short),
        }
    }

    /// A copy of some of the tokens.
    #[must_use]
    pub fn slice(&self, tokens: Range<usize>) -> Self {
        Self::concat(&std::iter::once((self, tokens)), self.shape())
    }

    /// Concatenates pieces, each restricted to a range of its tokens.
    pub(crate) fn concat<'a, I: Iterator<Item = (&'a Self, Range<usize>)> + Clone>(
        pieces: &I,
        shape: KvShape,
    ) -> Self {
        let tokens = pieces.clone().map(|(_, tokens)| tokens.len()).sum();
        let mut joined = Self::zeros(tokens, shape);
        let mut to = 0;
        for (piece, tokens) in pieces.clone() {
            let count = tokens.len();
            let moves = joined.layout.moves(to, piece.layout, tokens);
            match (&mut joined.data, &piece.data) {
                (Data::F32(to), Data::F32(from)) => copy(to, from, moves),
                (Data::Bf16(to), Data::Bf16(from)) => copy(to, from, moves),
                _ => unreachable!("a model keeps all keys and values in one type"),
            }
            to += count;
        }
        joined
    }

    /// The keys, as the right-hand side of a product, `[width, tokens]`.
    pub(crate) fn key_matrix(&self, at: HeadAt) -> Matrix<'_> {
        let data = self.values_from(self.layout.keys_at(at));
        Matrix { data, stride: self.tokens() }
    }

    /// The values, as the right-hand side of a product, `[tokens, width]`.
    pub(crate) fn value_matrix(&self, at: HeadAt) -> Matrix<'_> {
        let data = self.values_from(self.layout.values_at(at));
        Matrix { data, stride: self.shape().width }
    }

    fn values_from(&self, index: usize) -> Values<'_> {
        match &self.data {
            Data::F32(data) => Values::F32(&data[index..]),
            Data::Bf16(data) => Values::Bf16(&data[index..]),
        }
    }
}

fn copy<T: Copy>(to: &mut [T], from: &[T], moves: impl Iterator<Item = Move>) {
    for Move { from: start, to: place, count } in moves {
        to[place..place + count].copy_from_slice(&from[start..start + count]);
    }
}
