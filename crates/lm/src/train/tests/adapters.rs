//! Adapters: what learns, how they are stored beside their base, and how they go on learning.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::checkpoint::{ADAPTER_CONFIG_FILE, ADAPTER_FILE, WEIGHTS_FILE, base_of, model_files};

#[test]
fn adapters_learn_and_nothing_else_does() {
    let (losses, state, outcome) = train_as(&adapters(), 2, None, 14);
    // The loss falls only a little, because most of the random model is frozen.
    assert!(losses[losses.len() - 1] < losses[0] - 0.3, "{losses:?}");
    let (before, beside) = (weights(&checkpoint().model), weights(&outcome.model));
    let merged = weights(&outcome.model.merged());
    assert_eq!(before.keys().collect::<Vec<_>>(), merged.keys().collect::<Vec<_>>());
    let adapted = ["q_proj.weight", "v_proj.weight", "down_proj.weight"];
    for (name, tensor) in &before {
        assert!(beside[name] == *tensor, "{name} is frozen");
        let changed = adapted.iter().any(|end| name.ends_with(end));
        assert_eq!(merged[name] != *tensor, changed, "{name}");
    }
    let whole = State::start(checkpoint().model).to_bytes().len();
    assert!(state.unwrap().len() < whole, "what does not learn is not saved");
}

fn write(dir: &Path, files: Vec<(String, Vec<u8>)>) {
    std::fs::create_dir_all(dir).unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

/// A folder with a model in `base`, with two scalar heads, and adapters of it in `adapted`.
fn folders(config: &TrainConfig) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let heads = ["value", "orm"].map(str::to_owned);
    let (base, adapted) = (folder.path().join("base"), folder.path().join("adapted"));
    write(&base, checkpoint().files().unwrap());
    let start = Checkpoint::load_as(&base, &device::cpu(), config.frozen()).unwrap();
    let start = start.with_scalar_heads(&heads, &device::cpu()).unwrap();
    let learned = learned(&start, config);
    write(&adapted, learned.adapter_files("../base").unwrap().unwrap());
    folder
}

fn learned(start: &Checkpoint, config: &TrainConfig) -> Checkpoint {
    let examples = examples();
    let ran = Ran::of(&training(start, &examples, config, 1), None, 0);
    Checkpoint { model: ran.outcome.model, ..start.clone() }
}

fn few() -> TrainConfig {
    TrainConfig { epochs: 10.0, ..adapters() }
}

fn engine_at(dir: &Path, precision: Precision) -> Engine {
    let options = engine::EngineOptions { workers: 1, rows: 4 };
    Engine::load(dir, &[device::cpu()], precision, options).unwrap()
}

fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn adapters_are_stored_beside_their_base_and_computed_beside_it() {
    let folder = folders(&few());
    let [base, dir, whole] = ["base", "adapted", "whole"].map(|name| folder.path().join(name));
    assert!(!dir.join(WEIGHTS_FILE).exists());
    assert_eq!(
        base_of(&dir).unwrap().unwrap().canonicalize().unwrap(),
        base.canonicalize().unwrap()
    );
    assert_eq!(base_of(&base).unwrap(), None);
    let names = model_files(&dir).unwrap();
    assert!(names.iter().any(|path| path.ends_with(format!("base/{WEIGHTS_FILE}"))), "{names:?}");
    assert!(names.last().unwrap().ends_with(ADAPTER_FILE), "{names:?}");
    let checkpoint = Checkpoint::load(&dir, &device::cpu()).unwrap();
    assert_eq!(checkpoint.config.scalar_heads, ["value", "orm"]);
    let again = checkpoint.adapter_files("../base").unwrap().unwrap();
    for (name, bytes) in again {
        assert!(
            std::fs::read(dir.join(&name)).unwrap() == bytes,
            "{name} is written as it was read"
        );
    }
    // Both as they lie in the folder and from memory, and nearly as if they had been added to the weights.
    let row = [0, 10, 20, 30];
    write(&whole, checkpoint.files().unwrap());
    for precision in [Precision::F32, Precision::Bf16] {
        let logits = engine_at(&dir, precision).logits(&row).unwrap();
        let options = engine::EngineOptions { workers: 2, rows: 4 };
        let of_memory = Engine::new(&checkpoint, &[device::cpu()], precision, options);
        assert_eq!(of_memory.logits(&row).unwrap(), logits);
        let merged = engine_at(&whole, precision).logits(&row).unwrap();
        let plain = engine_at(&base, precision).logits(&row).unwrap();
        let (off, change) =
            (largest_difference(&logits, &merged), largest_difference(&logits, &plain));
        let most = if precision == Precision::F32 { 1e-4 } else { 0.1 };
        assert!(off < most && change > 4.0 * most, "{precision:?}: {off} of {change}");
    }
}

