//! Reads rows: one forward pass over the tokens that are not cached yet.

use super::Engine;
use super::rows::{ReadRequest, RowRead, distinct, shared};
use crate::job::{Job, JobKind};
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

    /// Reads a prefix common to rows of every scope, such as solved examples, once for all later rows of all callers.
    pub fn read_shared(&self, ids: &[u32], prefixes: &mut Prefixes) {
        if prefixes.has_shared(ids) {
            return;
        }
        // Other callers wait for it here, rather than read it, too.
        let mut shared = self.shared.lock().expect("no thread of an engine panics");
        let read = shared.entry(ids.to_vec()).or_insert_with(|| {
            prefixes.count(self.cost(ids.len(), 0));
            let kind = JobKind::Read { keep: ids.len() };
            let job = Job { before: Vec::new(), tokens: ids.to_vec(), kind };
            let mut done = self.scheduler.run(vec![job]);
            done.remove(0).into_read()
        });
        prefixes.insert_shared(ids, read);
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
        let job = |&row: &usize| {
            let keep = requests[row].keep.saturating_sub(cached[row].tokens);
            job(requests[row].row, &cached[row], prefixes, JobKind::Read { keep })
        };
        let done = self.scheduler.run(open.iter().map(job).collect());
        let tokens = open.iter().map(|&row| new(row)).sum();
        let mut rows: Vec<RowRead> =
            cached.into_iter().map(|prefix| RowRead { prefix, ..RowRead::default() }).collect();
        for (index, done) in open.into_iter().zip(done) {
            let Read { kv, heads } = done.into_read();
            let (ReadRequest { row, keep }, from) = (requests[index], rows[index].prefix.tokens);
            if keep > from {
                let heads = heads[..(keep - from) * self.config.scalar_heads.len()].into();
                let row = ScopedRow { ids: &row.ids[..keep], ..row };
                prefixes.insert(row, from, Read { kv, heads });
            }
            rows[index].heads = heads.to_vec();
        }
        (rows, tokens)
    }
}

/// A job for the tokens of a row that are not cached.
pub(super) fn job(
    row: ScopedRow<'_>,
    cached: &CachedPrefix,
    prefixes: &Prefixes,
    kind: JobKind,
) -> Job {
    let tokens = row.ids[cached.tokens..].to_vec();
    Job { before: prefixes.pieces(cached), tokens, kind }
}
