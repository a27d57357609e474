//! Problems from outside: GSM8K's JSONL, MATH's, and any JSONL with named columns.
//!
//! Every row becomes an [`Imported`], or an [`ImportError`] that names the line, what is wrong and what to do. Rows
//! of another container (Parquet) go through the same door, [`ColumnMap::row`]. Nothing is repaired silently: a
//! solution whose own final answer is not the row's answer is refused, since it would teach the wrong thing.

use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::answer::{ANSWER_MARK, extract, grade};
use crate::calculator::annotation;

/// Longest line that is read, in bytes (16 MiB): a file without line ends must not fill the memory.
const MAX_LINE: u64 = 1 << 24;

/// Which column holds what, and how answers are written. Serialized in a stage's TOML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnMap {
    /// The column of the question.
    pub question: String,
    /// The column of the final answer; text or a number.
    pub answer: String,
    /// The column of a worked solution, if there is one. A row may leave it out or have `null`.
    #[serde(default)]
    pub solution: Option<String>,
    /// The column of an identifier, if there is one; text or a number. A row may leave it out or have `null`.
    #[serde(default)]
    pub id: Option<String>,
    /// The answer column holds a solution that ends in `#### answer`, as in GSM8K, or has `\boxed{answer}`, as in MATH;
    /// then `solution` must be unset.
    #[serde(default)]
    pub marked: bool,
    /// Drop calculator annotations `<<12+5=17>>` from solutions.
    #[serde(default)]
    pub strip_annotations: bool,
}

impl ColumnMap {
    /// GSM8K: `question`, and an `answer` that is a solution ending in `#### n`. Annotations are stripped.
    pub fn gsm8k() -> Self {
        Self { marked: true, strip_annotations: true, ..Self::named("question", "answer") }
    }

    /// Two columns, no solution, no identifier.
    pub fn named(question: &str, answer: &str) -> Self {
        Self {
            question: question.to_owned(),
            answer: answer.to_owned(),
            solution: None,
            id: None,
            marked: false,
            strip_annotations: false,
        }
    }

    /// Validates one row of any container. `line` is 1-based and only used to name the row.
    pub fn row(&self, line: u64, fields: Fields<'_>) -> Result<Imported, ImportError> {
        let question = Self::required(line, &self.question, fields.question)?;
        let answer = Self::required(line, &self.answer, fields.answer)?;
        let (answer, solution) = if self.marked {
            self.check_marked(line)?;
            let Some(last) = extract(&answer) else {
                return Err(ImportError::NoMark { line, column: self.answer.clone() });
            };
            (last.to_owned(), Some(answer.clone()))
        } else {
            (answer, fields.solution.map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned))
        };
        let solution = solution.map(|text| self.solution(line, &text, &answer)).transpose()?;
        let id = fields.id.map(str::to_owned);
        Ok(Imported { question, solution, answer, id, line })
    }

    fn check_marked(&self, line: u64) -> Result<(), ImportError> {
        match &self.solution {
            Some(column) => Err(ImportError::TwoSolutions { line, column: column.clone() }),
            None => Ok(()),
        }
    }

    fn required(line: u64, column: &str, text: &str) -> Result<String, ImportError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ImportError::Empty { line, column: column.to_owned() });
        }
        Ok(text.to_owned())
    }

    /// The solution as a completion: without annotations if so wished, and with its final answer, where it has it.
    fn solution(&self, line: u64, text: &str, answer: &str) -> Result<String, ImportError> {
        let text = text.replace("\r\n", "\n");
        let text = if self.strip_annotations { strip_annotations(&text) } else { text };
        let Some(own) = extract(&text) else {
            return Ok(format!("{text}\n{ANSWER_MARK} {answer}"));
        };
        if grade(&text, answer) {
            return Ok(text);
        }
        let (own, answer) = (own.to_owned(), answer.to_owned());
        Err(ImportError::Disagrees { line, own, answer })
    }
}

/// The cells of one row, as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    /// The question.
    pub question: &'a str,
    /// The answer, or the solution with its mark (see [`ColumnMap::marked`]).
    pub answer: &'a str,
    /// The worked solution; blank counts as none.
    pub solution: Option<&'a str>,
    /// The identifier.
    pub id: Option<&'a str>,
}

/// One imported problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The question, trimmed, never empty.
    pub question: String,
    /// A completion that is graded correct for `answer`: its last line is `#### answer`, or that is in `\boxed{}`.
    pub solution: Option<String>,
    /// The bare final answer, trimmed, never empty.
    pub answer: String,
    /// The identifier of the source.
    pub id: Option<String>,
    /// The 1-based line (or row) it came from.
    pub line: u64,
}

