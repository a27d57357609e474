//! Drives a search from files, without a model: `drive SETTINGS.toml TABLE.json` prints the tree as JSON.
//!
//! The settings are those of a preset's `tree.toml`, section `[mcts]`, without the section's name. The table says, for every state by its text (the options on
//! the way, joined; the prompt is the empty text), which options follow in order of attempt and what the critics say
//! of it: `{"": {"options": ["a\n", "b\n"], "value": 0.5, "prm": 0.0, "orm": 0.0}, "a\n": …}`. A state without
//! options is a finished solution. So anyone can check this search against another implementation.

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
