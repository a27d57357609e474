//! The state of an unfinished dataset: the recipe it follows, and a record of every finished file.
//!
//! It is kept in `.state/` and deleted just before the manifest is published. A record is written before its file is
//! renamed into place, so a file whose record is missing or does not match is not finished.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::manifest::Manifest;
use crate::{Error, Recipe, atomic};

/// The name of the state folder.
pub(crate) const STATE: &str = ".state";

/// The dataset to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The table and its version, or `files@1`.
    pub(crate) kind: String,
    /// The number of parts there will be.
    pub(crate) parts: usize,
    /// The recipe that makes them.
    pub(crate) recipe: Recipe,
}

/// The record of a finished file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The digest of the plan that the file was made for.
    plan: String,
    entry: Entry,
    /// The hash of the part of another table that the file was made together with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beside: Option<String>,
}

/// The `.state` folder of one dataset.
#[derive(Debug, Clone)]
pub(crate) struct State {
    dir: PathBuf,
}

impl Plan {
    /// Returns the plan that led to this manifest.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let (kind, recipe) = (manifest.kind.clone(), manifest.recipe.clone());
        Self { kind, parts: manifest.parts.len(), recipe }
    }

    /// Returns the digest of everything that determines the contents of the parts.
    pub(crate) fn digest(&self) -> String {
        self.recipe.digest(&self.kind)
    }

    /// Returns the first difference that matters, phrased for an error message.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self.kind != other.kind {
            return Some(format!("it holds {}, not {}", self.kind, other.kind));
        }
        if let Some(difference) = self.recipe.difference(&other.recipe) {
            return Some(difference);
        }
        let differs = self.parts != other.parts;
        differs.then(|| format!("it has {} parts, not {}", self.parts, other.parts))
    }
}

impl State {
    /// Returns the state of the dataset in `dir`, without reading anything.
    pub(crate) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Creates the folders.
    pub(crate) fn create(&self) -> Result<(), Error> {
        let records = self.records();
        fs::create_dir_all(&records).map_err(Error::io("create", &records))
    }

    /// Reads the plan of unfinished work. A plan that cannot be parsed counts as none.
    pub(crate) fn plan(&self) -> Result<Option<Plan>, Error> {
        read_json(&self.plan_path())
    }

    pub(crate) fn set_plan(&self, plan: &Plan) -> Result<(), Error> {
        self.create()?;
        write_json(&self.plan_path(), plan)
    }

    /// Records that the file of `entry` is about to be moved into place, made together with a file of the hash `beside`.
    pub(crate) fn record(
        &self,
        plan: &str,
        entry: &Entry,
        beside: Option<String>,
    ) -> Result<(), Error> {
        let record = Record { plan: plan.to_owned(), entry: entry.clone(), beside };
        write_json(&self.record_path(&entry.path), &record)
    }

    /// Returns the hash of what the file at `path` was made together with, if its record has one.
    pub(crate) fn beside(&self, path: &str) -> Result<Option<String>, Error> {
        let record = read_json::<Record>(&self.record_path(path))?;
        Ok(record.and_then(|record| record.beside))
    }

    /// Deletes the record of a finished file, durably: when this returns, no crash can bring the record back.
    pub(crate) fn unrecord(&self, entry: &Entry) -> Result<(), Error> {
        let record = self.record_path(&entry.path);
        atomic::remove(&record)?;
        atomic::sync_folder(&record)
    }

