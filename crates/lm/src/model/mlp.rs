//! The feed-forward layer.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::pass::{MlpPath, Pass};
use super::projection::Projection;
use crate::ModelConfig;
use crate::fused::{self, MlpWeights};

/// The feed-forward layer, `down(silu(gate(x)) * up(x))`.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "the names in a Hugging Face checkpoint")]
pub(crate) struct Mlp {
    pub(crate) gate_proj: Projection,
    pub(crate) up_proj: Projection,
    pub(crate) down_proj: Projection,
}

impl Mlp {
    pub(super) fn zeros(config: &ModelConfig, device: &Device) -> Self {
        let (d, wide) = (config.hidden_size, config.intermediate_size);
        Self {
            gate_proj: Projection::zeros(d, wide, false, device),
            up_proj: Projection::zeros(d, wide, false, device),
            down_proj: Projection::zeros(wide, d, false, device),
        }
    }

    pub(super) fn forward(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        let Self { gate_proj, up_proj, down_proj } = self;
        match pass.mlp {
            MlpPath::Fused => {
                let (gate, up, down) =
                    (gate_proj.weight.val(), up_proj.weight.val(), down_proj.weight.val());
                let factors = pass.precision.of_weights();
                fused::mlp(&x, &MlpWeights { gate, up, down, factors })
            }
            MlpPath::Composed => {
                let gate = gate_proj.forward(x.clone(), pass.precision);
                let inner = fused::swiglu(gate, up_proj.forward(x, pass.precision));
                down_proj.forward(inner, pass.precision)
            }
        }
    }

    /// Whether [`MlpPath::Fused`] can compute it, on the CPU.
    pub(super) fn is_fusible(&self) -> bool {
        let Self { gate_proj, up_proj, down_proj } = self;
        [gate_proj, up_proj, down_proj].into_iter().all(Projection::is_fusible)
    }
}
