//! The commit protocol, from outside: whole or not at all, verified, one writer, nothing lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod files;
mod foreign;
mod kills;
mod logs_and_imports;
mod protocol;
mod refusals;
mod roundtrip;