    /// Returns the files that were finished for `plan` and are unchanged, in the order of their names.
    pub(crate) fn finished(&self, plan: &str, check: Check) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for path in list(&self.records())? {
            let Some(record) = read_json::<Record>(&path)? else { continue };
            if record.plan == plan && whole(&record.entry, &self.dir, check)? {
                entries.push(record.entry);
            }
        }
        Ok(entries)
    }

    /// Returns all files that unfinished work, or work being replaced, has put into the dataset.
    pub(crate) fn known(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for path in list(&self.records())? {
            entries.extend(read_json::<Record>(&path)?.map(|record| record.entry));
        }
        let replaced = read_json::<Replaced>(&self.replaced_path())?.unwrap_or_default();
        entries.extend(replaced.parts);
        entries.extend(replaced.files);
        // These are about to be deleted, so nothing outside the dataset may be among them.
        entries.retain(Entry::is_inside);
        Ok(entries)
    }

    /// Moves a manifest, published or not, into the state folder, which keeps the list of its files until they are
    /// deleted.
    pub(crate) fn retire(&self, manifest: &Path) -> Result<(), Error> {
        atomic::rename(manifest, &self.replaced_path())?;
        atomic::sync_folder(manifest)
    }

    /// Like [`Self::retire`], notes files that are about to be deleted, but where no manifest lists them any more.
    pub(crate) fn replace(&self, files: Vec<Entry>) -> Result<(), Error> {
        self.create()?;
        write_json(&self.replaced_path(), &Replaced { parts: Vec::new(), files })
    }

    /// Deletes the records of all files but `keep`, and the list of files being replaced.
    pub(crate) fn forget(&self, keep: &[Entry]) -> Result<(), Error> {
        let kept = keep.iter().map(|entry| self.record_path(&entry.path));
        let kept: BTreeSet<PathBuf> = kept.collect();
        for path in list(&self.records())? {
            if !kept.contains(&path) {
                atomic::remove(&path)?;
            }
        }
        atomic::remove(&self.replaced_path())
    }

    /// Creates the folder for the caller's own unfinished work, and returns its path.
    pub(crate) fn scratch(&self) -> Result<PathBuf, Error> {
        let path = scratch_of(&self.dir);
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(path)
    }

    /// Deletes the caller's unfinished work.
    pub(crate) fn clear_scratch(&self) -> Result<(), Error> {
        remove_folder(&scratch_of(&self.dir))
    }

    /// Deletes the whole state folder, once the dataset is finished.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        remove_folder(&self.dir.join(STATE))
    }

    fn plan_path(&self) -> PathBuf {
        self.dir.join(STATE).join("plan.json")
    }

    fn replaced_path(&self) -> PathBuf {
        self.dir.join(STATE).join("replaced.json")
    }

    fn records(&self) -> PathBuf {
        self.dir.join(STATE).join("finished")
    }

    /// The place of a file's record. No name has a `+` (`files::check_name`), so no two files share a record.
    fn record_path(&self, entry: &str) -> PathBuf {
        self.records().join(format!("{}.json", entry.replace('/', "+")))
    }
}

/// A manifest that is being replaced. Only its lists of files still matter.
#[derive(Default, Serialize, Deserialize)]
struct Replaced {
    parts: Vec<Entry>,
    files: Vec<Entry>,
}

/// Returns the folder for unfinished work of the writers of the dataset in `dir`. It goes when the dataset is committed, or
/// when another recipe takes over.
pub fn scratch_of(dir: &Path) -> PathBuf {
    dir.join(STATE).join("scratch")
}

/// How a file is compared with its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// By its size alone, without reading it.
    Size,
    /// By its size and its hash.
    Hash,
}

/// Whether a file is unchanged since it was written.
pub(crate) fn whole(entry: &Entry, dir: &Path, check: Check) -> Result<bool, Error> {
    let compared = match check {
        Check::Size => entry.verify_size(dir),
        Check::Hash => entry.verify(dir),
    };
    match compared {
        Err(Error::Damaged { .. }) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Lists the files of a folder in the order of their names; empty if there is no folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let walk = walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name();
    let mut paths = Vec::new();
    for item in walk {
        match item {
            Ok(item) if item.file_type().is_dir() => {}
            Ok(item) => paths.push(item.into_path()),
            Err(e) if e.depth() == 0 && missing(&e) => {}
            Err(e) => return Err(Error::io("list", folder)(e.into())),
        }
    }
    Ok(paths)
}

fn missing(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

fn remove_folder(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::io("delete", folder)),
    }
}

/// Reads a JSON file; `None` if there is no file, or none of that form.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    Ok(atomic::read(path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let json = serde_json::to_vec(value);
    atomic::write(path, &json.expect("strings and numbers always have a JSON form"))
}
