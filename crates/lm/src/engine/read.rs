//! Reads rows: one forward pass over the tokens that are not cached yet.

use super::Engine;
use super::rows::{ReadRequest, RowRead, distinct, shared};
use super::spread::Size;
use crate::inference::Pending;
use crate::prefix::{CachedPrefix, PrefixCounts, Prefixes, Read, ScopedRow};

impl Engine {
    /// Reads all but the last token of each row, and returns the cached prefixes.
    pub(super) fn read_before(
        &self,
        rows: &[ScopedRow<'_>],
        prefixes: &mut Prefixes,
    ) -> Vec<CachedPrefix> {
        let requests: Vec<ReadRequest<'_>> = rows
            .iter()
            .map(|&ScopedRow { scope, ids }| {
                let keep = ids.len().saturating_sub(1);
                ReadRequest { row: ScopedRow { scope, ids: &ids[..keep] }, keep }
            })
            .collect();
        self.read(&requests, prefixes);
        requests.iter().map(|request| prefixes.find(request.row)).collect()
    }

    /// Reads a prefix common to rows of every scope, such as solved examples, once for all later rows.
    pub fn read_shared(&self, ids: &[u32], prefixes: &mut Prefixes) {
        if prefixes.has_shared(ids) {
            return;
        }
        // Use a separate cache: part of the prefix may already be in the main one, in some scope.
        let mut apart = Prefixes::default();
        let row = ScopedRow { scope: 0, ids };
        self.read(&[ReadRequest { row, keep: ids.len() }], &mut apart);
        let read = apart.into_single().expect("a row that is not cached has tokens to read");
        prefixes.insert_shared(ids, &read);
        prefixes.count(self.cost(ids.len(), 0));
    }

    /// Reads the tokens that are not cached yet. The common prefix of rows in a scope is read first, once.
    pub(super) fn read(
        &self,
        requests: &[ReadRequest<'_>],
        prefixes: &mut Prefixes,
    ) -> Vec<RowRead> {
        let (rows, places) = distinct(requests);
        let (_, common) = self.read_rows(&shared(&rows, prefixes), prefixes);
        let (read, rest) = self.read_rows(&rows, prefixes);
        let tokens: usize = requests.iter().map(|request| request.row.ids.len()).sum();
        let forwarded = common + rest;
        let reused = (tokens - forwarded) as u64;
        prefixes.count(PrefixCounts { reused, ..self.cost(forwarded, 0) });
        places.into_iter().map(|place| read[place].clone()).collect()
    }

    /// Reads distinct rows. Also returns how many tokens went through the model.
    fn read_rows(
        &self,
        requests: &[ReadRequest<'_>],
        prefixes: &mut Prefixes,
    ) -> (Vec<RowRead>, usize) {
        let cached: Vec<CachedPrefix> =
            requests.iter().map(|request| prefixes.find(request.row)).collect();
        let new = |row: usize| requests[row].row.ids.len() - cached[row].tokens;
        let open: Vec<usize> = (0..requests.len()).filter(|&row| new(row) > 0).collect();
        let size = |&row: &usize| Size { row, cached: cached[row].tokens, new: new(row) };
        let sizes: Vec<Size> = open.iter().map(size).collect();
        let read = self.spread(&self.batches(&sizes), |model, batch| {
            let row = |&row: &usize| pending(requests[row], &cached[row], prefixes);
            model.read(&batch.iter().map(row).collect::<Vec<_>>(), &self.team)
        });
        let tokens = open.iter().map(|&row| new(row)).sum();
        let mut rows: Vec<RowRead> =
            cached.into_iter().map(|prefix| RowRead { prefix, heads: Vec::new() }).collect();
        for (index, Read { kv, heads }) in open.into_iter().zip(read) {
            let (ReadRequest { row, keep }, from) = (requests[index], rows[index].prefix.tokens);
            if keep > from {
                let heads = heads[..(keep - from) * self.config.scalar_heads.len()].to_vec();
                let row = ScopedRow { ids: &row.ids[..keep], ..row };
                prefixes.insert(row, from, Read { kv, heads });
            }
            rows[index].heads = heads;
        }
        (rows, tokens)
    }
}

/// The tokens of a row that are not cached, after those that are.
pub(super) fn pending<'a>(
    request: ReadRequest<'a>,
    cached: &CachedPrefix,
    prefixes: &'a Prefixes,
) -> Pending<'a> {
    Pending {
        before: prefixes.pieces(cached),
        tokens: &request.row.ids[cached.tokens..],
        keep: request.keep.saturating_sub(cached.tokens),
    }
}
