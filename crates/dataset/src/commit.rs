//! Committing a dataset. The manifest is written under another name, the state folder is deleted, and only then is the
//! manifest given its final name, so a dataset that exists has nothing left to clean up. If a writer is killed on the
//! way, the next one finds out how far it got, and goes on from there.

use std::path::Path;

use crate::lost::{self, Lost};
use crate::manifest::{MANIFEST, Manifest, PENDING};
use crate::state::{self, Check, Plan, State};
use crate::{Error, atomic, layout};

/// How a dataset is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By its only writer, which refuses to touch the work of another recipe.
    Alone,
    /// By its only writer, which replaces the work of another recipe.
    Replace,
    /// By its only writer, which replaces whatever is complete, even by this recipe.
    Again,
    /// By one of several writers, which write different parts by the same recipe. After all of them have ended, a writer
    /// that is alone commits the dataset.
    ///
    /// They take no lock: some file systems of clusters keep locks to a node. Temporary files are created exclusively, a part
    /// is renamed into its place whole, and a part that two attempts write is the same in both. So the writers need nothing
    /// from each other. What another writer finished is known by its size; the one who commits checks the hashes.
    Shard {
        /// Where a part is written and flushed before it is copied to its place: a folder of this machine's own disk. Files on
        /// some file systems of clusters are slow while they grow, and fast when they are copied whole.
        scratch: Option<&'static Path>,
    },
}

impl Mode {
    /// How the only writer begins that replaces the work of another recipe if `force` is set.
    pub fn only(force: bool) -> Self {
        if force { Self::Replace } else { Self::Alone }
    }

    /// Whether there are other writers.
    pub fn is_shard(self) -> bool {
        matches!(self, Self::Shard { .. })
    }

    /// Whether the work of another recipe is replaced.
    pub(crate) fn replaces(self) -> bool {
        matches!(self, Self::Replace | Self::Again)
    }
}

/// How far earlier writers of the same directory got.
pub(crate) enum Left {
    /// They finished the dataset.
    Finished(Box<Manifest>),
    /// They left files that this program is known to have written.
    Ours,
    /// They left nothing, or files of unknown origin.
    Unknown,
}

/// Writes the manifest, deletes the state folder, and publishes the manifest.
pub(crate) fn publish(dir: &Path, state: &State, manifest: &Manifest) -> Result<(), Error> {
    manifest.propose(dir)?;
    state.clear()?;
    Manifest::publish(dir)
}

/// Like [`publish`], for the only writer, which also deletes the temporary files of killed writers.
fn publish_alone(dir: &Path, state: &State, manifest: &Manifest) -> Result<(), Error> {
    for path in state::list(dir)?.iter().filter(|path| layout::temporary(path)) {
        atomic::remove(path)?;
    }
    publish(dir, state, manifest)
}

/// Returns the manifest if the dataset is complete, by this plan, and all files are unchanged. A dataset by another
/// plan is an error unless `mode` replaces it. All files are read to check them, which costs no more than the next
/// reader of the dataset will spend.
pub(crate) fn up_to_date(dir: &Path, plan: &Plan, mode: Mode) -> Result<Option<Manifest>, Error> {
    if mode == Mode::Again {
        return Ok(None);
    }
    let manifest = match Manifest::find(dir) {
        Err(Error::Manifest { .. }) if mode == Mode::Replace => return Ok(None),
        other => other?,
    };
    let Some(manifest) = manifest else { return Ok(None) };
    match Plan::of(&manifest).difference(plan) {
        None => match manifest.verify(dir) {
            Err(Error::Damaged { .. }) if mode == Mode::Replace => Ok(None),
            sound => sound.map(|()| Some(manifest)),
        },
        Some(_) if mode == Mode::Replace => Ok(None),
        Some(difference) => Err(Error::Different { dir: dir.to_owned(), difference }),
    }
}

