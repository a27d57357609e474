//! A file of a dataset as the manifest knows it, and the check that it is still that file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, atomic};

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Path relative to the dataset, with `/` between folders.
    pub path: String,
    /// Number of rows; absent for a file that is not a part of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Size in bytes.
    pub bytes: u64,
    /// Blake3 hash of the file, in hexadecimal.
    pub blake3: String,
}

impl Entry {
    /// Returns the path of the file in the dataset `dir`.
    pub(crate) fn place(&self, dir: &Path) -> PathBuf {
        dir.join(&self.path)
    }

    /// Whether the path stays inside the dataset. An edited manifest must not make a writer delete files elsewhere.
    pub(crate) fn is_inside(&self) -> bool {
        let normal = |part| matches!(part, std::path::Component::Normal(_));
        !self.path.is_empty() && Path::new(&self.path).components().all(normal)
    }

    /// Whether a file of this size can have this many rows.
    pub(crate) fn is_possible(&self) -> bool {
        self.rows.is_none_or(|rows| rows <= most_unpacked(self.bytes))
    }

    /// Checks the size of the file, without reading it.
    pub(crate) fn verify_size(&self, dir: &Path) -> Result<(), Error> {
        self.open(&self.place(dir)).map(drop)
    }

    /// Reads the file and checks its size and hash.
    pub(crate) fn verify(&self, dir: &Path) -> Result<(), Error> {
        let path = self.place(dir);
        let digest = atomic::digest_open(&mut self.open(&path)?);
        let (bytes, blake3) = digest.map_err(Error::io("read", &path))?;
        self.compare(&path, bytes, &blake3)
    }

    /// The bytes of the file at `path`, which are those that are listed.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let file = self.open(path)?;
        let (mut bytes, io) = (Vec::new(), || Error::io("read", path));
        // A file may be larger than the memory. An ordinary allocation would end the process without naming it.
        bytes.try_reserve_exact(self.bytes as usize).map_err(|e| io()(std::io::Error::other(e)))?;
        // A file that grows in the meantime is not read to its end, which may never come.
        file.take(self.bytes).read_to_end(&mut bytes).map_err(io())?;
        let blake3 = blake3::hash(&bytes).to_hex().to_string();
        self.compare(path, bytes.len() as u64, &blake3)?;
        Ok(bytes)
    }

    /// Opens the file at `path` and checks its size, which is much cheaper than its hash.
    fn open(&self, path: &Path) -> Result<File, Error> {
        let damaged = |detail: String| Error::Damaged { path: path.to_owned(), detail };
        let file = atomic::open_file(path).map_err(|e| match e {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                damaged("it is missing".to_owned())
            }
            Error::NotAFile { found, .. } => damaged(format!("it is {found}")),
            other => other,
        })?;
        let found = file.metadata().map_err(Error::io("read", path))?;
        // The hash is not known yet. With the entry's own in its place, only the sizes are compared.
        self.compare(path, found.len(), &self.blake3)?;
        Ok(file)
    }

    /// Checks a size and a hash against the entry.
    fn compare(&self, path: &Path, bytes: u64, blake3: &str) -> Result<(), Error> {
        let detail = if bytes != self.bytes {
            format!("it has {bytes} bytes instead of {}", self.bytes)
        } else if blake3 != self.blake3 {
            "its blake3 is not the recorded one".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Damaged { path: path.to_owned(), detail })
    }
}

/// Returns the bytes that the columns of a file of this size may take in memory: 1000 times its size, since repeated
/// texts compress that well, and at least 256 MiB. Without a limit, a file of a few kilobytes could use up all memory.
pub(crate) fn most_unpacked(bytes: u64) -> u64 {
    bytes.saturating_mul(1000).max(256 << 20)
}
