//! Decoding in tensors of a fixed shape: a batch runs until all of its rows have stopped.

use burn::tensor::Tensor;
use kernels::Kv;

use super::row::{Context, Row};
use crate::cache::Caches;
use crate::inference::{Cached, PaddedDecoder, padded_prefix};
use crate::job::{Generated, Job, JobKind};
use crate::mask::MASKED;
use crate::tensors::{ids, tensor, values};

/// Columns by which the cache grows. Allocating `max_new` at once would be wasteful, since most rows stop long before.
const GROWTH: usize = 32;

/// A batch being decoded.
pub(crate) struct PaddedBatch<'a> {
    decoder: &'a PaddedDecoder,
    context: &'a Context,
    /// Rows, with their keys and values once they have been copied out of the tensors.
    rows: Vec<(Row, Option<Kv>)>,
    /// For each tensor row, the index of its row.
    live: Vec<usize>,
    caches: Caches,
    /// `[live, 1, 1, prefix + max_new]`: 0 for a row's cached columns and all new ones, negative infinity for padding
    /// between them.
    mask: Tensor<4>,
    /// Columns of the padded cached prefixes.
    prefix: usize,
    /// Columns written so far.
    columns: usize,
    /// Columns allocated.
    capacity: usize,
}

impl<'a> PaddedBatch<'a> {
    /// A batch of rows to write.
    pub(super) fn new(decoder: &'a PaddedDecoder, context: &'a Context, jobs: &[&Job]) -> Self {
        let requests = jobs.iter().filter_map(|job| match &job.kind {
            JobKind::Generate(request) => Some((*job, request)),
            JobKind::Read { .. } | JobKind::Hidden | JobKind::NextToken(_) => None,
        });
        let rows: Vec<_> = requests.collect();
        let prefix = rows.iter().map(|(job, _)| padded_prefix(job.cached())).max().unwrap_or(0);
        let capacity = prefix + GROWTH;
        let most = prefix + rows.iter().map(|(_, request)| request.stop.max_new).max().unwrap_or(0);
        let masked = |cached: usize| {
            // New columns need no mask: all rows put their new tokens in the same columns.
            (0..most).map(move |c| if c >= cached && c < prefix { MASKED } else { 0.0 })
        };
        let mask = rows.iter().flat_map(|(job, _)| masked(job.cached())).collect();
        let before: Vec<_> = rows.iter().map(|(job, _)| job.before.as_slice()).collect();
        Self {
            decoder,
            context,
            caches: Caches::new(&before, capacity, decoder.kv_shape(), decoder.device()),
            mask: tensor(mask, [rows.len(), 1, 1, most], decoder.device()),
            live: (0..rows.len()).collect(),
            rows: rows.iter().map(|(_, request)| (Row::new((*request).clone()), None)).collect(),
            prefix,
            columns: prefix,
            capacity,
        }
    }

    /// Decodes until every row has stopped.
    pub(super) fn run(mut self) -> Vec<Generated> {
        loop {
            let logits = self.step();
            for (&index, logits) in self.live.iter().zip(logits.chunks(self.context.vocab_size)) {
                // Finished rows stay in the tensors until `compact`; their logits mean nothing.
                if self.is_open(index) {
                    self.rows[index].0.choose(logits, self.context);
                }
            }
            if self.live.iter().all(|&index| !self.is_open(index)) {
                break;
            }
            self.compact();
        }
        let all: Vec<usize> = (0..self.live.len()).collect();
        self.save(&all);
        self.rows.into_iter().map(|(row, kv)| row.generated(kv)).collect()
    }

    fn is_open(&self, index: usize) -> bool {
        self.rows[index].0.is_open()
    }

    /// Copies the keys and values of finished rows, given by their tensor row, out of the tensors, if their requests keep
    /// them.
    fn save(&mut self, at: &[usize]) {
        let kept = |&at: &usize| Some((at as u32, self.rows[self.live[at]].0.kept()?));
        let kept: Vec<(u32, usize)> = at.iter().filter_map(kept).collect();
        let read = self.caches.read(&kept, self.prefix);
        for ((at, _), kv) in kept.into_iter().zip(read) {
            self.rows[self.live[at as usize]].1 = Some(kv);
        }
    }

    /// Drops finished rows once they are a quarter of the batch. Not sooner, because dropping rows copies the cache.
    fn compact(&mut self) {
        let (keep, rest): (Vec<usize>, Vec<usize>) =
            (0..self.live.len()).partition(|&at| self.is_open(self.live[at]));
        if keep.len() * 4 > self.live.len() * 3 {
            return;
        }
        self.save(&rest);
        let at: Vec<u32> = keep.iter().map(|&i| i as u32).collect();
        let at = ids(&at, [at.len()], self.decoder.device());
        self.caches.select(&at);
        self.mask = self.mask.clone().select(0, at);
        self.live = keep.into_iter().map(|i| self.live[i]).collect();
    }

    /// Runs one token per tensor row. Returns the logits.
    fn step(&mut self) -> Vec<f32> {
        if self.columns == self.capacity {
            self.caches.grow(GROWTH);
            self.capacity += GROWTH;
        }
        let live = self.live.iter().map(|&index| &self.rows[index].0);
        let (tokens, positions): (Vec<u32>, Vec<usize>) =
            live.map(|row| (row.last()[0], row.position())).unzip();
        let mask = self.mask.clone().narrow(3, 0, self.columns + 1);
        let cached = Cached { caches: &mut self.caches, column: self.columns, mask };
        let hidden = self.decoder.pass(&tokens, &positions, tokens.len(), cached);
        self.columns += 1;
        values(self.decoder.logits(hidden))
    }
}
