//! The names in the folder of a dataset.

use std::borrow::Cow;
use std::path::Path;

use crate::atomic::TEMPORARY;
use crate::lock::LOCK;
use crate::manifest::MANIFEST;
use crate::{card, state};

/// The folder of the parts in a dataset.
// A folder of its own: pandas fails on a README beside the parts, and polars on any file that is not Parquet.
pub(crate) const DATA: &str = "data";

/// Names in a dataset's directory that have a meaning of their own, so no listed file may have them.
pub(crate) const RESERVED: [&str; 5] = [LOCK, state::STATE, card::NAME, MANIFEST, DATA];

/// Whether a file in `data/` has a name of the form that this crate uses.
pub(crate) fn ours(path: &Path) -> bool {
    let name = name(path);
    temporary(path) || (name.starts_with("train-") && name.ends_with(".parquet"))
}

/// Whether a file has the name of one that is not whole yet.
pub(crate) fn temporary(path: &Path) -> bool {
    name(path).starts_with(TEMPORARY)
}

fn name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}
