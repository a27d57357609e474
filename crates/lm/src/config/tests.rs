use super::*;

/// A decoder small enough for tests.
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
    // Per layer: query and output weights of 32 by 32, keys and values of 16 by 32, and three feed-forward matrices of 32
    // by 48.
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
    // In 64 tokens the first frequency makes 10.2 turns, the second 1.02, and the others less than one.
    let kept = (6.4 / std::f64::consts::TAU - 1.0) / 3.0;
    let expected = [1.0, 0.1 * (kept + (1.0 - kept) / 8.0), 0.01 / 8.0, 0.001 / 8.0];
    assert!(after.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{after:?}");
}

/// Transformers 4 writes both names of the scaling kind for some models, and a null dtype for weights of mixed types.
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
    let changes: [Change; 22] = [
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
        ("bos_token_id is 300", |c| c.bos_token_id = Some(300)),
        ("eos_token_id is 4294967295", |c| {
            c.eos_token_id = Some(EndTokens::Several(vec![1, u32::MAX]));
        }),
        ("scalar_heads has 100 names", |c| c.scalar_heads = vec!["value".to_owned(); 100]),
        ("rms_norm_eps is 0", |c| c.rms_norm_eps = 0.0),
        ("rms_norm_eps is 1e308", |c| c.rms_norm_eps = 1e308),
        ("rope_theta is 1e300", |c| c.rope_theta = 1e300),
        ("rope_theta is NaN", |c| c.rope_theta = f64::NAN),
        ("rope_theta is 1e-320", |c| c.rope_theta = 1e-320),
        ("give no rotary frequencies", |c| {
            c.rope_scaling = Some(rope(r#"{"type": "linear", "factor": 1e-300}"#));
        }),
        ("low_freq_factor below", |c| {
            c.rope_scaling = Some(rope(
                r#"{"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}"#,
            ));
        }),
    ];
    for (expected, change) in changes {
        let mut config = toy();
        change(&mut config);
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    toy().validate().unwrap();
}

/// Parses a `config.json` of a family with the toy's sizes and more keys.
fn read(family: &str, more: serde_json::Value) -> Result<ModelConfig, String> {
    let mut json = serde_json::json!({
        "model_type": family, "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4,
    });
    let serde_json::Value::Object(more) = more else { panic!("an object") };
    json.as_object_mut().unwrap().extend(more);
    ModelConfig::read(&json.to_string())
}

/// The expected values are those of the transformers 5.24 classes for a file with sizes only.
#[test]
fn a_key_that_is_not_there_means_what_it_means_in_transformers() {
    let (llama_ends, none) = ((Some(1), vec![2]), (None, vec![]));
    let cases = [
        ("llama", (2048, 4, 8), None, llama_ends.clone()),
        ("qwen2", (32_768, 32, 8), None, none.clone()),
        ("qwen3", (32_768, 32, 128), None, none),
        ("mistral", (131_072, 8, 8), Some(4096), llama_ends),
    ];
    for (family, (context, kv_heads, head), window, (bos, eos)) in cases {
        let config = read(family, serde_json::json!({})).unwrap();
        assert_eq!(config.max_position_embeddings, context, "{family}");
        assert_eq!((config.kv_heads(), config.head_width()), (kv_heads, head), "{family}");
        assert_eq!((config.sliding_window, config.window()), (window, window), "{family}");
        assert_eq!((config.bos_token_id, config.end_tokens()), (bos, &eos[..]), "{family}");
        assert!((config.rms_norm_eps - 1e-6).abs() < 1e-12 && !config.tie_word_embeddings);
        assert!((config.rope_base() - 10_000.0).abs() < 1e-9 && config.hidden_act == "silu");
        assert!(!config.attention_bias && !config.mlp_bias && config.rope().is_none());
    }
}

/// Null is not absent. The expected values are again those of the transformers classes.
#[test]
fn a_key_that_is_null_is_there() {
    for family in ["llama", "qwen2", "qwen3"] {
        let config = read(family, serde_json::json!({"num_key_value_heads": null})).unwrap();
        assert_eq!(config.kv_heads(), 4, "{family}");
    }
    let mistral = read("mistral", serde_json::json!({"sliding_window": null})).unwrap();
    assert_eq!(mistral.window(), None);
    mistral.validate().unwrap_err();
    let heads = serde_json::json!({"sliding_window": null, "num_key_value_heads": 2});
    read("mistral", heads).unwrap().validate().unwrap();
    let silent =
        read("llama", serde_json::json!({"eos_token_id": null, "pad_token_id": -1})).unwrap();
    assert_eq!((silent.end_tokens(), silent.pad_token_id), (&[][..], None));
    let headless = read("qwen3", serde_json::json!({"head_dim": null})).unwrap();
    assert!(headless.validate().unwrap_err().to_string().contains("head_dim is missing"));
}

#[test]
fn windows_are_those_of_the_family() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let cases = [
        ("mistral", r#"{"max_position_embeddings": 4096}"#, None),
        ("mistral", r#"{"max_position_embeddings": 4097}"#, Some(4096)),
        ("mistral", r#"{"sliding_window": 64, "use_sliding_window": false}"#, Some(64)),
        ("llama", r#"{"sliding_window": 64, "use_sliding_window": true}"#, None),
        ("qwen2", r#"{"sliding_window": 64}"#, None),
        ("qwen2", r#"{"use_sliding_window": true, "max_window_layers": 1}"#, Some(4096)),
        ("qwen3", r#"{"use_sliding_window": true, "max_window_layers": 2}"#, None),
        ("qwen3", r#"{"use_sliding_window": true}"#, None),
        (
            "qwen2",
            r#"{"use_sliding_window": true, "sliding_window": 64,
                "layer_types": ["full_attention", "sliding_attention"]}"#,
            Some(64),
        ),
    ];
    for (family, keys, window) in cases {
        assert_eq!(read(family, json(keys)).unwrap().window(), window, "{family} {keys}");
    }
    let chunked = r#"{"use_sliding_window": true, "layer_types": ["chunked_attention"]}"#;
    assert!(read("qwen3", json(chunked)).unwrap_err().contains("chunked_attention"));
}

/// Transformers 5 prefers `rope_scaling` to `rope_parameters`, and treats an empty one as absent.
#[test]
fn rotary_settings_are_taken_from_where_transformers_takes_them() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let both = r#"{"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_theta": 500.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 7.0}}"#;
    let config = read("llama", json(both)).unwrap();
    assert!((config.rope_base() - 500.0).abs() < 1e-9);
    assert!((config.frequencies().unwrap()[0] - 0.5).abs() < 1e-12);
    let again = ModelConfig::read(&serde_json::to_string(&config.written(Precision::F32)).unwrap())
        .unwrap();
    assert_eq!(again.frequencies().unwrap(), config.frequencies().unwrap());
    let empty =
        r#"{"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 4.0}}"#;
    let config = read("llama", json(empty)).unwrap();
    assert!((config.frequencies().unwrap()[0] - 0.25).abs() < 1e-12);
    let context = r#"{"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0}, "max_position_embeddings": 64}"#;
    let whole = read("llama", json(context)).unwrap().frequencies().unwrap();
    let scaled = context
        .replace("\"max_position_embeddings\": 64", "\"original_max_position_embeddings\": 64");
    assert_eq!(read("llama", json(&scaled)).unwrap().frequencies().unwrap(), whole);
    for (keys, expected) in [
        (r#"{"rope_parameters": {"full_attention": {"rope_type": "default"}}}"#, "full_attention"),
        (r#"{"rope_parameters": {"partial_rotary_factor": 0.5}}"#, "partial_rotary_factor"),
        (r#"{"partial_rotary_factor": 0.25}"#, "partial_rotary_factor"),
    ] {
        let error = read("llama", json(keys)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

/// A key that the family does not read changes nothing.
#[test]
fn biases_are_those_of_the_family() {
    let with = serde_json::json!({"attention_bias": true, "mlp_bias": true, "hidden_act": "swish"});
    let of = |family: &str| read(family, with.clone()).unwrap();
    let biases = |inputs, output| Biases { inputs, output };
    assert_eq!(of("qwen2").biases(), biases(true, false));
    assert_eq!(of("qwen3").biases(), biases(true, true));
    assert_eq!(of("mistral").biases(), biases(false, false));
    assert!(of("llama").validate().unwrap_err().to_string().contains("mlp_bias"));
    let fit = ModelConfig { num_key_value_heads: Some(4), ..of("qwen2") };
    fit.validate().unwrap();
}

#[test]
fn the_token_that_ends_a_turn_comes_first() {
    let several = EndTokens::Several(vec![7, 1, 9]);
    let config = ModelConfig { eos_token_id: Some(several), ..toy() };
    assert_eq!(config.clone().ending_first(9).end_tokens(), [9, 7, 1]);
    assert_eq!(config.clone().ending_first(7).end_tokens(), [7, 1, 9]);
    assert_eq!(config.ending_first(3).end_tokens(), [3, 7, 1, 9]);
    assert_eq!(toy().ending_first(1), toy());
}
