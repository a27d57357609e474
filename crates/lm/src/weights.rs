//! Model parameters as host values under their Hugging Face names, shared by checkpoints, initialization and optimizer
//! state.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Decoder, ModelConfig};

/// A row-major tensor on the host, in the shape of the file: linear weights are `[out, in]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f32>,
}

impl HostTensor {
    fn transposed(&self) -> Self {
        let (rows, columns) = (self.shape[0], self.shape[1]);
        let data =
            (0..columns).flat_map(|c| (0..rows).map(move |r| self.data[r * columns + c])).collect();
        Self { shape: vec![columns, rows], data }
    }
}

/// The path of the parameter being visited.
#[derive(Default)]
pub(crate) struct Path(Vec<(String, bool)>);

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        // burn stores linear weights as [in, out], Hugging Face files as [out, in].
        self.0.push((name.to_owned(), container.contains("Projection")));
    }

    pub(crate) fn exit(&mut self) {
        self.0.pop();
    }

    /// The tensor's name in a Hugging Face file.
    pub(crate) fn name(&self) -> String {
        let names: Vec<&str> = self
            .0
            .iter()
            .map(|(name, _)| if name == "gamma" { "weight" } else { name.as_str() })
            .collect();
        names.join(".")
    }

    fn is_linear_weight(&self) -> bool {
        let linear = self.0.len() >= 2 && self.0[self.0.len() - 2].1 || self.0.iter().any(|p| p.1);
        linear && self.0.last().is_some_and(|(name, _)| name == "weight")
    }
}

/// All parameters of a model, by name.
pub(crate) fn collect(model: &Decoder) -> BTreeMap<String, HostTensor> {
    collected(model, |_| true)
}

/// The trainable parameters of a model, by name.
pub(crate) fn learning(model: &Decoder) -> BTreeMap<String, HostTensor> {
    // Parameters only show whether they are trainable on a model in training mode.
    collected(&model.clone().train(), |learns| learns)
}

/// The parameters selected by `wanted`, which is told whether a parameter is trainable.
fn collected(model: &Decoder, wanted: fn(bool) -> bool) -> BTreeMap<String, HostTensor> {
    struct Collector {
        wanted: fn(bool) -> bool,
        path: Path,
        found: BTreeMap<String, HostTensor>,
    }
    impl ModuleVisitor for Collector {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !(self.wanted)(param.val().is_require_grad()) {
                return;
            }
            let host = to_host(param.val());
            let host = if self.path.is_linear_weight() { host.transposed() } else { host };
            self.found.insert(self.path.name(), host);
        }
    }
    let mut collector = Collector { wanted, path: Path::default(), found: BTreeMap::new() };
    model.visit(&mut collector);
    collector.found
}

/// The name of the first parameter with a NaN or infinite value.
pub(crate) fn not_finite(model: &Decoder) -> Option<String> {
    #[derive(Default)]
    struct Search {
        path: Path,
        found: Option<String>,
    }
    impl ModuleVisitor for Search {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.found.is_none() && !values(param.val()).iter().all(|value| value.is_finite()) {
                self.found = Some(self.path.name());
            }
        }
    }
    let mut search = Search::default();
    model.visit(&mut search);
    search.found
}

/// The names of all parameters.
pub(crate) fn names(model: &Decoder) -> BTreeSet<String> {
    #[derive(Default)]
    struct Names {
        path: Path,
        found: BTreeSet<String>,
    }
    impl ModuleVisitor for Names {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            self.found.insert(self.path.name());
        }
    }
    let mut names = Names::default();
    model.visit(&mut names);
    names.found
}

/// Replaces parameters with `source(name, shape in the file)`. Where it returns `None`, the parameter stays.
pub(crate) fn replace(
    model: Decoder,
    source: impl FnMut(&str, &[usize]) -> Option<HostTensor>,
) -> Decoder {
    struct Replacer<F> {
        path: Path,
        source: F,
    }
    impl<F: FnMut(&str, &[usize]) -> Option<HostTensor>> ModuleMapper for Replacer<F> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let linear = self.path.is_linear_weight();
            let mut shape = param.val().dims().to_vec();
            if linear {
                shape.reverse();
            }
            let Some(host) = (self.source)(&self.path.name(), &shape) else { return param };
            let host = if linear { host.transposed() } else { host };
            param.map(|old| {
                let device = old.device();
                let tracked = old.is_require_grad();
                let new = Tensor::from_data(TensorData::new(host.data, host.shape), &device);
                new.set_require_grad(tracked)
            })
        }
    }
    model.map(&mut Replacer { path: Path::default(), source })
}

/// Draws initial weights: normal with standard deviation 0.02. Projections into the residual stream are scaled down by
/// the square root of their number, so that the stream does not grow with depth. Norm weights stay one.
pub(crate) fn initial(model: Decoder, config: &ModelConfig, rng: &mut ChaCha8Rng) -> Decoder {
    let residual = 1.0 / (2.0 * config.num_hidden_layers as f64).sqrt();
    replace(model, |name, shape| {
        let deviation = match name {
            n if n.contains("norm") => return None,
            n if n.contains("o_proj") || n.contains("down_proj") => 0.02 * residual,
            _ => 0.02,
        };
        let count = shape.iter().product();
        let data = (0..count).map(|_| (normal(rng) * deviation) as f32).collect();
        Some(HostTensor { shape: shape.to_vec(), data })
    })
}

/// A standard normal draw (Box-Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// Copies a tensor to the host.
pub(crate) fn to_host<const D: usize>(tensor: Tensor<D>) -> HostTensor {
    let shape = tensor.dims().to_vec();
    HostTensor { shape, data: values(tensor) }
}

/// The row-major values of a tensor, as `f32`.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("the data was just converted to f32")
}
