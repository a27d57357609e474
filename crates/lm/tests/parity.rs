//! Parity with transformers on checkpoints it wrote (`fixtures/make_reference.py`).

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::path::PathBuf;

use lm::engine::{EngineOptions, GenerationRequest, Stop};
use lm::{Checkpoint, Engine, Prefixes, Sampling, device};
use serde::Deserialize;

const ALL: [&str; 11] = [
    "llama-tied",
    "llama-untied",
    "llama-3",
    "llama-biased",
    "qwen2",
    "qwen3",
    "mistral",
    "qwen2-bf16",
    "qwen2-f16",
    "qwen2-shards",
    "llama-3-v4",
];

#[derive(Deserialize)]
struct Reference {
    ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
    greedy: Vec<u32>,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn reference(name: &str) -> Reference {
    let text = std::fs::read_to_string(fixture(name).join("reference.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn engine(checkpoint: &Checkpoint) -> Engine {
    Engine::new(checkpoint, &device::cpu(), EngineOptions { workers: 1, rows: 8 })
}

#[test]
fn logits_and_greedy_tokens_agree() {
    for name in ALL {
        let reference = reference(name);
        let checkpoint = Checkpoint::load(&fixture(name), &device::cpu()).unwrap();
        let engine = engine(&checkpoint);
        let logits = engine.logits(&reference.ids).unwrap();
        let off = logits
            .iter()
            .flatten()
            .zip(reference.logits.iter().flatten())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(off < 1e-4, "{name}: off by {off}");
        let request = GenerationRequest {
            prompt: reference.ids.clone(),
            sampling: Sampling::Greedy,
            stop: Stop {
                tokens: vec![],
                strings: vec![],
                until: None,
                max_new: reference.greedy.len(),
            },
            excluded: vec![],
            seed: 0,
            scope: 0,
            keep: false,
        };
        let mut prefixes = Prefixes::default();
        assert_eq!(
            engine.generate(&[request], &mut prefixes).unwrap()[0].drawn.ids,
            reference.greedy,
            "{name}"
        );
    }
}

#[test]
fn a_checkpoint_written_and_read_again_is_the_same() {
    for name in ALL {
        let checkpoint = Checkpoint::load(&fixture(name), &device::cpu()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let files = checkpoint.files().unwrap();
        for (file, bytes) in &files {
            std::fs::write(dir.path().join(file), bytes).unwrap();
        }
        let again = Checkpoint::load(dir.path(), &device::cpu()).unwrap();
        assert_eq!(again.files().unwrap(), files, "{name}");
        let ids = reference(name).ids;
        assert_eq!(engine(&again).logits(&ids).unwrap(), engine(&checkpoint).logits(&ids).unwrap());
    }
}

/// What `transformers` needs to read the same model: `check_saved.py` beside the fixtures has the rest.
#[test]
fn a_written_configuration_has_its_rotary_settings_for_both_versions_and_no_null_widths() {
    for name in ALL {
        let checkpoint = Checkpoint::load(&fixture(name), &device::cpu()).unwrap();
        let files = checkpoint.files().unwrap();
        let (_, config) = files.iter().find(|(file, _)| file == "config.json").unwrap();
        let config: serde_json::Value = serde_json::from_slice(config).unwrap();
        assert!(config.get("head_dim").is_none_or(serde_json::Value::is_u64), "{name}");
        assert_eq!(config["rope_theta"], checkpoint.config.rope_base(), "{name}");
        let scaled = name.starts_with("llama-3");
        assert_eq!(config["rope_scaling"]["rope_type"] == "llama3", scaled, "{name}");
    }
}

#[test]
fn a_text_ends_at_the_tokens_of_both_files() {
    let dir = copy("llama-tied");
    let path = dir.path().join("generation_config.json");
    let ends = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Checkpoint::load(dir.path(), &device::cpu()).map(|c| c.config.end_tokens().to_vec())
    };
    assert_eq!(ends(r#"{"eos_token_id": [7, 1]}"#).unwrap(), [1, 7]);
    assert_eq!(ends(r#"{"eos_token_id": 1}"#).unwrap(), [1]);
    assert_eq!(ends(r#"{"do_sample": true}"#).unwrap(), [1]);
    let error = ends(r#"{"eos_token_id": "</s>"}"#).unwrap_err().to_string();
    assert!(error.contains("generation_config.json") && error.contains("eos_token_id"), "{error}");
}

fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

fn message(dir: &tempfile::TempDir) -> String {
    Checkpoint::load(dir.path(), &device::cpu()).unwrap_err().to_string()
}

/// A copy of a fixture with one file changed, and what loading it says.
fn refusal(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let dir = copy("llama-tied");
    let path = dir.path().join(file);
    std::fs::write(&path, change(std::fs::read(&path).unwrap())).unwrap();
    message(&dir)
}

fn edited(dir: &tempfile::TempDir, file: &str, old: &str, new: &str) {
    let text = std::fs::read_to_string(dir.path().join(file)).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(dir.path().join(file), text.replace(old, new)).unwrap();
}

#[test]
fn weights_that_are_not_all_there_are_refused_by_name() {
    let dir = copy("qwen2-shards");
    let second = "model-00002-of-00003.safetensors";
    std::fs::remove_file(dir.path().join(second)).unwrap();
    assert!(message(&dir).contains(second), "{}", message(&dir));
    let dir = copy("qwen2-shards");
    edited(&dir, "model.safetensors.index.json", second, "model-00001-of-00003.safetensors");
    assert!(message(&dir).contains("which model.safetensors.index.json says is here"));
    edited(&dir, "model.safetensors.index.json", "model-00001-of-00003", "../elsewhere");
    assert!(message(&dir).contains("is not a file beside it"), "{}", message(&dir));
    let dir = copy("llama-tied");
    std::fs::rename(dir.path().join("model.safetensors"), dir.path().join("pytorch_model.bin"))
        .unwrap();
    assert!(message(&dir).contains("pickled weights"), "{}", message(&dir));
}

/// A header that is well-formed and says what is not so: of where a tensor is, how long, of what shape and what kind.
#[test]
fn a_header_that_lies_is_refused() {
    let lying = |change: &dyn Fn(&mut serde_json::Value)| {
        refusal("model.safetensors", |bytes| {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let mut header: serde_json::Value =
                serde_json::from_slice(&bytes[8..8 + length]).unwrap();
            change(&mut header["model.norm.weight"]);
            let header = header.to_string().into_bytes();
            [&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat()
        })
    };
    let offsets = |from: u64, to: u64| {
        lying(&move |tensor| tensor["data_offsets"] = serde_json::json!([from, to]))
    };
    let far = 1 << 40;
    for message in [offsets(far, far + 128), offsets(0, u64::MAX), offsets(128, 0), offsets(0, 128)]
    {
        assert!(message.contains("model.safetensors: broken safetensors"), "{message}");
    }
    let short = lying(&|tensor| tensor["shape"] = serde_json::json!([31]));
    assert!(short.contains("broken safetensors"), "{short}");
    let endless = lying(&|tensor| tensor["shape"] = serde_json::json!([u64::MAX, u64::MAX]));
    assert!(endless.contains("broken safetensors"), "{endless}");
    let half = lying(&|tensor| {
        tensor["dtype"] = "F16".into();
        tensor["shape"] = serde_json::json!([64]);
    });
    assert!(half.contains("model.norm.weight") && half.contains("[64]"), "{half}");
    let whole = lying(&|tensor| tensor["dtype"] = "I32".into());
    assert!(whole.contains("model.norm.weight") && whole.contains("I32"), "{whole}");
}

/// Before there is room for weights that nobody has.
#[test]
fn a_configuration_that_claims_more_than_the_files_have_is_refused() {
    for (old, new) in [
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 4096"),
        ("\"hidden_size\": 32", "\"hidden_size\": 16777216"),
        ("\"intermediate_size\": 48", "\"intermediate_size\": 16777216"),
    ] {
        let dir = copy("qwen2-shards");
        edited(&dir, "config.json", old, new);
        assert!(message(&dir).contains("weights or more, and the files beside it have"), "{new}");
    }
    // A long context costs nothing before it is used.
    let dir = copy("qwen2-shards");
    edited(
        &dir,
        "config.json",
        "\"max_position_embeddings\": 96",
        "\"max_position_embeddings\": 16777216",
    );
    let checkpoint = Checkpoint::load(dir.path(), &device::cpu()).unwrap();
    engine(&checkpoint).logits(&[5, 6, 7]).unwrap();
}

#[test]
fn another_model_under_a_known_name_is_refused() {
    // Biases without a place would be left out, and the model would be another one.
    let dir = copy("qwen2");
    edited(&dir, "config.json", "\"qwen2\"", "\"llama\"");
    assert!(message(&dir).contains("k_proj.bias` is none of a llama"), "{}", message(&dir));
    let dir = copy("llama-tied");
    edited(&dir, "config.json", "\"llama\"", "\"qwen2\"");
    assert!(message(&dir).contains("bias` is missing"), "{}", message(&dir));
    let dir = copy("llama-3");
    edited(&dir, "config.json", "\"llama3\"", "\"yarn\"");
    assert!(message(&dir).contains("rotary scaling `yarn` is not supported"));
}

#[test]
fn a_broken_checkpoint_is_refused_with_its_file_and_the_reason() {
    let weights = "model.safetensors";
    let cut = refusal(weights, |bytes| bytes[..bytes.len() - 100].to_vec());
    assert!(cut.contains(weights) && cut.contains("broken safetensors"), "{cut}");
    let lying = refusal(weights, |mut bytes| {
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        bytes
    });
    assert!(lying.contains("broken safetensors"), "{lying}");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let wider = refusal("config.json", |bytes| {
        text(bytes).replace("\"intermediate_size\": 48", "\"intermediate_size\": 64").into_bytes()
    });
    assert!(wider.contains("mlp") && wider.contains("[64, 32]"), "{wider}");
    let nameless = refusal("config.json", |bytes| {
        text(bytes).replace("\"model_type\"", "\"kind\"").into_bytes()
    });
    assert!(nameless.contains("missing field `model_type`"), "{nameless}");
    let negative = refusal("config.json", |bytes| {
        text(bytes).replace("\"hidden_size\": 32", "\"hidden_size\": -32").into_bytes()
    });
    assert!(negative.contains("config.json") && negative.contains("-32"), "{negative}");
    let huge = refusal("config.json", |bytes| {
        text(bytes).replace("\"hidden_size\": 32", "\"hidden_size\": 99999999999").into_bytes()
    });
    assert!(huge.contains("hidden_size is 99999999999"), "{huge}");
    let nonsense = refusal("tokenizer.json", |_| b"{}".to_vec());
    assert!(nonsense.contains("tokenizer.json"), "{nonsense}");
}
