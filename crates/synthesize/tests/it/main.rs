//! The binary as users call it: exit codes, output and files.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cli;
mod common;
mod import;
