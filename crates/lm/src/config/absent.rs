//! Defaults for keys that a `config.json` leaves out. They are those of the transformers 5 classes, which differ by
//! family. A key that is null counts as present.

use serde_json::{Map, Value};

use super::{EndTokens, ModelConfig};

/// A family's defaults for keys that real files leave out. The sizes have no default.
struct Absent {
    max_position_embeddings: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    /// Default window, in tokens. Qwen models use it only if `use_sliding_window` is set.
    sliding_window: Option<usize>,
    opening: Option<u32>,
    end: Option<u32>,
}

const RMS_NORM_EPS: f64 = 1e-6;
/// Index of the first Qwen layer with a sliding window, unless configured.
const MAX_WINDOW_LAYERS: u64 = 28;

impl Absent {
    fn of(family: &str) -> Self {
        let llama = Self {
            max_position_embeddings: 2048,
            num_key_value_heads: None,
            head_dim: None,
            sliding_window: None,
            opening: Some(1),
            end: Some(2),
        };
        let qwen2 = Self {
            max_position_embeddings: 32_768,
            num_key_value_heads: Some(32),
            head_dim: None,
            sliding_window: Some(4096),
            opening: None,
            end: None,
        };
        match family {
            "qwen2" => qwen2,
            "qwen3" => Self { head_dim: Some(128), ..qwen2 },
            "mistral" => Self {
                max_position_embeddings: 131_072,
                num_key_value_heads: Some(8),
                sliding_window: Some(4096),
                ..llama
            },
            _ => llama,
        }
    }
}

impl ModelConfig {
    /// Parses a `config.json` as transformers would.
    ///
    /// # Errors
    /// Returns a message that says what is wrong.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut config: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        // Parsed a second time because an `Option` cannot tell a missing key from a null.
        let keys: Map<String, Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        check_rope(&keys)?;
        let family = Absent::of(&config.model_type);
        let absent = |key: &str| !keys.contains_key(key);
        if absent("max_position_embeddings") {
            config.max_position_embeddings = family.max_position_embeddings;
        }
        if absent("rms_norm_eps") {
            config.rms_norm_eps = RMS_NORM_EPS;
        }
        if absent("num_key_value_heads") {
            config.num_key_value_heads = family.num_key_value_heads;
        }
        if absent("head_dim") {
            config.head_dim = family.head_dim;
        }
        if absent("bos_token_id") {
            config.bos_token_id = family.opening;
        }
        if absent("eos_token_id") {
            config.eos_token_id = family.end.map(EndTokens::One);
        }
        if config.use_sliding_window == Some(true) && config.model_type.starts_with("qwen") {
            config.use_sliding_window = Some(has_window(&keys)?);
        }
        let windowed = config.model_type == "mistral" || config.use_sliding_window == Some(true);
        if absent("sliding_window") && windowed {
            config.sliding_window = family.sliding_window;
        }
        if let Some(tokens) = keys.get("original_max_position_embeddings").and_then(Value::as_u64) {
            let ropes = [&mut config.rope_scaling, &mut config.rope_parameters];
            for rope in ropes.into_iter().flatten() {
                rope.original_max_position_embeddings = usize::try_from(tokens).ok();
            }
        }
        Ok(config)
    }
}

/// Whether any layer of a Qwen with `use_sliding_window` actually has a window.
fn has_window(keys: &Map<String, Value>) -> Result<bool, String> {
    let number = |key: &str| keys.get(key).and_then(Value::as_u64);
    let Some(types) = keys.get("layer_types").and_then(Value::as_array) else {
        let first = number("max_window_layers").unwrap_or(MAX_WINDOW_LAYERS);
        return Ok(number("num_hidden_layers").is_some_and(|layers| first < layers));
    };
    let known = |kind: &&Value| ["full_attention", "sliding_attention"].iter().any(|k| kind == k);
    match types.iter().find(|kind| !known(kind)) {
        Some(kind) => Err(format!("layer_types: {kind} is not supported")),
        None => Ok(types.iter().any(|kind| kind == "sliding_attention")),
    }
}

/// Refuses rotary settings that differ between layers, or that rotate only part of a head.
fn check_rope(keys: &Map<String, Value>) -> Result<(), String> {
    const PART: &str = "partial_rotary_factor";
    let whole =
        |value: Option<&Value>| value.is_none_or(|v| v.is_null() || v.as_f64() == Some(1.0));
    let ropes = ["rope_scaling", "rope_parameters"];
    let ropes = ropes.into_iter().filter_map(|key| Some((key, keys.get(key)?.as_object()?)));
    for (key, rope) in ropes {
        if let Some((layers, _)) = rope.iter().find(|(_, value)| value.is_object()) {
            return Err(format!("{key}: settings of their own for `{layers}` are not supported"));
        }
        if !whole(rope.get(PART)) {
            return Err(format!("{key}: {PART} is not supported"));
        }
    }
    let part = whole(keys.get(PART));
    part.then_some(()).ok_or_else(|| format!("{PART} is not supported"))
}
