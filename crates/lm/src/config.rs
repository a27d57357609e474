//! The model configuration, with the keys of a Hugging Face `config.json`.

mod absent;

use serde::{Deserialize, Serialize};

use crate::Error;

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
    /// Data type of the weights we write, always `float32`. It is not read: weight files carry their own type.
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
    fn is_empty(&self) -> bool {
        let kind = self.rope_type.as_ref().or(self.older_type.as_ref());
        kind.is_none() && self.rope_theta.is_none() && self.factor.is_none()
    }

    /// The kind of scaling, under whichever name it was given.
    fn kind(&self) -> &str {
        self.rope_type.as_deref().or(self.older_type.as_deref()).unwrap_or(NO_SCALING)
    }

    /// Moves the kind of scaling to its newer name.
    fn renamed(&self) -> Self {
        Self { rope_type: Some(self.kind().to_owned()), older_type: None, ..self.clone() }
    }
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

/// The `rope_type` that means no scaling.
const NO_SCALING: &str = "default";

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

/// Upper limit of every dimension: far above any real model, and low enough that the product of two dimensions cannot
/// overflow.
const LARGEST: usize = 1 << 24;
/// Upper limit of the number of scalar heads.
const MOST_HEADS: usize = 64;
/// Upper limit of the number of blocks, because each one takes memory before it has any weights.
const MOST_LAYERS: usize = 1 << 12;

impl ModelConfig {
    /// Number of key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
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

    /// Floating point operations to run one token through all layers: two per matrix weight. Attention over the context
    /// is left out; a context of `c` tokens adds `4 · c` times the total width of the query heads per layer.
    pub fn layer_flops(&self) -> u64 {
        2 * self.block_weights() as u64 * self.num_hidden_layers as u64
    }

    /// Number of matrix weights in a block: the query, key, value and output projections, then gate, up and down.
    fn block_weights(&self) -> u128 {
        let [hidden, width, wide, heads] = [
            self.hidden_size,
            self.head_width(),
            self.intermediate_size,
            self.num_attention_heads + self.kv_heads(),
        ]
        .map(|size| size as u128);
        2 * heads * width * hidden + 3 * hidden * wide
    }

    /// Number of weights in the blocks' matrices and the embedding: a lower bound for the model, and close to it, since
    /// norms, biases and heads are small.
    pub(crate) fn least_weights(&self) -> u128 {
        let embedding = self.hidden_size as u128 * self.vocab_size as u128;
        self.block_weights() * self.num_hidden_layers as u128 + embedding
    }

