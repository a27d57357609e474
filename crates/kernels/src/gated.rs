//! The gated half of a feed-forward layer: two products and their activation, which go straight to the order that the
//! third product reads.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a vectorized function is compiled for its instructions"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::left::{CHUNK, Columns, Left};
use crate::packed::{Packed, chunks};
use crate::panels::PANEL;
use crate::swiglu::gated;
use crate::team::Team;

/// The weights of the gate and of what it lets through, both `[inner, columns]`, in one type.
#[derive(Debug, Clone, Copy)]
pub struct Gated<'a> {
    /// Weight of the gate.
    pub gate: &'a Packed,
    /// Weight of the values.
    pub up: &'a Packed,
}

impl Gated<'_> {
    /// `swiglu(rows * gate, rows * up)`, as the left-hand side of a product with a weight `[columns, outputs]` of the same
    /// type. For many rows, both products are larger than the caches: written out and read again, they took a tenth of
    /// the time of reading a prompt (docs/PERFORMANCE.md).
    pub fn forward(self, left: &Left, team: &Team) -> Left {
        let (columns, stored) = (self.gate.columns(), self.gate.stored());
        let panels = columns.div_ceil(PANEL);
        let pieces = team.pieces(panels);
        let ends: Vec<usize> = (1..=pieces).map(|piece| piece * panels / pieces).collect();
        let reduced = [self.gate, self.up].map(|weight| weight.reduced(left, team));
        let reduced = reduced.each_ref().map(Option::as_ref);
        let mut out = Left::zeros(left.rows(), columns, stored);
        let mut from = 0;
        let parts = out.columns_mut(stored, &ends).into_iter().zip(&ends).map(|(out, &end)| {
            let panels = from..end;
            from = end;
            Part { weights: self, left, reduced, panels, out }
        });
        team.map(parts.collect(), |part| Arch::new().dispatch(part));
        out
    }
}

/// Some columns.
struct Part<'a> {
    weights: Gated<'a>,
    left: &'a Left,
    /// The reduced rows for the gate and for the values ([`Packed::reduced`]).
    reduced: [Option<&'a Left>; 2],
    panels: Range<usize>,
    /// Its columns of each chunk of rows.
    out: Vec<Columns<'a>>,
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights: Gated { gate, up }, left, reduced, panels, out } = self;
        let [gate_rows, up_rows] = reduced.map(|reduced| chunks(left, reduced));
        let (mut gates, mut ups) = ([0.0; CHUNK * PANEL], [0.0; CHUNK * PANEL]);
        for ((for_gate, for_up), mut out) in gate_rows.zip(up_rows).zip(out) {
            let size = for_gate.left.rows() * PANEL;
            let (gates, ups) = (&mut gates[..size], &mut ups[..size]);
            for (at, panel) in panels.clone().enumerate() {
                gate.times_panel(simd, for_gate, panel, gates);
                up.times_panel(simd, for_up, panel, ups);
                for (gate, &up) in gates.iter_mut().zip(&*ups) {
                    *gate = gated(*gate, up);
                }
                out.store(at, gates);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{bits, numbers};
    use crate::{WeightType, swiglu};

    fn packed(inner: usize, columns: usize, stored: WeightType, step: usize) -> Packed {
        let weight = numbers(inner * columns, step);
        Packed::new(inner, columns, stored, |at, to| {
            to.copy_from_slice(&weight[at * inner..][..inner]);
        })
    }

    /// The same with an adapter.
    fn adapted(inner: usize, columns: usize, stored: WeightType, step: usize) -> Packed {
        let (down, up) = (numbers(3 * inner, 5 * step), numbers(columns * 3, 3 * step));
        packed(inner, columns, stored, step).with_low_rank(
            3,
            |at, to| to.copy_from_slice(&down[at * inner..][..inner]),
            |at, to| to.copy_from_slice(&up[at * 3..][..3]),
        )
    }

    #[test]
    fn it_is_two_products_their_activation_and_a_left_hand_side() {
        for (stored, columns) in [WeightType::F32, WeightType::Bf16]
            .into_iter()
            .flat_map(|stored| [1, 31, 32, 65, 200].map(|columns| (stored, columns)))
        {
            let (gate, up) = (packed(17, columns, stored, 7919), adapted(17, columns, stored, 31));
            let down = packed(columns, 5, stored, 104_729);
            for (rows, threads) in [(1, 1), (13, 3), (97, 2), (200, 1)] {
                let team = Team::of(threads);
                let left = gate.left(&numbers(rows * 17, 613), &team);
                let apart = swiglu(&gate.product(&left, &team), &up.product(&left, &team));
                let apart = down.product(&down.left(&apart, &team), &team);
                let gated = Gated { gate: &gate, up: &up }.forward(&left, &team);
                assert_eq!(bits(&down.product(&gated, &team)), bits(&apart), "{rows} x {columns}");
            }
        }
    }
}
