//! Reads, verifies and atomically writes the tables as zstd Parquet parts under a manifest.
//!
//! A dataset exists whole or not at all. [`Output`] writes parts one by one, each atomically, and the manifest last.
//! If it is killed at any moment, the next run finds its finished parts and redoes none of them. [`Dataset`] opens only
//! files that the manifest lists, and reads no row before every part is known to have the size and hash recorded there.
//! [`FilesOutput`] and [`Files`] do the same for plain files, such as a checkpoint.
//!
//! The crate refuses a dataset without a manifest, a part that changed after it was written, another table or version,
//! a recipe other than the one on disk (unless told to replace it), and a second writer. The message names the path
//! and the remedy. Nothing is deleted that this crate did not write. A dataset that lost its manifest gets it back if
//! its files are those that were committed. Nothing that is written contains a time, so equal inputs give equal bytes.

mod atomic;
mod card;
mod chunk;
mod commit;
mod entry;
mod error;
mod files;
mod foreign;
mod keys;
mod layout;
mod lock;
mod lost;
mod manifest;
mod metrics;
mod network;
mod output;
mod part;
mod read;
mod recipe;
mod seed;
mod standing;
mod state;
mod work;

pub use atomic::{open_file, write_file};
pub use chunk::chunk;
pub use commit::Mode;
pub use entry::Entry;
pub use error::{Error, ErrorClass};
pub use files::{Files, FilesOutput};
pub use foreign::{ForeignRow, Holds, read_foreign_parquet};
pub use manifest::{MANIFEST, Manifest};
pub use metrics::{METRICS, MetricsLog};
pub use network::locks_may_be_local;
pub use output::Output;
pub use part::parquet_size;
pub use read::Dataset;
pub use recipe::{Input, Recipe, digest_of};
pub use seed::{place_of, row_id, seed_for};
pub use standing::Standing;
pub use state::scratch_of;
pub use work::Begin;

#[cfg(test)]
mod hostile_tests;
