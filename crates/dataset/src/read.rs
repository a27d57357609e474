//! Reading a complete table.

use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};

use schema::{Table, View};

use crate::entry::Entry;
use crate::manifest::Manifest;
use crate::{Error, Input, keys, part};

/// A complete and verified dataset.
#[derive(Debug, Clone)]
pub struct Dataset<T> {
    dir: PathBuf,
    manifest: Manifest,
    table: PhantomData<fn() -> T>,
}

impl<T: Table> Dataset<T> {
    /// Opens the dataset in `dir`. It must have a manifest, hold this table in this version, have parts of the size and
    /// hash recorded in the manifest, and have no two rows with the same key. All of this is checked here, so that a
    /// stage fails before it has worked on any row.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let dataset = Self::open_unread(dir)?;
        let manifest = &dataset.manifest;
        manifest.files.iter().try_for_each(|entry| entry.verify(dir))?;
        // This verifies the parts, too, so each of them is read only once here.
        keys::check::<T>(&manifest.parts, dir)?;
        Ok(dataset)
    }

    /// Opens the dataset in `dir` by its manifest alone. A part is verified when it is read, and keys are not compared. For one
    /// of many processes that read a few parts each, where another one has opened the whole.
    pub fn open_unread(dir: &Path) -> Result<Self, Error> {
        let manifest = Manifest::read(dir)?;
        manifest.expect_kind(dir, &T::tag())?;
        Ok(Self { dir: dir.to_owned(), manifest, table: PhantomData })
    }

    /// Returns the directory of the dataset.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the manifest: the list of files, and how they were made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns this dataset as the input `name` of a recipe.
    pub fn input(&self, name: &str) -> Input {
        Input::dataset(name, &self.dir, &self.manifest.content)
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.manifest.rows() as usize
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of parts.
    pub fn parts(&self) -> usize {
        self.manifest.parts.len()
    }

    /// Returns the rows of each part, as a range of all rows.
    pub fn ranges(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let part = |entry: &Entry| {
            let rows = start..start + entry.rows.unwrap_or_default() as usize;
            start = rows.end;
            rows
        };
        self.manifest.parts.iter().map(part).collect()
    }

    /// Fails with [`Error::Empty`] if there are no rows.
    pub fn require_rows(self) -> Result<Self, Error> {
        if self.is_empty() {
            return Err(Error::Empty { dir: self.dir });
        }
        Ok(self)
    }

    /// Reads the rows of part `index`.
    pub fn part_rows(&self, index: usize) -> Result<Vec<T>, Error> {
        part::decode(self.part(index)?, &self.dir)
    }

    /// Reads all rows, in the order of the parts.
    pub fn rows(&self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        for entry in &self.manifest.parts {
            all.extend(part::decode::<T>(entry, &self.dir)?);
        }
        Ok(all)
    }

    /// Reads all rows, but only the columns of a view. The other columns are not decoded.
    pub fn view<V: View<Of = T>>(&self) -> Result<Vec<V>, Error> {
        let mut all = Vec::new();
        for entry in &self.manifest.parts {
            all.extend(part::decode_view::<V>(entry, &self.dir)?);
        }
        Ok(all)
    }

    /// Reads the rows of part `index`, but only the columns of a view.
    pub fn part_view<V: View<Of = T>>(&self, index: usize) -> Result<Vec<V>, Error> {
        part::decode_view::<V>(self.part(index)?, &self.dir)
    }

    fn part(&self, index: usize) -> Result<&Entry, Error> {
        let parts = self.parts();
        self.manifest.parts.get(index).ok_or_else(|| {
            Error::Usage(format!("{} has no part {index}: it has {parts}", self.dir.display()))
        })
    }
}
