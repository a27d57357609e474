//! Imports problems: GSM8K's JSONL, MATH's, and any JSONL with named columns.
//!
//! Every row becomes an [`Imported`], or an [`ImportError`] that names the line, the problem and the fix. Rows from
//! another container (Parquet) take the same path, through [`ColumnMap::row`]. Nothing is repaired silently. A solution
//! whose own final answer differs from the row's answer is refused, because training on it would teach the wrong thing.
//! A solution in place of a bare answer is refused as well, because no answer would ever agree with it. Numbers keep
//! the digits as written. Anything suspicious but not certainly wrong is a [`Doubt`].

mod doubt;
mod json;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::calculator::strip_annotations;
use crate::extract::{ANSWER_MARK, extract};
use crate::grading::grade;

pub use doubt::Doubt;
pub use json::Rows;

/// Maps columns to their roles, and says how answers are written. Serialized in a stage's TOML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnMap {
    /// The column of the question, or several separated by commas, whose texts are joined by a space. A cell is text or
    /// a list of texts, such as options to choose from; if there are several columns, a cell may be empty or `null`.
    pub question: String,
    /// The column of the final answer: text, or a number, whose digits are kept as written.
    pub answer: String,
    /// The column of a worked solution, if there is one. A row may omit it or set it to `null`.
    #[serde(default)]
    pub solution: Option<String>,
    /// The column of an identifier, if there is one: text or a number. A row may omit it or set it to `null`.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether the answer column holds a solution that ends in `#### answer`, as in GSM8K, or has `\boxed{answer}`, as
    /// in MATH. If set, `solution` must be unset.
    #[serde(default)]
    pub marked: bool,
    /// Whether to drop calculator annotations such as `<<12+5=17>>` from solutions.
    #[serde(default)]
    pub strip_annotations: bool,
    /// Whether to read only questions, without answers and solutions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlabelled: bool,
}

impl ColumnMap {
    /// Returns the map for GSM8K: `question`, and an `answer` that is a solution ending in `#### n`. Annotations are
    /// stripped.
    pub fn gsm8k() -> Self {
        Self { marked: true, strip_annotations: true, ..Self::named("question", "answer") }
    }

    /// Returns a map with two columns and neither solution nor identifier.
    pub fn named(question: &str, answer: &str) -> Self {
        Self {
            question: question.to_owned(),
            answer: answer.to_owned(),
            solution: None,
            id: None,
            marked: false,
            strip_annotations: false,
            unlabelled: false,
        }
    }

