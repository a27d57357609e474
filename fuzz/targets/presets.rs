//! Arbitrary bytes as a preset, for settings that have numbers, choices and sections.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("tree.toml");
    std::fs::write(&path, bytes).expect("it can be written");
    if let Ok(preset) = stage::load::<mcts::Config>(&path, &[]) {
        let _ = preset.value.validate();
    }
});
