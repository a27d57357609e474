//! Errors of reading and writing datasets. The messages name the path, the place in it and the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// An error of reading or writing a dataset.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The dataset has no manifest, so it is not complete.
    #[error(
        "no _MANIFEST.json in {}: the dataset is not complete; run the stage that writes it again",
        dir.display()
    )]
    NotComplete {
        /// The dataset.
        dir: PathBuf,
    },
    /// The manifest is damaged or has been edited.
    #[error("{}: {detail}; write the dataset again with --force", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The problem.
        detail: String,
    },
    /// The dataset holds another table, or another version of it.
    #[error(
        "{} holds {found}, but {expected} is needed; pass another directory, or write it again with this version",
        dir.display()
    )]
    WrongTable {
        /// The dataset.
        dir: PathBuf,
        /// The kind in the manifest, as `table@version`.
        found: String,
        /// The kind that was asked for.
        expected: String,
    },
    /// A file differs from its entry in the manifest.
    #[error("{}: {detail}; the file changed after it was written: write the dataset again with --force", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it differs.
        detail: String,
    },
    /// A file cannot be parsed.
    #[error("{}: {detail}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The problem, and where it is.
        detail: String,
    },
    /// A part has, or would have, a column or row that its table does not allow.
    #[error("{}: {source}", path.display())]
    Content {
        /// The part.
        path: PathBuf,
        /// The problem, with the column or row.
        source: schema::Error,
    },
    /// A path that should be a file is something else.
    #[error("{} is {found}, not a file that can be read again; give a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// The thing that is there instead.
        found: &'static str,
    },
    /// Two rows have the same key.
    #[error("{}: two rows of {table} have the key {key}", dir.display())]
    Duplicate {
        /// The dataset.
        dir: PathBuf,
        /// The table, with its version.
        table: String,
        /// The key.
        key: String,
    },
    /// A dataset has no rows, but some are needed.
    #[error("empty dataset {}: it has no rows; look at the stage that wrote it", dir.display())]
    Empty {
        /// The dataset.
        dir: PathBuf,
    },
    /// The directory holds work done by another recipe.
    #[error(
        "{} was written by another recipe: {difference}; choose another directory, or replace it with --force",
        dir.display()
    )]
    Different {
        /// The dataset.
        dir: PathBuf,
        /// The first difference.
        difference: String,
    },
    /// A file of unknown origin is in the way.
    #[error("{} is in the way: it was not written by this program; move it elsewhere", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another process is writing the dataset.
    #[error("{} is being written by {holder}; try again when it has finished", dir.display())]
    Locked {
        /// The dataset.
        dir: PathBuf,
        /// The note that the holder of the lock left in it: its tool and process id.
        holder: String,
    },
    /// Parts are missing.
    #[error("{} is not complete: parts {missing} are missing; run them first", dir.display())]
    Incomplete {
        /// The dataset.
        dir: PathBuf,
        /// The missing parts, as an array specification such as `3,7,12-15`.
        missing: String,
    },
    /// The call makes no sense, such as a part that does not exist or a bad file name.
    #[error("{0}")]
    Usage(String),
    /// The operating system reported an error.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file it was tried on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The class of an error, by what can be done about it. Programs map it to their exit code (the numbers are those of
/// `sysexits.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The data is bad (65).
    Data,
    /// The machine failed, for example with a full disk or a missing permission (74).
    Io,
    /// It may work later: another process is writing, or parts are missing (75).
    Locked,
    /// The call makes no sense, or would destroy work (64).
    Usage,
}

impl Error {
    /// Returns the class of this error.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { .. } => ErrorClass::Io,
            Self::Locked { .. } | Self::Incomplete { .. } => ErrorClass::Locked,
            Self::Different { .. } | Self::Foreign { .. } | Self::Usage(_) => ErrorClass::Usage,
            Self::NotComplete { .. }
            | Self::Manifest { .. }
            | Self::WrongTable { .. }
            | Self::Damaged { .. }
            | Self::Unreadable { .. }
            | Self::Content { .. }
            | Self::NotAFile { .. }
            | Self::Duplicate { .. }
            | Self::Empty { .. } => ErrorClass::Data,
        }
    }

    /// Returns a closure that wraps an error of the operating system about `path`, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn remedy(source: &io::Error) -> &'static str {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, StorageFull};
    match source.kind() {
        StorageFull | QuotaExceeded => "; free some space and run again, what is finished is kept",
        FileTooLarge => "; raise the limit on file sizes (ulimit -f) and run again",
        PermissionDenied => "; check who owns it",
        _ => "",
    }
}
