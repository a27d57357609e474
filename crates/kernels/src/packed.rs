//! Weights for inference, packed once.
//!
//! A general-purpose product copies its right-hand side into register-sized panels on every call. With few rows on the
//! left, the copy costs more than the product. [`Packed`] builds a weight's panels once. The result for a row does not
//! depend on the other rows (`panels`).

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::dot;
use crate::left::{CHUNK, Left, LeftChunk};
use crate::panels::{Lines, Out, PANEL};
use crate::team::Team;

/// The type that a packed weight is stored in, and that the rows it multiplies are rounded to. Sums are in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightType {
    /// 32 bits, nothing rounded.
    F32,
    /// bfloat16: the upper 16 bits of an `f32`, with 8 significant bits.
    Bf16,
}

/// A matrix `[inner, columns]` in panels.
#[derive(Debug)]
pub struct Packed {
    inner: usize,
    columns: usize,
    panels: Panels,
    low_rank: Option<Box<LowRank>>,
}

/// The matrices of a low-rank adapter, for which a product adds `x A B`.
#[derive(Debug)]
struct LowRank {
    /// A, `[inner, rank]`.
    down: Packed,
    /// B, `[rank, columns]`.
    up: Packed,
}

/// The values, the last panel padded with zeros.
#[derive(Debug)]
enum Panels {
    /// `[panels, inner, PANEL]`.
    F32(Vec<f32>),
    /// `[panels, inner / 2, PANEL]`, rounded up: two consecutive values of a column, the first in the lower half.
    Bf16(Vec<u32>),
}

impl Packed {
    /// Packs the weight of a linear layer. `fill` writes the `inner` weights of an output.
    pub fn new(
        inner: usize,
        columns: usize,
        stored: WeightType,
        fill: impl Fn(usize, &mut [f32]),
    ) -> Self {
        // A pair needs two values: an odd inner dimension gets a weight of 0 at the end.
        let mut column = vec![0.0; inner.next_multiple_of(2)];
        let panels = match stored {
            WeightType::F32 => {
                let mut packed = vec![0.0; columns.div_ceil(PANEL) * inner * PANEL];
                for at in 0..columns {
                    fill(at, &mut column[..inner]);
                    let panel = &mut packed[at / PANEL * inner * PANEL..][..inner * PANEL];
                    let slots = panel[at % PANEL..].iter_mut().step_by(PANEL);
                    slots.zip(&column).for_each(|(slot, &value)| *slot = value);
                }
                Panels::F32(packed)
            }
            WeightType::Bf16 => {
                let pairs = column.len() / 2;
                let mut packed = vec![0; columns.div_ceil(PANEL) * pairs * PANEL];
                for at in 0..columns {
                    fill(at, &mut column[..inner]);
                    let panel = &mut packed[at / PANEL * pairs * PANEL..][..pairs * PANEL];
                    let slots = panel[at % PANEL..].iter_mut().step_by(PANEL);
                    let (values, _) = column.as_chunks();
                    slots.zip(values).for_each(|(slot, &pair)| *slot = dot::pair(pair));
                }
                Panels::Bf16(packed)
            }
        };
        Self { inner, columns, panels, low_rank: None }
    }

    /// Adds a low-rank matrix `A B` to every product, without adding it to the weight: a change smaller than the weight's
    /// last digit would be lost there. `down` writes the `inner` values of a column of A, of which there are `rank`, and `up`
    /// the `rank` values of a column of B.
    #[must_use]
    pub fn with_low_rank(
        self,
        rank: usize,
        down: impl Fn(usize, &mut [f32]),
        up: impl Fn(usize, &mut [f32]),
    ) -> Self {
        let stored = self.stored();
        let low_rank = LowRank {
            down: Self::new(self.inner, rank, stored, down),
            up: Self::new(rank, self.columns, stored, up),
        };
        Self { low_rank: Some(Box::new(low_rank)), ..self }
    }

