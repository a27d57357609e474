//! Damage to finished outputs: the stage must repair them, and readers must refuse them.

use std::path::{Path, PathBuf};

use rand::{Rng, RngCore};

use crate::ground::{Ground, Stage, call, remove};
use crate::tally::Tally;

const KINDS: [&str; 4] = ["a flipped byte", "a byte less", "an empty file", "no file"];

/// Damages up to `most` files of a stage's outputs. A stage that reads the file must refuse it, and the one that wrote it
/// must write it again.
pub(crate) fn of_outputs(
    ground: &Ground,
    stage: &Stage,
    most: usize,
    rng: &mut dyn RngCore,
    tally: &Tally,
) {
    ground.restore();
    let files: Vec<PathBuf> =
        ground.wanted(stage).into_keys().filter(|path| counts(path)).collect();
    for (number, file) in files.iter().take(most).enumerate() {
        let kind = KINDS[number % KINDS.len()];
        let path = ground.run().join(file);
        harm(&path, kind, rng);
        for (reader, outcome) in readers(ground, stage, file) {
            tally.tried(&format!("{} reads {}, {kind}", reader.name, file.display()), outcome);
        }
        let outcome = ground.recovers(stage);
        tally.tried(&format!("{} repairs {}, {kind}", stage.name, file.display()), outcome);
        ground.restore();
    }
}

/// Whether damage to the file has to be noticed. Cards are for people: no stage reads them.
fn counts(path: &Path) -> bool {
    let in_dataset = path.components().count() > 1 && path.extension().is_some();
    in_dataset && !path.ends_with("README.md") && !path.ends_with("comparison.json")
}

fn harm(path: &Path, kind: &str, rng: &mut dyn RngCore) {
    let mut bytes = std::fs::read(path).expect("an output's file");
    match kind {
        "a flipped byte" => {
            let at = rng.random_range(0..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.random_range(0..7);
            }
        }
        "a byte less" => drop(bytes.pop()),
        "an empty file" => bytes.clear(),
        _ => return remove(path),
    }
    std::fs::write(path, bytes).expect("the file can be written");
}

/// Calls the first stage that reads the output. It must refuse a file that does not match its manifest, or not need it.
fn readers(ground: &Ground, stage: &Stage, file: &Path) -> Vec<(Stage, Result<(), String>)> {
    let Some(output) = stage.outputs.iter().find(|output| file.starts_with(output)) else {
        return Vec::new();
    };
    let input = ground.run().join(output).display().to_string();
    let reads = |other: &&Stage| {
        other.outputs != stage.outputs && other.call.split(' ').any(|word| word == input)
    };
    let Some(reader) = ground.stages.iter().find(reads) else { return Vec::new() };
    ground.clear(reader);
    let ended = call(reader).ended();
    let outcome = match ended.code {
        _ if ended.broke() => Err(format!("it broke, {:?}: {}", ended.code, ended.said)),
        Some(0) => {
            let same = ground.wanted(reader) == ground.found(reader);
            if same { Ok(()) } else { Err("it ends with 0 and other bytes".to_owned()) }
        }
        Some(65 | 74 | 75) if ended.said.contains(&input) => Ok(()),
        code => Err(format!("it ends with {code:?} and says {}", ended.said)),
    };
    vec![(reader.clone(), outcome)]
}