    /// Returns the columns of the question, in the order in which their texts are joined.
    pub fn question_columns(&self) -> impl Iterator<Item = &str> {
        self.question.split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    /// Joins the texts of the question's columns into the question.
    pub fn joined(texts: &[impl AsRef<str>]) -> String {
        let texts = texts.iter().map(|text| text.as_ref().trim());
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Validates one row of any container. `line` is 1-based and is only used to name the row in errors.
    pub fn row(&self, line: u64, fields: Fields<'_>) -> Result<Imported, ImportError> {
        let question = Self::required(line, &self.question, fields.question)?;
        let id = fields.id.map(str::to_owned);
        if self.unlabelled {
            return Ok(Imported { question, solution: None, answer: String::new(), id, line });
        }
        let answer = Self::required(line, &self.answer, fields.answer)?;
        let (answer, solution) = if self.marked {
            self.check_marked(line)?;
            let Some(last) = extract(&answer) else {
                return Err(ImportError::NoMark { line, column: self.answer.clone() });
            };
            (last.to_owned(), Some(answer.clone()))
        } else {
            self.check_bare(line, &answer)?;
            (answer, fields.solution.map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned))
        };
        let solution = solution.map(|text| self.solution(line, &text, &answer)).transpose()?;
        Ok(Imported { question, solution, answer, id, line })
    }

    fn check_marked(&self, line: u64) -> Result<(), ImportError> {
        match &self.solution {
            Some(column) => Err(ImportError::TwoSolutions { line, column: column.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses a solution where an answer belongs: no answer would ever agree with the whole of it.
    fn check_bare(&self, line: u64, answer: &str) -> Result<(), ImportError> {
        let Some(own) = extract(answer) else { return Ok(()) };
        let around = answer.replacen(own, "", 1);
        let letters: String = around.chars().filter(|c| c.is_alphanumeric()).collect();
        // A box alone is a common way to write a bare answer.
        if !answer.contains(ANSWER_MARK) && ["boxed", "fbox"].contains(&letters.as_str()) {
            return Ok(());
        }
        let (column, own) = (self.answer.clone(), own.to_owned());
        Err(ImportError::WholeSolution { line, column, own })
    }

    fn required(line: u64, column: &str, text: &str) -> Result<String, ImportError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ImportError::Empty { line, column: column.to_owned() });
        }
        Ok(text.to_owned())
    }

    /// Returns the solution as a completion: without annotations if they are to be stripped, and with its final answer
    /// appended if it lacks one.
    fn solution(&self, line: u64, text: &str, answer: &str) -> Result<String, ImportError> {
        // Lines end at `\n` alone, so a carriage return would become part of each of them.
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
    /// The question, trimmed and never empty.
    pub question: String,
    /// A completion that is graded correct for `answer`: its last line is `#### answer`, or it has `\boxed{answer}`.
    pub solution: Option<String>,
    /// The bare final answer, trimmed. Empty only if no answers are read ([`ColumnMap::unlabelled`]).
    pub answer: String,
    /// The identifier from the source.
    pub id: Option<String>,
    /// The 1-based line (or row) that it came from.
    pub line: u64,
}

/// Reasons for refusing a row.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The reader failed.
    #[error("line {line}: cannot read: {source}")]
    Io {
        /// The 1-based line.
        line: u64,
        /// The reader's error.
        source: std::io::Error,
    },
    /// A line is longer than 16 MiB.
    #[error(
        "line {line}: longer than 16 MiB; JSONL has one object per line, so put each on its own"
    )]
    TooLong {
        /// The 1-based line.
        line: u64,
    },
    /// A line is not valid JSON.
    #[error("line {line}: not valid JSON ({source}); JSONL has one object per line, in UTF-8")]
    Json {
        /// The 1-based line.
        line: u64,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A line is JSON, but not an object.
    #[error(
        "line {line}: expected an object, found {found}; JSONL rows are `{{\"column\": value}}`"
    )]
    NotAnObject {
        /// The 1-based line.
        line: u64,
        /// The kind of value that was found.
        found: &'static str,
    },
    /// A mapped column is missing.
    #[error("line {line}: no column `{column}` (there are: {present}); map it to one of these")]
    Missing {
        /// The 1-based line.
        line: u64,
        /// The mapped column.
        column: String,
        /// The columns that the row has.
        present: String,
    },
    /// A row has the same column twice.
    #[error("line {line}: column `{column}` is there twice; leave one of them")]
    Twice {
        /// The 1-based line.
        line: u64,
        /// The column.
        column: String,
    },
    /// A cell has a type that the column does not accept.
    #[error("line {line}: column `{column}` holds {found}; expected {expected}")]
    WrongType {
        /// The 1-based line.
        line: u64,
        /// The column.
        column: String,
        /// The kind of value that was found.
        found: &'static str,
        /// The kinds of values that the column accepts.
        expected: &'static str,
    },
    /// A question or answer is blank.
    #[error("line {line}: column `{column}` is empty; fill it or drop the row")]
    Empty {
        /// The 1-based line.
        line: u64,
        /// The column.
        column: String,
    },
    /// A solution has neither a mark nor a box.
    #[error(
        "line {line}: column `{column}` has no `#### answer` and no `\\boxed{{answer}}`; end it with one, or set `marked = false` if the column is a bare answer"
    )]
    NoMark {
        /// The 1-based line.
        line: u64,
        /// The column.
        column: String,
    },
    /// There is a solution where a bare answer belongs.
    #[error(
        "line {line}: column `{column}` holds a whole solution, which ends in `{own}`, and no bare answer; name the column of the answers, or set `marked = true` (`--format gsm8k` for GSM8K) to take the answer from the solution"
    )]
    WholeSolution {
        /// The 1-based line.
        line: u64,
        /// The column.
        column: String,
        /// The solution's answer.
        own: String,
    },
    /// Both `marked` and a solution column are set.
    #[error(
        "line {line}: `marked` takes the solution from the answer column, but column `{column}` is mapped too; unset one of them"
    )]
    TwoSolutions {
        /// The 1-based line.
        line: u64,
        /// The solution column.
        column: String,
    },
    /// A solution ends in a different answer from the row's.
    #[error(
        "line {line}: the solution ends in `{own}` but the answer is `{answer}`; correct one of them or drop the row"
    )]
    Disagrees {
        /// The 1-based line.
        line: u64,
        /// The solution's answer.
        own: String,
        /// The row's answer.
        answer: String,
    },
}

impl ImportError {
    /// Returns the 1-based line (or row) that was refused.
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
            | Self::Twice { line, .. }
            | Self::WholeSolution { line, .. }
            | Self::TwoSolutions { line, .. }
            | Self::Disagrees { line, .. } => *line,
        }
    }
}
