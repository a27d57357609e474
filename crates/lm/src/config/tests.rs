use super::*;

/// A decoder small enough for a test.
pub(crate) fn toy() -> ModelConfig {
    serde_json::from_value(serde_json::json!({
        "model_type": "llama", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
        "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2
    }))
    .unwrap()
}

#[test]
fn a_token_costs_two_operations_for_each_weight_it_meets() {
    // Of each layer: queries and output of 32 by 32, keys and values of 16 by 32, three matrices of 32 by 48.
    assert_eq!(toy().layer_flops(), 2 * 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 48));
    assert_eq!(toy().logit_flops(), 2 * 32 * 300);
}

fn rope(text: &str) -> RopeParameters {
    serde_json::from_str(text).unwrap()
}

#[test]
fn long_waves_are_stretched_and_short_ones_stay() {
    let scaled = rope(
        r#"{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}"#,
    );
    let (plain, config) = (toy(), ModelConfig { rope_scaling: Some(scaled), ..toy() });
    let (before, after) = (plain.frequencies().unwrap(), config.frequencies().unwrap());
    assert_eq!(before, [1.0, 0.1, 0.01, 0.001]);
    // 64 tokens are 10.2 waves of the first, 1.02 of the second, and less than one of the others.
    let kept = (6.4 / std::f64::consts::TAU - 1.0) / 3.0;
    let expected = [1.0, 0.1 * (kept + (1.0 - kept) / 8.0), 0.01 / 8.0, 0.001 / 8.0];
    assert!(after.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{after:?}");
}

/// Transformers 4 writes both names of the kind for some models, and no type for weights of several.
#[test]
fn older_configurations_are_read() {
    let both = rope(r#"{"type": "linear", "rope_type": "linear", "factor": 2.0}"#);
    let older = rope(r#"{"type": "linear", "factor": 2.0}"#);
    let of = |rope| ModelConfig { rope_scaling: Some(rope), ..toy() }.frequencies().unwrap();
    assert_eq!(of(both), [0.5, 0.05, 0.005, 0.0005]);
    assert_eq!(of(older), [0.5, 0.05, 0.005, 0.0005]);
    let mut untyped = serde_json::to_value(toy()).unwrap();
    untyped["torch_dtype"] = serde_json::Value::Null;
    assert_eq!(serde_json::from_value::<ModelConfig>(untyped).unwrap(), toy());
}

#[test]
fn a_hostile_configuration_is_refused_by_key() {
    type Change = (&'static str, fn(&mut ModelConfig));
    let changes: [Change; 12] = [
        ("num_hidden_layers is 16777216", |c| c.num_hidden_layers = 1 << 24),
        ("quantization_config is not supported", |c| {
            c.quantization_config = Some(serde_json::json!({"quant_method": "gptq"}));
        }),
        ("vocab_size is 0", |c| c.vocab_size = 0),
        ("hidden_size is 18446744073709551615", |c| c.hidden_size = usize::MAX),
        ("num_attention_heads 4 is not a multiple", |c| c.num_key_value_heads = Some(3)),
        ("model_type `mamba`", |c| c.model_type = "mamba".to_owned()),
        ("head_dim 3 is odd", |c| c.head_dim = Some(3)),
        ("mlp_bias", |c| c.mlp_bias = true),
        ("rotary scaling `yarn`", |c| c.rope_scaling = Some(rope(r#"{"type": "yarn"}"#))),
        ("needs a positive factor", |c| {
            c.rope_parameters = Some(rope(r#"{"rope_type": "linear", "factor": -2.0}"#));
        }),
        ("sliding_window 64", |c| {
            (c.model_type, c.sliding_window) = ("mistral".to_owned(), Some(64));
        }),
        ("head_dim is missing", |c| c.model_type = "qwen3".to_owned()),
    ];
    for (expected, change) in changes {
        let mut config = toy();
        change(&mut config);
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    toy().validate().unwrap();
}
