//! A reader accepts only files that are unchanged since they were written. Its errors say what is wrong, where, and what
//! to do.

use std::fs;
use std::path::Path;

use crate::common::{message, prompts, read, recipe, work, written};
use dataset::{Dataset, Error, ErrorClass, MANIFEST, Manifest, Mode, Output};
use schema::{NodeRow, Prompt};

const PART: &str = "data/train-00001-of-00002.parquet";

fn dataset() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2);
    dir
}

fn refusal(dir: &Path) -> String {
    let result = read(dir);
    let class = result.as_ref().err().map(Error::class);
    assert_eq!(class, Some(ErrorClass::Data), "{result:?}");
    message(result, dir)
}

#[test]
fn without_a_manifest_there_is_no_dataset() {
    let dir = dataset();
    fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    assert_eq!(
        refusal(dir.path()),
        "no _MANIFEST.json in DIR: the dataset is not complete; run the stage that writes it again"
    );
    assert!(refusal(&dir.path().join("nowhere")).starts_with("no _MANIFEST.json in DIR"));
}

#[test]
fn a_missing_part_is_named() {
    let dir = dataset();
    fs::remove_file(dir.path().join(PART)).unwrap();
    assert_eq!(
        refusal(dir.path()),
        format!(
            "DIR/{PART}: it is missing; the file changed after it was written: write the dataset again with --force"
        )
    );
}

#[test]
fn a_truncated_part_is_named_wherever_it_was_cut() {
    let dir = dataset();
    let path = dir.path().join(PART);
    let whole = fs::read(&path).unwrap();
    for percent in 0..100 {
        fs::write(&path, &whole[..whole.len() * percent / 100]).unwrap();
        let expected = format!(
            "DIR/{PART}: it has {} bytes instead of {}; the file changed",
            whole.len() * percent / 100,
            whole.len()
        );
        assert!(refusal(dir.path()).starts_with(&expected));
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(read(dir.path()).unwrap().len(), 6);
}

#[test]
fn a_flipped_bit_in_a_part_is_noticed_wherever_it_is() {
    let dir = dataset();
    let path = dir.path().join(PART);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, bad).unwrap();
        let expected = format!("DIR/{PART}: its blake3 is not the recorded one; the file changed");
        assert!(refusal(dir.path()).starts_with(&expected));
    }
}

#[test]
fn a_part_that_changes_after_opening_is_not_read() {
    let dir = dataset();
    let opened = Dataset::<Prompt>::open(dir.path()).unwrap();
    let path = dir.path().join(PART);
    let mut bad = fs::read(&path).unwrap();
    bad[100] ^= 1;
    fs::write(&path, bad).unwrap();
    assert_eq!(opened.part_rows(0).unwrap(), prompts(0..3));
    assert!(matches!(opened.part_rows(1), Err(Error::Damaged { .. })));
    assert!(matches!(opened.view::<schema::Question>(), Err(Error::Damaged { .. })));
    assert_eq!(message(opened.part_rows(2), dir.path()), "DIR has no part 2: it has 2");
}

#[test]
fn a_changed_manifest_is_noticed_at_every_byte() {
    let dir = dataset();
    let path = dir.path().join(MANIFEST);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        for bad in [&whole[..at], &flipped] {
            fs::write(&path, bad).unwrap();
            let text = refusal(dir.path());
            assert!(text.starts_with("DIR/_MANIFEST.json: it"), "byte {at}: {text}");
            assert!(text.ends_with("; write the dataset again with --force"), "byte {at}: {text}");
        }
    }
}

#[test]
fn a_manifest_of_another_format_says_so() {
    let dir = dataset();
    let path = dir.path().join(MANIFEST);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert_eq!(
        refusal(dir.path()),
        "DIR/_MANIFEST.json: its format is 2, not 1; write the dataset again with --force"
    );
}

#[test]
fn another_table_is_refused() {
    let dir = dataset();
    assert_eq!(
        message(Dataset::<NodeRow>::open(dir.path()), dir.path()),
        "DIR holds prompts@2, but nodes@2 is needed; pass another directory, or write it again with this version"
    );
    let files = dataset::Files::open(dir.path());
    assert!(message(files, dir.path()).starts_with("DIR holds prompts@2, but files@1 is needed"));
}

#[test]
fn rows_that_the_table_forbids_are_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(Output::begin(dir.path(), recipe(1), 1, Mode::Alone));
    let mut rows = prompts(0..3);
    rows[2].difficulty = Some(f32::NAN);
    assert_eq!(
        message(output.write_part(0, &rows), dir.path()),
        "DIR/data/train-00000-of-00001.parquet: row 2 of prompts@2: column `difficulty` is not a finite number"
    );
    assert_eq!(output.missing(), [0]);
    assert_eq!(message(output.write_part(1, &rows), dir.path()), "there is no part 1: there are 1");
}

#[test]
fn two_rows_with_one_key_are_not_committed() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(Output::begin(dir.path(), recipe(1), 2, Mode::Alone));
    output.write_part(0, &prompts(0..3)).unwrap();
    output.write_part(1, &prompts(2..5)).unwrap();
    assert_eq!(message(output.commit(), dir.path()), "DIR: two rows of prompts@2 have the key id2");
    assert!(Manifest::find(dir.path()).unwrap().is_none());
}

#[test]
fn the_system_s_answers_name_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let error =
        Output::<Prompt>::begin(&file.join("below"), recipe(1), 1, Mode::Alone).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Io);
    assert!(error.to_string().contains("file/below"), "{error}");
    let full = Error::Io {
        action: "write",
        path: "x/part".into(),
        source: std::io::ErrorKind::StorageFull.into(),
    };
    assert_eq!(
        full.to_string(),
        "cannot write x/part: no storage space; free some space and run again, what is finished is kept"
    );
}