/// Why a row was refused.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The reader failed.
    #[error("line {line}: cannot read: {source}")]
    Io {
        /// 1-based line.
        line: u64,
        /// The reader's error.
        source: std::io::Error,
    },
    /// A line longer than 16 MiB.
    #[error(
        "line {line}: longer than 16 MiB; JSONL has one object per line, so put each on its own"
    )]
    TooLong {
        /// 1-based line.
        line: u64,
    },
    /// Not a JSON text.
    #[error("line {line}: not valid JSON ({source}); JSONL has one object per line, in UTF-8")]
    Json {
        /// 1-based line.
        line: u64,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// JSON, but not an object.
    #[error(
        "line {line}: expected an object, found {found}; JSONL rows are `{{\"column\": value}}`"
    )]
    NotAnObject {
        /// 1-based line.
        line: u64,
        /// What was found.
        found: &'static str,
    },
    /// A mapped column is not there.
    #[error("line {line}: no column `{column}` (there are: {present}); map it to one of these")]
    Missing {
        /// 1-based line.
        line: u64,
        /// The mapped column.
        column: String,
        /// The columns of the row.
        present: String,
    },
    /// A cell that is neither text nor a number.
    #[error("line {line}: column `{column}` holds {found}; expected {expected}")]
    WrongType {
        /// 1-based line.
        line: u64,
        /// The column.
        column: String,
        /// What was found.
        found: &'static str,
        /// What the column takes.
        expected: &'static str,
    },
    /// A blank question or answer.
    #[error("line {line}: column `{column}` is empty; fill it or drop the row")]
    Empty {
        /// 1-based line.
        line: u64,
        /// The column.
        column: String,
    },
    /// A solution without a mark or a box.
    #[error(
        "line {line}: column `{column}` has no `#### answer` and no `\\boxed{{answer}}`; end it with one, or set `marked = false` if the column is a bare answer"
    )]
    NoMark {
        /// 1-based line.
        line: u64,
        /// The column.
        column: String,
    },
    /// Both `marked` and a solution column.
    #[error(
        "line {line}: `marked` takes the solution from the answer column, but column `{column}` is mapped too; unset one of them"
    )]
    TwoSolutions {
        /// 1-based line.
        line: u64,
        /// The solution column.
        column: String,
    },
    /// A solution that arrives somewhere else.
    #[error(
        "line {line}: the solution ends in `{own}` but the answer is `{answer}`; correct one of them or drop the row"
    )]
    Disagrees {
        /// 1-based line.
        line: u64,
        /// The solution's answer.
        own: String,
        /// The row's answer.
        answer: String,
    },
}

impl ImportError {
    /// The 1-based line (or row) that was refused.
    pub fn line(&self) -> u64 {
        match self {
            Self::Io { line, .. }
            | Self::TooLong { line }
            | Self::Json { line, .. }
            | Self::NotAnObject { line, .. }
            | Self::Missing { line, .. }
            | Self::WrongType { line, .. }
            | Self::Empty { line, .. }
            | Self::NoMark { line, .. }
            | Self::TwoSolutions { line, .. }
            | Self::Disagrees { line, .. } => *line,
        }
    }
}

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
            Ok(Some(bytes)) => Some(parse(&self.map, self.line, &bytes)),
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

fn parse(map: &ColumnMap, line: u64, bytes: &[u8]) -> Result<Imported, ImportError> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|source| ImportError::Json { line, source })?;
    let Value::Object(object) = value else {
        return Err(ImportError::NotAnObject { line, found: kind(&value) });
    };
    let row = Row { line, object: &object };
    let question = row.text(&map.question)?;
    let answer = row.scalar(&map.answer)?;
    let solution =
        map.solution.as_ref().map(|column| row.optional_text(column)).transpose()?.flatten();
    let id = map.id.as_ref().map(|column| row.optional_scalar(column)).transpose()?.flatten();
    let (answer, solution, id) = (&answer, solution, id.as_deref());
    map.row(line, Fields { question, answer, solution, id })
}

struct Row<'a> {
    line: u64,
    object: &'a Map<String, Value>,
}

impl<'a> Row<'a> {
    fn get(&self, column: &str) -> Result<&'a Value, ImportError> {
        self.object.get(column).ok_or_else(|| ImportError::Missing {
            line: self.line,
            column: column.to_owned(),
            present: self.object.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    fn text(&self, column: &str) -> Result<&'a str, ImportError> {
        let value = self.get(column)?;
        value.as_str().ok_or_else(|| self.wrong(column, value, "text"))
    }

    fn scalar(&self, column: &str) -> Result<String, ImportError> {
        match self.get(column)? {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            value => Err(self.wrong(column, value, "text or a number")),
        }
    }

    fn optional_text(&self, column: &str) -> Result<Option<&'a str>, ImportError> {
        match self.object.get(column) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(column).map(Some),
        }
    }

    fn optional_scalar(&self, column: &str) -> Result<Option<String>, ImportError> {
        match self.object.get(column) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.scalar(column).map(Some),
        }
    }

    fn wrong(&self, column: &str, value: &Value, expected: &'static str) -> ImportError {
        let (line, column) = (self.line, column.to_owned());
        ImportError::WrongType { line, column, found: kind(value), expected }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The text without calculator annotations: `48/2 = <<48/2=24>>24` becomes `48/2 = 24`.
pub fn strip_annotations(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _)) = rest.split_once('<') {
        stripped.push_str(before);
        rest = rest.get(before.len()..).unwrap_or_default();
        let skipped = annotation(rest).map_or(0, |inner| inner.len() + 4);
        if skipped == 0 {
            stripped.push('<');
        }
        rest = rest.get(skipped.max(1)..).unwrap_or_default();
    }
    stripped.push_str(rest);
    stripped
}
