//! AdamW over named parameters, with clipping of the gradient's global norm.
//!
//! We do not use burn's module optimizer: it clips each parameter separately, and keys its state by ids that change with
//! every load.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use kernels::AdamW;

use super::config::TrainConfig;
use super::gradients::Gradients;
use super::state::{Moments, State};
use crate::fused;
use crate::weights::Path;

/// burn's default of 1e-5 would damp updates with small gradients.
const EPSILON: f32 = 1e-8;

/// AdamW with decoupled weight decay, on matrices only.
pub(super) struct Optimizer {
    how: AdamW,
    clip_norm: f64,
}

impl Optimizer {
    pub(super) fn new(config: &TrainConfig) -> Self {
        let how = AdamW {
            rate: 0.0,
            beta_1: config.beta_1 as f32,
            beta_2: config.beta_2 as f32,
            epsilon: EPSILON,
            weight_decay: config.weight_decay as f32,
            scale: 1.0,
            update: 0,
        };
        Self { how, clip_norm: config.clip_norm }
    }

    /// Updates the state's model. Returns the gradient norm before clipping.
    pub(super) fn step(&self, state: &mut State, gradients: Gradients, rate: f64) -> f64 {
        let norm = norm(&gradients);
        let scale =
            if self.clip_norm > 0.0 && norm > self.clip_norm { self.clip_norm / norm } else { 1.0 };
        let model = state.model.clone();
        state.model = model.map(&mut Step {
            how: AdamW {
                rate: rate as f32,
                scale: scale as f32,
                update: state.update as i32 + 1,
                ..self.how
            },
            path: Path::default(),
            gradients,
            moments: &mut state.moments,
        });
        norm
    }
}

fn norm(gradients: &Gradients) -> f64 {
    // In the order of the names: another order of summation could change the last bits.
    gradients.values().map(fused::sum_of_squares).sum::<f64>().sqrt()
}

/// One update of every parameter that has a gradient.
struct Step<'a> {
    how: AdamW,
    path: Path,
    gradients: Gradients,
    moments: &'a mut Moments,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(gradient) = self.gradients.remove(&name) else { return param };
        let weight_decay = if D > 1 { self.how.weight_decay } else { 0.0 };
        param.map(|value| {
            let shape = value.dims();
            let flat: Tensor<1> = value.flatten(0, D - 1);
            // Taken out of the map, which would be a second owner: moments are written in place only without one.
            let moments = self.moments.remove(&name);
            let moments = moments.unwrap_or_else(|| [flat.zeros_like(), flat.zeros_like()]);
            let (flat, moments) =
                fused::adamw(flat, gradient, moments, AdamW { weight_decay, ..self.how });
            self.moments.insert(name, moments);
            flat.reshape(shape)
        })
    }
}
