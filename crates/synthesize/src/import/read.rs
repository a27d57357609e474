//! Reads the rows of a file, JSON lines or Parquet.

use std::io::{BufRead, BufReader};
use std::path::Path;

use answer::{ColumnMap, Fields, ImportError, Imported, Rows};
use dataset::{ForeignRow, Holds, read_foreign_parquet};
use stage::{Failure, ResultExt};

use crate::args::{Format, ImportArgs};

/// Reads all rows of the file. Ends at the first bad one.
pub(super) fn problems(args: &ImportArgs, map: &ColumnMap) -> Result<Vec<Imported>, Failure> {
    let path = args.input.as_path();
    match args.format {
        Format::Parquet => parquet(path, map),
        Format::Gsm8k | Format::Jsonl => lines(path, map),
    }
}

fn lines(path: &Path, map: &ColumnMap) -> Result<Vec<Imported>, Failure> {
    let place = path.display();
    let mut reader = BufReader::new(dataset::open_file(path)?);
    // Only looks at the first bytes; they stay in the buffer for the rows.
    let begins = reader.fill_buf().or_io(format!("cannot read {place}"))?;
    if let Some((what, remedy)) = other_container(begins) {
        return Err(Failure::data(format!("{place}: {what}, not JSON lines")).hint(remedy));
    }
    let rows = Rows::new(reader, map.clone());
    rows.map(|row| row.map_err(|error| refused(path, &error))).collect()
}

/// Turns an import error into a failure whose message starts with the line. A read error is the disk's fault, not the
/// row's.
fn refused(path: &Path, error: &ImportError) -> Failure {
    let message = format!("{}: {error}", path.display());
    match error {
        ImportError::Io { .. } => Failure::io(message),
        _ => Failure::data(message),
    }
}

/// Recognises files that are commonly mistaken for JSON lines. Returns the description and the remedy.
fn other_container(begins: &[u8]) -> Option<(&'static str, &'static str)> {
    let unpacked = "unpack it first";
    let known: [(&[u8], &str, &str); 5] = [
        (b"PAR1", "this is Parquet", "say --format parquet"),
        (&[0x1f, 0x8b], "this is packed by gzip", unpacked),
        (&[0x28, 0xb5, 0x2f, 0xfd], "this is packed by zstd", unpacked),
        (b"PK\x03\x04", "this is a zip archive", unpacked),
        (b"<?xml", "this is XML", "write a row as a JSON object on a line of its own"),
    ];
    if let Some((_, what, remedy)) =
        known.into_iter().find(|(start, _, _)| begins.starts_with(start))
    {
        return Some((what, remedy));
    }
    // A list may follow a byte order mark and spaces.
    let text = begins.strip_prefix("\u{feff}".as_bytes()).unwrap_or(begins).trim_ascii_start();
    text.starts_with(b"[").then_some((
        "this is one JSON list",
        "write its objects a line each, with `jq -c '.[]' FILE` for instance",
    ))
}

fn parquet(path: &Path, map: &ColumnMap) -> Result<Vec<Imported>, Failure> {
    let questions: Vec<&str> = map.question_columns().collect();
    let labelled = !map.unlabelled;
    // The cells of a row come in this order, and are taken apart in it below.
    let mut columns: Vec<(&str, Holds)> =
        questions.iter().map(|name| (*name, Holds::Texts)).collect();
    columns.extend(labelled.then_some((map.answer.as_str(), Holds::Scalars)));
    let solution = map.solution.as_deref().filter(|_| labelled);
    columns.extend(solution.map(|name| (name, Holds::Text)));
    let rows = read_foreign_parquet(path, &columns)?;
    let imported = |(index, row): (usize, ForeignRow)| {
        let mut cells = row.iter().map(Option::as_deref);
        let texts: Vec<&str> = cells.by_ref().take(questions.len()).flatten().collect();
        let question = ColumnMap::joined(&texts);
        // A null answer becomes an empty one, which is refused below with its row number.
        let answer =
            cells.by_ref().take(usize::from(labelled)).flatten().next().unwrap_or_default();
        let solution = solution.and_then(|_| cells.next().flatten());
        let fields = Fields { question: &question, answer, solution, id: None };
        map.row(index as u64 + 1, fields).map_err(|error| refused(path, &error))
    };
    rows.into_iter().enumerate().map(imported).collect()
}
