//! Files that appear whole or not at all: written beside their place, flushed to the disk, then renamed into it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// How names of unfinished files begin. Readers of Parquet folders skip names that begin with a dot.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// Writes one file that is not part of a dataset, whole or not at all, replacing what is there. Its folder is created
/// if needed.
///
/// # Errors
/// [`Error::Usage`] for a path without a file name; [`Error::Io`] names the file.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if path.file_name().is_none() {
        return Err(Error::Usage(format!("{} is not the name of a file", path.display())));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    write(path, bytes)
}

/// Writes `bytes` to `path`, replacing what is there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let (temporary, file) = create_beside(path)?;
    let written =
        fill(file, bytes).map_err(Error::io("write", path)).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // The error is the one worth reporting; what stays behind is swept by the next run.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// Moves a file into its place and makes the move durable.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::io("rename a finished file to", to))?;
    sync_folder(to)
}

/// Makes a change to the entries of `path`'s folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("flush", folder))
}

/// Deletes a file that may already be gone.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::io("delete", path)),
    }
}

/// The contents of a file, or nothing if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(Error::io("read", path)),
    }
}

/// Size and blake3 of a file.
pub(crate) fn digest(path: &Path) -> Result<(u64, String), Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    digest_open(&mut file).map_err(Error::io("read", path))
}

/// Size and blake3 of what is left of an open file.
pub(crate) fn digest_open(file: &mut File) -> io::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        };
    }
    Ok((hasher.count(), hasher.finalize().to_hex().to_string()))
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// A new file in the folder of `path`. Names differ between threads and processes; between machines that share the
/// folder, `create_new` decides who gets a name.
fn create_beside(path: &Path) -> Result<(PathBuf, File), Error> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary =
            path.with_file_name(format!("{TEMPORARY}{}-{count}-{name}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("write", &temporary)(e)),
        }
    }
}
