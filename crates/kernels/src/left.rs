//! Left-hand sides of products with packed weights: rows in the order that the kernels read them.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use pulp::{Arch, Simd, WithSimd};

use crate::dot::{self, Kernel};
use crate::packed::WeightType;
use crate::panels::{Interleaved, LeftRows, PANEL, interleave_block};
use crate::team::Team;

/// Rows multiplied with all panels before the next ones: few enough to stay in the L2 cache.
pub(crate) const CHUNK: usize = 96;

/// The left-hand side of products: rows in the order that the kernels read them, rounded to the type of the weights.
/// Several products may share it.
#[derive(Debug)]
pub struct Left {
    rows: usize,
    chunks: Vec<LeftChunk>,
}

/// At most [`CHUNK`] rows.
#[derive(Debug)]
pub(crate) enum LeftChunk {
    /// Values, rounded if the weights are.
    Floats(Interleaved),
    /// Pairs of consecutive values, for a processor that multiplies those.
    Pairs(dot::Pairs),
}

/// Some columns of a chunk, to be written: of each block of rows, its number of rows and their values.
pub(crate) enum Columns<'a> {
    /// `[columns, rows of the block]`, and the type to round them to.
    Floats(Vec<(usize, &'a mut [f32])>, WeightType),
    /// Pairs in the order of a kernel ([`dot::Pairs`]).
    Pairs(Vec<(usize, &'a mut [u32])>, Kernel),
}

impl Left {
    /// Rows of `inner` values for weights of a type.
    pub(crate) fn of_rows(rows: &[f32], inner: usize, stored: WeightType, team: &Team) -> Self {
        let chunks = rows.chunks(CHUNK * inner).collect();
        let chunks = team.map(chunks, |rows| LeftChunk::of_rows(rows, inner, stored));
        Self { rows: rows.len() / inner, chunks }
    }

    /// Room for rows of `inner` values.
    pub(crate) fn zeros(rows: usize, inner: usize, stored: WeightType) -> Self {
        let chunk = |from| LeftChunk::zeros(CHUNK.min(rows - from), inner, stored);
        Self { rows, chunks: (0..rows).step_by(CHUNK).map(chunk).collect() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn chunks(&self) -> &[LeftChunk] {
        &self.chunks
    }

    /// Splits the columns of all chunks after the panels `ends`. Returns each piece's columns of every chunk.
    pub(crate) fn columns_mut(
        &mut self,
        stored: WeightType,
        ends: &[usize],
    ) -> Vec<Vec<Columns<'_>>> {
        let mut pieces: Vec<Vec<Columns<'_>>> = ends.iter().map(|_| Vec::new()).collect();
        for chunk in &mut self.chunks {
            match chunk {
                LeftChunk::Floats(floats) => {
                    let cut = cut(floats.blocks_mut(), ends, PANEL);
                    let cut = cut.into_iter().map(|blocks| Columns::Floats(blocks, stored));
                    pieces.iter_mut().zip(cut).for_each(|(piece, columns)| piece.push(columns));
                }
                LeftChunk::Pairs(pairs) => {
                    let kernel = pairs.kernel();
                    let cut = cut(pairs.blocks_mut(), ends, PANEL / 2);
                    let cut = cut.into_iter().map(|blocks| Columns::Pairs(blocks, kernel));
                    pieces.iter_mut().zip(cut).for_each(|(piece, columns)| piece.push(columns));
                }
            }
        }
        pieces
    }
}

/// Splits every block of a chunk after the panels `ends`. A panel has `steps` steps; the last one may have fewer.
fn cut<'a, T>(
    blocks: impl Iterator<Item = (usize, &'a mut [T])>,
    ends: &[usize],
    steps: usize,
) -> Vec<Vec<(usize, &'a mut [T])>> {
    let mut pieces: Vec<Vec<_>> = ends.iter().map(|_| Vec::new()).collect();
    for (rows, mut data) in blocks {
        let mut from = 0;
        for (piece, &end) in pieces.iter_mut().zip(ends) {
            let size = ((end - from) * steps * rows).min(data.len());
            let (own, rest) = data.split_at_mut(size);
            piece.push((rows, own));
            (data, from) = (rest, end);
        }
    }
    pieces
}

impl LeftChunk {
    fn of_rows(rows: &[f32], inner: usize, stored: WeightType) -> Self {
        match stored {
            WeightType::Bf16 if let Some(kernel) = Kernel::here() => {
                Self::Pairs(dot::Pairs::of_rows(kernel, rows, inner))
            }
            WeightType::Bf16 if inner % 2 == 1 => {
                let mut padded = Vec::with_capacity(rows.len() / inner * (inner + 1));
                for row in rows.chunks_exact(inner) {
                    padded.extend_from_slice(row);
                    padded.push(0.0);
                }
                Self::Floats(interleaved(&padded, inner + 1, stored))
            }
            WeightType::F32 | WeightType::Bf16 => Self::Floats(interleaved(rows, inner, stored)),
        }
    }

    fn zeros(rows: usize, inner: usize, stored: WeightType) -> Self {
        match stored {
            WeightType::Bf16 if let Some(kernel) = Kernel::here() => {
                Self::Pairs(dot::Pairs::zeros(kernel, rows, inner))
            }
            WeightType::Bf16 => Self::Floats(floats(rows, inner.next_multiple_of(2), stored)),
            WeightType::F32 => Self::Floats(floats(rows, inner, stored)),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        let blocks = match self {
            Self::Floats(floats) => &floats.blocks,
            Self::Pairs(pairs) => &pairs.blocks,
        };
        blocks.iter().sum()
    }
}

impl Columns<'_> {
    /// Writes the values `[rows, PANEL]` of one panel of columns.
    #[inline(always)]
    pub(crate) fn store(&mut self, panel: usize, values: &mut [f32]) {
        match self {
            Self::Floats(blocks, stored) => {
                if *stored == WeightType::Bf16 {
                    for x in values.iter_mut() {
                        *x = dot::rounded(*x);
                    }
                }
                let mut values = &*values;
                for (rows, to) in blocks {
                    let to = &mut to[panel * PANEL * *rows..];
                    let size = (PANEL * *rows).min(to.len());
                    interleave_block(&mut to[..size], values, (*rows, PANEL), 0);
                    values = &values[*rows * PANEL..];
                }
            }
            Self::Pairs(blocks, kernel) => {
                let mut values = &*values;
                for (rows, to) in blocks {
                    let to = &mut to[panel * PANEL / 2 * *rows..];
                    let size = (PANEL / 2 * *rows).min(to.len());
                    kernel.join(&mut to[..size], values, PANEL, *rows);
                    values = &values[*rows * PANEL..];
                }
            }
        }
    }
}

fn interleaved(rows: &[f32], inner: usize, to: WeightType) -> Interleaved {
    struct Load<'a>(LeftRows<'a>, WeightType);
    impl WithSimd for Load<'_> {
        type Output = Interleaved;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> Interleaved {
            let mut left = Interleaved::default();
            let Self(rows, to) = self;
            if to == WeightType::F32 {
                left.load::<S>(&rows);
            } else {
                left.load_for_pairs::<S>(&rows);
                left.data.iter_mut().for_each(|x| *x = dot::rounded(*x));
            }
            left
        }
    }
    Arch::new().dispatch(Load(LeftRows { data: rows, stride: inner, from: 0, inner }, to))
}

fn floats(rows: usize, inner: usize, stored: WeightType) -> Interleaved {
    struct Zeros(usize, usize, WeightType);
    impl WithSimd for Zeros {
        type Output = Interleaved;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> Interleaved {
            Interleaved::zeros::<S>(self.0, self.1, self.2)
        }
    }
    Arch::new().dispatch(Zeros(rows, inner, stored))
}
