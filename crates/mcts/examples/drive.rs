//! Drives a search from files, without a model: `drive SETTINGS.toml TABLE.json` prints the tree as JSON. This makes
//! it possible to check the search against another implementation.
//!
//! The settings are the keys of section `[mcts]` of a preset's `tree.toml`, without the section header. The table maps
//! every state to the options that follow, in order of attempt, and the critics' scores. A state's key is its text: the
//! options on its path, joined, so the prompt is the empty text. For example
//! `{"": {"options": ["a\n", "b\n"], "value": 0.5, "prm": 0.0, "orm": 0.0}, "a\n": …}`. A state without
//! options is a finished solution.

#![expect(
    clippy::unwrap_used,
    reason = "in the table that the tests share: a state it lacks ends the program"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::error::Error;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [settings, table] = arguments.as_slice() else {
        return Err("usage: drive SETTINGS.toml TABLE.json".into());
    };
    let config: mcts::Config = toml::from_str(&std::fs::read_to_string(settings)?)?;
    config.validate()?;
    let table: common::Table = serde_json::from_str(&std::fs::read_to_string(table)?)?;
    let tree = serde_json::to_string_pretty(&table.drive(&config).snapshot())?;
    Ok(writeln!(std::io::stdout(), "{tree}")?)
}
