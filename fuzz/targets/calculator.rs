//! Arbitrary text for the calculator.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    task::calculator::check(text);
    task::calculator::verdict(text);
});
