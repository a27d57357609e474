//! Batched inference: generation with a KV cache and scoring with scalar heads.
//!
//! A row's result depends on the row alone, and every row draws from its own seed: on the CPU neither the batch, nor
//! what was read before ([`Prefixes`]), nor the number of workers changes a bit of it. Other devices have no such order in
//! their sums: there rows are padded to a length that only their own length decides, and results agree but for rounding.

mod embed;
mod read;
mod rows;
mod spread;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;

pub use embed::EmbedRequest;
use read::Seen;
use rows::Wanted;
pub(crate) use rows::known_columns;

use crate::decode::{Open, Padded, Queue, Written};
use crate::drawn::Drawn;
use crate::model::{Decoder, Projection};
use crate::prefix::{Known, KvShape, PrefixCounts, Prefixes, Read};
use crate::rotary::Rotary;
use crate::weights::values;
use crate::{Checkpoint, Error, ModelConfig, Sampling, Tokenizer};

/// When a generation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Tokens that end it; the token is kept.
    pub tokens: Vec<u32>,
    /// Strings that end it as soon as the generated text holds one; the text is kept.
    pub strings: Vec<String>,
    /// Ends it as soon as this holds of the generated text; the text is kept.
    pub until: Option<Until>,
    /// The most new tokens.
    pub max_new: usize,
}

/// A condition on a text, in bytes: whether it is at its end.
#[derive(Clone)]
pub struct Until(Arc<Ends>);

type Ends = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Until {
    /// The condition that `ends` says.
    pub fn new(ends: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ends))
    }

    /// Whether it holds of a text.
    pub(crate) fn holds(&self, text: &[u8]) -> bool {
        (self.0)(text)
    }
}

impl PartialEq for Until {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Until {}

impl std::fmt::Debug for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Until")
    }
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
    /// A stop string came, or the condition holds.
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
    /// The same on other devices, each for a worker.
    others: Vec<Self>,
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
            others: Vec::new(),
        }
    }

    /// The same with the checkpoint's model on other devices, too: the workers after the first each have one of them.
    #[must_use]
    pub fn and_on(self, checkpoint: &Checkpoint, devices: &[Device]) -> Self {
        let other = |device: &Device| Self::new(checkpoint, device, self.options);
        Self { others: devices.iter().map(other).collect(), ..self }
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
    /// [`Error::TooLong`] for a prompt that leaves no room for a token; [`Error::NotFinite`].
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
            finite(&generation.drawn.logprobs)?;
            let written = generation.drawn.ids.len();
            prefixes.count(self.passed(written, written));
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
    /// [`Error::TooLong`] for a row beyond the context; [`Error::Config`] for a model without heads; [`Error::NotFinite`].
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
        let scores: Vec<Vec<Vec<f32>>> = requests.iter().zip(&seen).map(heads).collect();
        scores.iter().flatten().try_for_each(|scores| finite(scores))?;
        Ok(scores)
    }

    /// Scores of the whole vocabulary at every position of a row, `[time][vocab_size]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context; [`Error::NotFinite`].
    pub fn logits(&self, row: &[u32]) -> Result<Vec<Vec<f32>>, Error> {
        self.check_lengths(std::iter::once(row.len()), self.config.max_position_embeddings)?;
        let wanted = Wanted { scope: 0, ids: row, keep: 0 };
        let nothing = Prefixes::default();
        let hidden = self.forward(&[(&wanted, &Known::default())], &nothing).0;
        let logits = values(self.output.forward(hidden));
        finite(&logits)?;
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

    /// What so many tokens cost, and so many rows of logits.
    fn passed(&self, tokens: usize, logits: usize) -> PrefixCounts {
        let (tokens, logits) = (tokens as u64, logits as u64);
        let flops = tokens * self.config.layer_flops() + logits * self.config.logit_flops();
        PrefixCounts { forwarded: tokens, reused: 0, flops }
    }

    fn heads(&self) -> usize {
        self.shape.scalar_heads
    }

    /// Whether rows are read and written where they lie, and not in padded tensors.
    fn on_cpu(&self) -> bool {
        self.output.is_packed()
    }
}

/// Checks what a model says: weights that are finite may still make sums that are not.
fn finite(numbers: &[f32]) -> Result<(), Error> {
    let fine = numbers.iter().all(|number| number.is_finite());
    fine.then_some(()).ok_or(Error::NotFinite)
}
