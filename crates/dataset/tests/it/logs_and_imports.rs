//! The log of measurements, the digest of a configuration, and other people's Parquet files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::common::message;
use arrow::array::{ArrayRef, Int64Array, LargeStringArray, RecordBatch, StringArray};
use dataset::{MetricsLog, digest_of, read_foreign_parquet};
use parquet::arrow::ArrowWriter;
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

fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn other_people_s_questions_are_read_by_the_names_of_their_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gsm.parquet");
    let question = Arc::new(LargeStringArray::from(vec!["1+1?", "2+2?"]));
    let answer = Arc::new(StringArray::from(vec![Some("2"), None]));
    let level = Arc::new(Int64Array::from(vec![1, 2]));
    parquet(&path, vec![("level", level), ("question", question), ("answer", answer)]);
    let rows = read_foreign_parquet(&path, "question", Some("answer"), None).unwrap();
    let expected =
        [("1+1?".to_owned(), Some("2".to_owned()), None), ("2+2?".to_owned(), None, None)];
    assert_eq!(rows, expected);
    assert_eq!(
        message(read_foreign_parquet(&path, "problem", None, None), dir.path()),
        "DIR/gsm.parquet: no column `problem`; there are level, question, answer"
    );
    assert_eq!(
        message(read_foreign_parquet(&path, "question", Some("level"), None), dir.path()),
        "DIR/gsm.parquet: column `level` is Int64, not text"
    );
    assert_eq!(
        message(read_foreign_parquet(&path, "answer", None, None), dir.path()),
        "DIR/gsm.parquet: row 1: the question is null"
    );
    fs::write(&path, "PAR1").unwrap();
    assert!(
        message(read_foreign_parquet(&path, "question", None, None), dir.path())
            .starts_with("DIR/gsm.parquet: not Parquet (")
    );
}
