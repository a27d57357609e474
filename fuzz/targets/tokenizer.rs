//! Arbitrary bytes as `tokenizer.json`, and a text to encode.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (text, json) = input;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json).expect("it can be written");
    if let Ok(tokenizer) = lm::Tokenizer::load(&path) {
        if let Ok(ids) = tokenizer.encode(text) {
            tokenizer.decode(&ids);
        }
    }
});
