//! The log of measurements, and the digest of a configuration.

use std::fs;

use crate::common::message;
use dataset::{MetricsLog, digest_of};
use serde_json::json;

#[test]
fn a_log_keeps_its_lines_past_a_torn_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/metrics.jsonl");
    assert_eq!(MetricsLog::read(&path).unwrap(), Vec::<serde_json::Value>::new());
    MetricsLog::open(&path).unwrap().append(&json!({"step": 1})).unwrap();
    let torn = fs::read_to_string(&path).unwrap() + "{\"step\": 2, \"lo";
    fs::write(&path, torn).unwrap();
    let mut log = MetricsLog::open(&path).unwrap();
    log.append(&json!({"step": 3})).unwrap();
    assert_eq!(MetricsLog::read(&path).unwrap(), [json!({"step": 1}), json!({"step": 3})]);
    assert_eq!(message(log.append(&[1]), dir.path()), "not a line of metrics: [1]");
}

#[test]
fn the_order_of_a_configuration_does_not_matter_but_its_values_do() {
    let digest =
        |text: &str| digest_of(&serde_json::from_str::<serde_json::Value>(text).unwrap()).unwrap();
    let one = digest(r#"{"a": {"x": 1, "y": [1, 2]}, "b": "c"}"#);
    assert_eq!(one, digest(r#"{"b": "c", "a": {"y": [1, 2], "x": 1}}"#));
    assert_ne!(one, digest(r#"{"a": {"x": 1, "y": [2, 1]}, "b": "c"}"#));
}
