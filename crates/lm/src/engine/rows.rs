//! Prepares rows for a forward pass: deduplication and shared prefixes.

use std::collections::BTreeMap;

use crate::prefix::{CachedPrefix, Prefixes, ScopedRow, common};

/// A row to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadRequest<'a> {
    pub(super) row: ScopedRow<'a>,
    /// How many leading tokens to cache.
    pub(super) keep: usize,
}

/// The result of reading a row.
#[derive(Debug, Clone, Default)]
pub(super) struct RowRead {
    /// The tokens that were cached before.
    pub(super) prefix: CachedPrefix,
    /// The scalar heads of the other tokens, `[tokens, scalar_heads]`.
    pub(super) heads: Vec<f32>,
}

/// Deduplicates rows. Returns the distinct rows, with the largest `keep` of their duplicates, and each original row's
/// index among them.
pub(super) fn distinct<'a>(requests: &[ReadRequest<'a>]) -> (Vec<ReadRequest<'a>>, Vec<usize>) {
    let (mut rows, mut index) = (Vec::<ReadRequest<'a>>::new(), BTreeMap::new());
    let places = requests.iter().map(|request| {
        let place = *index.entry(request.row).or_insert(rows.len());
        match rows.get_mut(place) {
            Some(first) => first.keep = first.keep.max(request.keep),
            None => rows.push(*request),
        }
        place
    });
    let places = places.collect();
    (rows, places)
}

/// The longest common prefix of the rows in each scope, where two or more rows share it and it is not cached yet.
pub(super) fn shared<'a>(
    requests: &[ReadRequest<'a>],
    prefixes: &Prefixes,
) -> Vec<ReadRequest<'a>> {
    let mut scopes = BTreeMap::<u64, (usize, &'a [u32])>::new();
    for ScopedRow { scope, ids: row } in requests.iter().map(|request| request.row) {
        scopes
            .entry(scope)
            .and_modify(|(rows, ids)| {
                *rows += 1;
                *ids = &ids[..common(ids, row)];
            })
            .or_insert((1, row));
    }
    let several = scopes.into_iter().filter(|(_, (rows, _))| *rows > 1);
    several
        .map(|(scope, (_, ids))| ReadRequest { row: ScopedRow { scope, ids }, keep: ids.len() })
        .filter(|request| prefixes.find(request.row).tokens < request.row.ids.len())
        .collect()
}
