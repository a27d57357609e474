//! Reads rows: one forward pass over the tokens that are not cached yet.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::Engine;
use super::rows::{Wanted, distinct, known_columns, pad, shared};
use super::spread::NEW_BUCKET;
use crate::cache::Cache;
use crate::mask;
use crate::model::Past;
use crate::prefix::{Known, PrefixCounts, Prefixes, Read, written};
use crate::spans::{Kv, Span, Spans};
use crate::tensors::{ids, values};

/// The result of reading a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The tokens that were cached before.
    pub(super) known: Known,
    /// The scalar heads of the other tokens, `[tokens, scalar_heads]`.
    pub(super) heads: Vec<f32>,
}

impl Engine {
    /// Reads all but the last token of each row, given with its scope, and returns the cached prefixes.
    pub(super) fn read_before(
        &self,
        rows: &[(u64, &[u32])],
        prefixes: &mut Prefixes,
    ) -> Vec<Known> {
        let wanted: Vec<Wanted<'_>> = rows
            .iter()
            .map(|&(scope, ids)| {
                let keep = ids.len().saturating_sub(1);
                Wanted { scope, ids: &ids[..keep], keep }
            })
            .collect();
        self.read(&wanted, prefixes);
        wanted.iter().map(|row| prefixes.find(row.scope, row.ids)).collect()
    }

    /// Reads a prefix common to rows of every scope, such as solved examples, once for all later rows.
    pub fn read_shared(&self, ids: &[u32], prefixes: &mut Prefixes) {
        if prefixes.shares(ids) {
            return;
        }
        // Use a separate cache: part of the prefix may already be in the main one, in some scope.
        let mut apart = Prefixes::default();
        self.read(&[Wanted { scope: 0, ids, keep: ids.len() }], &mut apart);
        prefixes.insert_shared(ids, &apart.only(), self.shape);
        prefixes.count(self.passed(ids.len(), 0));
    }

