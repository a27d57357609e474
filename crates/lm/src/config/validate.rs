//! Refuses configurations that this crate cannot run.

use super::ModelConfig;
use crate::Error;

/// Upper limit of every dimension: far above any real model, and low enough that the product of two dimensions cannot
/// overflow.
const LARGEST: usize = 1 << 24;
/// Upper limit of the number of scalar heads.
const MOST_HEADS: usize = 64;
/// Upper limit of the number of blocks, because each one takes memory before it has any weights.
const MOST_LAYERS: usize = 1 << 12;

impl ModelConfig {
    /// The sliding window in tokens, if the model uses one that is shorter than the context.
    pub(super) fn window(&self) -> Option<usize> {
        let used = match self.model_type.as_str() {
            "mistral" => true,
            "qwen2" | "qwen3" => self.use_sliding_window.unwrap_or(false),
            _ => false,
        };
        self.sliding_window.filter(|&window| used && window < self.max_position_embeddings)
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
            // Models run in `f32`, where a tiny positive value may be 0.
            let single = value as f32;
            if !(single > 0.0 && single.is_finite()) {
                return refuse(format!("{key} is {value:?}: it must be positive"));
            }
        }
        Ok(())
    }
}
