//! The model configuration, with the keys of a Hugging Face `config.json`.

mod absent;
mod rope;
mod size;
mod validate;

use kernels::KvShape;
use serde::{Deserialize, Serialize};

pub use self::rope::RopeParameters;

use crate::{Error, Precision};

/// Configuration of a Llama, Qwen2, Qwen3 or Mistral decoder, as in a Hugging Face `config.json` of transformers 4 or 5.
///
/// [`ModelConfig::validate`] refuses settings that would make it a different model than the one implemented here. Keys
/// that make no difference to inference are dropped when the configuration is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Class names of the model, such as `["LlamaForCausalLM"]`.
    #[serde(default = "llama_architectures")]
    pub architectures: Vec<String>,
    /// The model family: `llama`, `qwen2`, `qwen3` or `mistral`.
    pub model_type: String,
    /// Number of vocabulary entries, the rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream, `d_model`.
    pub hidden_size: usize,
    /// Inner width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of transformer blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads, a divisor of `num_attention_heads` (grouped-query attention). The same number when
    /// absent.
    #[serde(default)]
    pub num_key_value_heads: Option<usize>,
    /// Width of a head, `hidden_size / num_attention_heads` when absent. Skipped rather than written as null, which some
    /// families would take for a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Maximum context length, in tokens.
    #[serde(default)]
    pub max_position_embeddings: usize,
    /// Epsilon of the RMS norms.
    #[serde(default)]
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    #[serde(default = "rope_theta")]
    pub rope_theta: f64,
    /// Rotary settings where transformers 5 keeps them. Their base overrides `rope_theta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<RopeParameters>,
    /// Rotary scaling where transformers 4 keeps it. Like transformers 5, we prefer it to `rope_parameters` if both are
    /// set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeParameters>,
    /// Whether all four attention projections have biases (Llama and Qwen3). Qwen2 always has them for queries, keys and
    /// values, Mistral never; neither reads this key.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether Llama's feed-forward projections have biases; not supported.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Sliding attention window, in tokens; not supported if it is shorter than the context. Null is written out
    /// explicitly, because transformers gives a Mistral without this key a window of 4096.
    #[serde(default)]
    pub sliding_window: Option<usize>,
    /// Whether a Qwen model uses `sliding_window`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_sliding_window: Option<bool>,
    /// Whether the output projection is the transposed embedding.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Activation function of the feed-forward layer; must be `silu`.
    #[serde(default = "silu")]
    pub hidden_act: String,
    /// Token that starts a text.
    #[serde(default, deserialize_with = "token")]
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text, one or several.
    #[serde(default)]
    pub eos_token_id: Option<EndTokens>,
    /// Padding token.
    #[serde(default, deserialize_with = "token")]
    pub pad_token_id: Option<u32>,
    /// Data type of the weights we write, `float32` or `bfloat16`. It is not read: weight files carry their own type.
    #[serde(default = "float32", skip_deserializing)]
    pub torch_dtype: String,
    /// Quantization settings; not supported.
    #[serde(default, skip_serializing)]
    pub quantization_config: Option<serde_json::Value>,
    /// Names of the scalar heads, empty for a plain language model. Our own key, not Hugging Face's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scalar_heads: Vec<String>,
    /// Names of the critic scores that the model was trained to answer as a word, without a head of their own. Also our
    /// own key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub word_heads: Vec<String>,
}

/// The tokens that end a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EndTokens {
    /// A single end token.
    One(u32),
    /// Any of several tokens. The first is the one that fine-tuning teaches, and the one written to files with room for
    /// only one.
    Several(Vec<u32>),
}

impl EndTokens {
    /// All end tokens.
    pub fn all(&self) -> &[u32] {
        match self {
            Self::One(token) => std::slice::from_ref(token),
            Self::Several(tokens) => tokens,
        }
    }
}

/// Which of the attention projections have a bias: the inputs (query, key, value) and the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Biases {
    pub(crate) inputs: bool,
    pub(crate) output: bool,
}

fn llama_architectures() -> Vec<String> {
    vec!["LlamaForCausalLM".to_owned()]
}

fn rope_theta() -> f64 {
    10_000.0
}

/// Deserializes an optional token id. Some files write -1 for none.
fn token<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let Some(token) = Option::<i64>::deserialize(from)?.filter(|&token| token >= 0) else {
        return Ok(None);
    };
    u32::try_from(token)
        .map(Some)
        .map_err(|e| serde::de::Error::custom(format!("no token: {token}: {e}")))
}

