//! Why a record batch is not a piece of the table it is said to be.

use std::fmt;

/// A record batch that is refused, or rows that cannot become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The columns differ from the declaration.
    Columns {
        /// The table, with its version.
        table: String,
        /// The first difference, in words.
        detail: String,
    },
    /// A row holds what its table does not allow.
    Row {
        /// The table, with its version.
        table: String,
        /// The row's position, from 0.
        row: usize,
        /// What is wrong with it, in words.
        detail: String,
    },
    /// Arrow and the row type do not understand each other.
    Convert {
        /// The table, with its version.
        table: String,
        /// What the conversion said.
        detail: String,
    },
}

impl Error {
    /// The same error for rows that start at `first` of a larger whole.
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
