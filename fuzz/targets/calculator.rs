//! Arbitrary text for the calculator.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    answer::calculator::check(text);
    answer::calculator::verdict(text);
});
