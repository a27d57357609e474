//! Plain files under the same protocol as a table. A checkpoint, for example, is a folder of files and a manifest.

use std::path::{Path, PathBuf};

use crate::commit::Mode;
use crate::layout::RESERVED;
use crate::manifest::Manifest;
use crate::state::{self, Plan, State};
use crate::work::{Begin, Work};
use crate::{Error, Input, METRICS, Recipe};

const KIND: &str = "files@1";

/// A folder of files being written. Dropping it keeps the files and the scratch folder for the next run.
#[derive(Debug)]
pub struct FilesOutput {
    work: Work,
}

impl FilesOutput {
    /// Begins or resumes writing the folder `dir` as its only writer, like [`Output::begin`](crate::Output::begin). Files
    /// that an unfinished run wrote are kept only if the recipe is the same.
    pub fn begin(dir: &Path, recipe: Recipe, force: bool) -> Result<Begin<Self>, Error> {
        Ok(Work::begin(dir, plan(recipe), Mode::only(force), refuse_foreign)?
            .map(|work| Self { work }))
    }

    /// Whether [`Self::begin`] would find the folder `dir` complete. If not, nothing is begun: the folder stays as it is.
    ///
    /// # Errors
    /// As [`Self::begin`] for a folder that is complete by another recipe or damaged.
    pub fn is_done(dir: &Path, recipe: Recipe, force: bool) -> Result<bool, Error> {
        Ok(Work::done(dir, &plan(recipe), Mode::only(force))?.is_some())
    }

    /// Writes a file atomically, replacing any of the same name.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        check_name(name)?;
        self.work.write(name, bytes)
    }

    /// Moves a file from the scratch folder into its place.
    pub fn adopt(&self, name: &str, from: &Path) -> Result<(), Error> {
        check_name(name)?;
        self.work.adopt(name, from)
    }

    /// Creates the scratch folder and returns its path. It is for whatever lets a killed run resume, such as optimizer
    /// state. It is kept until the commit, and deleted when another recipe takes over.
    pub fn scratch(&self) -> Result<PathBuf, Error> {
        self.work.state().scratch()
    }

    /// Writes a file in the scratch folder atomically, and returns its path.
    pub fn write_scratch(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
        let path = self.scratch()?.join(name);
        crate::atomic::write(&path, bytes)?;
        Ok(path)
    }

    /// Verifies all files and writes the manifest, from when on the folder is complete.
    pub fn commit(self) -> Result<Manifest, Error> {
        self.work.commit(&[], "")
    }
}

fn plan(recipe: Recipe) -> Plan {
    Plan { kind: KIND.to_owned(), parts: 0, recipe }
}

/// A complete and verified folder of files.
#[derive(Debug, Clone)]
pub struct Files {
    dir: PathBuf,
    manifest: Manifest,
}

impl Files {
    /// Opens a folder and checks that every file has the size and hash recorded in the manifest.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let manifest = Manifest::read(dir)?;
        manifest.expect_kind(dir, KIND)?;
        manifest.verify(dir)?;
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// Returns the path of the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the manifest: the list of files, and how they were made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns these files as the input `name` of a recipe.
    pub fn input(&self, name: &str) -> Input {
        Input::dataset(name, &self.dir, &self.manifest.content)
    }

    /// Returns the path of a file. Fails if the manifest does not list it.
    pub fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let listed = self.manifest.files.iter().find(|entry| entry.path == name);
        listed.map(|entry| entry.place(&self.dir)).ok_or_else(|| Error::Unreadable {
            path: self.dir.join(name),
            detail: "the manifest lists no such file".to_owned(),
        })
    }
}

/// Checks the name of a file, relative to the dataset: letters, digits, `.`, `_` and `-`, in folders or not, no component
/// hidden, and no name that the protocol uses itself.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let bad = |name: &str| name.is_empty() || name.starts_with('.') || !name.chars().all(plain);
    let first = name.split('/').next().unwrap_or(name);
    if name.split('/').any(bad) || name == METRICS || RESERVED.contains(&first) {
        return Err(Error::Usage(format!("{name:?} cannot be the name of a file in a dataset")));
    }
    Ok(())
}

/// Fails if the folder has files of unknown origin. Whoever loads the folder would take them for part of the
/// checkpoint.
fn refuse_foreign(dir: &Path) -> Result<(), Error> {
    let known = State::of(dir).known()?;
    for path in state::list(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = RESERVED.contains(&name.as_ref()) || name == METRICS || name.starts_with('.');
        let of_ours = |path: &str| path.split('/').next() == Some(&name);
        if !ours && !known.iter().any(|entry| of_ours(&entry.path)) {
            return Err(Error::Foreign { path });
        }
    }
    Ok(())
}
