//! A checkpoint with arbitrary bytes as its weights file and, in some inputs, as its configuration.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

const BASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/base/policy");

fuzz_target!(|files: (&[u8], Option<&[u8]>)| {
    let (weights, config) = files;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("it can be written");
    };
    let base = |name: &str| std::fs::read(Path::new(BASE).join(name)).expect("a shipped file");
    put("tokenizer.json", &base("tokenizer.json"));
    put("config.json", config.unwrap_or(&base("config.json")));
    put("model.safetensors", weights);
    let _ = lm::Checkpoint::load(folder.path(), &lm::device::cpu());
});
