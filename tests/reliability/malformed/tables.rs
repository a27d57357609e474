//! Broken datasets: damaged parts, lying manifests and impossible rows.

use std::path::Path;

use alphallm::write_rows;
use dataset::Dataset;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};
use schema::{Critique, Label, Prompt, SftExample, Table, Trajectory};
use serde_json::{Value, json};

use super::{Case, check, places, redirected, spoiled, strange};
use crate::ground::{Ground, Stage, copy, entries, remove};
use crate::tally::Tally;

/// Stages with an output, by which they are found, and an input from another stage.
const READERS: [(&str, &str, &str); 6] = [
    ("search", "round-01/trajectories", "round-01/prompts"),
    ("critique score", "round-01/critiques", "round-01/trajectories"),
    ("filter", "round-01/sft", "round-01/critiques"),
    ("finetune policy", "round-01/policy", "round-01/sft"),
    ("finetune critic", "critics/all", "round-00/labels"),
    ("evaluate run", "round-01/evaluation", "world/test"),
];

/// Tries `count` damaged datasets, and every kind of impossible row.
pub(crate) fn tables(ground: &Ground, count: usize, rng: &mut dyn RngCore, tally: &Tally) {
    for _ in 0..count {
        let (name, output, input) = READERS.choose(rng).expect("there are some");
        let stage = ground.stage(name, output);
        let (what, refuse) = spoil(&ground.made().join(input), &broken(ground), rng);
        run(ground, &stage, input, (&format!("{input}: {what}"), refuse), tally);
    }
    rows(ground, tally);
}

fn broken(ground: &Ground) -> std::path::PathBuf {
    ground.scratch("broken")
}

/// Calls a stage with the dataset in `broken` as its input.
fn run(ground: &Ground, stage: &Stage, input: &str, (what, refuse): (&str, bool), tally: &Tally) {
    let old = ground.run().join(input).display().to_string();
    let new = broken(ground).display().to_string();
    let call = redirected(ground, stage, &[(old, new.clone())]);
    let name = format!("{}, {what}", stage.name);
    check(ground, &Case { name, call, refuse: refuse.then_some(new) }, tally);
}

/// Makes a damaged copy of a dataset; returns a description, and whether it must be refused.
fn spoil(from: &Path, to: &Path, rng: &mut dyn RngCore) -> (String, bool) {
    remove(to);
    copy(from, to);
    let parts = entries(&to.join("data"));
    let part = parts.choose(rng).expect("a part");
    let manifest = to.join("_MANIFEST.json");
    match rng.random_range(0..4) {
        0 => {
            let (what, bytes) = spoiled(&std::fs::read(part).expect("a part"), rng);
            std::fs::write(part, bytes).expect("the copy can be written");
            (format!("a part, {what}"), true)
        }
        1 => {
            let (what, bytes) = spoiled(&std::fs::read(&manifest).expect("a manifest"), rng);
            std::fs::write(&manifest, bytes).expect("the copy can be written");
            (format!("the manifest, {what}"), true)
        }
        2 => {
            remove(part);
            ("a part is missing".to_owned(), true)
        }
        _ => lie(&manifest, rng),
    }
}

/// Puts a strange value somewhere in a manifest.
fn lie(manifest: &Path, rng: &mut dyn RngCore) -> (String, bool) {
    let text = std::fs::read_to_string(manifest).expect("a manifest");
    let mut value: Value = text.parse().expect("a manifest is JSON");
    let places = places(&value);
    let place = places.choose(rng).expect("there are some").clone();
    let mut strange = strange();
    strange.extend([json!("../../../etc/passwd"), json!("/dev/zero"), json!("x".repeat(100_000))]);
    let new = strange.choose(rng).expect("there are some").clone();
    let old = value.pointer_mut(&place).expect("a place of this value");
    // A checksum covers the whole manifest, so any change must be refused.
    let refuse = *old != new;
    *old = new.clone();
    std::fs::write(manifest, value.to_string()).expect("the copy can be written");
    let shown: String = new.to_string().chars().take(40).collect();
    (format!("the manifest, {place} is {shown}"), refuse)
}

/// Tries well-formed datasets with impossible rows.
fn rows(ground: &Ground, tally: &Tally) {
    let blank = |rows: &mut Vec<Prompt>| rows.iter_mut().for_each(|row| row.prompt.clear());
    on(ground, READERS[0], ("questions without text", false), blank, tally);
    on(ground, READERS[0], ("no rows", false), Vec::<Prompt>::clear, tally);
    let long = |rows: &mut Vec<Prompt>| rows[0].prompt = "why ".repeat(100_000);
    on(ground, READERS[0], ("a question of 100 000 words", false), long, tally);
    let cut = |rows: &mut Vec<Trajectory>| rows[0].options.clear();
    on(ground, READERS[1], ("a solution without options", false), cut, tally);
    on(ground, READERS[1], ("no rows", false), Vec::<Trajectory>::clear, tally);
    let few = |rows: &mut Vec<Critique>| drop(rows.pop());
    on(ground, READERS[2], ("a solution that nobody judged", true), few, tally);
    let none = |rows: &mut Vec<SftExample>| rows[0].completion.clear();
    on(ground, READERS[3], ("an example without a completion", false), none, tally);
    on(ground, READERS[4], ("no rows", true), Vec::<Label>::clear, tally);
    let unanswered = |rows: &mut Vec<Prompt>| rows.iter_mut().for_each(|row| row.answer = None);
    on(ground, READERS[5], ("problems without answers", true), unanswered, tally);
}

fn on<T: Table>(
    ground: &Ground,
    (name, output, input): (&str, &str, &str),
    case: (&str, bool),
    change: impl FnOnce(&mut Vec<T>),
    tally: &Tally,
) {
    let made = Dataset::<T>::open(&ground.made().join(input)).expect("an output of the round");
    let mut rows = made.rows().expect("its rows");
    change(&mut rows);
    remove(&broken(ground));
    write_rows(&broken(ground), &rows);
    run(ground, &ground.stage(name, output), input, (case.0, case.1), tally);
}
