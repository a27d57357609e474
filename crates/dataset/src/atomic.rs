//! Atomic file writes: a file is written under a temporary name in the same folder, flushed to disk, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// Prefix of the names of unfinished files. It begins with a dot because readers of Parquet folders skip such names.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// Atomically writes a file that is not part of a dataset, replacing any that is there. Its folder is created if needed.
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
    sweep_beside(path);
    write(path, bytes)
}

/// Deletes the temporary files that killed processes left of a file outside any dataset. This needs `/proc` to tell
/// which processes are still running. Failing to delete one is not an error; the next run tries again.
fn sweep_beside(path: &Path) {
    let processes = Path::new("/proc");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else { return };
    // Without `/proc` every process would seem to have ended, and files that are still being written would go.
    if !processes.join("self").exists() {
        return;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for entry in entries.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        // The name, as `create_beside` makes it: process id, number, name.
        let parts = found.strip_prefix(TEMPORARY).and_then(|rest| rest.split_once('-'));
        let Some((process, rest)) = parts else { continue };
        let ours = rest.split_once('-').is_some_and(|(_, of)| of == name);
        if ours && process.parse::<u32>().is_ok() && !processes.join(process).exists() {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Writes `bytes` to `path` atomically, replacing any file there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let (temporary, file) = create_beside(path)?;
    let written =
        fill(file, bytes).map_err(Error::io("write", path)).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // A failure to clean up is ignored: the first error is the one to report, and the next run sweeps up.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// Writes `bytes` to a file in `scratch`, then copies it to `path` atomically. What is left in `scratch` if the process is killed on
/// the way is of no use to anybody.
pub(crate) fn write_by(scratch: &Path, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let (first, file) = create_beside(&scratch.join(path.file_name().unwrap_or_default()))?;
    let written = fill(file, bytes).map_err(Error::io("write", &first));
    let written = written.and_then(|()| copy(&first, path));
    // Failing to clean up loses nothing.
    drop(fs::remove_file(&first));
    written
}

/// Copies a file to `path` atomically, replacing any file there.
fn copy(from: &Path, path: &Path) -> Result<(), Error> {
    let (temporary, mut file) = create_beside(path)?;
    let mut whole = open_file(from)?;
    let copied = io::copy(&mut whole, &mut file).and_then(|_| file.sync_all());
    let copied = copied.map_err(Error::io("write", path)).and_then(|()| rename(&temporary, path));
    if copied.is_err() {
        drop(fs::remove_file(&temporary));
    }
    copied
}

/// Renames a file and makes the rename durable.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::io("rename a finished file to", to))?;
    sync_folder(to)
}

/// Makes a change to the entries of `path`'s folder durable. Flushing the file alone would not do that.
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

/// Opens a file for reading. Anything else is refused: opening a named pipe could block for ever, and reading a device
/// may never end.
///
/// # Errors
/// [`Error::NotAFile`] for anything but a file or a link to one; [`Error::Io`] names the file.
pub fn open_file(path: &Path) -> Result<File, Error> {
    let kind = fs::metadata(path).map_err(Error::io("read", path))?.file_type();
    if !kind.is_file() {
        return Err(Error::NotAFile { path: path.to_owned(), found: other_than_file(kind) });
    }
    File::open(path).map_err(Error::io("read", path))
}

#[cfg(unix)]
fn other_than_file(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn other_than_file(kind: fs::FileType) -> &'static str {
    if kind.is_dir() { "a folder" } else { "something else" }
}

/// Reads a file; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut file = match open_file(path) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        other => other?,
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(Some(bytes))
}

/// Returns the size in bytes and the blake3 hash of a file.
pub(crate) fn digest(path: &Path) -> Result<(u64, String), Error> {
    digest_open(&mut open_file(path)?).map_err(Error::io("read", path))
}

/// Returns the size in bytes and the blake3 hash of the rest of an open file.
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

/// Creates a temporary file in the folder of `path`. Its name is unique among threads and processes; between machines
/// that share the folder, `create_new` makes sure that only one of them gets a name.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_killed_process_left_of_a_file_is_swept_and_no_other_s() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("comparison.json");
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let names = [
            format!(".tmp-{}-0-comparison.json", ended.id()),
            format!(".tmp-{}-0-audit.json", ended.id()),
            format!(".tmp-{}-7-comparison.json", std::process::id()),
            ".tmp-notes-0-comparison.json".to_owned(),
        ];
        for name in &names {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        write_file(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        let left: Vec<bool> = names.iter().map(|name| dir.path().join(name).exists()).collect();
        assert_eq!(left, [false, true, true, true]);
    }
}
