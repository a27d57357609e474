//! Golden trees: one table of a word problem, searched under several settings, compared node by
//! node. `MCTS_GOLDEN=write cargo test -p mcts --test golden` rewrites the files; review the diff.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::PathBuf;

use common::Table;
use mcts::Config;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A golden file: the settings, and the tree they gave.
#[derive(Serialize, Deserialize)]
struct Golden {
    config: Config,
    tree: Value,
}

fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

fn check(name: &str) {
    let path = golden(&format!("{name}.json"));
    let table = std::fs::read_to_string(golden("table.json")).unwrap();
    let table: Table = serde_json::from_str(&table).unwrap();
    let stored = std::fs::read_to_string(&path).unwrap();
    let Golden { config, tree: expected } = serde_json::from_str(&stored).unwrap();
    let found = serde_json::to_value(table.drive(&config).snapshot()).unwrap();
    if std::env::var("MCTS_GOLDEN").is_ok_and(|mode| mode == "write") {
        let text = serde_json::to_string_pretty(&Golden { config, tree: found }).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
        return;
    }
    let nodes = |tree: &Value| tree["nodes"].as_array().unwrap().clone();
    for (index, (expected, found)) in nodes(&expected).iter().zip(&nodes(&found)).enumerate() {
        assert_alike(expected, found, &format!("{name}: node {index}"));
    }
    assert_alike(&expected, &found, name);
}

/// Compares with a tolerance of 1e-9 on numbers, because the last bit of a logarithm depends on the platform.
fn assert_alike(expected: &Value, found: &Value, place: &str) {
    match (expected, found) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = |map: &serde_json::Map<_, _>| map.keys().cloned().collect::<Vec<String>>();
            assert_eq!(keys(left), keys(right), "{place}");
            for (key, value) in left {
                assert_alike(value, &right[key], &format!("{place}.{key}"));
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len(), "{place}");
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                assert_alike(left, right, &format!("{place}[{index}]"));
            }
        }
        (Value::Number(left), Value::Number(right)) => {
            let gap = left.as_f64().unwrap() - right.as_f64().unwrap();
            assert!(gap.abs() < 1e-9, "{place}: expected {left}, found {right}");
        }
        _ => assert_eq!(expected, found, "{place}"),
    }
}

#[test]
fn plain() {
    check("plain");
}

#[test]
fn merge_wave() {
    check("merge_wave");
}

#[test]
fn adaptive_value() {
    check("adaptive_value");
}

#[test]
fn adaptive_total() {
    check("adaptive_total");
}

/// The settings that stand for the released code; `released.rs` has its loop.
#[test]
fn released() {
    check("released");
}
