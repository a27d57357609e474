//! One writer per dataset. The operating system frees the lock however its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::Error;

/// The lock's file. It stays, empty, when the lock is freed: deleting it would let two writers each lock their own.
pub(crate) const LOCK: &str = ".lock";

/// A held lock; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// The only writer of `dir`.
    pub(crate) fn exclusive(dir: &Path, tool: &str) -> Result<Self, Error> {
        Self::take(dir, tool, File::try_lock)
    }

    /// One of several writers of `dir` that each write different parts.
    pub(crate) fn shared(dir: &Path, tool: &str) -> Result<Self, Error> {
        Self::take(dir, tool, File::try_lock_shared)
    }

    fn take(
        dir: &Path,
        tool: &str,
        lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, Error> {
        let path = dir.join(LOCK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(Error::io("open", &path))?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { dir: dir.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path)(e)),
        }
        // The note is for whoever finds the lock taken. Without it the lock holds all the same.
        drop(note(&mut file, &format!("{tool} (process {})\n", std::process::id())));
        Ok(Self { file })
    }
}

impl Drop for Lock {
    /// Frees the lock itself: closing the file would leave it taken as long as a process that was just started from this
    /// one still has its copy of the file, that is until it runs its own program.
    fn drop(&mut self) {
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
