//! Beginning, resuming and committing, shared by tables and plain files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::atomic;
use crate::commit::{self, Left, Mode};
use crate::entry::Entry;
use crate::layout::{DATA, ours, temporary};
use crate::lock::Lock;
use crate::manifest::{MANIFEST, Manifest};
use crate::state::{self, Check, Plan, State};
use crate::{Error, METRICS, card, lost};

/// The outcome of beginning: nothing to do, or work to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a run has one of them")]
pub enum Begin<W> {
    /// Nothing to do: the dataset is complete, by the same recipe.
    UpToDate(Manifest),
    /// The dataset is yet to be written or finished.
    Work(W),
}

impl<W> Begin<W> {
    /// Converts the work with `f`.
    pub(crate) fn map<V>(self, f: impl FnOnce(W) -> V) -> Begin<V> {
        match self {
            Self::UpToDate(manifest) => Begin::UpToDate(manifest),
            Self::Work(work) => Begin::Work(f(work)),
        }
    }
}

/// A dataset being written. The lock of an only writer is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Work {
    dir: PathBuf,
    plan: Plan,
    digest: String,
    state: State,
    finished: Mutex<BTreeMap<String, Entry>>,
    mode: Mode,
    _lock: Option<Lock>,
}

impl Work {
    /// Begins or resumes the work in `dir`, or finds it done. If nothing there is known to be ours, `admit` checks the
    /// directory first.
    pub(crate) fn begin(
        dir: &Path,
        plan: Plan,
        mode: Mode,
        admit: fn(&Path) -> Result<(), Error>,
    ) -> Result<Begin<Self>, Error> {
        // Looked for without the lock first, since a finished dataset is only read.
        if let Some(manifest) = Self::done(dir, &plan, mode)? {
            return Ok(Begin::UpToDate(manifest));
        }
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let lock = match mode {
            Mode::Shard { .. } => None,
            Mode::Alone | Mode::Replace | Mode::Again => {
                Some(Lock::exclusive(dir, &plan.recipe.tool)?)
            }
        };
        let (state, digest) = (State::of(dir), plan.digest());
        let known = match commit::left(dir, &state, &plan, mode)? {
            Left::Finished(manifest) => return Ok(Begin::UpToDate(*manifest)),
            Left::Ours => true,
            Left::Unknown => false,
        };
        if !known {
            admit(dir)?;
        }
        settle_plan(dir, &state, &plan, mode, known)?;
        let check = if mode.is_shard() { Check::Size } else { Check::Hash };
        let finished = state.finished(&digest, check)?;
        // Not beside other shards: what looks like a leftover may be a file that one of them is writing.
        if !mode.is_shard() {
            sweep(dir, &state, &finished)?;
        }
        let finished = finished.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
        let (dir, finished) = (dir.to_owned(), Mutex::new(finished));
        Ok(Begin::Work(Self { dir, plan, digest, state, finished, mode, _lock: lock }))
    }

    /// Returns the manifest if the work in `dir` is done. Otherwise nothing is begun.
    pub(crate) fn done(dir: &Path, plan: &Plan, mode: Mode) -> Result<Option<Manifest>, Error> {
        let manifest = commit::up_to_date(dir, plan, mode)?;
        if manifest.is_some() {
            clear_after(dir, plan)?;
        }
        Ok(manifest)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn parts(&self) -> usize {
        self.plan.parts
    }

    /// Returns the digest of the recipe, which every part carries in its metadata.
    pub(crate) fn provenance(&self) -> &str {
        &self.digest
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Whether the file at `path`, relative to the dataset, is finished.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.lock().contains_key(path)
    }

    /// Returns the entry of the file at `path`, relative to the dataset, if it is finished.
    pub(crate) fn entry(&self, path: &str) -> Option<Entry> {
        self.lock().get(path).cloned()
    }

    /// Writes a file of the dataset that has no rows atomically. Several threads may write different files.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.put(entry(path, None, bytes), bytes, None)
    }

    /// Writes a part of `rows` rows atomically, made together with a file of the hash `beside`. Several threads may write
    /// different parts.
    pub(crate) fn write_part(
        &self,
        path: &str,
        rows: u64,
        bytes: &[u8],
        beside: Option<String>,
    ) -> Result<(), Error> {
        self.put(entry(path, Some(rows), bytes), bytes, beside)
    }

    fn put(&self, entry: Entry, bytes: &[u8], beside: Option<String>) -> Result<(), Error> {
        let place = self.prepare(&entry, beside)?;
        match self.mode {
            Mode::Shard { scratch: Some(scratch) } => atomic::write_by(scratch, &place, bytes)?,
            _ => atomic::write(&place, bytes)?,
        }
        self.lock().insert(entry.path.clone(), entry);
        Ok(())
    }

    /// Deletes a finished file, its record first: without a record the file counts as unfinished, whatever happens next.
    pub(crate) fn discard(&self, path: &str) -> Result<(), Error> {
        let Some(entry) = self.lock().remove(path) else { return Ok(()) };
        self.state.unrecord(&entry)?;
        atomic::remove(&entry.place(&self.dir))
    }

