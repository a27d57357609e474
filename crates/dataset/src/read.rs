//! Reading a table that is whole.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use schema::{Table, View};

use crate::keys::Keys;
use crate::manifest::Manifest;
use crate::{Error, part};

/// A complete and verified dataset.
#[derive(Debug, Clone)]
pub struct Dataset<T> {
    dir: PathBuf,
    manifest: Manifest,
    table: PhantomData<fn() -> T>,
}

impl<T: Table> Dataset<T> {
    /// Opens the dataset in `dir`. It must have a manifest, of this table in this version, every part must have the
    /// size and the hash that the manifest records, and no two rows may have one key: what is wrong is said before anybody
    /// works with a row.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let manifest = Manifest::read(dir)?;
        manifest.expect_kind(dir, &T::tag())?;
        manifest.files.iter().try_for_each(|entry| entry.verify(dir))?;
        let mut keys = Keys::default();
        for entry in &manifest.parts {
            part::add_keys::<T>(entry, dir, &mut keys)?;
        }
        Ok(Self { dir: dir.to_owned(), manifest, table: PhantomData })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it consists of and how it was made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.manifest.rows() as usize
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of parts.
    pub fn parts(&self) -> usize {
        self.manifest.parts.len()
    }

    /// Refuses a dataset without rows.
    pub fn require_rows(self) -> Result<Self, Error> {
        if self.is_empty() {
            return Err(Error::Empty { dir: self.dir });
        }
        Ok(self)
    }

    /// The rows of part `index`.
    pub fn part_rows(&self, index: usize) -> Result<Vec<T>, Error> {
        part::decode(self.part(index)?, &self.dir)
    }

    /// All rows, in the order of the parts.
    pub fn rows(&self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        for entry in &self.manifest.parts {
            all.extend(part::decode::<T>(entry, &self.dir)?);
        }
        Ok(all)
    }

    /// All rows with some of their columns. The others are not read.
    pub fn view<V: View<Of = T>>(&self) -> Result<Vec<V>, Error> {
        let mut all = Vec::new();
        for entry in &self.manifest.parts {
            all.extend(part::decode_view::<V>(entry, &self.dir)?);
        }
        Ok(all)
    }

    fn part(&self, index: usize) -> Result<&crate::Entry, Error> {
        let parts = self.parts();
        self.manifest.parts.get(index).ok_or_else(|| {
            Error::Usage(format!("{} has no part {index}: it has {parts}", self.dir.display()))
        })
    }
}