/// PEFT adds `alpha / r` times B A to weights that are stored as `[out, in]`.
#[test]
fn the_files_of_the_adapters_say_what_is_added() {
    let folder = folders(&few());
    let dir = folder.path().join("adapted");
    let about = std::fs::read(dir.join(ADAPTER_CONFIG_FILE)).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    assert_eq!(about["target_modules"], serde_json::json!(["q_proj", "v_proj", "down_proj"]));
    assert_eq!((&about["r"], &about["lora_alpha"]), (&4.into(), &8.0.into()));
    let tensors = std::fs::read(dir.join(ADAPTER_FILE)).unwrap();
    let tensors = crate::tensor_file::TensorFile::parse(&tensors).unwrap().all().unwrap();
    let layers = checkpoint().config.num_hidden_layers;
    assert_eq!(tensors.len(), 2 * 3 * layers + 1, "and the scalar heads");
    let adapted = Checkpoint::load(&dir, &device::cpu()).unwrap().model;
    let (before, after) = (weights(&checkpoint().model), weights(&adapted.merged()));
    let name = "model.layers.1.mlp.down_proj";
    let matrix = |end: &str| &tensors[&format!("base_model.model.{name}.{end}.weight")];
    let (a, b) = (matrix("lora_A"), matrix("lora_B"));
    let (rank, inputs, outputs) = (a.shape[0], a.shape[1], b.shape[0]);
    let (old, new) = (&before[&format!("{name}.weight")], &after[&format!("{name}.weight")]);
    for (row, column) in [(0, 0), (outputs - 1, inputs - 1), (3, 5)] {
        let of = |r: usize| b.data[row * rank + r] * a.data[r * inputs + column];
        let added: f32 = (0..rank).map(of).sum::<f32>() * 2.0;
        let at = row * inputs + column;
        assert!((new.data[at] - old.data[at] - added).abs() < 1e-5, "{row} {column}");
    }
}

/// The same adapters go on; for others, and for the whole model, what was learned is in the weights first.
#[test]
fn adapters_of_an_earlier_run_are_learned_from_on() {
    let folder = folders(&few());
    let start = Checkpoint::load(&folder.path().join("adapted"), &device::cpu()).unwrap();
    let lora = few().lora.unwrap();
    let turned =
        LoraConfig { targets: lora.targets.iter().rev().copied().collect(), ..lora.clone() };
    let wider = LoraConfig { rank: 5, ..lora.clone() };
    let first = |lora: Option<LoraConfig>| {
        let config = TrainConfig { lora, learning_rate: 1e-9, epochs: 1.0, ..few() };
        let examples = examples();
        let ran = Ran::of(&training(&start, &examples, &config, 1), None, 0);
        (ran.losses[0], ran.outcome.model)
    };
    let (loss, same) = first(Some(turned));
    assert!(same.lora().unwrap().is_like(&lora));
    assert!(weights(&same).iter().all(|(name, tensor)| {
        let was = &weights(&start.model)[name];
        tensor.data.iter().zip(&was.data).all(|(a, b)| (a - b).abs() < 1e-6)
    }));
    for (lora, ranks) in [(Some(wider), Some(5)), (None, None)] {
        let (other, model) = first(lora);
        assert!((other - loss).abs() < 1e-4, "{other} {loss}");
        assert_eq!(model.lora().map(|lora| lora.rank), ranks);
    }
}

#[test]
fn adapters_that_cannot_be_read_are_refused() {
    let folder = folders(&few());
    let dir = folder.path().join("adapted");
    let path = dir.join(ADAPTER_CONFIG_FILE);
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let refused = |key: &str, value: serde_json::Value| {
        let mut about = about.clone();
        about[key] = value;
        std::fs::write(&path, about.to_string()).unwrap();
        Checkpoint::load(&dir, &device::cpu()).map(|_| ()).unwrap_err().to_string()
    };
    for (key, value, said) in [
        ("base_model_name_or_path", "org/model".into(), "no such model"),
        ("base_model_name_or_path", serde_json::Value::Null, "no such model"),
        ("base_model_name_or_path", "../adapted".into(), "has adapters itself"),
        ("use_dora", true.into(), "use_dora is not supported"),
        ("bias", "all".into(), "only none"),
        ("rank_pattern", serde_json::json!({"q_proj": 2}), "the same rank"),
        ("target_modules", serde_json::json!(["lm_head"]), "lm_head"),
        ("target_modules", serde_json::json!(["q_proj"]), "is none of those"),
        (
            "target_modules",
            serde_json::json!(["q_proj", "k_proj", "v_proj", "down_proj"]),
            "is missing",
        ),
        ("r", 3.into(), "makes it [3, "),
    ] {
        let error = refused(key, value);
        assert!(error.contains(said) && error.contains("adapter_"), "{key}: {error}");
    }
}
