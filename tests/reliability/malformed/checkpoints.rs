//! Broken checkpoints from elsewhere: weights, configurations and tokenizers.

use std::path::Path;

use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};
use serde_json::{Value, json};

use super::{Case, check, places, redirected, spoiled, strange};
use crate::ground::{Ground, remove};
use crate::tally::Tally;

const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// Tries broken checkpoints as the start of a round.
pub(crate) fn checkpoints(ground: &Ground, count: usize, rng: &mut dyn RngCore, tally: &Tally) {
    let stage = ground.stage("finetune policy", "round-01/policy");
    let from = ground.made().join("round-00/policy");
    let old = ground.run().join("round-00/policy").display().to_string();
    let copy = ground.scratch("broken");
    for _ in 0..count {
        remove(&copy);
        std::fs::create_dir(&copy).expect("the scratch folder can be written");
        for file in FILES {
            std::fs::copy(from.join(file), copy.join(file)).expect("a file of the checkpoint");
        }
        let what = spoil(&copy, rng);
        let new = copy.display().to_string();
        // Some of this damage is harmless, so keep the training short in case the model is taken.
        let call = redirected(ground, &stage, &[(old.clone(), new)]) + " --set train.epochs=0.1";
        check(
            ground,
            &Case { name: format!("finetune policy, {what}"), call, refuse: None },
            tally,
        );
    }
}

fn spoil(folder: &Path, rng: &mut dyn RngCore) -> String {
    let file = *FILES.choose(rng).expect("there are some");
    let path = folder.join(file);
    let bytes = std::fs::read(&path).expect("a file of the checkpoint");
    let (what, bytes) = match (file, rng.random_range(0..3)) {
        (_, 0) => spoiled(&bytes, rng),
        ("model.safetensors", _) => header(&bytes, rng),
        _ => another_value(&bytes, rng),
    };
    std::fs::write(&path, bytes).expect("the copy can be written");
    format!("{file}, {what}")
}

/// JSON with a strange value somewhere.
fn another_value(bytes: &[u8], rng: &mut dyn RngCore) -> (String, Vec<u8>) {
    let mut value: Value = serde_json::from_slice(bytes).expect("it is JSON");
    let place = places(&value).choose(rng).expect("there are some").clone();
    let new = strange().choose(rng).expect("there are some").clone();
    if let Some(old) = value.pointer_mut(&place) {
        *old = new.clone();
    }
    (format!("{place} is {new}"), value.to_string().into_bytes())
}

/// Weights with a false header.
fn header(bytes: &[u8], rng: &mut dyn RngCore) -> (String, Vec<u8>) {
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
    let (text, data) = rest.split_at(length);
    let mut header: Value = serde_json::from_slice(text).expect("the header is JSON");
    let names: Vec<String> = header.as_object().expect("a map").keys().cloned().collect();
    let name = names.choose(rng).expect("there are tensors").clone();
    let changes = [
        ("shape", json!([1_u64 << 40, 1_u64 << 40])),
        ("shape", json!([])),
        ("dtype", json!("F64")),
        ("dtype", json!("Q4")),
        ("data_offsets", json!([0, u64::MAX])),
        ("data_offsets", json!([8, 4])),
    ];
    let (key, new) = changes.choose(rng).expect("there are some");
    header[&name][*key] = new.clone();
    let text = header.to_string().into_bytes();
    let size = if rng.random_ratio(1, 5) { u64::MAX } else { text.len() as u64 };
    (format!("{name}.{key} is {new}"), [&size.to_le_bytes()[..], &text, data].concat())
}
