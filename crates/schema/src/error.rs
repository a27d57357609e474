//! The errors of converting between rows and record batches.

use std::fmt;

/// Why a record batch does not belong to a table, or rows cannot be converted to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The columns differ from the declaration.
    Columns {
        /// The table, with its version.
        table: String,
        /// The first difference, in words.
        detail: String,
    },
    /// A row has a value that its table does not allow.
    Row {
        /// The table, with its version.
        table: String,
        /// The index of the row, from 0.
        row: usize,
        /// The problem, in words.
        detail: String,
    },
    /// The conversion between Arrow and the row type failed.
    Convert {
        /// The table, with its version.
        table: String,
        /// The error message of the conversion.
        detail: String,
    },
}

impl Error {
    /// Adds `first` to the index of the row, for a batch that starts at row `first` of a larger table.
    #[must_use]
    pub fn offset(self, first: usize) -> Self {
        match self {
            Self::Row { table, row, detail } => Self::Row { table, row: row + first, detail },
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Columns { table, detail } => write!(f, "not the columns of {table}: {detail}"),
            Self::Row { table, row, detail } => write!(f, "row {row} of {table}: {detail}"),
            Self::Convert { table, detail } => write!(f, "not rows of {table}: {detail}"),
        }
    }
}

impl std::error::Error for Error {}
