//! Checks that no two rows of a table have the same key, in an amount of memory that does not grow with the rows.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use schema::Table;

use crate::entry::Entry;
use crate::seed::row_hash;
use crate::{Error, part};

/// The most hashes in memory, 64 MiB; further ones wait in files.
const HELD: usize = 1 << 22;
/// The number of those files, which are in the folder for temporary files. One of them at a time is read back.
const BUCKETS: usize = 64;

/// Verifies the parts of the dataset in `dir`, and fails if two rows have the same key. No other column is decoded.
pub(crate) fn check<T: Table>(parts: &[Entry], dir: &Path) -> Result<(), Error> {
    let mut keys = Keys::new(HELD);
    for entry in parts {
        part::for_each_key::<T>(entry, dir, |key| keys.add(row_hash(&[key])))?;
    }
    let Some(repeated) = keys.repeated().map_err(in_temporary)? else { return Ok(()) };
    let mut text = String::new();
    for entry in parts {
        part::for_each_key::<T>(entry, dir, |key| {
            if row_hash(&[key]) == repeated {
                key.clone_into(&mut text);
            }
            Ok(())
        })?;
    }
    Err(Error::Duplicate { dir: dir.to_owned(), table: T::tag(), key: text })
}

fn in_temporary(source: io::Error) -> Error {
    Error::io("use a temporary file in", &std::env::temp_dir())(source)
}

/// Keys as 128-bit hashes, which take less memory than the texts.
struct Keys {
    held: Vec<u128>,
    most: usize,
    /// The hashes that were more than `most`, by their last byte. Nobody else sees these files, and they go with the process.
    waiting: Vec<BufWriter<File>>,
}

impl Keys {
    fn new(most: usize) -> Self {
        Self { held: Vec::new(), most, waiting: Vec::new() }
    }

    fn add(&mut self, hash: u128) -> Result<(), Error> {
        self.held.push(hash);
        if self.held.len() < self.most { Ok(()) } else { self.spill().map_err(in_temporary) }
    }

    fn spill(&mut self) -> io::Result<()> {
        while self.waiting.len() < BUCKETS {
            self.waiting.push(BufWriter::new(tempfile::tempfile()?));
        }
        for hash in self.held.drain(..) {
            self.waiting[hash as usize % BUCKETS].write_all(&hash.to_le_bytes())?;
        }
        Ok(())
    }

    /// Returns a hash that was added more than once.
    fn repeated(mut self) -> io::Result<Option<u128>> {
        if self.waiting.is_empty() {
            return Ok(repeated(self.held));
        }
        self.spill()?;
        for bucket in self.waiting {
            let mut file = bucket.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.seek(SeekFrom::Start(0))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let (hashes, _) = bytes.as_chunks::<16>();
            let found = repeated(hashes.iter().map(|bytes| u128::from_le_bytes(*bytes)).collect());
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn repeated(mut hashes: Vec<u128>) -> Option<u128> {
    hashes.sort_unstable();
    hashes.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(most: usize, hashes: impl IntoIterator<Item = u128>) -> Option<u128> {
        let mut keys = Keys::new(most);
        hashes.into_iter().try_for_each(|hash| keys.add(hash)).unwrap();
        keys.repeated().unwrap()
    }

    #[test]
    fn a_key_that_is_there_twice_is_found_in_memory_and_in_files() {
        let hashes = (0..1000_u128).map(|i| row_hash(&[&i.to_string()]));
        for most in [3, 1000, HELD] {
            assert_eq!(found(most, hashes.clone()), None);
            for twice in [0, 500, 999] {
                let hash = row_hash(&[&twice.to_string()]);
                assert_eq!(found(most, hashes.clone().chain([hash])), Some(hash));
            }
        }
        assert_eq!(found(3, []), None);
    }
}
