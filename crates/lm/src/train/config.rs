//! Hyperparameters of a training run.

use serde::{Deserialize, Serialize};

use crate::{Error, LoraConfig, Precision};

/// Hyperparameters of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the examples; the run is shorter when it stops early.
    pub epochs: f64,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Learning rate at the end, as a share of the highest.
    pub final_share: f64,
    /// Share of the updates over which the learning rate rises linearly from 0.
    pub warmup_share: f64,
    /// How the learning rate falls after the warm-up.
    pub decay: Decay,
    /// Decoupled weight decay of the matrices; vectors have none.
    pub weight_decay: f64,
    /// Decay of AdamW's first moment.
    pub beta_1: f64,
    /// Decay of AdamW's second moment.
    pub beta_2: f64,
    /// The gradient's global norm is cut to this; 0 turns clipping off.
    pub clip_norm: f64,
    /// Tokens of a batch, padding included.
    pub batch_tokens: usize,
    /// Parts of a batch whose gradients are computed one by one and summed; at least 1.
    pub micro_batches: usize,
    /// Updates between two looks at the validation loss; 0 turns them and early stopping off.
    pub validate_every: usize,
    /// Looks without improvement after which the run stops; 0 never stops early.
    pub patience: usize,
    /// Updates between two saves of the run's state.
    pub save_every: usize,
    /// Keep the input of every block alone for the backward pass, and compute the block again then: a third more work for
    /// a fraction of the memory.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// What factors of products are rounded to; the weights that learn are `f32` whatever it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// Adapters that learn in place of the model; absent, all of it learns. Their changes are added to the weights at the
    /// end.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

/// More passes than any run makes.
const MOST_EPOCHS: f64 = 1e6;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// A straight line.
    Linear,
    /// Half a cosine.
    Cosine,
}

/// How pairs of solutions are learned from: direct preference optimization (Rafailov et al., 2023, equation 7).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferenceConfig {
    /// Scale of the implicit reward, `beta ln(p / p_start)`, above 0: a larger one stays closer to the start.
    pub beta: f64,
    /// Weight of the chosen solution's negative log-likelihood, mean over its tokens, beside the pair's loss (Pang et
    /// al., 2024); 0 turns it off.
    pub sft_weight: f64,
}

impl PreferenceConfig {
    /// Checks the ranges.
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
    /// So many passes at one learning rate for all updates, in one part each, without decay, clipping, looks at a validation
    /// loss or adapters: what measurements and tests begin with.
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

    /// Checks the ranges.
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
            // Of 1 in the single precision of the moments, nothing would ever be learned.
            if value as f32 >= 1.0 {
                return Err(Error::Config(format!("{key} is {value}: must be below 1")));
            }
        }
        self.lora.as_ref().map_or(Ok(()), LoraConfig::validate)
    }

    /// Learning rate of an update, counted from 0, of `total`.
    pub(super) fn rate(&self, update: usize, total: usize) -> f64 {
        let warmup = self.warmup_share * total as f64;
        let done = update as f64;
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
