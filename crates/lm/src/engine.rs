//! Batched inference: generation with a KV cache, and scoring with scalar heads.
//!
//! A row's result depends on that row alone, and every row draws from its own seed. On the CPU, neither the batch, nor
//! earlier reads ([`Prefixes`]), nor the number of workers changes a single bit. Other devices do not guarantee an order
//! of summation. There we pad rows to a length that only their own length decides, and results agree up to rounding.

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
use crate::tensors::values;
use crate::{Checkpoint, Error, ModelConfig, Sampling, Tokenizer};

/// When a generation stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Stop tokens. The one that was generated is kept.
    pub tokens: Vec<u32>,
    /// Stop strings, matched anywhere in the generated text. The text is kept.
    pub strings: Vec<String>,
    /// A condition on the generated text that stops it. The text is kept.
    pub until: Option<Until>,
    /// Maximum number of new tokens.
    pub max_new: usize,
}

/// A predicate on the bytes of a generated text: whether it is complete.
#[derive(Clone)]
pub struct Until(Arc<Ends>);

type Ends = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Until {
    /// Wraps a predicate.
    pub fn new(ends: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ends))
    }

    /// Whether the text is complete.
    pub(crate) fn holds(&self, text: &[u8]) -> bool {
        (self.0)(text)
    }
}

impl PartialEq for Until {
    fn eq(&self, other: &Self) -> bool {
        // Closures cannot be compared, so two conditions are equal if they are the same object.
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Until {}

impl std::fmt::Debug for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Until")
    }
}

/// A request to continue a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationRequest {
    /// The prompt, at least one token.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// When to stop.
    pub stop: Stop,
    /// Continuations that must not be drawn again for this prompt. At temperature 1 the rest follow the model's
    /// distribution, renormalized. At other temperatures, a token that starts an excluded continuation keeps the share of
    /// its probability that the untempered model assigns to other continuations.
    pub excluded: Vec<Drawn>,
    /// Seed for the random draws of this row.
    pub seed: u64,
    /// Scope of the row's cached prefix, shared with related rows ([`crate::prefix::scope_of`]).
    pub scope: u64,
    /// Whether to cache the generated tokens, for later rows that continue from them.
    pub keep: bool,
}

/// Why a generation stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It generated a stop token.
    Token,
    /// It generated a stop string, or met the condition.
    String,
    /// It reached `max_new` tokens or the end of the model's context.
    Length,
}

/// A generated continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The new tokens, including the stop token.
    pub drawn: Drawn,
    /// Why it stopped.
    pub stop: StopReason,
}

/// A request to read the scalar heads along a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRequest {
    /// The tokens, at least one.
    pub ids: Vec<u32>,
    /// Positions at which to read the heads.
    pub at: Vec<usize>,
    /// Scope of the row's cached prefix, shared with related rows ([`crate::prefix::scope_of`]).
    pub scope: u64,
    /// How many leading tokens to cache for later rows.
    pub keep: usize,
}

/// A model that is ready for inference.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: ModelConfig,
    pub(crate) decoder: Decoder,
    /// The output projection, `[hidden_size, vocab_size]`; a tied embedding is transposed into one.
    pub(crate) output: Projection,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) rotary: Rotary,
    pub(crate) device: Device,
    pub(crate) shape: KvShape,
    options: EngineOptions,
    /// Copies on other devices, one per worker after the first.
    others: Vec<Self>,
}

/// How an [`Engine`] spreads its work. Results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// Number of threads, each running whole batches of its own; at least 1.
    pub workers: usize,
    /// Maximum number of rows in a batch; at least 1.
    pub rows: usize,
}

impl Engine {
    /// Prepares a checkpoint's model for inference on `device`.
    pub fn new(checkpoint: &Checkpoint, device: &Device, options: EngineOptions) -> Self {
        let engine = Self::unpacked(checkpoint, device, options);
        Self { decoder: engine.decoder.packed(), output: engine.output.packed(), ..engine }
    }

    /// Builds an engine that uses padded tensors, as on devices other than the CPU.
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

    /// Adds copies of the checkpoint's model on other devices. The workers after the first use one each.
    #[must_use]
    pub fn and_on(self, checkpoint: &Checkpoint, devices: &[Device]) -> Self {
        let other = |device: &Device| Self::new(checkpoint, device, self.options);
        Self { others: devices.iter().map(other).collect(), ..self }
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Continues every prompt. Returns the generations in the order of the requests.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a prompt that leaves no room for a new token; [`Error::NotFinite`].
    pub fn generate(
        &self,
        requests: &[GenerationRequest],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Generation>, Error> {
        let limit = self.config.max_position_embeddings;
        self.check_lengths(requests.iter().map(|r| r.prompt.len()), limit - 1)?;
        // Read all but the last prompt token, which is the first that decoding feeds.
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
            // A cached token needs its scalar heads too, and generation does not compute them, so only models without
            // heads are cached.
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
        // Nothing is padded for new tokens here: every row decodes one at a time.
        let sizes = rows.iter().map(|(_, known)| (known_columns(known), 0));
        self.spread(&self.batches(sizes.enumerate()), |engine, batch| {
            let batch: Vec<_> = batch.iter().map(|&row| rows[row]).collect();
            Padded::new(engine, &batch, prefixes).run()
        })
    }

    /// Reads the scalar heads at the requested positions. Returns, per request and position, one value from 0 to 1 per
    /// head, in the order of `scalar_heads`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context; [`Error::Config`] for a model without heads;
    /// [`Error::NotFinite`].
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

    /// Returns the logits at every position of a row, `[time][vocab_size]`.
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

    /// The cost of running `tokens` tokens through the layers and computing `logits` rows of logits.
    fn passed(&self, tokens: usize, logits: usize) -> PrefixCounts {
        let (tokens, logits) = (tokens as u64, logits as u64);
        let flops = tokens * self.config.layer_flops() + logits * self.config.logit_flops();
        PrefixCounts { forwarded: tokens, reused: 0, flops }
    }

    fn heads(&self) -> usize {
        self.shape.scalar_heads
    }

    /// Whether rows are processed in place by the CPU kernels rather than in padded tensors.
    fn on_cpu(&self) -> bool {
        self.output.is_packed()
    }
}

/// Checks a model's output: even with finite weights, sums can overflow.
fn finite(numbers: &[f32]) -> Result<(), Error> {
    let fine = numbers.iter().all(|number| number.is_finite());
    fine.then_some(()).ok_or(Error::NotFinite)
}
