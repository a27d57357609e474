//! JSON lines, as they are written: a cell is decoded where it is read, and a number never.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};

use serde::de::{Error as _, IgnoredAny};

use super::{ColumnMap, Fields, ImportError, Imported};

/// Longest line that is read, in bytes (16 MiB): a file without line ends must not fill the memory.
const MAX_LINE: u64 = 1 << 24;

/// Reads JSONL row by row: an iterator that holds one line at a time. Blank lines are skipped but counted. It goes on
/// after a bad row and ends after a failing read or a line that is too long.
#[derive(Debug)]
pub struct Rows<R> {
    reader: R,
    map: ColumnMap,
    line: u64,
    done: bool,
}

impl<R: BufRead> Rows<R> {
    /// Reads `reader` with `map`; [`ColumnMap::gsm8k`] for GSM8K.
    pub fn new(reader: R, map: ColumnMap) -> Self {
        Self { reader, map, line: 0, done: false }
    }

    /// The next line that is not blank; `None` at the end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ImportError> {
        loop {
            self.line += 1;
            let (line, mut bytes) = (self.line, Vec::new());
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

/// One object, of which every value is kept as it is written.
struct Row<'a> {
    line: u64,
    cells: Vec<(String, &'a str)>,
}

impl<'a> Row<'a> {
    fn parse(line: u64, bytes: &'a [u8]) -> Result<Self, ImportError> {
        let json = |source: serde_json::Error| ImportError::Json { line, source };
        let text = str::from_utf8(bytes).map_err(|error| json(serde_json::Error::custom(error)))?;
        serde_json::from_str::<IgnoredAny>(text).map_err(json)?;
        if !text.trim_start().starts_with('{') {
            return Err(ImportError::NotAnObject { line, found: kind(text.trim_start()) });
        }
        let (mut cells, mut seen) = (Vec::new(), BTreeSet::new());
        for (name, value) in members(text) {
            let column = serde_json::from_str::<String>(name).map_err(json)?;
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

    /// The texts of the question's columns, joined.
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

    /// Whether the row says anything in this column.
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

/// The names and values of an object, each as it is written. `object` has to be valid JSON.
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

/// What kind of value a JSON text is.
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
