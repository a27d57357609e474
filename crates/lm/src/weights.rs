//! Model parameters as host values under their Hugging Face names, for checkpoints, initialization and training states.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, View};

use crate::tensors::{HostTensor, values};
use crate::{Decoder, ModelConfig};

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

    fn is_in_adapter(&self) -> bool {
        self.0.iter().any(|(name, _)| name == "adapter")
    }

    fn is_linear_weight(&self) -> bool {
        let linear = self.0.len() >= 2 && self.0[self.0.len() - 2].1 || self.0.iter().any(|p| p.1);
        linear && self.0.last().is_some_and(|(name, _)| name == "weight")
    }
}

/// The name of the tensor with the weights of all scalar heads, `[heads, hidden_size]`.
pub(crate) const SCALAR_HEADS: &str = "scalar_head.weight";

/// A parameter as a file holds it: its values are copied when the file is written.
pub(crate) struct FileTensor {
    dtype: Dtype,
    shape: Vec<usize>,
    values: Box<dyn Fn() -> TensorData>,
}

impl View for FileTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        (self.values)().bytes().to_vec().into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// All parameters of a model in the types that they have, by name.
pub(crate) fn for_file(model: &Decoder) -> BTreeMap<String, FileTensor> {
    #[derive(Default)]
    struct Collector {
        path: Path,
        tensors: BTreeMap<String, FileTensor>,
    }
    impl ModuleVisitor for Collector {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let linear = self.path.is_linear_weight();
            let tensor = if linear { tensor.swap_dims(0, D - 1) } else { tensor };
            let shape = tensor.dims().to_vec();
            let dtype = if tensor.dtype() == DType::BF16 { Dtype::BF16 } else { Dtype::F32 };
            let values = Box::new(move || tensor.to_data());
            self.tensors.insert(self.path.name(), FileTensor { dtype, shape, values });
        }
    }
    let mut collector = Collector::default();
    model.visit(&mut collector);
    collector.tensors
}

/// All parameters of a model, by name.
pub(crate) fn collect(model: &Decoder) -> BTreeMap<String, HostTensor> {
    collected(model, |_| true)
}

/// The trainable parameters of a model, by name.
pub(crate) fn trainable(model: &Decoder) -> BTreeMap<String, HostTensor> {
    // Parameters only show whether they are trainable on a model in training mode.
    collected(&model.clone().train(), |trainable| trainable)
}

/// The parameters selected by `wanted`, which is told whether a parameter is trainable.
fn collected(model: &Decoder, wanted: fn(bool) -> bool) -> BTreeMap<String, HostTensor> {
    struct Collector {
        wanted: fn(bool) -> bool,
        path: Path,
        tensors: BTreeMap<String, HostTensor>,
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
            let host = HostTensor::of(param.val());
            let host = if self.path.is_linear_weight() { host.transposed() } else { host };
            self.tensors.insert(self.path.name(), host);
        }
    }
    let mut collector = Collector { wanted, path: Path::default(), tensors: BTreeMap::new() };
    model.visit(&mut collector);
    collector.tensors
}

/// The name of the first parameter with a NaN or infinite value.
pub(crate) fn not_finite(model: &Decoder) -> Option<String> {
    #[derive(Default)]
    struct Search {
        path: Path,
        name: Option<String>,
    }
    impl ModuleVisitor for Search {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.name.is_none() && !values(param.val()).iter().all(|value| value.is_finite()) {
                self.name = Some(self.path.name());
            }
        }
    }
    let mut search = Search::default();
    model.visit(&mut search);
    search.name
}

/// The shapes of all parameters in a file, by name. Allocates nothing, since a new model has no values before they are
/// asked for.
pub(crate) fn shapes(model: &Decoder) -> BTreeMap<String, Vec<usize>> {
    #[derive(Default)]
    struct Shapes {
        path: Path,
        shapes: BTreeMap<String, Vec<usize>>,
    }
    impl ModuleVisitor for Shapes {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let mut shape = param.lazy_shape().to_vec();
            if self.path.is_linear_weight() {
                shape.reverse();
            }
            self.shapes.insert(self.path.name(), shape);
        }
    }
    let mut shapes = Shapes::default();
    model.visit(&mut shapes);
    shapes.shapes
}

/// Stores the matrices as bfloat16, rounded. Vectors, and what learns beside frozen weights (scalar heads and adapters), stay
/// `f32`.
pub(crate) fn shortened(model: Decoder) -> Decoder {
    #[derive(Default)]
    struct Shortener(Path);
    impl ModuleMapper for Shortener {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let stays = D < 2 || self.0.name() == SCALAR_HEADS || self.0.is_in_adapter();
            if stays || param.val().dtype() == DType::BF16 {
                return param;
            }
            param.map(|old| {
                let tracked = old.is_require_grad();
                old.cast(FloatDType::BF16).set_require_grad(tracked)
            })
        }
    }
    model.map(&mut Shortener::default())
}

/// Replaces parameters with `source(name, shape in the file)`, in the types that they have. Where it returns `None`, the parameter stays.
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
                // A new tensor does not inherit this, and frozen parameters have to stay frozen.
                let (tracked, dtype) = (old.is_require_grad(), old.dtype());
                drop(old);
                let new: Tensor<D> =
                    Tensor::from_data(TensorData::new(host.data, host.shape), &device);
                let new = if dtype == DType::BF16 { new.cast(FloatDType::BF16) } else { new };
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
    // A draw may be 0 but never 1, so the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
