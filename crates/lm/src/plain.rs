//! Reading files that may be anything: a pipe that nobody writes to, a device without an end, more than memory holds.

use std::io::Read;
use std::path::Path;

use crate::Error;

/// The most bytes of a file of settings.
pub(crate) const SMALL: u64 = 1 << 26;
/// The most bytes of a tokenizer, or of an index of shards.
pub(crate) const LARGE: u64 = 1 << 30;

/// Checks that a file is one, before it is opened: opening a pipe can take for ever.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let kind = std::fs::metadata(path).map_err(Error::io(path))?;
    kind.is_file().then_some(()).ok_or_else(|| Error::malformed(path, "no regular file"))
}

/// Opens a file.
pub(crate) fn open(path: &Path) -> Result<std::fs::File, Error> {
    check(path)?;
    std::fs::File::open(path).map_err(Error::io(path))
}

/// The bytes of a file of so many at most.
pub(crate) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(most + 1).read_to_end(&mut bytes);
    let read = read.map_err(Error::io(path))?;
    if read as u64 > most {
        return Err(Error::malformed(path, format!("more than {most} bytes")));
    }
    Ok(bytes)
}

/// The text of a file of so many bytes at most.
pub(crate) fn text(path: &Path, most: u64) -> Result<String, Error> {
    String::from_utf8(bytes(path, most)?)
        .map_err(|e| Error::malformed(path, format!("not UTF-8: {e}")))
}