    /// Moves a file into the dataset. It must be on the same file system and not be a link.
    pub(crate) fn adopt(&self, path: &str, from: &Path) -> Result<(), Error> {
        let found = fs::symlink_metadata(from).map_err(Error::io("read", from))?;
        if found.is_symlink() {
            // The dataset must own its bytes: the target of a link may move or change later.
            return Err(Error::NotAFile { path: from.to_owned(), found: "a link" });
        }
        // The file may not be flushed yet, and renaming it does not do so.
        atomic::open_file(from)?.sync_all().map_err(Error::io("flush", from))?;
        let (bytes, blake3) = atomic::digest(from)?;
        let entry = Entry { path: path.to_owned(), rows: None, bytes, blake3 };
        let place = self.prepare(&entry, None)?;
        atomic::rename(from, &place)?;
        self.lock().insert(path.to_owned(), entry);
        Ok(())
    }

    /// Verifies all files, then writes the card and the manifest. `columns` is the card's table of columns.
    pub(crate) fn commit(self, parts: &[String], columns: &str) -> Result<Manifest, Error> {
        if self.mode.is_shard() {
            let dir = self.dir.display();
            return Err(Error::Usage(format!(
                "{dir} has several writers, none of which commits it"
            )));
        }
        let mut finished = self.finished.into_inner().unwrap_or_else(PoisonError::into_inner);
        let parts: Vec<Entry> = parts.iter().filter_map(|path| finished.remove(path)).collect();
        let files: Vec<Entry> = finished.into_values().collect();
        let manifest = Manifest::new(&self.plan.kind, parts, files, self.plan.recipe);
        // Read back from the disk, so that damage is found before the dataset exists.
        manifest.verify(&self.dir)?;
        // The manifest does not list the card, because the card states the hash of what is listed.
        let card = card::text(&manifest, columns) + &lost::line(&manifest);
        atomic::write(&self.dir.join(card::NAME), card.as_bytes())?;
        commit::publish(&self.dir, &self.state, &manifest)?;
        Ok(manifest)
    }

    fn prepare(&self, entry: &Entry, beside: Option<String>) -> Result<PathBuf, Error> {
        let place = entry.place(&self.dir);
        let folder = place.parent().unwrap_or(&self.dir);
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        self.state.record(&self.digest, entry, beside)?;
        Ok(place)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // A poisoned lock is fine: a panic elsewhere cannot leave the map half changed.
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(path: &str, rows: Option<u64>, bytes: &[u8]) -> Entry {
    let blake3 = blake3::hash(bytes).to_hex().to_string();
    Entry { path: path.to_owned(), rows, bytes: bytes.len() as u64, blake3 }
}

/// Deletes the state folder of a complete dataset, where a writer was killed before it could.
fn clear_after(dir: &Path, plan: &Plan) -> Result<(), Error> {
    if !dir.join(state::STATE).exists() {
        return Ok(());
    }
    match Lock::exclusive(dir, &plan.recipe.tool) {
        Ok(_lock) => State::of(dir).clear(),
        // The holder of the lock is cleaning up itself.
        Err(Error::Locked { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes `plan` the plan of this directory if nothing else was begun, or if that may be replaced. With `known`, parts
/// without a plan are known to come from this program, so they may be written again.
fn settle_plan(
    dir: &Path,
    state: &State,
    plan: &Plan,
    mode: Mode,
    known: bool,
) -> Result<(), Error> {
    // List the parts before reading the plan. Another shard writes its plan before its first part, so in this order
    // its parts are never seen without the plan.
    let parts = state::list(&dir.join(DATA))?;
    let begun = state.plan()?;
    let difference = match &begun {
        Some(begun) => begun.difference(plan),
        None if parts.is_empty() || known => None,
        None => Some("it holds parts, but not how they were made".to_owned()),
    };
    if !mode.replaces()
        && let Some(difference) = difference
    {
        return Err(Error::Different { dir: dir.to_owned(), difference });
    }
    if begun.is_none() || difference.is_some() {
        // Two shards may begin without a plan at a time, and have their own files there.
        if !mode.is_shard() {
            state.clear_scratch()?;
        }
        if mode.replaces() {
            // Before the plan is set: if killed in between, the next run still sees another plan and repeats this.
            atomic::remove(&dir.join(METRICS))?;
        }
        state.set_plan(plan)?;
    }
    state.create()?;
    // After the plan is set: if killed in between, the next run finds the plan and finishes the replacement.
    if mode.replaces() && dir.join(MANIFEST).exists() {
        state.retire(&dir.join(MANIFEST))?;
    }
    Ok(())
}

/// Deletes files that earlier runs left unfinished or that are being replaced. Fails if `data` has any file that this
/// program did not write.
fn sweep(dir: &Path, state: &State, finished: &[Entry]) -> Result<(), Error> {
    let kept: BTreeSet<PathBuf> = finished.iter().map(|entry| entry.place(dir)).collect();
    let keep = |path: &Path| kept.contains(path);
    for entry in state.known()? {
        let place = entry.place(dir);
        if !keep(&place) {
            atomic::remove(&place)?;
        }
    }
    for folder in [dir.to_owned(), dir.join(state::STATE)] {
        for path in state::list(&folder)?.iter().filter(|path| temporary(path)) {
            atomic::remove(path)?;
        }
    }
    for path in state::list(&dir.join(DATA))?.into_iter().filter(|path| !keep(path)) {
        if !ours(&path) {
            return Err(Error::Foreign { path });
        }
        atomic::remove(&path)?;
    }
    // Last: until the files are gone, only these records say that they may be deleted.
    state.forget(finished)
}
