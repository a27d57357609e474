//! Low-rank adapters (`LoRA`): next to each frozen projection, two thin matrices learn a correction to it.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::adapter::Adapter;
use crate::model::Projection;
use crate::tensors::HostTensor;
use crate::{Decoder, Error};

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

impl Target {
    /// All projections of a block.
    pub const ALL: [Self; 7] = [
        Self::QProj,
        Self::KProj,
        Self::VProj,
        Self::OProj,
        Self::GateProj,
        Self::UpProj,
        Self::DownProj,
    ];
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

    /// The factor of `A B`, `alpha / rank`.
    pub(crate) fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Whether two configurations describe the same adapters, in whatever order they list the projections.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let sorted = |config: &Self| config.targets.iter().copied().collect::<BTreeSet<_>>();
        (self.rank, self.alpha) == (other.rank, other.alpha) && sorted(self) == sorted(other)
    }
}

/// The ends of the names of an adapter's matrices, A and B, after that of the projection.
pub(crate) const MATRICES: [&str; 2] = ["lora_A.weight", "lora_B.weight"];

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

    /// Names of the targeted projections of all blocks, up to `.weight`.
    pub(crate) fn target_names(&self, targets: &[Target]) -> Vec<String> {
        // `targeted` needs a mutable borrow, so we use a clone, which shares the tensors.
        self.clone().targeted(targets).into_iter().map(|(name, _)| name).collect()
    }

    /// The configuration of its adapters; `None` if it has none.
    pub(crate) fn lora(&self) -> Option<LoraConfig> {
        let mut model = self.clone();
        let mut of = |target| {
            let (_, projection) = model.targeted(&[target]).into_iter().next()?;
            let adapter = projection.adapter.as_ref()?;
            Some((target, adapter.rank(), adapter.alpha))
        };
        let found: Vec<_> = Target::ALL.into_iter().filter_map(&mut of).collect();
        let &(_, rank, alpha) = found.first()?;
        Some(LoraConfig { rank, alpha, targets: found.into_iter().map(|it| it.0).collect() })
    }

    /// Freezes the model and adds adapters, so that only they and the scalar heads are trained. Adapters that it has already
    /// go on learning, if they are such as the configuration says. Others are merged into the weights first.
    pub(crate) fn adapted(self, config: &LoraConfig, seed: u64) -> Self {
        let goes_on = self.lora().is_some_and(|lora| lora.is_like(config));
        let mut model = if goes_on { self } else { self.merged() }.no_grad();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for (_, projection) in model.targeted(&config.targets) {
            let adapter = match projection.adapter.take() {
                Some(adapter) => adapter.set_require_grad(true),
                None => Adapter::new(&projection.weight.val(), config, &mut rng),
            };
            projection.adapter = Some(adapter);
        }
        model.scalar_head = model.scalar_head.map(|head| head.set_require_grad(true));
        model
    }

    /// Adds adapters that were learned before. `matrix` gives A and B by their names, as a file holds them.
    pub(crate) fn with_adapters(
        mut self,
        config: &LoraConfig,
        matrix: impl Fn(&str) -> HostTensor,
        device: &Device,
    ) -> Self {
        for (name, projection) in self.targeted(&config.targets) {
            let [a, b] = MATRICES.map(|end| matrix(&format!("{name}.{end}")));
            projection.adapter = Some(Adapter::stored(a, b, config.alpha, device));
        }
        self
    }

    /// The matrices of all adapters by their names, as a file holds them.
    pub(crate) fn adapters(&self) -> BTreeMap<String, HostTensor> {
        let mut matrices = BTreeMap::new();
        for (name, projection) in self.clone().targeted(&Target::ALL) {
            let Some(adapter) = &projection.adapter else { continue };
            let names = MATRICES.map(|end| format!("{name}.{end}"));
            matrices.extend(names.into_iter().zip(adapter.to_stored()));
        }
        matrices
    }

    /// Adds the adapters' changes to the weights, which keep their type, and removes the adapters. Without adapters the model
    /// stays as it is.
    pub(crate) fn merged(mut self) -> Self {
        if self.lora().is_none() {
            return self;
        }
        for (_, projection) in self.targeted(&Target::ALL) {
            if let Some(adapter) = projection.adapter.take() {
                let weight = projection.weight.val();
                let stored = weight.dtype();
                let merged = weight.cast(FloatDType::F32) + adapter.weight_change();
                projection.weight = Param::from_tensor(merged.cast(stored));
            }
        }
        self.set_require_grad(true)
    }
}
