//! Parity with transformers, on checkpoints that it wrote (`fixtures/make_reference.py`).

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::path::PathBuf;

use lm::engine::{EngineOptions, GenerationRequest, Stop};
use lm::{Checkpoint, Engine, Precision, Prefixes, Sampling, device};
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
    Engine::new(checkpoint, &[device::cpu()], Precision::F32, EngineOptions { workers: 1, rows: 8 })
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

/// The keys `transformers` needs to load the same model. `check_saved.py` next to the fixtures compares the results.
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

/// Copies a fixture, changes one file, and returns the error from loading it.
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

/// A well-formed header with false claims about where a tensor is, its length, its shape or its type.
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

/// The refusal must come before memory is allocated for weights that the files do not have.
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
    // A long context costs nothing until it is used.
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
    // Dropping biases that the family has no place for would silently make a different model.
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
    assert!(wider.contains("mlp") && wider.contains("down_proj.weight` is [32, 48]"), "{wider}");
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

/// Reads a checkpoint's weights from its file, changes them, and writes them back.
fn reweighed(dir: &tempfile::TempDir, change: impl FnOnce(&mut Tensors)) {
    let path = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut tensors = Tensors::new();
    for (name, tensor) in header.as_object().unwrap() {
        let Some([from, to]) = tensor["data_offsets"].as_array().map(|at| [&at[0], &at[1]]) else {
            continue;
        };
        let range = 8 + length + from.as_u64().unwrap() as usize
            ..8 + length + to.as_u64().unwrap() as usize;
        tensors.insert(name.clone(), (tensor["shape"].clone(), bytes[range].to_vec()));
    }
    change(&mut tensors);
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, bytes)) in &tensors {
        let from = data.len();
        data.extend_from_slice(bytes);
        let about =
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]});
        header.insert(name.clone(), about);
    }
    let header = serde_json::to_vec(&header).unwrap();
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat())
        .unwrap();
}

/// Shape and bytes of every tensor.
type Tensors = std::collections::BTreeMap<String, (serde_json::Value, Vec<u8>)>;

const EMBEDDING: &str = "model.embed_tokens.weight";
const OUTPUT: &str = "lm_head.weight";

/// Transformers 5 also uses the file's own output projection, with a warning.
#[test]
fn an_output_of_its_own_is_used_whatever_the_configuration_says() {
    let ids = reference("llama-tied").ids;
    let logits = |dir: &std::path::Path| {
        let checkpoint = Checkpoint::load(dir, &device::cpu()).unwrap();
        let logits = engine(&checkpoint).logits(&ids).unwrap();
        (logits, checkpoint)
    };
    let tied = logits(&fixture("llama-tied")).0;
    // The same tensor under both names, or only under the other one, counts as tied.
    let dir = copy("llama-tied");
    reweighed(&dir, |tensors| {
        let embedding = tensors[EMBEDDING].clone();
        tensors.insert(OUTPUT.to_owned(), embedding);
    });
    let (same, checkpoint) = logits(dir.path());
    assert!(same == tied && checkpoint.config.tie_word_embeddings);
    reweighed(&dir, |tensors| drop(tensors.remove(EMBEDDING)));
    let (same, checkpoint) = logits(dir.path());
    assert!(same == tied && checkpoint.config.tie_word_embeddings);
    // An output projection of twice the embedding doubles the logits, and what is saved is no longer tied.
    let dir = copy("llama-tied");
    reweighed(&dir, |tensors| {
        let (shape, bytes) = tensors[EMBEDDING].clone();
        let twice = bytes
            .chunks(4)
            .flat_map(|b| (2.0 * f32::from_le_bytes(b.try_into().unwrap())).to_le_bytes());
        tensors.insert(OUTPUT.to_owned(), (shape, twice.collect()));
    });
    let (own, checkpoint) = logits(dir.path());
    let mut pairs = own.iter().flatten().zip(tied.iter().flatten());
    assert!(pairs.all(|(own, tied)| (own - 2.0 * tied).abs() < 1e-3));
    assert!(!checkpoint.config.tie_word_embeddings);
    let saved = tempfile::tempdir().unwrap();
    for (file, bytes) in checkpoint.files().unwrap() {
        std::fs::write(saved.path().join(file), bytes).unwrap();
    }
    let (again, checkpoint) = logits(saved.path());
    assert!(again == own && !checkpoint.config.tie_word_embeddings);
}

#[test]
fn a_weight_that_is_no_number_is_refused_by_tensor_and_file() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for name in ["model.norm.weight", "model.layers.1.mlp.up_proj.weight", EMBEDDING] {
            let dir = copy("llama-tied");
            reweighed(&dir, |tensors| {
                let (_, bytes) = tensors.get_mut(name).unwrap();
                bytes[8..12].copy_from_slice(&value.to_le_bytes());
            });
            let said = message(&dir);
            assert!(said.contains("model.safetensors") && said.contains(name), "{said}");
            assert!(said.contains("at 2"), "{said}");
        }
    }
    // Also in half precision.
    let dir = copy("qwen2-f16");
    let path = dir.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 2;
    bytes[last..].copy_from_slice(&0x7C00_u16.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    assert!(message(&dir).contains("holds inf"), "{}", message(&dir));
}

