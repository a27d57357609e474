//! Low-rank adapters (`LoRA`): next to each frozen projection, two thin matrices learn a correction to it.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::FloatDType;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::adapter::Adapter;
use crate::model::Projection;
use crate::tensors::HostTensor;
use crate::{Decoder, Error, tensor_file};

/// Which projections get adapters, and their size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank of the adapter matrices, at least 1.
    pub rank: usize,
    /// The correction is scaled by `alpha / rank`.
    pub alpha: f64,
    /// The projections to adapt, such as `q_proj` or `down_proj`, in every block.
    pub targets: Vec<Target>,
}

/// A projection of every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The query projection.
    QProj,
    /// The key projection.
    KProj,
    /// The value projection.
    VProj,
    /// The output projection of attention.
    OProj,
    /// The gate of the feed-forward layer.
    GateProj,
    /// The projection that is multiplied by the gate.
    UpProj,
    /// The projection back to the residual stream.
    DownProj,
}

/// Upper limit of the rank, beyond any useful adapter.
const MOST_RANK: usize = 1 << 14;

impl LoraConfig {
    /// Checks that the values are in range.
    ///
    /// # Errors
    /// [`Error::Config`] names the key and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |problem: &str| Err(Error::Config(format!("lora.{problem}")));
        match self {
            Self { rank: 0, .. } => wrong("rank is 0: must be at least 1"),
            Self { rank, .. } if *rank > MOST_RANK => {
                wrong(&format!("rank is {rank}: must be at most {MOST_RANK}"))
            }
            Self { alpha, .. } if !(alpha.is_finite() && *alpha > 0.0) => {
                wrong(&format!("alpha is {alpha}: must be above 0"))
            }
            Self { targets, .. } if targets.is_empty() => wrong("targets: name at least one"),
            _ => Ok(()),
        }
    }

    fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }
}

impl Decoder {
    /// The targeted projections of all blocks, with their names up to `.weight`.
    fn targeted(&mut self, targets: &[Target]) -> Vec<(String, &mut Projection)> {
        let mut targeted = Vec::new();
        for (layer, block) in self.model.layers.iter_mut().enumerate() {
            let (attention, mlp) = (&mut block.self_attn, &mut block.mlp);
            let all = [
                (Target::QProj, "self_attn.q_proj", &mut attention.q_proj),
                (Target::KProj, "self_attn.k_proj", &mut attention.k_proj),
                (Target::VProj, "self_attn.v_proj", &mut attention.v_proj),
                (Target::OProj, "self_attn.o_proj", &mut attention.o_proj),
                (Target::GateProj, "mlp.gate_proj", &mut mlp.gate_proj),
                (Target::UpProj, "mlp.up_proj", &mut mlp.up_proj),
                (Target::DownProj, "mlp.down_proj", &mut mlp.down_proj),
            ];
            // In the order of the model, not of `targets`: adapters are drawn in this order, however a preset lists them.
            let named = all.into_iter().filter(|(target, ..)| targets.contains(target));
            targeted.extend(named.map(|(_, name, p)| (format!("model.layers.{layer}.{name}"), p)));
        }
        targeted
    }

    /// Freezes the model and adds adapters, so that only they and the scalar heads are trained.
    pub(crate) fn adapted(self, config: &LoraConfig, seed: u64) -> Self {
        let mut model = self.no_grad();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for (_, projection) in model.targeted(&config.targets) {
            let weight = projection.weight.val();
            let adapter = Adapter::new(&weight, config.rank, config.scale(), &mut rng);
            projection.adapter = Some(adapter);
        }
        model.scalar_head = model.scalar_head.map(|head| head.set_require_grad(true));
        model
    }

    /// Adds the adapters' changes to the weights, which keep their type, and removes the adapters.
    pub(crate) fn merged(mut self, config: &LoraConfig) -> Self {
        for (_, projection) in self.targeted(&config.targets) {
            if let Some(adapter) = projection.adapter.take() {
                let weight = projection.weight.val();
                let stored = weight.dtype();
                let merged = weight.cast(FloatDType::F32) + adapter.weight_change();
                projection.weight = Param::from_tensor(merged.cast(stored));
            }
        }
        self.set_require_grad(true)
    }

    /// Serializes the adapters as the files that PEFT reads, by name.
    pub(crate) fn peft(&self, config: &LoraConfig) -> Vec<(String, Vec<u8>)> {
        let mut tensors = BTreeMap::<String, HostTensor>::new();
        // `targeted` needs a mutable borrow, so we use a clone, which shares the tensors.
        for (name, projection) in self.clone().targeted(&config.targets) {
            let Some(adapter) = &projection.adapter else { continue };
            for (end, matrix) in [("lora_A", &adapter.lora_a), ("lora_B", &adapter.lora_b)] {
                let key = format!("base_model.model.{name}.{end}.weight");
                tensors.insert(key, HostTensor::of(matrix.val().transpose()));
            }
        }
        let about = serde_json::json!({
            // No path of the base: the same training has to give the same bytes anywhere.
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": null,
            "r": config.rank, "lora_alpha": config.alpha, "target_modules": config.targets,
            "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": false, "inference_mode": true,
        });
        let about = serde_json::to_vec_pretty(&about).expect("a JSON value always serializes");
        let weights = tensor_file::write(tensors, ("format", "pt".to_owned()));
        vec![
            ("adapter_config.json".to_owned(), about),
            ("adapter_model.safetensors".to_owned(), weights),
        ]
    }
}
