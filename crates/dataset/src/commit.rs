//! The end of a dataset. Its manifest is written under another name, what led to it is tidied up, and the manifest is
//! given its name: a dataset that is there has nothing left to tidy up. Killed anywhere on the way, the next writer finds
//! out how far that went and goes on.

use std::path::Path;

use crate::lost::{self, Lost};
use crate::manifest::{MANIFEST, Manifest, PENDING};
use crate::state::{self, Plan, State};
use crate::work::{self, Mode};
use crate::{Error, atomic};

/// How far earlier writers of the same folder got.
pub(crate) enum Left {
    /// All that there is to do.
    Finished(Box<Manifest>),
    /// Something that was written by this program.
    Ours,
    /// Nothing, or what nobody knows anything of.
    Unknown,
}

/// Tidies up and publishes the manifest.
pub(crate) fn publish(dir: &Path, state: &State, manifest: &Manifest) -> Result<(), Error> {
    manifest.propose(dir)?;
    state.clear()?;
    Manifest::publish(dir)
}

/// The same for the only writer, who takes away what killed ones left half written.
fn publish_alone(dir: &Path, state: &State, manifest: &Manifest) -> Result<(), Error> {
    for path in state::list(dir)?.iter().filter(|path| work::temporary(path)) {
        atomic::remove(path)?;
    }
    publish(dir, state, manifest)
}

/// The manifest, if it is there, the plan is its own, and every file is as it was written. Refuses another one's, unless
/// told to replace it. Files are read as fast as the disk gives them: whoever reads the dataset next does the same.
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

/// Looks at what earlier writers left, and finishes what was all but finished. Only for who holds the lock.
pub(crate) fn left(dir: &Path, state: &State, plan: &Plan, mode: Mode) -> Result<Left, Error> {
    // Whoever held the lock a moment ago may have finished.
    if let Some(manifest) = up_to_date(dir, plan, mode)? {
        return Ok(Left::Finished(Box::new(manifest)));
    }
    if mode == Mode::Again {
        // Nothing is kept, and nothing finished that another writer left meanwhile.
        return Ok(Left::Ours);
    }
    if dir.join(MANIFEST).exists() {
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

/// Goes on with a manifest that was written and not published.
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
            Ok(()) if mode == Mode::Shard => return Ok(Left::Finished(Box::new(manifest))),
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
    if mode != Mode::Shard {
        state.create()?;
        keep_sound(dir, state, plan, &manifest)?;
        state.retire(&dir.join(PENDING))?;
    }
    Ok(Left::Ours)
}

/// Takes note of the files of a dataset that are as they were written, if it is to be written by the same plan again: they
/// need not be.
fn keep_sound(dir: &Path, state: &State, plan: &Plan, manifest: &Manifest) -> Result<(), Error> {
    if Plan::of(manifest).difference(plan).is_some() {
        return Ok(());
    }
    state.set_plan(plan)?;
    for entry in manifest.entries() {
        if state::whole(entry, dir)? {
            state.record(&plan.digest(), entry)?;
        }
    }
    Ok(())
}

/// Looks for a dataset whose manifest was deleted.
fn find_lost(dir: &Path, state: &State, plan: &Plan, mode: Mode) -> Result<Left, Error> {
    if mode == Mode::Shard {
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
