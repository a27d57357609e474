//! Reads the files that stages leave in a run's folders, next to their datasets.

use std::collections::BTreeMap;
use std::path::Path;

use stage::{Failure, ResultExt};

/// Reads every file of this name below a run's folder. The result is keyed by the file's folder within the run.
pub(super) fn each<T>(
    run: &Path,
    name: &str,
    read: impl Fn(&Path) -> Result<T, Failure>,
) -> Result<BTreeMap<String, T>, Failure> {
    let mut found = BTreeMap::new();
    // The file system lists files in any order; the map puts them in a fixed one.
    for entry in walkdir::WalkDir::new(run) {
        let entry = entry.or_io(run.display())?;
        if entry.file_name() != name {
            continue;
        }
        let folder = entry.path().parent().and_then(|folder| folder.strip_prefix(run).ok());
        let folder = folder.map(|folder| folder.display().to_string()).unwrap_or_default();
        found.insert(folder, read(entry.path())?);
    }
    Ok(found)
}

/// Reads a JSON file.
pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = std::fs::read(path).or_io(path.display())?;
    serde_json::from_slice(&text).or_data(path.display())
}

/// The files found below the run folder of each seed, by folder within the run.
pub(super) type BySeed<T> = Vec<(String, BTreeMap<String, T>)>;

/// Groups the files of several runs by folder: for each folder, the seeds that have it, in their order.
pub(super) fn by_folder<T>(seeds: BySeed<T>) -> BTreeMap<String, Vec<(String, T)>> {
    let mut folders = BTreeMap::<String, Vec<(String, T)>>::new();
    for (seed, found) in seeds {
        for (folder, one) in found {
            folders.entry(folder).or_default().push((seed.clone(), one));
        }
    }
    folders
}
