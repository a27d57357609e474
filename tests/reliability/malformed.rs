//! Malformed inputs: nothing panics, nothing takes memory or time without bound, and impossible input is refused by name.

mod checkpoints;
mod imports;
mod presets;
mod tables;

use std::path::PathBuf;

use rand::RngCore;

use crate::ground::{Ground, Stage, entries, remove};
use crate::process::{Ended, shell};
use crate::tally::Tally;

pub(crate) use checkpoints::checkpoints;
pub(crate) use imports::imports;
pub(crate) use presets::presets;
pub(crate) use tables::tables;

/// A stage with a broken input.
struct Case {
    /// A description of the damage.
    name: String,
    /// The command line, for a shell.
    call: String,
    /// If the input cannot be valid: a text that the refusal must contain. `None` if the stage may also accept it.
    refuse: Option<String>,
}

/// The call of a stage with some inputs replaced, and its outputs redirected to a scratch folder.
fn redirected(ground: &Ground, stage: &Stage, inputs: &[(String, String)]) -> String {
    let out = ground.scratch("out");
    let mut call = format!("{} ", stage.call);
    for (number, output) in stage.outputs.iter().enumerate() {
        let old = ground.run().join(output).display().to_string();
        let new = out.join(number.to_string()).display().to_string();
        call = call.replace(&format!(" {old} "), &format!(" {new} "));
    }
    for (old, new) in inputs {
        assert!(call.contains(&format!(" {old} ")), "{old} is an input of {call}");
        call = call.replace(&format!(" {old} "), &format!(" {new} "));
    }
    call
}

/// Runs a case and records the result.
fn check(ground: &Ground, case: &Case, tally: &Tally) {
    let out = ground.scratch("out");
    remove(&out);
    let ended = shell(&format!("exec {}", case.call)).ended();
    tally.tried(&case.name, judged(case, &ended, &entries(&out)));
}

fn judged(case: &Case, ended: &Ended, outputs: &[PathBuf]) -> Result<(), String> {
    let Ended { code, said, .. } = ended;
    if ended.broke() {
        return Err(format!("it broke, {code:?} {:?}: {said}", ended.signal));
    }
    let finished = outputs.iter().any(|output| output.join("_MANIFEST.json").exists());
    match (code, &case.refuse) {
        (Some(0), Some(_)) => Err(format!("it is taken: {said}")),
        (Some(64 | 65 | 69 | 74 | 75 | 78), _) if finished => {
            Err("refused, and written".to_owned())
        }
        (Some(64 | 65 | 69 | 74 | 75 | 78), Some(name)) if !said.contains(name.as_str()) => {
            Err(format!("`{name}` is not named: {said}"))
        }
        (Some(0 | 64 | 65 | 69 | 74 | 75 | 78), _) => Ok(()),
        _ => Err(format!("it ends with {code:?}: {said}")),
    }
}

/// Damages bytes at random; returns a description and the result.
fn spoiled(bytes: &[u8], rng: &mut dyn RngCore) -> (String, Vec<u8>) {
    use rand::Rng;
    let mut spoiled = bytes.to_vec();
    let at = rng.random_range(0..bytes.len().max(1));
    let what = match rng.random_range(0..5) {
        0 => {
            spoiled.truncate(at);
            format!("cut after {at} bytes")
        }
        1 => {
            spoiled.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x55);
            format!("byte {at} flipped")
        }
        2 => {
            let more: Vec<u8> = (0..16).map(|_| rng.random()).collect();
            spoiled.splice(at.min(bytes.len())..at.min(bytes.len()), more);
            format!("16 bytes more at {at}")
        }
        3 => {
            spoiled.iter_mut().skip(at).take(64).for_each(|byte| *byte = 0xff);
            format!("64 bytes of 0xff at {at}")
        }
        _ => {
            spoiled.clear();
            "empty".to_owned()
        }
    };
    (what, spoiled)
}

/// JSON pointers to all places of a value, but only the first three items of each list.
fn places(value: &serde_json::Value) -> Vec<String> {
    use serde_json::Value;
    let below = |key: String, value: &Value| {
        let deeper = places(value).into_iter().map(move |rest| format!("/{key}{rest}"));
        deeper.collect::<Vec<_>>()
    };
    let mut found = vec![String::new()];
    match value {
        Value::Object(map) => {
            found.extend(
                map.iter().flat_map(|(key, value)| {
                    below(key.replace('~', "~0").replace('/', "~1"), value)
                }),
            );
        }
        Value::Array(list) => {
            found
                .extend(list.iter().take(3).enumerate().flat_map(|(i, v)| below(i.to_string(), v)));
        }
        _ => {}
    }
    found
}

/// Values that hardly any place expects.
fn strange() -> Vec<serde_json::Value> {
    use serde_json::json;
    vec![
        json!(null),
        json!(-1),
        json!(0),
        json!(1e308),
        json!(18_446_744_073_709_551_615_u64),
        json!("\u{1b}[31m"),
        json!([]),
        json!({}),
        json!(true),
    ]
}