fn silu() -> String {
    "silu".to_owned()
}

fn float32() -> String {
    "float32".to_owned()
}

impl Default for ModelConfig {
    /// A Llama with all sizes zero. They must be set: [`ModelConfig::validate`] refuses it as it is.
    fn default() -> Self {
        Self {
            architectures: llama_architectures(),
            model_type: "llama".to_owned(),
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
            sliding_window: None,
            use_sliding_window: None,
            tie_word_embeddings: false,
            hidden_act: silu(),
            bos_token_id: None,
            eos_token_id: None,
            pad_token_id: None,
            torch_dtype: float32(),
            quantization_config: None,
            scalar_heads: Vec::new(),
            word_heads: Vec::new(),
        }
    }
}

impl ModelConfig {
    /// Number of key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// The dimensions of a token's keys and values, which are stored in a precision.
    pub(crate) fn kv_shape(&self, precision: Precision) -> KvShape {
        KvShape {
            stored: precision.of_weights(),
            layers: self.num_hidden_layers,
            kv_heads: self.kv_heads(),
            width: self.head_width(),
        }
    }

    /// Tokens that end a text; empty if none is configured.
    pub fn end_tokens(&self) -> &[u32] {
        self.eos_token_id.as_ref().map_or(&[], EndTokens::all)
    }

    /// Appends end tokens that are not listed yet.
    pub(crate) fn ending_at(self, more: &[u32]) -> Self {
        let mut ends = self.end_tokens().to_vec();
        for token in more {
            if !ends.contains(token) {
                ends.push(*token);
            }
        }
        if ends.len() == self.end_tokens().len() {
            return self;
        }
        let ends =
            if let [one] = ends[..] { EndTokens::One(one) } else { EndTokens::Several(ends) };
        Self { eos_token_id: Some(ends), ..self }
    }

    /// Makes `token` the first end token, which is the one fine-tuning teaches and the one saved where there is room for
    /// only one.
    #[must_use]
    pub fn ending_first(self, token: u32) -> Self {
        let others = Self { eos_token_id: Some(EndTokens::One(token)), ..self.clone() };
        others.ending_at(self.end_tokens())
    }

    /// Which attention projections have a bias. Qwen2 and Mistral ignore `attention_bias`.
    pub(crate) fn biases(&self) -> Biases {
        let all = self.attention_bias && ["llama", "qwen3"].contains(&self.model_type.as_str());
        Biases { inputs: all || self.model_type == "qwen2", output: all }
    }

    /// Whether queries and keys are normed per head.
    pub(crate) fn has_head_norms(&self) -> bool {
        self.model_type == "qwen3"
    }

    /// The rotary settings that apply, of the two places they may be in.
    fn rope(&self) -> Option<&RopeParameters> {
        let scaling = self.rope_scaling.as_ref().filter(|rope| !rope.is_empty());
        scaling.or(self.rope_parameters.as_ref())
    }

    /// The base of the rotary frequencies that applies.
    pub fn rope_base(&self) -> f64 {
        self.rope().and_then(|rope| rope.rope_theta).unwrap_or(self.rope_theta)
    }

    /// Rotary frequency of each pair of dimensions in a head, in radians per token.
    ///
    /// # Errors
    /// [`Error::Config`] for a scaling that is not supported or lacks a parameter.
    pub(crate) fn frequencies(&self) -> Result<Vec<f64>, Error> {
        let half = self.head_width() / 2;
        let plain = (0..half).map(|i| self.rope_base().powf(-(i as f64) / half as f64));
        match self.rope() {
            Some(rope) => rope.scaled(plain, self.max_position_embeddings),
            None => Ok(plain.collect()),
        }
    }

    /// The configuration as written to a checkpoint with weights of a type: the rotary settings stand where both
    /// transformers 4 and 5 find them.
    pub(crate) fn written(&self, weights: Precision) -> Self {
        let scaled = |rope: &&RopeParameters| rope.is_scaling();
        let rope = self.rope();
        Self {
            num_key_value_heads: Some(self.kv_heads()),
            rope_theta: self.rope_base(),
            // What applies goes under both names, so that readers of either one compute the same frequencies.
            rope_parameters: self.rope_parameters.as_ref().and(rope).map(RopeParameters::renamed),
            rope_scaling: rope.filter(scaled).map(RopeParameters::renamed),
            torch_dtype: match weights {
                Precision::F32 => float32(),
                Precision::Bf16 => "bfloat16".to_owned(),
            },
            ..self.clone()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
