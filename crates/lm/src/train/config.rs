//! Hyperparameters of a training run.

use serde::{Deserialize, Serialize};

use crate::{Error, LoraConfig, Precision};

/// Hyperparameters of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the examples, unless the run stops early.
    pub epochs: f64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Final learning rate, as a fraction of the peak, 0 to 1.
    pub final_share: f64,
    /// Fraction of the updates over which the learning rate rises linearly from 0.
    pub warmup_share: f64,
    /// How the learning rate decays after the warm-up.
    pub decay: Decay,
    /// Decoupled weight decay, applied to matrices but not to vectors such as norms and biases.
    pub weight_decay: f64,
    /// AdamW's first-moment decay.
    pub beta_1: f64,
    /// AdamW's second-moment decay.
    pub beta_2: f64,
    /// Limit for the gradient's global norm; 0 turns clipping off.
    pub clip_norm: f64,
    /// Tokens per batch, including padding.
    pub batch_tokens: usize,
    /// Micro-batches per batch, whose gradients are computed separately and summed; at least 1.
    pub micro_batches: usize,
    /// Updates between validations; 0 turns validation and early stopping off.
    pub validate_every: usize,
    /// Validations without improvement before the run stops early; 0 means never.
    pub patience: usize,
    /// Updates between saves of the training state.
    pub save_every: usize,
    /// Keep only the input of each block for the backward pass and recompute the rest: about a third more computation for
    /// a fraction of the memory.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Type that factors of matrix products are rounded to. Weights that learn stay `f32`; with adapters, the frozen ones
    /// are kept in this type.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// Train low-rank adapters instead of the whole model. The adapters of an earlier run, if they have the same
    /// configuration, go on learning; others are added to the weights first. Absent: train the whole model.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

/// Limit on epochs, beyond any real run.
const MOST_EPOCHS: f64 = 1e6;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The learning rate schedule after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Linear decay.
    Linear,
    /// Cosine decay.
    Cosine,
}

/// Hyperparameters of direct preference optimization (Rafailov et al., 2023, equation 7).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferenceConfig {
    /// Scale `beta` of the implicit reward `beta ln(p / p_start)`, above 0. Larger values stay closer to the starting
    /// model.
    pub beta: f64,
    /// Weight of the chosen solution's negative log-likelihood, averaged over its tokens and added to the pair's loss
    /// (Pang et al., 2024); 0 turns it off.
    pub sft_weight: f64,
}

impl PreferenceConfig {
    /// Checks that the values are in range.
    ///
    /// # Errors
    /// [`Error::Config`] names the key and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { beta, sft_weight } = *self;
        let wrong = |problem: String| Err(Error::Config(format!("preferences.{problem}")));
        if !(beta.is_finite() && beta > 0.0) {
            return wrong(format!("beta is {beta}: must be above 0"));
        }
        if !(sft_weight.is_finite() && sft_weight >= 0.0) {
            return wrong(format!("sft_weight is {sft_weight}: must be at least 0"));
        }
        Ok(())
    }
}

impl TrainConfig {
    /// A bare configuration for measurements and tests: a constant learning rate, one micro-batch per batch, and no
    /// weight decay, clipping, validation or adapters.
    pub fn plain(epochs: f64, learning_rate: f64) -> Self {
        Self {
            epochs,
            learning_rate,
            final_share: 1.0,
            warmup_share: 0.0,
            decay: Decay::Linear,
            weight_decay: 0.0,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 0.0,
            batch_tokens: 2048,
            micro_batches: 1,
            validate_every: 0,
            patience: 0,
            save_every: usize::MAX,
            gradient_checkpointing: false,
            precision: Precision::F32,
            lora: None,
        }
    }

    /// Checks that the values are in range.
    ///
    /// # Errors
    /// [`Error::Config`] names the key and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = |key: &str, value: f64| {
            let fine = value.is_finite() && value > 0.0;
            fine.then_some(()).ok_or(Error::Config(format!("{key} is {value}: must be above 0")))
        };
        let share = |key: &str, value: f64| {
            let fine = (0.0..=1.0).contains(&value);
            fine.then_some(()).ok_or(Error::Config(format!("{key} is {value}: must be in [0, 1]")))
        };
        let from_zero = |key: &str, value: f64| {
            let fine = value.is_finite() && value >= 0.0;
            let problem = format!("{key} is {value}: must be at least 0");
            fine.then_some(()).ok_or(Error::Config(problem))
        };
        positive("epochs", self.epochs)?;
        if self.epochs > MOST_EPOCHS {
            let problem = format!("epochs is {:?}: must be at most {MOST_EPOCHS}", self.epochs);
            return Err(Error::Config(problem));
        }
        from_zero("weight_decay", self.weight_decay)?;
        from_zero("clip_norm", self.clip_norm)?;
        positive("learning_rate", self.learning_rate)?;
        positive("batch_tokens", self.batch_tokens as f64)?;
        positive("micro_batches", self.micro_batches as f64)?;
        positive("save_every", self.save_every as f64)?;
        share("final_share", self.final_share)?;
        share("warmup_share", self.warmup_share)?;
        share("beta_1", self.beta_1)?;
        share("beta_2", self.beta_2)?;
        for (key, value) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            // The moments are `f32`. A beta that rounds to 1 there would keep them at zero, and nothing would be learned.
            if value as f32 >= 1.0 {
                return Err(Error::Config(format!("{key} is {value}: must be below 1")));
            }
        }
        self.lora.as_ref().map_or(Ok(()), LoraConfig::validate)
    }

    /// The type that frozen weights are kept in: `precision` with adapters, and `f32` if there are none, for then every
    /// weight learns.
    pub fn frozen(&self) -> Precision {
        if self.lora.is_some() { self.precision } else { Precision::F32 }
    }

    /// Learning rate of update number `update`, counted from 0, out of `total`.
    pub(super) fn rate(&self, update: usize, total: usize) -> f64 {
        let warmup = self.warmup_share * total as f64;
        let done = update as f64;
        // Counted from 1 here: at a rate of 0 the first update would change nothing.
        let factor = if done + 1.0 < warmup {
            (done + 1.0) / warmup
        } else {
            let fallen = ((done - warmup) / (total as f64 - warmup).max(1.0)).clamp(0.0, 1.0);
            let left = match self.decay {
                Decay::Linear => 1.0 - fallen,
                Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * fallen).cos()),
            };
            self.final_share + (1.0 - self.final_share) * left
        };
        self.learning_rate * factor
    }
}
