//! One writer per dataset. The operating system frees the lock however its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::Error;

/// The lock's file. It stays when the lock is freed, since deleting it would let two writers each lock their own.
pub(crate) const LOCK: &str = ".lock";

/// A held lock; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// The only writer of `dir`.
    pub(crate) fn exclusive(dir: &Path, tool: &str) -> Result<Self, Error> {
        let mut file = open(dir)?;
        let taken = file.try_lock();
        settle(dir, &mut file, taken)?;
        // The note helps whoever finds the lock taken. Without it the lock holds all the same.
        drop(note(&mut file, tool));
        Ok(Self { _file: file })
    }

    /// One of several writers of `dir` that each write different parts.
    pub(crate) fn shared(dir: &Path) -> Result<Self, Error> {
        let mut file = open(dir)?;
        let taken = file.try_lock_shared();
        settle(dir, &mut file, taken)?;
        Ok(Self { _file: file })
    }
}

fn open(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(&path).map_err(Error::io("open", &path))
}

fn settle(dir: &Path, file: &mut File, taken: Result<(), TryLockError>) -> Result<(), Error> {
    match taken {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Locked { dir: dir.to_owned(), holder: holder(file) })
        }
        Err(TryLockError::Error(e)) => Err(Error::io("lock", &dir.join(LOCK))(e)),
    }
}

fn note(file: &mut File, tool: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{tool} (process {})", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(n) if n > 1 => text.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}