    /// Floating point operations to compute the logits of one token.
    pub fn logit_flops(&self) -> u64 {
        2 * self.hidden_size as u64 * self.vocab_size as u64
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

    /// The sliding window in tokens, if the model uses one that is shorter than the context.
    fn window(&self) -> Option<usize> {
        let used = match self.model_type.as_str() {
            "mistral" => true,
            "qwen2" | "qwen3" => self.use_sliding_window.unwrap_or(false),
            _ => false,
        };
        self.sliding_window.filter(|&window| used && window < self.max_position_embeddings)
    }

    /// The configuration as written to a checkpoint: `f32` weights, and the rotary settings where both transformers 4 and
    /// 5 find them.
    pub(crate) fn written(&self) -> Self {
        let scaled = |rope: &&RopeParameters| rope.kind() != NO_SCALING;
        let rope = self.rope();
        Self {
            num_key_value_heads: Some(self.kv_heads()),
            rope_theta: self.rope_base(),
            rope_parameters: self.rope_parameters.as_ref().and(rope).map(RopeParameters::renamed),
            rope_scaling: rope.filter(scaled).map(RopeParameters::renamed),
            torch_dtype: float32(),
            ..self.clone()
        }
    }

    /// Rotary frequency of each pair of dimensions in a head, in radians per token.
    ///
    /// # Errors
    /// [`Error::Config`] for a scaling that is not supported or lacks a parameter.
    pub(crate) fn frequencies(&self) -> Result<Vec<f64>, Error> {
        let half = self.head_width() / 2;
        let plain = (0..half).map(|i| self.rope_base().powf(-(i as f64) / half as f64));
        let Some(rope) = self.rope() else {
            return Ok(plain.collect());
        };
        let number = |name: &str, value: Option<f64>| match value {
            Some(value) if value > 0.0 && value.is_finite() => Ok(value),
            _ => Err(Error::Config(format!("rope_type `{}` needs a positive {name}", rope.kind()))),
        };
        match rope.kind() {
            NO_SCALING => Ok(plain.collect()),
            "linear" => {
                let factor = number("factor", rope.factor)?;
                Ok(plain.map(|frequency| frequency / factor).collect())
            }
            "llama3" => {
                let factor = number("factor", rope.factor)?;
                let low = number("low_freq_factor", rope.low_freq_factor)?;
                let high = number("high_freq_factor", rope.high_freq_factor)?;
                let context = rope.original_max_position_embeddings;
                let context = context.unwrap_or(self.max_position_embeddings) as f64;
                let context = number("original_max_position_embeddings", Some(context))?;
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
                Ok(plain.map(scaled).collect())
            }
            other => Err(Error::Config(format!(
                "rotary scaling `{other}` is not supported: default, linear, llama3"
            ))),
        }
    }

    /// Checks that this crate can run the model.
    ///
    /// # Errors
    /// [`Error::Config`] names the key, its value and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::Config(text));
        let families = ["llama", "qwen2", "qwen3", "mistral"];
        if !families.contains(&self.model_type.as_str()) {
            let known = families.join(", ");
            return refuse(format!("model_type `{}` is not supported: {known}", self.model_type));
        }
        // Two names of the same function.
        if !["silu", "swish"].contains(&self.hidden_act.as_str()) {
            return refuse(format!("hidden_act `{}` is not supported: silu", self.hidden_act));
        }
        if self.quantization_config.is_some() {
            return refuse(
                "quantization_config is not supported: weights must be f32, f16 or bf16".to_owned(),
            );
        }
        if self.mlp_bias && self.model_type == "llama" {
            return refuse("mlp_bias is not supported".to_owned());
        }
        // `read` fills in absent keys, so what these two refuse is an explicit null.
        if self.model_type == "mistral" && self.num_key_value_heads.is_none() {
            return refuse("num_key_value_heads is missing".to_owned());
        }
        if self.model_type == "qwen3" && self.head_dim.is_none() {
            return refuse("head_dim is missing".to_owned());
        }
        if let Some(window) = self.window() {
            let longest = self.max_position_embeddings;
            return refuse(format!(
                "sliding_window {window} is not supported: set max_position_embeddings {longest} to it at most, or \
                 sliding_window to null if the model has none (a mistral without the key has 4096)"
            ));
        }
        self.check_sizes()?;
        self.check_tokens()?;
        if !self.frequencies()?.iter().all(|&frequency| (frequency as f32).is_finite()) {
            let base = self.rope_base();
            return refuse(format!("rope_theta {base} and its scaling give no rotary frequencies"));
        }
        Ok(())
    }

    /// Checks that the tokens we insert ourselves are in the vocabulary: out of range they would index past the
    /// embedding.
    fn check_tokens(&self) -> Result<(), Error> {
        let opening = self.bos_token_id.map(|token| ("bos_token_id", token));
        let ends = self.end_tokens().iter().map(|&token| ("eos_token_id", token));
        match opening.into_iter().chain(ends).find(|&(_, token)| token as usize >= self.vocab_size)
        {
            Some((key, token)) => {
                let size = self.vocab_size;
                Err(Error::Config(format!("{key} is {token}: vocab_size is {size}")))
            }
            None => Ok(()),
        }
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
            let most = if key == "num_hidden_layers" { MOST_LAYERS } else { LARGEST };
            if value == 0 || value > most {
                return refuse(format!("{key} is {value}: it must be between 1 and {most}"));
            }
        }
        if self.scalar_heads.len() > MOST_HEADS {
            let heads = self.scalar_heads.len();
            return refuse(format!("scalar_heads has {heads} names: {MOST_HEADS} is the limit"));
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
        for (key, value) in [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_base())]
        {
            let single = value as f32;
            if !(single > 0.0 && single.is_finite()) {
                return refuse(format!("{key} is {value:?}: it must be positive"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
