//! Rotary settings, and the frequencies that follow from them.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The `rope_type` that means no scaling.
const NO_SCALING: &str = "default";

/// Rotary settings in the format of transformers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RopeParameters {
    /// Base of the rotary frequencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// Kind of scaling: `default`, `linear` or `llama3`; others are not supported. Transformers 4 may use either name, or
    /// both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_type: Option<String>,
    /// Older name of `rope_type`, used if that is missing.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub older_type: Option<String>,
    /// Factor by which the scaling stretches the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// `llama3`: frequencies that complete fewer turns than this over the original context are divided by `factor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_freq_factor: Option<f64>,
    /// `llama3`: frequencies that complete more turns than this over the original context are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_freq_factor: Option<f64>,
    /// `llama3`: the original context length in tokens, `max_position_embeddings` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_max_position_embeddings: Option<usize>,
}

impl RopeParameters {
    /// Whether the settings are empty, which counts as absent.
    pub(super) fn is_empty(&self) -> bool {
        let kind = self.rope_type.as_ref().or(self.older_type.as_ref());
        kind.is_none() && self.rope_theta.is_none() && self.factor.is_none()
    }

    /// The kind of scaling, under whichever name it was given.
    fn kind(&self) -> &str {
        self.rope_type.as_deref().or(self.older_type.as_deref()).unwrap_or(NO_SCALING)
    }

    /// Whether the frequencies are scaled at all.
    pub(super) fn is_scaling(&self) -> bool {
        self.kind() != NO_SCALING
    }

    /// Moves the kind of scaling to its newer name.
    pub(super) fn renamed(&self) -> Self {
        Self { rope_type: Some(self.kind().to_owned()), older_type: None, ..self.clone() }
    }
    /// Scales the frequencies of a model whose context has `context` tokens.
    ///
    /// # Errors
    /// [`Error::Config`] for a scaling that is not supported or lacks a parameter.
    pub(super) fn scaled(
        &self,
        frequencies: impl Iterator<Item = f64>,
        context: usize,
    ) -> Result<Vec<f64>, Error> {
        match self.kind() {
            NO_SCALING => Ok(frequencies.collect()),
            "linear" => {
                let factor = self.positive("factor", self.factor)?;
                Ok(frequencies.map(|frequency| frequency / factor).collect())
            }
            "llama3" => {
                let factor = self.positive("factor", self.factor)?;
                let low = self.positive("low_freq_factor", self.low_freq_factor)?;
                let high = self.positive("high_freq_factor", self.high_freq_factor)?;
                let context = self.original_max_position_embeddings.unwrap_or(context) as f64;
                let context = self.positive("original_max_position_embeddings", Some(context))?;
                if low >= high {
                    let problem =
                        "rope_type `llama3` needs a low_freq_factor below high_freq_factor";
                    return Err(Error::Config(problem.to_owned()));
                }
                // Between the two bounds, interpolate from fully stretched to unchanged.
                let scaled = |frequency: f64| {
                    let waves = context * frequency / std::f64::consts::TAU;
                    let kept = ((waves - low) / (high - low)).clamp(0.0, 1.0);
                    frequency * (kept + (1.0 - kept) / factor)
                };
                Ok(frequencies.map(scaled).collect())
            }
            other => Err(Error::Config(format!(
                "rotary scaling `{other}` is not supported: default, linear, llama3"
            ))),
        }
    }

    /// A parameter that this kind of scaling needs.
    fn positive(&self, name: &str, value: Option<f64>) -> Result<f64, Error> {
        match value {
            Some(value) if value > 0.0 && value.is_finite() => Ok(value),
            _ => Err(Error::Config(format!("rope_type `{}` needs a positive {name}", self.kind()))),
        }
    }
}
