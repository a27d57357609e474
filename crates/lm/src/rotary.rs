//! Rotary position embeddings: the angles by which queries and keys are rotated.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kernels::Angles;
use kernels::causal::Branches;

use crate::ModelConfig;
use crate::tensors::tensor;

/// Cosines and sines of the rotary angles at some positions, `[positions, d_head / 2]` each.
pub(crate) struct HostAngles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl HostAngles {
    pub(crate) fn as_slices(&self) -> Angles<'_> {
        Angles { cos: &self.cos, sin: &self.sin }
    }
}

/// The same as tensors, `[batch or 1, 1, time, d_head / 2]` each, and which tokens of a whole row see which.
pub(crate) struct Positions {
    pub(crate) cos: Tensor<4>,
    pub(crate) sin: Tensor<4>,
    pub(crate) branches: Branches,
}

/// Number of positions in the table. Angles beyond it are computed on demand, so that a model with a very long context
/// does not pay for positions it never uses.
const TABLE: usize = 1 << 15;

/// Host tables of rotary angles. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Rotary {
    cos: Arc<[f32]>,
    sin: Arc<[f32]>,
    /// In radians per token, one for each pair of dimensions in a head.
    frequencies: Arc<[f64]>,
    /// The last position of the context.
    last: usize,
}

impl Rotary {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let frequencies = config.frequencies().expect("a model has a valid configuration");
        let positions = config.max_position_embeddings;
        let table = |f: fn(f64) -> f64| {
            let rows = 0..positions.min(TABLE);
            rows.flat_map(|position| at_position(position, &frequencies, f)).collect()
        };
        let (cos, sin) = (table(f64::cos), table(f64::sin));
        Self { cos, sin, frequencies: frequencies.into(), last: positions - 1 }
    }

    /// The angles at some positions. Padding may run past the context, and gets the last position's angles.
    pub(crate) fn angles(&self, positions: &[usize]) -> HostAngles {
        let half = self.frequencies.len();
        let gather = |table: &[f32], f: fn(f64) -> f64| {
            let mut data = Vec::with_capacity(positions.len() * half);
            for position in positions.iter().map(|&position| position.min(self.last)) {
                match table.get(position * half..(position + 1) * half) {
                    Some(row) => data.extend_from_slice(row),
                    None => data.extend(at_position(position, &self.frequencies, f)),
                }
            }
            data
        };
        HostAngles { cos: gather(&self.cos, f64::cos), sin: gather(&self.sin, f64::sin) }
    }

    /// The same as tensors, for positions that the rows either share (`batch` is 1) or list one row after another.
    pub(crate) fn positions(&self, at: &[usize], batch: usize, device: &Device) -> Positions {
        let HostAngles { cos, sin } = self.angles(at);
        let time = at.len() / batch;
        let shape = [batch, 1, time, self.frequencies.len()];
        let (cos, sin) = (tensor(cos, shape, device), tensor(sin, shape, device));
        Positions { cos, sin, branches: Branches::none(time) }
    }
}

/// Evaluates `f` at each rotary angle of a position.
fn at_position(
    position: usize,
    frequencies: &[f64],
    f: fn(f64) -> f64,
) -> impl Iterator<Item = f32> {
    // The angle is computed in `f64`: a large position leaves few digits for the fraction of a turn in `f32`.
    frequencies.iter().map(move |frequency| f(position as f64 * frequency) as f32)
}
