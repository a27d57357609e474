//! The progress of a dataset that is being written: its missing parts. No lock is taken, and no part is read.

use std::collections::BTreeSet;
use std::path::Path;

use crate::chunk::array_spec;
use crate::manifest::Manifest;
use crate::state::{Check, State};
use crate::{Error, part};

/// The parts of a dataset, finished or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The number of parts there will be.
    pub parts: usize,
    /// The indices of those that are missing, in ascending order. A part of the recorded size counts as finished: its hash is
    /// compared when the dataset is committed.
    pub missing: Vec<usize>,
}

impl Standing {
    /// Looks at the dataset in `dir`; `None` if nothing was begun there.
    pub fn of(dir: &Path) -> Result<Option<Self>, Error> {
        if let Some(manifest) = Manifest::find(dir)? {
            return Ok(Some(Self { parts: manifest.parts.len(), missing: Vec::new() }));
        }
        let state = State::of(dir);
        let Some(plan) = state.plan()? else { return Ok(None) };
        let finished = state.finished(&plan.digest(), Check::Size)?;
        let finished: BTreeSet<String> = finished.into_iter().map(|entry| entry.path).collect();
        let lacks = |index: &usize| !finished.contains(&part::part_path(*index, plan.parts));
        Ok(Some(Self { parts: plan.parts, missing: (0..plan.parts).filter(lacks).collect() }))
    }

    /// Returns the shards of `shards` that have parts to make, as the array specification of a scheduler, such as
    /// `3,7,12-15`; empty if no part is missing.
    pub fn missing_shards(&self, shards: usize) -> String {
        let shards: BTreeSet<usize> = self.missing.iter().map(|part| part % shards).collect();
        array_spec(&shards.into_iter().collect::<Vec<_>>())
    }
}
