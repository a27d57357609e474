//! Writing a table: the parts one by one, then the manifest.

use std::marker::PhantomData;
use std::path::Path;

use schema::Table;

use crate::chunk::array_spec;
use crate::commit::Mode;
use crate::entry::Entry;
use crate::manifest::Manifest;
use crate::part;
use crate::state::Plan;
use crate::work::{Begin, Work};
use crate::{Error, Recipe, card, files, keys};

/// A table being written. Dropping it keeps the finished parts for the next run.
#[derive(Debug)]
pub struct Output<T> {
    work: Work,
    table: PhantomData<fn() -> T>,
}

impl<T: Table> Output<T> {
    /// Begins or resumes writing the dataset in `dir`, which will have `parts` parts. Returns [`Begin::UpToDate`] if the same
    /// recipe has already been followed to the end.
    ///
    /// Work by another recipe is an error unless `mode` replaces it. In that case its metrics and its manifest are removed
    /// first, and then its parts, so that no reader ever sees a manifest whose parts are gone.
    pub fn begin(
        dir: &Path,
        recipe: Recipe,
        parts: usize,
        mode: Mode,
    ) -> Result<Begin<Self>, Error> {
        let plan = Plan { kind: T::tag(), parts, recipe };
        let begun = Work::begin(dir, plan, mode, |_| Ok(()))?;
        Ok(begun.map(|work| Self { work, table: PhantomData }))
    }

    /// Starts over a dataset that [`Self::begin`] found up to date, replacing all of it. Needed for tables that are made
    /// together, when another one of them has to be made again.
    pub fn again(dir: &Path, recipe: Recipe, parts: usize) -> Result<Self, Error> {
        match Self::begin(dir, recipe, parts, Mode::Again)? {
            Begin::Work(output) => Ok(output),
            Begin::UpToDate(_) => unreachable!("what is to be made again is never up to date"),
        }
    }

    /// Returns the indices of the parts still to be written, in ascending order.
    pub fn missing(&self) -> Vec<usize> {
        (0..self.work.parts()).filter(|index| !self.work.has(&self.path(*index))).collect()
    }

    /// Writes part `index` atomically. A part that is already finished is left as it is. Several threads may write
    /// different parts.
    pub fn write_part(&self, index: usize, rows: &[T]) -> Result<(), Error> {
        self.write_part_with(index, rows, None)
    }

    /// Writes part `index` like [`Self::write_part`], and notes that its rows belong to those of the part in `other`, which
    /// is finished. See [`Self::belongs_to`].
    pub fn write_part_beside<U: Table>(
        &self,
        index: usize,
        rows: &[T],
        other: &Output<U>,
    ) -> Result<(), Error> {
        self.write_part_with(index, rows, other.hash(index))
    }

    /// Whether the rows of the finished part `index` belong to those that `other` has now. They do not if two writers made
    /// the same part at a time, with a model that does not repeat itself, and each wrote one of the tables last.
    pub fn belongs_to<U: Table>(&self, index: usize, other: &Output<U>) -> Result<bool, Error> {
        let beside = self.work.state().beside(&self.path(index))?;
        Ok(beside.is_none_or(|hash| other.hash(index) == Some(hash)))
    }

    fn hash(&self, index: usize) -> Option<String> {
        self.work.entry(&self.path(index)).map(|entry| entry.blake3)
    }

    fn write_part_with(
        &self,
        index: usize,
        rows: &[T],
        beside: Option<String>,
    ) -> Result<(), Error> {
        if index >= self.work.parts() {
            let parts = self.work.parts();
            return Err(Error::Usage(format!("there is no part {index}: there are {parts}")));
        }
        let path = self.path(index);
        if self.work.has(&path) {
            return Ok(());
        }
        let place = self.work.dir().join(&path);
        let bytes = part::encode(rows, self.work.provenance(), &place)?;
        self.work.write_part(&path, rows.len() as u64, &bytes, beside)
    }

    /// Deletes part `index` if it is finished, so that it is missing again. When this returns, no crash can bring it
    /// back.
    pub fn discard_part(&self, index: usize) -> Result<(), Error> {
        self.work.discard(&self.path(index))
    }

    /// Deletes all finished parts. Needed when the rows are only consistent with each other, and are about to be made
    /// again.
    pub fn discard_parts(&self) -> Result<(), Error> {
        (0..self.work.parts()).try_for_each(|index| self.discard_part(index))
    }

    /// Reads the rows of all finished parts, in the order of the parts.
    pub fn rows(&self) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        for index in 0..self.work.parts() {
            let Some(entry) = self.work.entry(&self.path(index)) else { continue };
            rows.extend(part::decode::<T>(&entry, self.work.dir())?);
        }
        Ok(rows)
    }

    /// Writes a file beside the parts, for example `results.json`.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        files::check_name(name)?;
        self.work.write(name, bytes)
    }

    /// Reads the keys of all parts back, then writes the card and the manifest, from when on the dataset exists.
    ///
    /// Fails if parts are missing, or if two rows have the same key.
    pub fn commit(self) -> Result<Manifest, Error> {
        let missing = self.missing();
        if !missing.is_empty() {
            let dir = self.work.dir().to_owned();
            return Err(Error::Incomplete { dir, missing: array_spec(&missing) });
        }
        let parts: Vec<String> = (0..self.work.parts()).map(|index| self.path(index)).collect();
        let entries: Vec<Entry> = parts.iter().filter_map(|path| self.work.entry(path)).collect();
        // From the files, because parts may come from other processes and from earlier runs.
        keys::check::<T>(&entries, self.work.dir())?;
        self.work.commit(&parts, &card::columns::<T>())
    }

    fn path(&self, index: usize) -> String {
        part::part_path(index, self.work.parts())
    }
}
