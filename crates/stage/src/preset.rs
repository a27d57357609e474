//! Presets: a stage's hyperparameters, from TOML files and `--set key=value`.
//!
//! A file may hold only its differences from another one that it `extends` (see [`overlay`]). Unknown keys, values of a wrong
//! type and numbers out of range are errors, because they would otherwise be silent mistakes. A preset's identity is the
//! [`digest`] of its typed values, so comments, spacing, the order of keys, and which file sets a value do not matter.
//!
//! [`digest`]: Preset::digest

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Failure, ResultExt};

mod overlay;
mod range;
mod show;

pub(crate) use overlay::Overlay;
pub(crate) use show::show;

/// A stage's hyperparameters and their identity.
#[derive(Debug, Clone)]
pub struct Preset<T> {
    /// The values.
    pub value: T,
    /// Blake3 hash, in hexadecimal, of the values as JSON with sorted keys.
    pub digest: String,
    overlay: Overlay,
}

impl<T: Serialize + DeserializeOwned> Preset<T> {
    pub(crate) fn new(overlay: Overlay) -> Result<Self, Failure> {
        let value: T = overlay.typed()?;
        let digest = dataset::digest_of(&value).or_bug(overlay.file())?;
        Ok(Self { value, digest, overlay })
    }

    pub(crate) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Merges each table in a section of another preset over this one, and returns the results by name: `[variants.large]` of
    /// `compare.toml` over `tree.toml`.
    ///
    /// # Errors
    /// Those of [`load`], with the place in the other preset.
    pub fn with_each<U>(
        &self,
        other: &Preset<U>,
        section: &str,
    ) -> Result<Vec<(String, T)>, Failure> {
        self.overlay.with_each(&other.overlay, section)
    }
}

/// Reads the preset at `path` and the files that it extends, merges each `key=value` of `set` over it in turn (a later one
/// wins), and types the result as `T`.
///
/// A key is a path with dots, `search.width`. A value is TOML; what is not TOML is taken as text, so that `mode=fast` needs no
/// quotes. Fails with exit 64 on a malformed `set`, else with 78.
pub fn load<T: Serialize + DeserializeOwned>(
    path: &Path,
    set: &[String],
) -> Result<Preset<T>, Failure> {
    let mut overlay = Overlay::read(path)?;
    for assignment in set {
        overlay.set(assignment, 0)?;
    }
    Preset::new(overlay)
}

/// Most bytes that a preset may have. Far more than anyone writes, it keeps a wrong path from filling the memory.
const LONGEST: u64 = 16 << 20;

fn read(path: &Path) -> Result<String, String> {
    // Not `File::open`, which waits forever at a pipe that nobody writes to.
    let file = dataset::open_file(path).map_err(|e| match e {
        dataset::Error::Io { source, .. } => source.to_string(),
        dataset::Error::NotAFile { found, .. } => format!("it is {found}, not a file"),
        other => other.to_string(),
    })?;
    let mut text = String::new();
    // One byte more than allowed, to tell a file of that length from a longer one.
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > LONGEST {
        return Err(format!("it has more than {} MiB", LONGEST >> 20));
    }
    Ok(text)
}

/// Merges a file with the files that it extends, without a type.
///
/// # Errors
/// Those of [`load`].
pub fn merged(path: &Path) -> Result<toml::Table, Failure> {
    Overlay::read(path)?.typed()
}

/// Loads the files that `wanted` selects by name from the shipped presets (`pipelines/*/`) and their arms
/// (`pipelines/*/*/`). The tests of the stages check with it that all of them can be read.
///
/// # Errors
/// Those of [`load`]; exit 74 if the folder cannot be read, for example outside the repository.
pub fn shipped<T: Serialize + DeserializeOwned>(
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<T>, Failure> {
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines")];
    let mut values = Vec::new();
    while let Some(folder) = left.pop() {
        for path in list(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                left.push(path);
            } else if wanted(&name) {
                values.push(load(&path, &[])?.value);
            }
        }
    }
    Ok(values)
}

/// Lists the entries of a folder, sorted.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).or_io(folder.display())?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .or_io(folder.display())?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
#[path = "preset_tests.rs"]
mod tests;
