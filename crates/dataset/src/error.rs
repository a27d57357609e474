//! Why a dataset is not read or not written. Every message names the path, the place and the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no manifest.
    #[error(
        "no _MANIFEST.json in {}: the dataset is not complete; run the stage that writes it again",
        dir.display()
    )]
    NotComplete {
        /// The dataset.
        dir: PathBuf,
    },
    /// The manifest is not as it was written.
    #[error("{}: {detail}; write the dataset again with --force", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
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
        /// What the manifest says, as `table@version`.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// A file is not the one that the manifest lists.
    #[error("{}: {detail}; the file changed after it was written: write the dataset again with --force", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it differs.
        detail: String,
    },
    /// A file cannot be understood.
    #[error("{}: {detail}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        detail: String,
    },
    /// A part holds, or would hold, what its table does not allow.
    #[error("{}: {source}", path.display())]
    Content {
        /// The part.
        path: PathBuf,
        /// The column or row.
        source: schema::Error,
    },
    /// What should be a file is none.
    #[error("{} is {found}, not a file that can be read again; give a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// Two rows have one key.
    #[error("{}: two rows of {table} have the key {key}", dir.display())]
    Duplicate {
        /// The dataset.
        dir: PathBuf,
        /// The table, with its version.
        table: String,
        /// The key.
        key: String,
    },
    /// A dataset without rows, where some are needed.
    #[error("empty dataset {}: it has no rows; look at the stage that wrote it", dir.display())]
    Empty {
        /// The dataset.
        dir: PathBuf,
    },
    /// The directory holds the work of another recipe.
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
    /// A file is in the way, and nothing says where it comes from.
    #[error("{} is in the way: it was not written by this program; move it elsewhere", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Someone else is writing.
    #[error("{} is being written by {holder}; try again when it has finished", dir.display())]
    Locked {
        /// The dataset.
        dir: PathBuf,
        /// What the holder wrote into the lock.
        holder: String,
    },
    /// Parts are missing.
    #[error("{} is not complete: parts {missing} are missing; run them first", dir.display())]
    Incomplete {
        /// The dataset.
        dir: PathBuf,
        /// The missing parts, as an array specification.
        missing: String,
    },
    /// The caller asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// The operating system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
}

/// What a caller can do about an error; programs map it to their exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The data is bad (65 in sysexits).
    Data,
    /// The machine refused: a full disk, a missing permission (74).
    Io,
    /// Later it may work: someone else is writing, or parts are missing (75).
    Locked,
    /// The request makes no sense, or would destroy work (64).
    Usage,
}

impl Error {
    /// What the caller can do about it.
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

    /// An answer of the operating system about `path`.
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