    /// Number of columns in a product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        match &self.panels {
            Panels::F32(panels) => size_of_val(panels.as_slice()),
            Panels::Bf16(panels) => size_of_val(panels.as_slice()),
        }
    }

    /// Prepares rows `[rows, inner]` for products with this weight, and with others of the same type and inner dimension.
    pub fn left(&self, rows: &[f32], team: &Team) -> Left {
        Left::of_rows(rows, self.inner, self.stored(), team)
    }

    /// The rows times A, which [`Self::times_panel`] multiplies by B; `None` without a low-rank matrix.
    pub(crate) fn reduced(&self, left: &Left, team: &Team) -> Option<Left> {
        let low_rank = self.low_rank.as_ref()?;
        Some(low_rank.up.left(&low_rank.down.product(left, team), team))
    }

    /// The type that it is stored in.
    pub(crate) fn stored(&self) -> WeightType {
        match self.panels {
            Panels::F32(_) => WeightType::F32,
            Panels::Bf16(_) => WeightType::Bf16,
        }
    }

    /// Multiplies some rows by one panel: `[rows, PANEL]`.
    #[inline(always)]
    pub(crate) fn times_panel<S: Simd>(
        &self,
        simd: S,
        rows: Rows<'_>,
        panel: usize,
        out: &mut [f32],
    ) {
        self.times_own_panel(simd, rows.left, panel, out);
        if let (Some(low_rank), Some(reduced)) = (&self.low_rank, rows.reduced) {
            let mut more = [0.0; CHUNK * PANEL];
            let more = &mut more[..out.len()];
            low_rank.up.times_own_panel(simd, reduced, panel, more);
            out.iter_mut().zip(more).for_each(|(out, more)| *out += *more);
        }
    }

    /// The same without the low-rank matrix.
    #[inline(always)]
    fn times_own_panel<S: Simd>(&self, simd: S, left: &LeftChunk, panel: usize, out: &mut [f32]) {
        let to = Out { data: out, stride: PANEL, from: 0, width: PANEL };
        match (&self.panels, left) {
            (Panels::F32(panels), LeftChunk::Floats(left)) => {
                let size = self.inner * PANEL;
                let data = &panels[panel * size..][..size];
                left.times(simd, Lines { data, stride: PANEL }, to, false);
            }
            (Panels::Bf16(panels), left) => {
                let size = self.inner.div_ceil(2) * PANEL;
                let pairs = &panels[panel * size..];
                match left {
                    LeftChunk::Floats(left) => left.times_pairs(simd, pairs, size, to),
                    LeftChunk::Pairs(left) => left.times(&pairs[..size], to),
                }
            }
            (Panels::F32(_), LeftChunk::Pairs(_)) => {
                unreachable!("rows are prepared for the type of the weight")
            }
        }
    }

    /// Multiplies by this matrix: `[rows, columns]`. The threads of the team take columns.
    pub fn product(&self, left: &Left, team: &Team) -> Vec<f32> {
        let mut out = Vec::new();
        self.product_into(left, &mut out, team);
        out
    }

    /// The same, in place of what is in `out`. For large products, whose memory is worth keeping: the system clears what it
    /// gives, which takes as long as some products.
    pub fn product_into(&self, left: &Left, out: &mut Vec<f32>, team: &Team) {
        out.resize(left.rows() * self.columns, 0.0);
        let reduced = self.reduced(left, team);
        let panels = self.columns.div_ceil(PANEL);
        let pieces = team.pieces(panels);
        let bound = |piece: usize| (piece * panels / pieces * PANEL).min(self.columns);
        let widths = (0..pieces).map(|piece| bound(piece + 1) - bound(piece));
        let mut parts: Vec<Part<'_>> = (0..pieces)
            .map(|piece| Part {
                weight: self,
                left,
                reduced: reduced.as_ref(),
                panels: piece * panels / pieces..(piece + 1) * panels / pieces,
                out: Vec::with_capacity(left.rows()),
            })
            .collect();
        for mut row in out.chunks_exact_mut(self.columns) {
            for (part, width) in parts.iter_mut().zip(widths.clone()) {
                let (own, rest) = row.split_at_mut(width);
                part.out.push(own);
                row = rest;
            }
        }
        team.map(parts, |part| Arch::new().dispatch(part));
    }
}

/// A chunk of rows, with its reduced rows if the weight has an adapter ([`Packed::reduced`]).
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) left: &'a LeftChunk,
    pub(crate) reduced: Option<&'a LeftChunk>,
}

/// The chunks of `left`, each with its `reduced` rows.
pub(crate) fn chunks<'a>(
    left: &'a Left,
    reduced: Option<&'a Left>,
) -> impl Iterator<Item = Rows<'a>> {
    let reduced = move |at: usize| reduced.map(|reduced| &reduced.chunks()[at]);
    let chunks = left.chunks().iter().enumerate();
    chunks.map(move |(at, left)| Rows { left, reduced: reduced(at) })
}

