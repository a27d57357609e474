//! The lock that keeps a dataset to one writer. It is a lock of the operating system on a file, and so is freed
//! however its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::Error;

/// Name of the lock file. It is left behind, empty, when the lock is freed: if it were deleted, two writers could each
/// hold a lock on a file of their own.
pub(crate) const LOCK: &str = ".lock";

/// A held lock. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Locks `dir` for its only writer. Fails with [`Error::Locked`] if anyone else holds it.
    pub(crate) fn exclusive(dir: &Path, tool: &str) -> Result<Self, Error> {
        let path = dir.join(LOCK);
        let mut options = OpenOptions::new();
        // Not truncated, because the note in it is from whoever holds the lock.
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { dir: dir.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path)(e)),
        }
        // The note tells others who holds the lock. A failure to write it is ignored, since the lock holds anyway.
        drop(note(&mut file, &format!("{tool} (process {})\n", std::process::id())));
        Ok(Self { file })
    }
}

impl Drop for Lock {
    /// Unlocks explicitly. Closing the file is not enough: a child process that was just forked has a copy of the
    /// descriptor until it executes its own program, and would keep the lock until then.
    fn drop(&mut self) {
        // Emptied while the lock is held. Afterwards the note may be the next holder's.
        drop(note(&mut self.file, ""));
        drop(self.file.unlock());
    }
}

fn note(file: &mut File, text: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(n) if n > 1 => text.trim().to_owned(),
        // The holder may not have written its note yet.
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn a_freed_lock_is_free_though_a_copy_of_its_file_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::exclusive(dir.path(), "first").unwrap();
        let copy = lock.file.try_clone().unwrap();
        assert!(Lock::exclusive(dir.path(), "second").is_err());
        drop(lock);
        assert!(Lock::exclusive(dir.path(), "second").is_ok());
        drop(copy);
    }
}
