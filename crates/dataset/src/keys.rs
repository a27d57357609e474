//! Checks that no two rows of a table have the same key.

use std::collections::BTreeSet;
use std::path::Path;

use schema::Table;

use crate::Error;
use crate::seed::row_hash;

/// The keys seen so far, as 128-bit hashes, which take less memory than the texts.
#[derive(Default)]
pub(crate) struct Keys(BTreeSet<u128>);

impl Keys {
    /// Adds the key of a row of the dataset in `dir`. Fails if it has been seen before.
    pub(crate) fn add<T: Table>(&mut self, key: &str, dir: &Path) -> Result<(), Error> {
        if self.0.insert(row_hash(&[key])) {
            return Ok(());
        }
        Err(Error::Duplicate { dir: dir.to_owned(), table: T::tag(), key: key.to_owned() })
    }
}