/// Looks at what earlier writers left, and publishes a dataset that lacks only that. The caller must hold the lock, unless it is a shard.
pub(crate) fn left(dir: &Path, state: &State, plan: &Plan, mode: Mode) -> Result<Left, Error> {
    // Checked again under the lock: its last holder may have finished in the meantime.
    if let Some(manifest) = up_to_date(dir, plan, mode)? {
        return Ok(Left::Finished(Box::new(manifest)));
    }
    if mode == Mode::Again {
        // Everything is made again, so nothing that an earlier writer left is kept or finished.
        return Ok(Left::Ours);
    }
    if dir.join(MANIFEST).exists() {
        // A manifest that cannot be read vouches for no file, so all of them are made again.
        if let Ok(Some(manifest)) = Manifest::find(dir) {
            keep_sound(dir, state, plan, &manifest)?;
        }
        return Ok(Left::Ours);
    }
    match Manifest::find_pending(dir) {
        Ok(Some(manifest)) => take_up(dir, state, plan, mode, manifest),
        Err(Error::Manifest { path, .. }) if mode == Mode::Replace => {
            atomic::remove(&path)?;
            find_lost(dir, state, plan, mode)
        }
        Ok(None) => find_lost(dir, state, plan, mode),
        Err(e) => Err(e),
    }
}

/// Goes on from a manifest that was written but not published.
fn take_up(
    dir: &Path,
    state: &State,
    plan: &Plan,
    mode: Mode,
    manifest: Manifest,
) -> Result<Left, Error> {
    let difference = Plan::of(&manifest).difference(plan);
    if difference.is_none() {
        match manifest.verify(dir) {
            Err(Error::Damaged { .. }) => {}
            Err(e) => return Err(e),
            Ok(()) if mode.is_shard() => return Ok(Left::Finished(Box::new(manifest))),
            Ok(()) => {
                publish_alone(dir, state, &manifest)?;
                return Ok(Left::Finished(Box::new(manifest)));
            }
        }
    }
    if mode != Mode::Replace
        && let Some(difference) = difference
    {
        return Err(Error::Different { dir: dir.to_owned(), difference });
    }
    // No shard moves a manifest that another may be reading.
    if !mode.is_shard() {
        state.create()?;
        // Before the manifest is moved away: from then on only the records say which files are sound.
        keep_sound(dir, state, plan, &manifest)?;
        state.retire(&dir.join(PENDING))?;
    }
    Ok(Left::Ours)
}

/// Records the unchanged files of a dataset as finished if it is to be written again by the same plan, so that only the
/// damaged ones are redone.
fn keep_sound(dir: &Path, state: &State, plan: &Plan, manifest: &Manifest) -> Result<(), Error> {
    if Plan::of(manifest).difference(plan).is_some() {
        return Ok(());
    }
    state.set_plan(plan)?;
    for entry in manifest.entries() {
        if state::whole(entry, dir, Check::Hash)? {
            state.record(&plan.digest(), entry, None)?;
        }
    }
    Ok(())
}

/// Looks for a dataset whose manifest was deleted.
fn find_lost(dir: &Path, state: &State, plan: &Plan, mode: Mode) -> Result<Left, Error> {
    if mode.is_shard() {
        // Giving a dataset its manifest back publishes it, which only a single writer may do.
        return Ok(Left::Unknown);
    }
    match lost::find(dir, plan)? {
        Lost::Whole(manifest) => {
            publish_alone(dir, state, &manifest)?;
            Ok(Left::Finished(manifest))
        }
        Lost::Same => Ok(Left::Ours),
        Lost::Other(entries) if mode == Mode::Replace => {
            state.replace(entries)?;
            Ok(Left::Ours)
        }
        Lost::Other(_) => {
            let difference = "its manifest was deleted, and its card names another one".to_owned();
            Err(Error::Different { dir: dir.to_owned(), difference })
        }
        Lost::Nothing => Ok(Left::Unknown),
    }
}
