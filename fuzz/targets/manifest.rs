//! A folder with arbitrary bytes as its manifest.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a scratch folder");
    std::fs::write(folder.path().join(dataset::MANIFEST), bytes).expect("it can be written");
    let _ = dataset::Manifest::read(folder.path());
    let _ = dataset::Files::open(folder.path());
});
