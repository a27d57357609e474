//! Decoding in tensors of a fixed shape: a batch runs until all of its rows have stopped.

use burn::tensor::Tensor;

use super::{Row, Written};
use crate::cache::Cache;
use crate::engine::{Engine, GenerationRequest, known_columns};
use crate::mask::MASKED;
use crate::model::Past;
use crate::prefix::{Known, Prefixes, written};
use crate::spans::Kv;
use crate::tensors::{ids, tensor, values};

/// Columns by which the cache grows. Allocating `max_new` at once would be wasteful, since most rows stop long before.
const GROWTH: usize = 32;

/// A batch being decoded.
pub(crate) struct Padded<'a> {
    engine: &'a Engine,
    rows: Vec<(Row<'a>, Kv)>,
    /// For each tensor row, the index of its request.
    live: Vec<usize>,
    caches: Vec<Cache>,
    /// `[live, 1, 1, known + max_new]`: 0 for a row's cached columns and all new ones, negative infinity for padding
    /// between them.
    mask: Tensor<4>,
    /// Columns of the padded cached prefixes.
    known: usize,
    /// Columns written so far.
    columns: usize,
    /// Columns allocated.
    capacity: usize,
}

impl<'a> Padded<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        rows: &[(&'a GenerationRequest, &'a Known)],
        prefixes: &Prefixes,
    ) -> Self {
        let columns = rows.iter().map(|(_, known)| known_columns(known)).max().unwrap_or(0);
        let capacity = columns + GROWTH;
        let most = columns + rows.iter().map(|(r, _)| r.stop.max_new).max().unwrap_or(0);
        let masked = |known: usize| {
            (0..most).map(move |c| if c >= known && c < columns { MASKED } else { 0.0 })
        };
        let mask = rows.iter().flat_map(|(_, known)| masked(known.tokens)).collect();
        let places: Vec<&Known> = rows.iter().map(|(_, known)| *known).collect();
        Self {
            engine,
            caches: prefixes.caches(&places, capacity, engine.shape, &engine.device),
            mask: tensor(mask, [rows.len(), 1, 1, most], &engine.device),
            live: (0..rows.len()).collect(),
            rows: rows.iter().map(|(request, _)| (Row::new(request), Kv::default())).collect(),
            known: columns,
            columns,
            capacity,
        }
    }

    /// Decodes until every row has stopped.
    pub(crate) fn run(mut self) -> Vec<Written> {
        loop {
            let logits = self.step();
            let vocabulary = self.engine.config.vocab_size;
            for (&index, logits) in self.live.iter().zip(logits.chunks(vocabulary)) {
                if self.open(index) {
                    self.rows[index].0.choose(logits, self.engine);
                }
            }
            if self.live.iter().all(|&index| !self.open(index)) {
                break;
            }
            self.compact();
        }
        let all: Vec<usize> = (0..self.live.len()).collect();
        self.save(&all);
        self.rows.into_iter().map(|(row, kv)| row.written(kv)).collect()
    }

    fn open(&self, index: usize) -> bool {
        self.rows[index].0.stop.is_none()
    }

    /// Copies the keys and values of finished rows out of the tensors, if their requests keep them.
    fn save(&mut self, at: &[usize]) {
        let row = |at: usize| &self.rows[self.live[at]].0;
        let kept = at.iter().copied().filter(|&at| row(at).request.keep);
        let kept: Vec<(u32, usize)> = kept.map(|at| (at as u32, row(at).drawn.ids.len())).collect();
        let (engine, from) = (self.engine, self.known);
        let written = written(&self.caches, &kept, from, engine.shape, &engine.device);
        for ((at, _), kv) in kept.into_iter().zip(written) {
            self.rows[self.live[at as usize]].1 = kv;
        }
    }

    /// Drops finished rows once they are a quarter of the batch. Not sooner, because dropping rows copies the cache.
    fn compact(&mut self) {
        let (keep, rest): (Vec<usize>, Vec<usize>) =
            (0..self.live.len()).partition(|&at| self.open(self.live[at]));
        if keep.len() * 4 > self.live.len() * 3 {
            return;
        }
        self.save(&rest);
        let at: Vec<u32> = keep.iter().map(|&i| i as u32).collect();
        let at = ids(&at, [at.len()], &self.engine.device);
        for cache in &mut self.caches {
            cache.select(&at);
        }
        self.mask = self.mask.clone().select(0, at);
        self.live = keep.into_iter().map(|i| self.live[i]).collect();
    }

    /// Feeds one token per tensor row. Returns the logits.
    fn step(&mut self) -> Vec<f32> {
        if self.columns == self.capacity {
            self.caches.iter_mut().for_each(|cache| cache.grow(GROWTH));
            self.capacity += GROWTH;
        }
        let (engine, count) = (self.engine, self.live.len());
        let fed = self.live.iter().map(|&index| &self.rows[index].0);
        let (tokens, at): (Vec<u32>, Vec<usize>) =
            fed.map(|row| (row.last(), row.position())).unzip();
        let mask = self.mask.clone().narrow(3, 0, self.columns + 1);
        let positions = engine.rotary.at(&at, count, &engine.device);
        let tokens = ids(&tokens, [count, 1], &engine.device);
        let mut past = Past::Caches(&mut self.caches, self.columns, &mask);
        let hidden = engine.decoder.hidden(tokens, &positions, &mut past);
        self.columns += 1;
        values(engine.output.forward(hidden.reshape([count, engine.config.hidden_size])))
    }
}
