//! Parity with transformers on checkpoints it wrote (`fixtures/make_reference.py`).

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::path::PathBuf;

use lm::engine::{EngineOptions, GenerationRequest, Stop};
use lm::{Checkpoint, Engine, Prefixes, Sampling, device};
use serde::Deserialize;

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
    for name in ["llama-tied", "llama-untied"] {
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
            stop: Stop { tokens: vec![], strings: vec![], max_new: reference.greedy.len() },
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
    for name in ["llama-tied", "llama-untied"] {
        let checkpoint = Checkpoint::load(&fixture(name), &device::cpu()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let files = checkpoint.files().unwrap();
        for (file, bytes) in &files {
            std::fs::write(dir.path().join(file), bytes).unwrap();
        }
        let again = Checkpoint::load(dir.path(), &device::cpu()).unwrap();
        assert_eq!(again.files().unwrap(), files);
        let ids = reference(name).ids;
        assert_eq!(engine(&again).logits(&ids).unwrap(), engine(&checkpoint).logits(&ids).unwrap());
    }
}

/// A copy of a fixture with one file changed, and what loading it says.
fn refusal(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture("llama-tied")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = dir.path().join(file);
    std::fs::write(&path, change(std::fs::read(&path).unwrap())).unwrap();
    Checkpoint::load(dir.path(), &device::cpu()).unwrap_err().to_string()
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
