//! Reads files that may be anything: a pipe nobody writes to, an endless device, or more than fits in memory.

use std::io::Read;
use std::path::Path;

use crate::Error;

/// Size limit of configuration files, in bytes (64 MiB).
pub(crate) const SMALL: u64 = 1 << 26;
/// Size limit of a tokenizer or shard index, in bytes (1 GiB).
pub(crate) const LARGE: u64 = 1 << 30;

/// Checks that a path is a regular file. This has to come before opening it, because opening a pipe can block forever.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let kind = std::fs::metadata(path).map_err(Error::io(path))?;
    kind.is_file().then_some(()).ok_or_else(|| Error::malformed(path, "no regular file"))
}

/// Opens a regular file.
pub(crate) fn open(path: &Path) -> Result<std::fs::File, Error> {
    check(path)?;
    std::fs::File::open(path).map_err(Error::io(path))
}

/// Reads a file of at most `most` bytes.
pub(crate) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to tell that a file is too large, even one without an end.
    let read = open(path)?.take(most + 1).read_to_end(&mut bytes);
    let read = read.map_err(Error::io(path))?;
    if read as u64 > most {
        return Err(Error::malformed(path, format!("more than {most} bytes")));
    }
    Ok(bytes)
}

/// Reads a UTF-8 file of at most `most` bytes.
pub(crate) fn text(path: &Path, most: u64) -> Result<String, Error> {
    String::from_utf8(bytes(path, most)?)
        .map_err(|e| Error::malformed(path, format!("not UTF-8: {e}")))
}