#[test]
fn a_mistral_without_the_key_has_a_window() {
    let dir = copy("mistral");
    let path = dir.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["max_position_embeddings"] = 8192.into();
    config.as_object_mut().unwrap().remove("sliding_window");
    std::fs::write(&path, config.to_string()).unwrap();
    let said = message(&dir);
    assert!(said.contains("sliding_window 4096 is not supported"), "{said}");
    config["sliding_window"] = serde_json::Value::Null;
    std::fs::write(&path, config.to_string()).unwrap();
    let checkpoint = Checkpoint::load(dir.path(), &device::cpu()).unwrap();
    let files = checkpoint.files().unwrap();
    let (_, saved) = files.iter().find(|(name, _)| name == "config.json").unwrap();
    let saved: serde_json::Value = serde_json::from_slice(saved).unwrap();
    assert_eq!(
        saved.get("sliding_window"),
        Some(&serde_json::Value::Null),
        "written, not left out"
    );
}

/// Llama 3 names several end tokens; its tokenizer config picks the one that ends a turn.
#[test]
fn the_token_that_ends_a_turn_is_the_one_that_is_saved() {
    let dir = copy("llama-tied");
    let ends = "{\"eos_token_id\": [1, 5, 6]}";
    std::fs::write(dir.path().join("generation_config.json"), ends).unwrap();
    let load = || Checkpoint::load(dir.path(), &device::cpu()).unwrap();
    let token = |id| load().tokenizer.token(id).unwrap();
    let saved = |checkpoint: &Checkpoint, file: &str| -> serde_json::Value {
        let files = checkpoint.files().unwrap();
        serde_json::from_slice(&files.iter().find(|(name, _)| name == file).unwrap().1).unwrap()
    };
    let about = "tokenizer_config.json";
    assert_eq!(saved(&load(), about)["eos_token"], *token(1));
    let handed = load().ending_first(6);
    assert_eq!(saved(&handed, about)["eos_token"], *token(6));
    assert_eq!(saved(&handed, "special_tokens_map.json")["eos_token"], *token(6));
    let (turn, told) = (token(5), dir.path().join(about));
    for eos in [serde_json::json!(turn), serde_json::json!({"content": turn, "lstrip": false})] {
        std::fs::write(&told, serde_json::json!({"eos_token": eos}).to_string()).unwrap();
        assert_eq!(load().config.end_tokens(), [5, 1, 6]);
        assert_eq!(saved(&load(), about)["eos_token"], *turn);
        assert_eq!(load().tokenizer.decode(&[5]), "", "a token with a part to play is no text");
    }
    // An `eos_token` that is not among the configured end tokens changes nothing.
    std::fs::write(&told, serde_json::json!({"eos_token": "<|nowhere|>"}).to_string()).unwrap();
    assert_eq!(load().config.end_tokens(), [1, 5, 6]);
}

/// `tokenizer_config.json` can mark tokens as special, too, following transformers 5.24.
#[test]
fn special_tokens_are_those_of_both_files() {
    let dir = copy("llama-tied");
    let shown = |said: serde_json::Value| {
        std::fs::write(dir.path().join("tokenizer_config.json"), said.to_string()).unwrap();
        let tokenizer = Checkpoint::load(dir.path(), &device::cpu()).unwrap().tokenizer;
        [20, 21, 22].map(|id| !tokenizer.decode(&[id]).is_empty())
    };
    let tokenizer = Checkpoint::load(dir.path(), &device::cpu()).unwrap().tokenizer;
    let [a, b, c] = [20, 21, 22].map(|id| tokenizer.token(id).unwrap());
    assert_eq!(shown(serde_json::json!({})), [true, true, true]);
    assert_eq!(
        shown(serde_json::json!({"pad_token": a, "unk_token": "<|nowhere|>"})),
        [false, true, true]
    );
    let added = serde_json::json!({"added_tokens_decoder": {
        "21": {"content": b, "special": true}, "22": {"content": c, "special": false}}});
    assert_eq!(shown(added), [true, false, true]);
    assert_eq!(shown(serde_json::json!({"additional_special_tokens": [c]})), [true, true, false]);
    assert_eq!(
        shown(serde_json::json!({"extra_special_tokens": {"image": c}})),
        [true, true, false]
    );
    assert_eq!(
        shown(serde_json::json!({"added_tokens_decoder": 7, "eos_token": 7})),
        [true, true, true]
    );
}

/// Anything but a regular file is refused before reading. A pipe that nobody writes to would block forever.
#[test]
fn a_pipe_or_a_device_is_no_file_of_a_checkpoint() {
    for file in ["config.json", "tokenizer.json", "model.safetensors", "generation_config.json"] {
        for other in ["pipe", "device", "folder"] {
            let dir = copy("llama-tied");
            let path = dir.path().join(file);
            std::fs::remove_file(&path).unwrap();
            match other {
                "pipe" => {
                    assert!(
                        std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()
                    );
                }
                "device" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                _ => std::fs::create_dir(&path).unwrap(),
            }
            let said = message(&dir);
            assert!(said.contains(file) && said.contains("no regular file"), "{said}");
        }
    }
}

/// With any single bit of any file flipped, the checkpoint either loads or is refused; nothing panics.
#[test]
fn a_flipped_bit_never_ends_the_program() {
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        let dir = copy("llama-tied");
        let path = dir.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        let places = whole.len().min(1500);
        for at in (0..places).step_by(places.div_ceil(120)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).unwrap();
            if let Ok(checkpoint) = Checkpoint::load(dir.path(), &device::cpu()) {
                drop(engine(&checkpoint).logits(&[5, 6, 7]));
            }
        }
    }
}
