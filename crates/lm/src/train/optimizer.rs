//! AdamW over named parameters, with the gradient's global norm clipped.
//!
//! burn's own module optimizer clips parameter by parameter and keys its state by ids that change
//! from load to load; the update itself is burn's.

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{AdamW, AdamWConfig, Optimizer as _};
use burn::tensor::Tensor;

use super::loss::Gradients;
use super::{State, TrainConfig};
use crate::weights::{Path, values};

/// burn's default of 1e-5 damps the updates of small gradients.
const EPSILON: f32 = 1e-8;

/// AdamW with decoupled weight decay on matrices only.
pub(super) struct Optimizer {
    matrices: AdamW,
    vectors: AdamW,
    clip_norm: f64,
}

impl Optimizer {
    pub(super) fn new(config: &TrainConfig) -> Self {
        let adamw = |decay: f64| {
            AdamWConfig::new()
                .with_beta_1(config.beta_1 as f32)
                .with_beta_2(config.beta_2 as f32)
                .with_epsilon(EPSILON)
                .with_weight_decay(decay as f32)
                .build()
        };
        let (matrices, vectors) = (adamw(config.weight_decay), adamw(0.0));
        Self { matrices, vectors, clip_norm: config.clip_norm }
    }

    /// Updates the state's model; gives the gradient's norm before clipping.
    pub(super) fn step(&self, state: &mut State, gradients: Gradients, rate: f64) -> f64 {
        let norm = norm(&gradients);
        let scale =
            if self.clip_norm > 0.0 && norm > self.clip_norm { self.clip_norm / norm } else { 1.0 };
        let model = state.model.clone();
        state.model = model.map(&mut Step {
            optimizer: self,
            path: Path::default(),
            gradients,
            moments: &mut state.moments,
            scale,
            rate,
        });
        norm
    }
}

fn norm(gradients: &Gradients) -> f64 {
    let squares = gradients.values().map(|g| (g.clone() * g.clone()).sum());
    let sums: Vec<Tensor<1>> = squares.collect();
    if sums.is_empty() {
        return 0.0;
    }
    f64::from(values(Tensor::cat(sums, 0).sum())[0]).sqrt()
}

/// One update of every parameter that has a gradient.
struct Step<'a> {
    optimizer: &'a Optimizer,
    path: Path,
    gradients: Gradients,
    moments: &'a mut super::state::Moments,
    scale: f64,
    rate: f64,
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
        let adamw = if D > 1 { &self.optimizer.matrices } else { &self.optimizer.vectors };
        param.map(|value| {
            let shape = value.dims();
            let before = self.moments.remove(&name);
            let gradient = gradient.mul_scalar(self.scale);
            let flat: Tensor<1> = value.flatten(0, D - 1);
            let (flat, after) = adamw.step(self.rate, flat, gradient, before);
            if let Some(after) = after {
                self.moments.insert(name, after);
            }
            flat.reshape(shape)
        })
    }
}