/// Some columns of a product.
struct Part<'a> {
    weight: &'a Packed,
    left: &'a Left,
    reduced: Option<&'a Left>,
    panels: Range<usize>,
    /// For each row, its columns.
    out: Vec<&'a mut [f32]>,
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weight, left, reduced, panels, mut out } = self;
        let mut out = out.as_mut_slice();
        // The kernels write whole panels here. From there the columns go to their rows, which other threads write to, too.
        let mut product = [0.0; CHUNK * PANEL];
        for chunk in chunks(left, reduced) {
            let (rows, rest) = out.split_at_mut(chunk.left.rows());
            let product = &mut product[..rows.len() * PANEL];
            for (at, panel) in panels.clone().enumerate() {
                weight.times_panel(simd, chunk, panel, product);
                for (row, product) in rows.iter_mut().zip(product.chunks_exact(PANEL)) {
                    let row = &mut row[at * PANEL..];
                    let width = row.len().min(PANEL);
                    row[..width].copy_from_slice(&product[..width]);
                }
            }
            out = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{bits, numbers};

    /// A weight `[columns, inner]`, packed.
    fn packed(weight: &[f32], inner: usize, stored: WeightType) -> Packed {
        Packed::new(inner, weight.len() / inner, stored, |at, to| {
            to.copy_from_slice(&weight[at * inner..][..inner]);
        })
    }

    #[test]
    fn no_rows_are_no_result() {
        for stored in [WeightType::F32, WeightType::Bf16] {
            let weight = packed(&[1.0, 2.0], 1, stored);
            assert!(weight.product(&weight.left(&[], &Team::alone()), &Team::of(2)).is_empty());
        }
    }

    /// In bfloat16, both factors are rounded and the sums are not; neither the other rows nor the threads change a bit.
    #[test]
    fn rounded_products_are_those_of_rounded_factors() {
        for (inner, columns) in [(1, 1), (2, 33), (5, 31), (16, 32), (33, 70), (128, 200)] {
            let weight = numbers(inner * columns, 7919);
            let short = packed(&weight, inner, WeightType::Bf16);
            let rounded: Vec<f32> = weight.iter().map(|&x| dot::rounded(x)).collect();
            for rows in [1, 2, 11, 12, 13, 97] {
                let left = numbers(rows * inner, 104_729);
                let product = short.product(&short.left(&left, &Team::alone()), &Team::alone());
                let team = short.product(&short.left(&left, &Team::alone()), &Team::of(3));
                assert_eq!(bits(&team), bits(&product));
                let exact: Vec<f32> = left.iter().map(|&x| dot::rounded(x)).collect();
                for (at, (row, exact)) in left.chunks(inner).zip(exact.chunks(inner)).enumerate() {
                    let own = short.product(&short.left(row, &Team::alone()), &Team::alone());
                    assert_eq!(bits(&own), bits(&product[at * columns..][..columns]));
                    for (sum, column) in own.iter().zip(rounded.chunks(inner)) {
                        let exact: f32 = exact.iter().zip(column).map(|(a, b)| a * b).sum();
                        assert!((sum - exact).abs() < 1e-4, "{sum} is not {exact}");
                    }
                }
            }
        }
    }

    /// For every row by itself, whatever the other rows and the threads.
    #[test]
    fn a_low_rank_matrix_is_added_to_every_product() {
        let (inner, rank) = (17, 3);
        for (stored, columns) in [WeightType::F32, WeightType::Bf16]
            .into_iter()
            .flat_map(|t| [1, 33, 70].map(|c| (t, c)))
        {
            let weight = numbers(inner * columns, 7919);
            let (a, b) = (numbers(inner * rank, 31), numbers(rank * columns, 613));
            let (down, up) = (packed(&a, inner, stored), packed(&b, rank, stored));
            let plain = packed(&weight, inner, stored);
            let fill = |from: &[f32], width: usize| {
                let from = from.to_vec();
                move |at: usize, to: &mut [f32]| to.copy_from_slice(&from[at * width..][..width])
            };
            let adapted =
                packed(&weight, inner, stored).with_low_rank(rank, fill(&a, inner), fill(&b, rank));
            for (rows, threads) in [(1, 1), (13, 2), (97, 1), (200, 3)] {
                let (team, alone) = (Team::of(threads), Team::alone());
                let left = plain.left(&numbers(rows * inner, 104_729), &alone);
                let reduced = up.left(&down.product(&left, &alone), &alone);
                let mut sum = plain.product(&left, &alone);
                let more = up.product(&reduced, &alone);
                sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
                assert_eq!(bits(&adapted.product(&left, &team)), bits(&sum), "{rows} rows");
            }
        }
    }

    #[test]
    fn a_team_gets_the_products_of_one_thread() {
        for (inner, columns) in [(3, 1), (64, 31), (17, 333)] {
            let weight = packed(&numbers(inner * columns, 7919), inner, WeightType::F32);
            let left = weight.left(&numbers(100 * inner, 104_729), &Team::alone());
            let alone = weight.product(&left, &Team::alone());
            for threads in [2, 5] {
                let team = Team::of(threads);
                let led = team.lead(|| weight.product(&left, &team));
                assert_eq!(bits(&led), bits(&alone), "{threads} threads");
            }
        }
    }
}
