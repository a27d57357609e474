//! Batched inference: generation with a KV cache and scoring with scalar heads.
//!
//! A row's result depends on the row alone, and every row draws from its own seed: on the CPU neither the batch, nor
//! what was read before ([`Prefixes`]), nor the number of workers changes a bit of it. Other devices have no such order in
//! their sums: there rows are padded to a length that only their own length decides, and results agree but for rounding.

mod embed;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

pub use embed::EmbedRequest;
pub(crate) use rows::known_columns;
use rows::{Wanted, distinct, mask, pad, shared};

use crate::decode::{Open, Padded, Queue, Written};
use crate::drawn::Drawn;
use crate::model::{self, Cache, Decoder, Past, Projection, Rotary};
use crate::prefix::{Known, KvShape, Prefixes, Read, written};
use crate::spans::{Kv, Span, Spans};
use crate::weights::values;
use crate::{Checkpoint, Error, ModelConfig, Sampling, Tokenizer};

/// What a row reads is padded to a multiple of this many tokens.
const NEW_BUCKET: usize = 16;
/// The most tokens, padding included, of one forward pass on a device that wants large ones.
const PASS_TOKENS: usize = 16_384;
/// About so many tokens are read in one pass on the CPU: enough for its products, few enough for its caches.
const CPU_PASS_TOKENS: usize = 1024;

/// When a generation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Tokens that end it; the token is kept.
    pub tokens: Vec<u32>,
    /// Strings that end it as soon as the generated text holds one; the text is kept.
    pub strings: Vec<String>,
    /// The most new tokens.
    pub max_new: usize,
}

/// A row to continue.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationRequest {
    /// The context, at least one token.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// When to end.
    pub stop: Stop,
    /// What is not to be drawn again after this prompt. At temperature 1 the rest is drawn as the model would; at
    /// others, a token that begins one of these keeps what the untempered model leaves it.
    pub excluded: Vec<Drawn>,
    /// Seed of this row's draws.
    pub seed: u64,
    /// What the row shares with others ([`crate::prefix::scope_of`]).
    pub scope: u64,
    /// Whether rows to come may begin with what is generated.
    pub keep: bool,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A stop token came.
    Token,
    /// A stop string came.
    String,
    /// `max_new` tokens, or the model's context is full.
    Length,
}

/// What a row was continued with.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The new tokens, the stop token included.
    pub drawn: Drawn,
    /// Why it ended.
    pub stop: StopReason,
}

/// A row to be read by the scalar heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRequest {
    /// The tokens, at least one.
    pub ids: Vec<u32>,
    /// The positions to read the heads at.
    pub at: Vec<usize>,
    /// What the row shares with others ([`crate::prefix::scope_of`]).
    pub scope: u64,
    /// How many of the first tokens rows to come may begin with.
    pub keep: usize,
}

/// What there is of a row after it was read.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// What was known of it before.
    known: Known,
    /// The scalar heads of the other tokens, `[tokens, scalar_heads]`.
    heads: Vec<f32>,
}

/// A model ready for inference.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: ModelConfig,
    pub(crate) decoder: Decoder,
    /// The output projection, to `vocab_size`.
    pub(crate) output: Projection,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) rotary: Rotary,
    pub(crate) device: Device,
    pub(crate) shape: KvShape,
    options: EngineOptions,
}

/// How an [`Engine`] spreads its work; results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// Threads, each with whole batches of its own; at least 1.
    pub workers: usize,
    /// The most rows of a batch; at least 1.
    pub rows: usize,
}

impl Engine {
    /// Prepares a checkpoint's model for inference on `device`.
    pub fn new(checkpoint: &Checkpoint, device: &Device, options: EngineOptions) -> Self {
        let engine = Self::unpacked(checkpoint, device, options);
        Self { decoder: engine.decoder.packed(), output: engine.output.packed(), ..engine }
    }

