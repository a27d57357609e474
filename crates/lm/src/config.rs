//! The model's configuration, with the keys of a Hugging Face `config.json`.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Configuration of a Llama-family decoder, as in a Hugging Face `config.json`.
///
/// Keys that this crate does not know are kept out: a checkpoint that needs them is refused by
/// [`ModelConfig::validate`] when it can be told, and its tensors do not fit otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Class names of the model, `["LlamaForCausalLM"]`.
    #[serde(default = "llama_architectures")]
    pub architectures: Vec<String>,
    /// The family, `llama`.
    #[serde(default = "llama_type")]
    pub model_type: String,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream, `d_model`.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; it divides `num_attention_heads` (GQA).
    #[serde(default)]
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; `hidden_size / num_attention_heads` when absent.
    #[serde(default)]
    pub head_dim: Option<usize>,
    /// Longest context, in tokens.
    pub max_position_embeddings: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    #[serde(default = "rope_theta")]
    pub rope_theta: f64,
    /// Where transformers 5 keeps the rotary settings; it wins over `rope_theta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<RopeParameters>,
    /// Rotary scaling of transformers 4; not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<serde_json::Value>,
    /// Biases of the attention's projections; not supported.
    #[serde(default)]
    pub attention_bias: bool,
    /// Biases of the feed-forward projections; not supported.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Whether the output projection is the embedding, transposed.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Activation of the feed-forward layer: `silu`.
    #[serde(default = "silu")]
    pub hidden_act: String,
    /// Token that opens a text.
    #[serde(default)]
    pub bos_token_id: Option<u32>,
    /// Token that ends a text.
    #[serde(default)]
    pub eos_token_id: Option<u32>,
    /// Token that fills a row.
    #[serde(default)]
    pub pad_token_id: Option<u32>,
    /// Type of the stored weights.
    #[serde(default = "float32")]
    pub torch_dtype: String,
    /// Names of the scalar heads; empty for a plain language model. Ours, not Hugging Face's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scalar_heads: Vec<String>,
}

/// Rotary settings as transformers 5 writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RopeParameters {
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// `default`; others scale the frequencies and are not supported.
    #[serde(default = "default_rope")]
    pub rope_type: String,
}

fn default_rope() -> String {
    "default".to_owned()
}

fn llama_architectures() -> Vec<String> {
    vec!["LlamaForCausalLM".to_owned()]
}

fn llama_type() -> String {
    "llama".to_owned()
}

fn rope_theta() -> f64 {
    10_000.0
}

fn silu() -> String {
    "silu".to_owned()
}

fn float32() -> String {
    "float32".to_owned()
}

impl Default for ModelConfig {
    /// A Llama without sizes, which [`ModelConfig::validate`] refuses: they must be set.
    fn default() -> Self {
        Self {
            architectures: llama_architectures(),
            model_type: llama_type(),
            vocab_size: 0,
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 0,
            num_attention_heads: 0,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 0,
            rms_norm_eps: 1e-5,
            rope_theta: rope_theta(),
            rope_parameters: None,
            rope_scaling: None,
            attention_bias: false,
            mlp_bias: false,
            tie_word_embeddings: false,
            hidden_act: silu(),
            bos_token_id: None,
            eos_token_id: None,
            pad_token_id: None,
            torch_dtype: float32(),
            scalar_heads: Vec::new(),
        }
    }
}

/// The largest size any dimension may claim: far above every real model, low enough that products
/// of two dimensions cannot overflow.
const LARGEST: usize = 1 << 24;

impl ModelConfig {
    /// Key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Base of the rotary frequencies, wherever it stands.
    pub fn rope_base(&self) -> f64 {
        self.rope_parameters.as_ref().map_or(self.rope_theta, |rope| rope.rope_theta)
    }

    /// Checks that the configuration describes a decoder this crate runs.
    ///
    /// # Errors
    /// [`Error::Config`] names the key, its value and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::Config(text));
        if self.model_type != "llama" {
            return refuse(format!("model_type `{}` is not supported: llama", self.model_type));
        }
        if self.hidden_act != "silu" {
            return refuse(format!("hidden_act `{}` is not supported: silu", self.hidden_act));
        }
        let scaled = self.rope_parameters.as_ref().is_some_and(|r| r.rope_type != default_rope());
        if scaled || self.rope_scaling.is_some() {
            return refuse("scaled rotary positions are not supported".to_owned());
        }
        if self.attention_bias || self.mlp_bias {
            return refuse("attention_bias and mlp_bias are not supported".to_owned());
        }
        self.check_sizes()
    }

    fn check_sizes(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::Config(text));
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.kv_heads()),
            ("head_dim", self.head_width()),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if value == 0 || value > LARGEST {
                return refuse(format!("{key} is {value}: it must be between 1 and {LARGEST}"));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.kv_heads()) {
            return refuse(format!(
                "num_attention_heads {} is not a multiple of num_key_value_heads {}",
                self.num_attention_heads,
                self.kv_heads()
            ));
        }
        if !self.head_width().is_multiple_of(2) {
            return refuse(format!("head_dim {} is odd: rotary needs pairs", self.head_width()));
        }
        if !(self.rms_norm_eps > 0.0 && self.rope_base() > 0.0) {
            return refuse("rms_norm_eps and rope_theta must be positive".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A decoder small enough for a test.
    pub(crate) fn toy() -> ModelConfig {
        serde_json::from_value(serde_json::json!({
            "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
            "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
            "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2
        }))
        .unwrap()
    }

    #[test]
    fn a_hostile_configuration_is_refused_by_key() {
        type Change = (&'static str, fn(&mut ModelConfig));
        let changes: [Change; 7] = [
            ("vocab_size is 0", |c| c.vocab_size = 0),
            ("hidden_size is 18446744073709551615", |c| c.hidden_size = usize::MAX),
            ("num_attention_heads 4 is not a multiple", |c| c.num_key_value_heads = Some(3)),
            ("model_type `mamba`", |c| c.model_type = "mamba".to_owned()),
            ("head_dim 3 is odd", |c| c.head_dim = Some(3)),
            ("attention_bias", |c| c.attention_bias = true),
            ("scaled rotary", |c| c.rope_scaling = Some(serde_json::json!({"factor": 8.0}))),
        ];
        for (expected, change) in changes {
            let mut config = toy();
            change(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        toy().validate().unwrap();
    }
}
