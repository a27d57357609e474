//! Gradients by parameter name.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use crate::Decoder;
use crate::weights::Path;

/// Flattened gradients by parameter name.
// By name, since burn's ids of parameters change with every load.
pub(super) type Gradients = BTreeMap<String, Tensor<1>>;

/// Adds gradients by name.
pub(super) fn add(all: &mut Gradients, more: Gradients) {
    for (name, gradient) in more {
        let sum = match all.remove(&name) {
            Some(before) => before + gradient,
            None => gradient,
        };
        all.insert(name, sum);
    }
}

/// Moves gradients to another device.
pub(super) fn moved_to(gradients: Gradients, device: &Device) -> Gradients {
    let moved = |(name, gradient): (String, Tensor<1>)| (name, gradient.to_device(device));
    gradients.into_iter().map(moved).collect()
}

/// The gradients of the parameters that have one.
pub(super) fn by_name(model: &Decoder, back: burn::tensor::Gradients) -> Gradients {
    struct Namer {
        path: Path,
        gradients: GradientsParams,
        named: Gradients,
    }
    impl ModuleVisitor for Namer {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                self.named.insert(self.path.name(), gradient.flatten(0, D - 1));
            }
        }
    }
    let gradients = GradientsParams::from_grads(back, model);
    let mut namer = Namer { path: Path::default(), gradients, named: Gradients::new() };
    model.visit(&mut namer);
    namer.named
}
