//! Writing one file that is not part of a dataset, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dataset::Error;

/// Writes `bytes` to `path`, replacing what is there: beside it, flushed to the disk, then renamed into its place. Its
/// folder is created if needed.
pub(super) fn save(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let Some(name) = path.file_name() else {
        return Err(Error::Usage(format!("{} is not the name of a file", path.display())));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let temporary = temporary(folder, name.as_ref());
    let written = fill(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // Gone already if the rename worked; and the error is the one worth reporting.
        drop(fs::remove_file(&temporary));
    }
    written.map_err(failed("write", path))
}

/// No two processes that run at once have one name; what a killed one left behind is overwritten.
fn temporary(folder: &Path, name: &Path) -> PathBuf {
    folder.join(format!(".tmp-{}-{}", std::process::id(), name.display()))
}

fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
