//! Broken presets: strange values at every key, and damaged text.

use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};

use super::{Case, check, redirected, spoiled};
use crate::ground::Ground;
use crate::tally::Tally;

/// Values that hardly any key expects, in TOML.
const STRANGE: [&str; 9] = [
    "-1",
    "0",
    "1e308",
    "nan",
    "9223372036854775807",
    "\"\\u001b[31m\"",
    "[]",
    "{ x = 1 }",
    "true",
];

/// Tries broken presets of all stages.
pub(crate) fn presets(ground: &Ground, count: usize, rng: &mut dyn RngCore, tally: &Tally) {
    let called = |file: &str| {
        let path = ground.preset().join(file).display().to_string();
        ground.stages.iter().find(|stage| stage.call.split(' ').any(|word| word == path))
    };
    let files: Vec<_> = crate::ground::entries(&ground.preset())
        .into_iter()
        .filter_map(|path| Some((called(path.file_name()?.to_str()?)?, path)))
        .collect();
    for _ in 0..count {
        let (stage, path) = files.choose(rng).expect("stages have presets");
        let text = std::fs::read(path).expect("a preset");
        let (what, bytes, refuse) = match rng.random_range(0..4) {
            0 => {
                let (what, bytes) = spoiled(&text, rng);
                (what, bytes, false)
            }
            1 => (
                "a key that nobody knows".to_owned(),
                [b"no_such_key = 1\n", &*text].concat(),
                true,
            ),
            _ => another_value(&String::from_utf8_lossy(&text), rng),
        };
        let new = ground.scratch("broken.toml");
        std::fs::write(&new, bytes).expect("the scratch folder can be written");
        let names = (path.display().to_string(), new.display().to_string());
        // A strange but valid value may make a stage run for ages, so only do a dry run: it must detect the impossible
        // ones.
        let call = redirected(ground, stage, std::slice::from_ref(&names)) + " --dry-run";
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = format!("{}, {file}: {what}", stage.name);
        check(ground, &Case { name, call, refuse: refuse.then_some(names.1) }, tally);
    }
}

/// The preset with a strange value on one line.
fn another_value(text: &str, rng: &mut dyn RngCore) -> (String, Vec<u8>, bool) {
    let lines: Vec<&str> = text.lines().collect();
    let keys: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].contains(" = ")).collect();
    let &line = keys.choose(rng).expect("a preset has keys");
    let key = lines[line].split(" = ").next().unwrap_or_default();
    let value = STRANGE.choose(rng).expect("there are some");
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    lines[line] = format!("{key} = {value}");
    (lines[line].clone(), lines.join("\n").into_bytes(), false)
}
