//! Hostile datasets: their manifests are valid, but the files they list are not what they seem.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use schema::{CorpusText, Question, Table};

use crate::entry::Entry;
use crate::manifest::Manifest;
use crate::{Dataset, Error, Holds, Recipe, part, read_foreign_parquet};

const PART: &str = "data/train-00000-of-00001.parquet";

fn recipe() -> Recipe {
    Recipe {
        tool: "test".to_owned(),
        tool_version: "0".to_owned(),
        revision: None,
        config: String::new(),
        seed: 0,
        inputs: Vec::new(),
    }
}

/// Makes a dataset with one part of these bytes, and a manifest that claims this many rows.
fn publish<T: Table>(dir: &Path, bytes: &[u8], rows: u64) {
    std::fs::create_dir_all(dir.join("data")).unwrap();
    std::fs::write(dir.join(PART), bytes).unwrap();
    let blake3 = blake3::hash(bytes).to_hex().to_string();
    let entry =
        Entry { path: PART.to_owned(), rows: Some(rows), bytes: bytes.len() as u64, blake3 };
    let manifest = Manifest::new(&T::tag(), vec![entry], Vec::new(), recipe());
    manifest.propose(dir).unwrap();
    Manifest::publish(dir).unwrap();
}

fn refusal<T: Table>(dir: &Path) -> String {
    match Dataset::<T>::open(dir) {
        Ok(dataset) => panic!("{} rows were accepted", dataset.len()),
        Err(error) => error.to_string(),
    }
}

fn text(id: &str) -> CorpusText {
    CorpusText { text_id: id.to_owned(), text: "x".to_owned(), ..CorpusText::default() }
}

#[test]
fn a_number_of_rows_that_no_file_can_have() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = part::encode(&[text("a")], "", Path::new(PART)).unwrap();
    for rows in [u64::MAX, 1 << 60] {
        publish::<CorpusText>(dir.path(), &bytes, rows);
        let refused = refusal::<CorpusText>(dir.path());
        assert!(
            refused.contains(&format!("with {rows} rows in {} bytes", bytes.len())),
            "{refused}"
        );
    }
    publish::<CorpusText>(dir.path(), &bytes, 2);
    assert!(refusal::<CorpusText>(dir.path()).contains("it has 1 rows instead of 2"));
    publish::<CorpusText>(dir.path(), &bytes, 1);
    assert_eq!(Dataset::<CorpusText>::open(dir.path()).unwrap().rows().unwrap().len(), 1);
}

#[test]
fn rows_with_one_key_are_found_before_any_of_them_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let prompts = ["a", "b", "a"].map(|id| schema::Prompt {
        prompt_id: id.to_owned(),
        prompt: "What?".to_owned(),
        ..schema::Prompt::default()
    });
    let bytes = part::encode(&prompts, "", Path::new(PART)).unwrap();
    publish::<schema::Prompt>(dir.path(), &bytes, 3);
    let refused = refusal::<schema::Prompt>(dir.path());
    assert!(refused.ends_with("two rows of prompts@2 have the key a"), "{refused}");
    // The same goes for reading only some columns.
    let view = Dataset::<schema::Prompt>::open(dir.path()).and_then(|d| d.view::<Question>());
    assert!(matches!(view, Err(Error::Duplicate { .. })));
}

/// Makes a file whose rows repeat one text of 64 KiB: less than 250 kB that unpack to more than the 256 MiB allowed for a
/// file of that size.
fn bomb() -> Vec<u8> {
    let schema = CorpusText::schema();
    let rows: Vec<CorpusText> = (0..512).map(|i| text(&i.to_string())).collect();
    let batch = schema::to_batch(&rows).unwrap();
    let at = schema.index_of("text").unwrap();
    let long = "y".repeat(1 << 16);
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(StringArray::from(vec![long.as_str(); rows.len()]));
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let level = parquet::basic::ZstdLevel::try_new(3).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::ZSTD(level))
        .set_data_page_row_count_limit(1 << 20)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
    for _ in 0..12 {
        writer.write(&batch).unwrap();
    }
    writer.close().unwrap();
    bytes
}

#[test]
fn a_small_part_that_unpacks_to_very_much_is_not_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = bomb();
    assert!(bytes.len() < 250_000, "{}", bytes.len());
    publish::<CorpusText>(dir.path(), &bytes, 12 * 512);
    let manifest = Manifest::read(dir.path()).unwrap();
    let refused = part::decode::<CorpusText>(&manifest.parts[0], dir.path()).unwrap_err();
    assert!(refused.to_string().contains("would unpack to more than 256 MiB"), "{refused}");
    // A foreign file is refused for the same reason.
    let refused = read_foreign_parquet(&dir.path().join(PART), &[("text", Holds::Text)]);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("would unpack to more than 256 MiB"), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_part_that_is_a_pipe_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = part::encode(&[text("a")], "", Path::new(PART)).unwrap();
    publish::<CorpusText>(dir.path(), &bytes, 1);
    std::fs::remove_file(dir.path().join(PART)).unwrap();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join(PART)).status().unwrap();
    assert!(made.success());
    assert!(refusal::<CorpusText>(dir.path()).contains("it is a named pipe"));
    std::fs::remove_file(dir.path().join(crate::MANIFEST)).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(dir.path().join(crate::MANIFEST))
        .status()
        .unwrap();
    assert!(made.success());
    assert!(
        refusal::<CorpusText>(dir.path()).contains("_MANIFEST.json is a named pipe, not a file")
    );
}
