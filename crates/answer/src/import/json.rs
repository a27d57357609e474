//! Reads JSON lines. Strings are decoded when a cell is read, and numbers stay as written, so that no digit is lost.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};

use serde::de::{Error as _, IgnoredAny};

use super::{ColumnMap, Fields, ImportError, Imported};

/// Longest line that is read, in bytes (16 MiB), so that a file without line breaks cannot fill the memory.
const MAX_LINE: u64 = 1 << 24;

/// An iterator that reads JSONL row by row and holds one line at a time. Blank lines are skipped but counted. It
/// continues after a bad row, and ends after a read error or a line that is too long.
#[derive(Debug)]
pub struct Rows<R> {
    reader: R,
    map: ColumnMap,
    line: u64,
    done: bool,
}

impl<R: BufRead> Rows<R> {
    /// Reads `reader` with `map`; use [`ColumnMap::gsm8k`] for GSM8K.
    pub fn new(reader: R, map: ColumnMap) -> Self {
        Self { reader, map, line: 0, done: false }
    }

    /// Returns the next line that is not blank; `None` at the end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ImportError> {
        loop {
            self.line += 1;
            let (line, mut bytes) = (self.line, Vec::new());
            // One byte more than the limit, to tell a line of exactly the limit from a longer one.
            let mut limited = (&mut self.reader).take(MAX_LINE + 1);
            let read = limited.read_until(b'\n', &mut bytes);
            let read = read.map_err(|source| ImportError::Io { line, source })?;
            if bytes.len() as u64 > MAX_LINE {
                return Err(ImportError::TooLong { line });
            }
            if read == 0 {
                return Ok(None);
            }
            if line == 1 && bytes.starts_with("\u{feff}".as_bytes()) {
                bytes.drain(..3); // Windows editors write a byte order mark.
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(bytes));
            }
        }
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Imported, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.next_line() {
            Ok(Some(bytes)) => Some(imported(&self.map, self.line, &bytes)),
            Ok(None) => {
                self.done = true;
                None
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }
}

fn imported(map: &ColumnMap, line: u64, bytes: &[u8]) -> Result<Imported, ImportError> {
    let row = Row::parse(line, bytes)?;
    let question = row.question(map)?;
    let id = map.id.as_ref().map(|column| row.optional_scalar(column)).transpose()?.flatten();
    if map.unlabelled {
        return map
            .row(line, Fields { question: &question, id: id.as_deref(), ..Fields::default() });
    }
    let answer = row.scalar(&map.answer)?;
    let solution =
        map.solution.as_ref().map(|column| row.optional_text(column)).transpose()?.flatten();
    let (solution, id) = (solution.as_deref(), id.as_deref());
    map.row(line, Fields { question: &question, answer: &answer, solution, id })
}

/// One object, with every value kept as written.
struct Row<'a> {
    line: u64,
    cells: Vec<(String, &'a str)>,
}

impl<'a> Row<'a> {
    fn parse(line: u64, bytes: &'a [u8]) -> Result<Self, ImportError> {
        let json = |source: serde_json::Error| ImportError::Json { line, source };
        let text = str::from_utf8(bytes).map_err(|error| json(serde_json::Error::custom(error)))?;
        // Validate the whole line first: `members` only splits it and relies on valid JSON.
        serde_json::from_str::<IgnoredAny>(text).map_err(json)?;
        if !text.trim_start().starts_with('{') {
            return Err(ImportError::NotAnObject { line, found: kind(text.trim_start()) });
        }
        let (mut cells, mut seen) = (Vec::new(), BTreeSet::new());
        for (name, value) in members(text) {
            let column = serde_json::from_str::<String>(name).map_err(json)?;
            // Picking one of two values would be a silent repair.
            if !seen.insert(column.clone()) {
                return Err(ImportError::Twice { line, column });
            }
            cells.push((column, value));
        }
        Ok(Self { line, cells })
    }

    fn find(&self, column: &str) -> Option<&'a str> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, value)| *value)
    }

    fn get(&self, column: &str) -> Result<&'a str, ImportError> {
        let names = || self.cells.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        self.find(column).ok_or_else(|| ImportError::Missing {
            line: self.line,
            column: column.to_owned(),
            present: names().join(", "),
        })
    }

    /// Joins the texts of the question's columns.
    fn question(&self, map: &ColumnMap) -> Result<String, ImportError> {
        let several = map.question_columns().nth(1).is_some();
        let text = |column: &str| -> Result<String, ImportError> {
            let value = self.get(column)?;
            if several && kind(value) == NULL {
                return Ok(String::new());
            }
            match serde_json::from_str::<Vec<String>>(value) {
                Ok(texts) => Ok(ColumnMap::joined(&texts)),
                Err(_) => self.text(column),
            }
        };
        let texts: Vec<String> = map.question_columns().map(text).collect::<Result<_, _>>()?;
        Ok(ColumnMap::joined(&texts))
    }

    fn text(&self, column: &str) -> Result<String, ImportError> {
        match self.get(column)? {
            value if kind(value) == TEXT => self.decoded(value),
            value => Err(self.wrong(column, value, "text")),
        }
    }

    fn scalar(&self, column: &str) -> Result<String, ImportError> {
        match self.get(column)? {
            value if kind(value) == TEXT => self.decoded(value),
            value if kind(value) == NUMBER => Ok(value.to_owned()),
            value => Err(self.wrong(column, value, "text or a number")),
        }
    }

    fn optional_text(&self, column: &str) -> Result<Option<String>, ImportError> {
        if self.says(column) { self.text(column).map(Some) } else { Ok(None) }
    }

    fn optional_scalar(&self, column: &str) -> Result<Option<String>, ImportError> {
        if self.says(column) { self.scalar(column).map(Some) } else { Ok(None) }
    }

    /// Whether the column is present and not `null`.
    fn says(&self, column: &str) -> bool {
        self.find(column).is_some_and(|value| kind(value) != NULL)
    }

    fn decoded(&self, value: &str) -> Result<String, ImportError> {
        let line = self.line;
        serde_json::from_str(value).map_err(|source| ImportError::Json { line, source })
    }

    fn wrong(&self, column: &str, value: &str, expected: &'static str) -> ImportError {
        let (line, column) = (self.line, column.to_owned());
        ImportError::WrongType { line, column, found: kind(value), expected }
    }
}

/// Splits an object into the names and values of its members, each as written. `object` must be valid JSON.
fn members(object: &str) -> Vec<(&str, &str)> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let (mut start, mut name, mut all) = (0, None, Vec::new());
    for (at, byte) in object.bytes().enumerate() {
        let piece = || object.get(start..at).unwrap_or_default().trim();
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b':' if depth == 1 => (name, start) = (Some(piece()), at + 1),
            b',' | b'}' if depth == 1 => {
                all.extend(name.take().map(|name| (name, piece())));
                (start, depth) = (at + 1, usize::from(byte == b','));
            }
            b'{' | b'[' => {
                start = if depth == 0 { at + 1 } else { start };
                depth += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    all
}

const NULL: &str = "null";
const NUMBER: &str = "a number";
const TEXT: &str = "text";

/// Returns the kind of a JSON value, by its first byte.
fn kind(value: &str) -> &'static str {
    match value.bytes().next() {
        Some(b'n') => NULL,
        Some(b't' | b'f') => "a boolean",
        Some(b'"') => TEXT,
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        _ => NUMBER,
    }
}
