//! The keys of a table's rows, no two of which are the same.

use std::collections::BTreeSet;
use std::path::Path;

use schema::Table;

use crate::Error;
use crate::seed::row_hash;

/// The keys seen so far, by a hash.
#[derive(Default)]
pub(crate) struct Keys(BTreeSet<u128>);

impl Keys {
    /// Adds the key of a row of the dataset in `dir`; refuses one that was seen.
    pub(crate) fn add<T: Table>(&mut self, key: &str, dir: &Path) -> Result<(), Error> {
        if self.0.insert(row_hash(&[key])) {
            return Ok(());
        }
        Err(Error::Duplicate { dir: dir.to_owned(), table: T::tag(), key: key.to_owned() })
    }
}
