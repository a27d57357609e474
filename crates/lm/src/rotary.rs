//! Rotary position embeddings: the angles by which queries and keys are rotated.

use burn::tensor::{Device, Tensor};

use crate::ModelConfig;
use crate::tensors::tensor;

/// Cosines and sines of the rotary angles at some positions.
pub(crate) struct Positions {
    /// `[batch or 1, 1, time, d_head / 2]`.
    pub(crate) cos: Tensor<4>,
    /// `[batch or 1, 1, time, d_head / 2]`.
    pub(crate) sin: Tensor<4>,
}

/// Number of positions in the table. Angles beyond it are computed on demand, so that a model with a very long context
/// does not pay for positions it never uses.
const TABLE: usize = 1 << 15;

/// Host tables of rotary angles.
#[derive(Debug, Clone)]
pub(crate) struct Rotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
    frequencies: Vec<f64>,
    /// The last position of the context.
    last: usize,
}

impl Rotary {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let frequencies = config.frequencies().expect("a model has a valid configuration");
        let positions = config.max_position_embeddings;
        let table = |f: fn(f64) -> f64| {
            (0..positions.min(TABLE)).flat_map(|position| of(position, &frequencies, f)).collect()
        };
        let (cos, sin) = (table(f64::cos), table(f64::sin));
        Self { cos, sin, frequencies, last: positions - 1 }
    }

    /// The angles at some positions, which the rows either share (`batch` is 1) or list one row after another. Padding
    /// may run past the context, and gets the last position's angles.
    pub(crate) fn at(&self, positions: &[usize], batch: usize, device: &Device) -> Positions {
        let half = self.frequencies.len();
        let gather = |table: &[f32], f: fn(f64) -> f64| {
            let mut data = Vec::with_capacity(positions.len() * half);
            for position in positions.iter().map(|&position| position.min(self.last)) {
                match table.get(position * half..(position + 1) * half) {
                    Some(row) => data.extend_from_slice(row),
                    None => data.extend(of(position, &self.frequencies, f)),
                }
            }
            tensor(data, [batch, 1, positions.len() / batch, half], device)
        };
        Positions { cos: gather(&self.cos, f64::cos), sin: gather(&self.sin, f64::sin) }
    }
}

/// Evaluates `f` at each rotary angle of a position.
fn of(position: usize, frequencies: &[f64], f: fn(f64) -> f64) -> impl Iterator<Item = f32> {
    frequencies.iter().map(move |frequency| f(position as f64 * frequency) as f32)
}