    /// Reads the tokens that are not cached yet. The common prefix of rows in a scope is read first, once.
    pub(super) fn read(&self, wanted: &[Wanted<'_>], prefixes: &mut Prefixes) -> Vec<Seen> {
        let (rows, places) = distinct(wanted);
        let (_, common) = self.read_rows(&shared(&rows, prefixes), prefixes);
        let (seen, rest) = self.read_rows(&rows, prefixes);
        let tokens: usize = wanted.iter().map(|row| row.ids.len()).sum();
        let forwarded = common + rest;
        let reused = (tokens - forwarded) as u64;
        prefixes.count(PrefixCounts { reused, ..self.passed(forwarded, 0) });
        places.into_iter().map(|place| seen[place].clone()).collect()
    }

    /// Reads distinct rows. Also returns how many tokens went through the model.
    fn read_rows(&self, rows: &[Wanted<'_>], prefixes: &mut Prefixes) -> (Vec<Seen>, usize) {
        let known: Vec<Known> = rows.iter().map(|row| prefixes.find(row.scope, row.ids)).collect();
        let new = |row: usize| rows[row].ids.len() - known[row].tokens;
        let open: Vec<usize> = (0..rows.len()).filter(|&row| new(row) > 0).collect();
        let sizes: Vec<_> =
            open.iter().map(|&row| (row, (known_columns(&known[row]), new(row)))).collect();
        let read = self.spread(&self.batches(sizes.into_iter()), |engine, batch| {
            let batch: Vec<_> = batch.iter().map(|&row| (&rows[row], &known[row])).collect();
            engine.read_batch(&batch, prefixes)
        });
        let tokens = open.iter().map(|&row| new(row)).sum();
        let mut seen: Vec<Seen> =
            known.into_iter().map(|known| Seen { known, heads: Vec::new() }).collect();
        for (row, Read { kv, heads }) in open.into_iter().zip(read) {
            let (Wanted { scope, ids, keep }, from) = (rows[row], seen[row].known.tokens);
            if keep > from {
                let heads = heads[..(keep - from) * self.heads()].to_vec();
                prefixes.insert((scope, &ids[..keep]), from, Read { kv, heads }, self.shape);
            }
            seen[row].heads = heads;
        }
        (seen, tokens)
    }

    /// Runs `tokens` through the model as the next tokens of the spans. Returns the final hidden states,
    /// `[tokens, hidden_size]`.
    pub(crate) fn pass(&self, tokens: &[u32], spans: &mut Spans<'_>) -> Tensor<2> {
        let positions: Vec<usize> =
            spans.rows.iter().flat_map(|span| span.past()..span.past() + span.new).collect();
        let positions = self.rotary.at(&positions, 1, &self.device);
        let tokens = ids(tokens, [1, tokens.len()], &self.device);
        let hidden = self.decoder.hidden(tokens, &positions, &mut Past::Spans(spans));
        spans.advance();
        let [_, count, width] = hidden.dims();
        hidden.reshape([count, width])
    }

    /// One forward pass over the uncached tokens of some rows. Returns their final hidden states, row after row, and the
    /// keys and values of the tokens to cache.
    pub(super) fn forward(
        &self,
        rows: &[(&Wanted<'_>, &Known)],
        prefixes: &Prefixes,
    ) -> (Tensor<2>, Vec<Kv>) {
        if !self.on_cpu() {
            return self.forward_padded(rows, prefixes);
        }
        let span = |(row, known): &(&Wanted<'_>, &Known)| {
            Span::new(prefixes.pieces(known), row.ids.len() - known.tokens)
        };
        let mut spans = Spans::new(rows.iter().map(span).collect(), self.shape, 0);
        let tokens: Vec<u32> =
            rows.iter().flat_map(|(row, known)| &row.ids[known.tokens..]).copied().collect();
        let hidden = self.pass(&tokens, &mut spans);
        let kept = rows.iter().zip(&spans.rows).map(|((row, known), span)| {
            span.kept(row.keep.saturating_sub(known.tokens), self.shape)
        });
        (hidden, kept.collect())
    }

    /// Like [`Self::forward`], with every row padded to the size of the longest.
    fn forward_padded(
        &self,
        rows: &[(&Wanted<'_>, &Known)],
        prefixes: &Prefixes,
    ) -> (Tensor<2>, Vec<Kv>) {
        let new = |&(row, known): &(&Wanted<'_>, &Known)| row.ids.len() - known.tokens;
        let columns = rows.iter().map(|row| known_columns(row.1)).max().unwrap_or(0);
        let time = rows.iter().map(new).max().unwrap_or(1).next_multiple_of(NEW_BUCKET);
        let tokens =
            pad(rows.iter().map(|(row, known)| &row.ids[known.tokens..]), rows.len(), time);
        let tokens = ids(&tokens, [rows.len(), time], &self.device);
        let places: Vec<&Known> = rows.iter().map(|(_, known)| *known).collect();
        let mut caches: Vec<Cache> =
            prefixes.caches(&places, columns + time, self.shape, &self.device);
        let known: Vec<usize> = rows.iter().map(|(_, known)| known.tokens).collect();
        let at: Vec<usize> = known.iter().flat_map(|&known| known..known + time).collect();
        let positions = self.rotary.at(&at, rows.len(), &self.device);
        let mask = mask::padded(&known, columns, time, &self.device);
        let mut past = Past::Caches(&mut caches, columns, &mask);
        let hidden = self.decoder.hidden(tokens, &positions, &mut past);
        let hidden = hidden.reshape([rows.len() * time, self.config.hidden_size]);
        let own =
            (0..).step_by(time).zip(rows).flat_map(|(from, row)| from..from + new(row) as u32);
        let own: Vec<u32> = own.collect();
        let hidden = hidden.select(0, ids(&own, [own.len()], &self.device));
        let kept = |(at, (row, known)): (u32, &(&Wanted<'_>, &Known))| {
            (at, row.keep.saturating_sub(known.tokens))
        };
        let kept: Vec<(u32, usize)> = (0..).zip(rows).map(kept).collect();
        (hidden, written(&caches, &kept, columns, self.shape, &self.device))
    }

    /// One forward pass. Returns, per row, the keys and values to cache and the scalar heads of all new tokens.
    fn read_batch(&self, rows: &[(&Wanted<'_>, &Known)], prefixes: &Prefixes) -> Vec<Read> {
        let (hidden, kept) = self.forward(rows, prefixes);
        let head = self.decoder.scalar_head.as_ref();
        let heads = head.map(|head| values(sigmoid(head.forward(hidden)))).unwrap_or_default();
        let mut heads = heads.as_slice();
        let read = |((row, known), kv): (&(&Wanted<'_>, &Known), Kv)| {
            let (own, rest) = heads.split_at((row.ids.len() - known.tokens) * self.heads());
            heads = rest;
            Read { kv, heads: own.to_vec() }
        };
        rows.iter().zip(kept).map(read).collect()
    }
}
