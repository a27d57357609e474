//! Arbitrary bytes as JSONL to import.
#![no_main]

use libfuzzer_sys::fuzz_target;
use answer::{ColumnMap, Rows};

fuzz_target!(|bytes: &[u8]| {
    for map in [ColumnMap::gsm8k(), ColumnMap::named("question", "answer")] {
        for row in Rows::new(bytes, map).take(100) {
            let _ = row.map_err(|error| error.to_string());
        }
    }
});
