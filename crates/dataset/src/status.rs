//! The progress of a dataset, for schedulers and people. Works without knowing the type of the table.

use std::path::Path;

use serde::Serialize;

use crate::state::State;
use crate::{Error, Manifest, array_spec, part};

/// The progress of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The table and its version, for example `prompts@1`.
    pub kind: String,
    /// The number of parts there are, or will be.
    pub parts: usize,
    /// The parts that are not finished, as an array specification such as `3,7,12-15`. Empty if there are none.
    pub missing: String,
    /// Whether the manifest is published. A dataset without missing parts may still be waiting for it.
    pub complete: bool,
}

impl Status {
    /// Looks at the dataset in `dir`; `None` if none was begun there. Reads all parts of an unfinished one to check them.
    pub fn of(dir: &Path) -> Result<Option<Self>, Error> {
        if let Some(manifest) = Manifest::find(dir)? {
            let (kind, parts) = (manifest.kind, manifest.parts.len());
            return Ok(Some(Self { kind, parts, missing: String::new(), complete: true }));
        }
        if let Some(manifest) = Manifest::find_pending(dir)? {
            let (kind, parts) = (manifest.kind, manifest.parts.len());
            return Ok(Some(Self { kind, parts, missing: String::new(), complete: false }));
        }
        let state = State::of(dir);
        let Some(plan) = state.plan()? else { return Ok(None) };
        let finished = state.finished(&plan.digest())?;
        let is_finished = |path: &str| finished.iter().any(|entry| entry.path == path);
        let missing: Vec<usize> = (0..plan.parts)
            .filter(|index| !is_finished(&part::part_path(*index, plan.parts)))
            .collect();
        let (kind, parts, missing) = (plan.kind, plan.parts, array_spec(&missing));
        Ok(Some(Self { kind, parts, missing, complete: false }))
    }
}