    /// An engine that works in padded tensors, as it does on devices other than the CPU.
    fn unpacked(checkpoint: &Checkpoint, device: &Device, options: EngineOptions) -> Self {
        let mut decoder = checkpoint.model.clone().to_device(device).valid();
        let output = decoder.lm_head.take().unwrap_or_else(|| {
            let embedding = decoder.model.embed_tokens.weight.val();
            Projection::of(embedding.transpose())
        });
        Self {
            config: checkpoint.config.clone(),
            decoder,
            output,
            tokenizer: checkpoint.tokenizer.clone(),
            rotary: Rotary::new(&checkpoint.config),
            shape: KvShape::of(&checkpoint.config),
            device: device.clone(),
            options,
        }
    }

    /// The tokenizer of the model.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The configuration of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Continues every row. Results are in the order of the requests.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a prompt that leaves no room for a token.
    pub fn generate(
        &self,
        requests: &[GenerationRequest],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Generation>, Error> {
        let limit = self.config.max_position_embeddings;
        self.check_lengths(requests.iter().map(|r| r.prompt.len()), limit - 1)?;
        // The last token of a prompt is the first that a generation feeds.
        let rows: Vec<_> = requests.iter().map(|r| (r.scope, r.prompt.as_slice())).collect();
        let known = self.read_before(&rows, prefixes);
        let rows = requests.iter().zip(&known).collect();
        let written = if self.on_cpu() {
            self.write_open(rows, prefixes)
        } else {
            self.write_padded(&rows, prefixes)
        };
        let mut generations = Vec::with_capacity(requests.len());
        for (request, Written { generation, kv }) in requests.iter().zip(written) {
            prefixes.count(generation.drawn.ids.len(), 0);
            // A token is kept with its scalar heads, which generation does not compute.
            if request.keep && self.heads() == 0 {
                let (_, fed) = generation.drawn.ids.split_last().expect("a generation has a token");
                let ids = [request.prompt.as_slice(), fed].concat();
                let read = Read { kv, heads: Vec::new() };
                prefixes.insert(
                    (request.scope, &ids),
                    request.prompt.len().saturating_sub(1),
                    read,
                    self.shape,
                );
            }
            generations.push(generation);
        }
        Ok(generations)
    }

    fn write_open(
        &self,
        rows: Vec<(&GenerationRequest, &Known)>,
        prefixes: &Prefixes,
    ) -> Vec<Written> {
        // Even shares keep the workers equally busy.
        let most = rows.len().div_ceil(self.options.workers.max(1)).min(self.options.rows).max(1);
        let count = rows.len();
        let queue = Queue::new(rows);
        self.on_workers(count.div_ceil(most), |engine| {
            Open::new(engine, prefixes, most).run(&queue)
        })
    }

    fn write_padded(
        &self,
        rows: &[(&GenerationRequest, &Known)],
        prefixes: &Prefixes,
    ) -> Vec<Written> {
        let sizes = rows.iter().map(|(_, known)| (known_columns(known), 0));
        self.spread(&self.batches(sizes.enumerate()), |engine, batch| {
            let batch: Vec<_> = batch.iter().map(|&row| rows[row]).collect();
            Padded::new(engine, &batch, prefixes).run()
        })
    }

    /// The scalar heads at the positions asked for: per request and position one value in `[0, 1]`
    /// per head, in the order of `scalar_heads`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context; [`Error::Config`] for a model without heads.
    pub fn score(
        &self,
        requests: &[ScoreRequest],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Vec<Vec<f32>>>, Error> {
        if self.config.scalar_heads.is_empty() {
            return Err(Error::Config(
                "this model has no scalar heads: it is no critic".to_owned(),
            ));
        }
        self.check_lengths(
            requests.iter().map(|r| r.ids.len()),
            self.config.max_position_embeddings,
        )?;
        let wanted: Vec<Wanted<'_>> = requests
            .iter()
            .map(|r| Wanted { scope: r.scope, ids: &r.ids, keep: r.keep.min(r.ids.len()) })
            .collect();
        let seen = self.read(&wanted, prefixes);
        let heads = |(request, seen): (&ScoreRequest, &Seen)| {
            let at = request.at.iter().map(|&at| match at.checked_sub(seen.known.tokens) {
                Some(at) => seen.heads[at * self.heads()..(at + 1) * self.heads()].to_vec(),
                None => prefixes.heads(&seen.known, at, self.shape),
            });
            at.collect()
        };
        Ok(requests.iter().zip(&seen).map(heads).collect())
    }

    /// Scores of the whole vocabulary at every position of a row, `[time][vocab_size]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context.
    pub fn logits(&self, row: &[u32]) -> Result<Vec<Vec<f32>>, Error> {
        self.check_lengths(std::iter::once(row.len()), self.config.max_position_embeddings)?;
        let wanted = Wanted { scope: 0, ids: row, keep: 0 };
        let nothing = Prefixes::default();
        let hidden = self.forward(&[(&wanted, &Known::default())], &nothing).0;
        let logits = values(self.output.forward(hidden));
        Ok(logits.chunks(self.config.vocab_size).take(row.len()).map(<[f32]>::to_vec).collect())
    }

    fn check_lengths(
        &self,
        lengths: impl Iterator<Item = usize>,
        most: usize,
    ) -> Result<(), Error> {
        let limit = self.config.max_position_embeddings;
        match lengths.max() {
            Some(tokens) if tokens > most => Err(Error::TooLong { tokens, limit }),
            _ => Ok(()),
        }
    }

    fn heads(&self) -> usize {
        self.shape.scalar_heads
    }

    /// Whether rows are read and written where they lie, and not in padded tensors.
    fn on_cpu(&self) -> bool {
        self.output.is_packed()
    }

    /// Reads rows, each with its scope, but for their last tokens, and finds what was read.
    fn read_before(&self, rows: &[(u64, &[u32])], prefixes: &mut Prefixes) -> Vec<Known> {
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

    /// Reads what is not known of some rows; what rows of one scope have in common is read first,
    /// once.
    fn read(&self, wanted: &[Wanted<'_>], prefixes: &mut Prefixes) -> Vec<Seen> {
        let (rows, places) = distinct(wanted);
        let (_, common) = self.read_rows(&shared(&rows, prefixes), prefixes);
        let (seen, rest) = self.read_rows(&rows, prefixes);
        let tokens: usize = wanted.iter().map(|row| row.ids.len()).sum();
        prefixes.count(common + rest, tokens - common - rest);
        places.into_iter().map(|place| seen[place].clone()).collect()
    }

    /// Reads what is not known of distinct rows; gives also how many tokens that were.
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

    /// The last hidden states, `[tokens, hidden_size]`, of tokens that go on from spans, in their order.
    pub(crate) fn pass(&self, tokens: &[u32], spans: &mut Spans<'_>) -> Tensor<2> {
        let positions: Vec<usize> =
            spans.rows.iter().flat_map(|span| span.past()..span.past() + span.new).collect();
        let positions = self.rotary.at(&positions, 1, &self.device);
        let tokens = model::ids(tokens, [1, tokens.len()], &self.device);
        let hidden = self.decoder.hidden(tokens, &positions, &mut Past::Spans(spans));
        spans.advance();
        let [_, count, width] = hidden.dims();
        hidden.reshape([count, width])
    }

    /// One forward pass over what is not known of some rows: the last hidden states of their new tokens, one row after
    /// another, and the keys and values of those that are kept.
    fn forward(&self, rows: &[(&Wanted<'_>, &Known)], prefixes: &Prefixes) -> (Tensor<2>, Vec<Kv>) {
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

    /// As [`Self::forward`], in tensors in which all rows have the size of the largest.
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
        let tokens = model::ids(&tokens, [rows.len(), time], &self.device);
        let places: Vec<&Known> = rows.iter().map(|(_, known)| *known).collect();
        let mut caches: Vec<Cache> =
            prefixes.caches(&places, columns + time, self.shape, &self.device);
        let known: Vec<usize> = rows.iter().map(|(_, known)| known.tokens).collect();
        let at: Vec<usize> = known.iter().flat_map(|&known| known..known + time).collect();
        let positions = self.rotary.at(&at, rows.len(), &self.device);
        let mask = mask(&known, columns, time, &self.device);
        let mut past = Past::Caches(&mut caches, columns, &mask);
        let hidden = self.decoder.hidden(tokens, &positions, &mut past);
        let hidden = hidden.reshape([rows.len() * time, self.config.hidden_size]);
        let own =
            (0..).step_by(time).zip(rows).flat_map(|(from, row)| from..from + new(row) as u32);
        let own: Vec<u32> = own.collect();
        let hidden = hidden.select(0, model::ids(&own, [own.len()], &self.device));
        let kept = |(at, (row, known)): (u32, &(&Wanted<'_>, &Known))| {
            (at, row.keep.saturating_sub(known.tokens))
        };
        let kept: Vec<(u32, usize)> = (0..).zip(rows).map(kept).collect();
        (hidden, written(&caches, &kept, columns, self.shape, &self.device))
    }

    /// One forward pass: the keys and values that are kept, and the scalar heads of all tokens.
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

    /// Indices of rows in batches, by their known columns and their new tokens.
    fn batches(&self, rows: impl Iterator<Item = (usize, (usize, usize))>) -> Vec<Vec<usize>> {
        if self.on_cpu() { self.even_batches(rows) } else { self.padded_batches(rows) }
    }

    /// Batches of about as many new tokens, in order.
    fn even_batches(&self, rows: impl Iterator<Item = (usize, (usize, usize))>) -> Vec<Vec<usize>> {
        let rows: Vec<(usize, usize)> = rows.map(|(row, (_, new))| (row, new)).collect();
        let total: usize = rows.iter().map(|(_, new)| new).sum();
        let share = total.div_ceil(self.options.workers.max(1)).clamp(1, CPU_PASS_TOKENS);
        let (mut batches, mut tokens) = (Vec::<Vec<usize>>::new(), share);
        for (row, new) in rows {
            if tokens >= share || batches.last().is_some_and(|b| b.len() >= self.options.rows) {
                batches.push(Vec::new());
                tokens = 0;
            }
            batches.last_mut().expect("the first row begins a batch").push(row);
            tokens += new;
        }
        batches
    }

    /// Batches of one size each, the longest first.
    fn padded_batches(
        &self,
        rows: impl Iterator<Item = (usize, (usize, usize))>,
    ) -> Vec<Vec<usize>> {
        let mut groups = BTreeMap::<(usize, usize), Vec<usize>>::new();
        for (row, (known, new)) in rows {
            groups.entry((known, new.next_multiple_of(NEW_BUCKET))).or_default().push(row);
        }
        let most = |(known, new): (usize, usize)| {
            (PASS_TOKENS / (known + new).max(1)).clamp(1, self.options.rows.max(1))
        };
        groups
            .into_iter()
            .rev()
            .flat_map(|(size, rows)| {
                rows.chunks(most(size)).map(<[usize]>::to_vec).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Runs the batches on the workers and puts the results back in order.
    fn spread<T: Send>(
        &self,
        batches: &[Vec<usize>],
        run: impl Fn(&Self, &[usize]) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let next = AtomicUsize::new(0);
        self.on_workers(batches.len(), |engine| {
            let mut done = Vec::new();
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.extend(batch.iter().copied().zip(run(engine, batch)));
            }
            done
        })
    }

    /// Runs something on as many workers as there is work for, and puts the results of all in order.
    fn on_workers<T: Send>(
        &self,
        most: usize,
        run: impl Fn(&Self) -> Vec<(usize, T)> + Sync,
    ) -> Vec<T> {
        let done = Mutex::new(Vec::new());
        let work = |engine: &Self| {
            let results = run(engine);
            done.lock().expect("no worker panics while it holds the lock").extend(results);
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.workers.min(most) {
                let (replica, work) = (self.replica(), &work);
                scope.spawn(move || work(&replica));
            }
            work(self);
        });
        let mut done = done.into_inner().expect("no worker panics while it holds the lock");
        done.sort_unstable_by_key(|&(row, _)| row);
        done.into_iter().map(|(_, result)| result).collect()
    }

    /// The same model for another thread; the weights are shared.
    fn replica(&self) -> Self {
        Self {
            config: self.config.clone(),
            decoder: self.decoder.clone(),
            output: self.output.clone(),
            tokenizer: self.tokenizer.clone(),
            rotary: self.rotary.clone(),
            shape: self.shape,
            device: self.device.clone(),
            options: self.options,
        }
    }
}
