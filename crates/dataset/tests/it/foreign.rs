//! Foreign Parquet files: those written by pyarrow, and damaged ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::message;
use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use dataset::{ErrorClass, Holds, read_foreign_parquet};
use parquet::arrow::ArrowWriter;

/// Returns the path of a file written by `tests/fixtures/make_parquet.py`.
fn fixture(codec: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format!("problems.{codec}.parquet"))
}

/// Reads the cells of one column, with `-` for null.
fn cells(path: &Path, name: &str, holds: Holds) -> Vec<String> {
    let rows = read_foreign_parquet(path, &[(name, holds)]).unwrap();
    rows.into_iter().map(|row| row[0].clone().unwrap_or_else(|| "-".to_owned())).collect()
}

fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_usual_compression_is_read() {
    let columns = [("question", Holds::Text), ("answer", Holds::Scalars), ("body", Holds::Text)];
    let plain = read_foreign_parquet(&fixture("none"), &columns).unwrap();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        plain[0],
        [some("He loses 5. How many are left?"), some("7"), some("Tom has 12 pens.")]
    );
    assert_eq!(plain.len(), 3);
    for codec in ["snappy", "gzip", "brotli", "lz4", "zstd"] {
        assert_eq!(read_foreign_parquet(&fixture(codec), &columns).unwrap(), plain, "{codec}");
    }
}

#[test]
fn numbers_keep_their_digits() {
    let scalars = |name: &str| cells(&fixture("snappy"), name, Holds::Scalars);
    assert_eq!(scalars("answer"), ["7", "-", "-9223372036854775808"]);
    assert_eq!(scalars("unsigned"), ["18446744073709551615", "0", "1"]);
    assert_eq!(scalars("exact"), ["12345678901234567890123.0000000001", "-0.5000000000", "-"]);
    assert_eq!(scalars("real"), ["145", "0.1", "10000000000000000000000"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("real.parquet");
    parquet(&path, vec![("real", Arc::new(Float32Array::from(vec![0.1, 18.0])))]);
    assert_eq!(cells(&path, "real", Holds::Scalars), ["0.1", "18"]);
}

#[test]
fn text_is_read_however_it_is_kept() {
    let path = fixture("snappy");
    assert_eq!(cells(&path, "kind", Holds::Text), ["sum", "sum", "part"]);
    assert_eq!(cells(&path, "options", Holds::Texts), ["A)1 B)7", "", "-"]);
    assert_eq!(cells(&path, "body", Holds::Texts)[0], "Tom has 12 pens.");
}

#[test]
fn what_is_no_text_and_no_number_is_refused_by_its_type() {
    for (name, holds, said) in [
        ("problem", Holds::Text, "no column `problem`; there are body, question, answer, "),
        ("answer", Holds::Text, "column `answer` is Int64, not text"),
        ("options", Holds::Scalars, "column `options` is List("),
        ("options", Holds::Text, ", not text"),
        ("right", Holds::Scalars, "column `right` is Boolean, not text or numbers"),
        ("day", Holds::Scalars, "column `day` is Date32, not text or numbers"),
        ("real", Holds::Texts, "column `real` is Float64, not text or lists of texts"),
    ] {
        let said_of = message(
            read_foreign_parquet(&fixture("none"), &[(name, holds)]),
            fixture("none").parent().unwrap(),
        );
        assert!(said_of.starts_with("DIR/problems.none.parquet: "), "{said_of}");
        assert!(said_of.contains(said), "{said_of}");
    }
}

#[test]
fn what_is_no_parquet_is_told_from_what_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let whole = fs::read(fixture("gzip")).unwrap();
    for bytes in [&b"PAR1"[..], b"", &whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
        fs::write(&path, bytes).unwrap();
        let error = read_foreign_parquet(&path, &[("body", Holds::Text)]).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Data);
        assert!(error.to_string().contains("x.parquet: not Parquet ("), "{error}");
    }
    for damaged in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[damaged] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        // Reading may succeed or fail, but it must not panic.
        let _read = read_foreign_parquet(&path, &[("body", Holds::Text), ("real", Holds::Scalars)]);
    }
    let error = read_foreign_parquet(dir.path(), &[("body", Holds::Text)]).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Data, "a folder");
}

#[test]
fn a_column_that_is_there_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("twice.parquet");
    let text = || Arc::new(StringArray::from(vec!["a"])) as ArrayRef;
    parquet(&path, vec![("q", text()), ("q", text())]);
    let said = message(read_foreign_parquet(&path, &[("q", Holds::Text)]), dir.path());
    assert_eq!(said, "DIR/twice.parquet: the column `q` is there twice");
}
