//! The commit protocol from outside: datasets are whole or absent, verified, have one writer, and lose nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod files;
mod foreign;
mod kills;
mod logs_and_imports;
mod protocol;
mod refusals;
mod roundtrip;
