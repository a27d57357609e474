//! Prepares rows for a forward pass: deduplication, shared prefixes, padding and masks.

use std::collections::BTreeMap;

use crate::prefix::{Known, Prefixes, common};

/// Cached tokens are padded to a multiple of this many columns, so that rows of similar length fit one batch.
const KNOWN_BUCKET: usize = 32;

/// A row to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) scope: u64,
    pub(super) ids: &'a [u32],
    /// How many leading tokens to cache.
    pub(super) keep: usize,
}

/// Deduplicates rows. Returns the distinct rows, with the largest `keep` of their duplicates, and each original row's
/// index among them.
pub(super) fn distinct<'a>(wanted: &[Wanted<'a>]) -> (Vec<Wanted<'a>>, Vec<usize>) {
    let (mut rows, mut index) = (Vec::<Wanted<'a>>::new(), BTreeMap::new());
    let places = wanted.iter().map(|row| {
        let place = *index.entry((row.scope, row.ids)).or_insert(rows.len());
        match rows.get_mut(place) {
            Some(known) => known.keep = known.keep.max(row.keep),
            None => rows.push(*row),
        }
        place
    });
    let places = places.collect();
    (rows, places)
}

/// The longest common prefix of the rows in each scope, where two or more rows share it and it is not cached yet.
pub(super) fn shared<'a>(rows: &[Wanted<'a>], prefixes: &Prefixes) -> Vec<Wanted<'a>> {
    let mut scopes = BTreeMap::<u64, (usize, &'a [u32])>::new();
    for row in rows {
        scopes
            .entry(row.scope)
            .and_modify(|(rows, ids)| {
                *rows += 1;
                *ids = &ids[..common(ids, row.ids)];
            })
            .or_insert((1, row.ids));
    }
    let several = scopes.into_iter().filter(|(_, (rows, _))| *rows > 1);
    several
        .map(|(scope, (_, ids))| Wanted { scope, ids, keep: ids.len() })
        .filter(|row| prefixes.find(row.scope, row.ids).tokens < row.ids.len())
        .collect()
}

/// Columns that a row's cached tokens take in a padded batch.
pub(crate) fn known_columns(known: &Known) -> usize {
    known.tokens.next_multiple_of(KNOWN_BUCKET)
}

/// Concatenates rows, each padded with zeros to `time` tokens, and adds empty rows up to `count`.
pub(super) fn pad<'a, I: Iterator<Item = &'a [u32]>>(
    rows: I,
    count: usize,
    time: usize,
) -> Vec<u32> {
    let mut tokens = vec![0; count * time];
    for (slot, row) in tokens.chunks_mut(time).zip(rows) {
        slot[..row.len()].copy_from_slice(row);
    }
    tokens
}
