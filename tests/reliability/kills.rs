//! Kills stages, at random moments and at chosen file operations, and calls them again.

use std::path::Path;
use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};

use crate::ground::{Ground, Stage, call};
use crate::shim::{Fault, operations};
use crate::tally::Tally;

/// Kills a stage one to three times in a row at random moments, keeping its work in between, then lets it finish; repeats
/// until `kills` are spent.
pub(crate) fn at_random(
    ground: &Ground,
    stage: &Stage,
    kills: usize,
    rng: &mut dyn RngCore,
    tally: &Tally,
) {
    ground.clear(stage);
    let whole = call(stage).ended().took;
    let mut left = kills;
    while left > 0 {
        ground.clear(stage);
        let mut history = Vec::new();
        for _ in 0..rng.random_range(1..=3).min(left) {
            let wait = whole.mul_f64(rng.random_range(0.0..0.9));
            let signals = ["KILL", "KILL", "KILL", "TERM", "INT"];
            let signal = signals.choose(rng).expect("there are some");
            call(stage).until(|took| took >= wait, signal);
            history.push(format!("{signal} after {} ms", wait.as_millis()));
            left -= 1;
        }
        let outcome = ground.recovers(stage);
        tally.tried(&format!("{}, {}", stage.name, history.join(", ")), outcome);
    }
}

/// Kills a stage at randomly chosen file operations, each time starting from nothing.
pub(crate) fn at_operations(
    ground: &Ground,
    stage: &Stage,
    count: usize,
    shim: &Path,
    (rng, tally): (&mut dyn RngCore, &Tally),
) {
    let operations = operations(ground, stage, shim);
    let ours: Vec<usize> = (0..operations.len())
        // Reads are left out: they change nothing on disk, so a kill there leaves what a kill at the write before it
        // leaves.
        .filter(|&at| !operations[at].starts_with('R') && is_output(stage, &operations[at]))
        .collect();
    for &at in ours.choose_multiple(rng, count) {
        ground.clear(stage);
        let fault = Fault { at: at + 1, kill: true, ..Fault::default() };
        fault.on(call(stage), &ground.run(), shim).ended();
        let outcome = ground.recovers(stage);
        tally.tried(&format!("{}, killed at {}", stage.name, operations[at]), outcome);
    }
}

pub(crate) fn is_output(stage: &Stage, operation: &str) -> bool {
    stage.outputs.iter().any(|output| operation.contains(&*output.to_string_lossy()))
}

/// Stops `make` just as a stage commits, as a person does with Ctrl-C, and calls it again.
pub(crate) fn at_commit(
    ground: &Ground,
    stage: &Stage,
    tries: usize,
    rng: &mut dyn RngCore,
    tally: &Tally,
) {
    let Some(output) = stage.outputs.first().filter(|path| path.extension().is_none()) else {
        return;
    };
    let manifest = ground.run().join(output).join("_MANIFEST.json");
    let target = manifest.display().to_string();
    for _ in 0..tries {
        ground.clear(stage);
        let pause = Duration::from_micros(rng.random_range(0..3000));
        let signal = if rng.random() { "INT" } else { "TERM" };
        let committed = |_| {
            let there = manifest.exists();
            if there {
                std::thread::sleep(pause);
            }
            there
        };
        ground.make(&target, "").until(committed, signal);
        let again = ground.make(&target, "").ended();
        let outcome = match again.code {
            Some(0) => ground.recovers(stage),
            code => Err(format!("the same make ends with {code:?}: {}", again.said)),
        };
        tally.tried(&format!("{}, {signal} at its commit", stage.name), outcome);
    }
    for target in [format!("{target} > /dev/full"), format!("{target} > /dev/full 2>&1")] {
        ground.clear(stage);
        ground.make(&target, "").ended();
        let again = ground.make(&manifest.display().to_string(), "").ended();
        let outcome = match again.code {
            Some(0) => ground.recovers(stage),
            code => Err(format!("the same make ends with {code:?}: {}", again.said)),
        };
        tally.tried(&format!("{}, a log that is full", stage.name), outcome);
    }
}
