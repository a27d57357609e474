//! Batched inference: generation with a KV cache, and scoring with scalar heads.
//!
//! A row's result depends on that row alone, and every row draws from its own seed. On the CPU, neither the batch, nor
//! earlier reads ([`Prefixes`]), nor the number of workers changes a single bit. Other devices do not guarantee an order
//! of summation. There we pad rows to a length that only their own length decides, and results agree up to rounding.

mod embed;
mod generate;
mod read;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use burn::tensor::Device;
use kernels::Team;

use self::rows::{ReadRequest, RowRead};

use crate::checkpoint::StoredModel;
use crate::inference::Inference;
use crate::prefix::{PrefixCounts, Prefixes, Read, ScopedRow};
pub use crate::requests::{
    EmbedRequest, Generation, GenerationRequest, ScoreRequest, Stop, StopReason, Until,
};
use crate::scheduler::{Context, Scheduler};
use crate::{Checkpoint, Error, ModelConfig, Precision, Tokenizer, device};

/// A model that is ready for inference. Callers on several threads share it: their rows go through the model together.
#[derive(Debug)]
pub struct Engine {
    config: ModelConfig,
    tokenizer: Tokenizer,
    model: Inference,
    scheduler: Scheduler,
    workers: usize,
    /// Keys and values of prefixes that rows of all callers share, by their tokens. See [`Self::read_shared`].
    shared: Mutex<BTreeMap<Vec<u32>, Read>>,
}

/// How an [`Engine`] spreads its work. Results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// Number of threads; at least 1.
    pub workers: usize,
    /// Maximum number of rows in a batch, for each worker; at least 1.
    pub rows: usize,
}

impl Engine {
    /// Prepares a model that is in memory for inference. Of several devices, each worker after the first uses one. On
    /// devices other than the CPU, the precision is `f32`.
    ///
    /// # Panics
    /// Panics without a device.
    pub fn new(
        checkpoint: &Checkpoint,
        devices: &[Device],
        precision: Precision,
        options: EngineOptions,
    ) -> Self {
        let team = Team::of(options.workers);
        let on = |device: &Device| Inference::new(checkpoint, device, precision, &team);
        let (config, tokenizer) = (checkpoint.config.clone(), checkpoint.tokenizer.clone());
        Self::of(config, tokenizer, devices.iter().map(on).collect(), options, team)
    }

    /// Loads a Hugging Face directory for inference. On the CPU, weights go from the file to where they are used, and are
    /// never in memory as `f32` unless that is the precision.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn load(
        dir: &Path,
        devices: &[Device],
        precision: Precision,
        options: EngineOptions,
    ) -> Result<Self, Error> {
        if let Some(first) = devices.iter().find(|device| !device::is_cpu(device)) {
            return Ok(Self::new(&Checkpoint::load(dir, first)?, devices, precision, options));
        }
        let stored = StoredModel::open(dir)?;
        let team = Team::of(options.workers);
        let model = Inference::packed(&stored, precision, &team);
        Ok(Self::of(stored.config, stored.tokenizer, vec![model], options, team))
    }

    /// Starts the threads. A model on the CPU serves all workers; of those on other devices, each is one worker's.
    fn of(
        config: ModelConfig,
        tokenizer: Tokenizer,
        models: Vec<Inference>,
        options: EngineOptions,
        team: Team,
    ) -> Self {
        let model = models.first().expect("a model runs on a device").clone();
        let (team, models) = match (&model, model.is_shared()) {
            // All threads share each product: one of them leads.
            (Inference::Packed(_), true) => (team, vec![model.clone()]),
            (Inference::Packed(_), false) => {
                (Team::alone(), vec![model.clone(); options.workers.max(1)])
            }
            (Inference::Padded(_), _) => (Team::alone(), models),
        };
        let context = Context {
            tokenizer: tokenizer.clone(),
            limit: config.max_position_embeddings,
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
        };
        let scheduler = Scheduler::start(models, &context, options, &team);
        let workers = options.workers.max(1);
        Self { config, tokenizer, model, scheduler, workers, shared: Mutex::default() }
    }

    /// How many callers with a few rows each keep the workers busy. In a search of `tiny`, twice and four times as many made
    /// nothing faster, and their caches took more memory (docs/PERFORMANCE.md).
    pub fn callers(&self) -> usize {
        const PER_WORKER: usize = 16;
        self.workers * PER_WORKER
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
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
        let count = self.config.scalar_heads.len();
        if count == 0 {
            return Err(Error::Config(
                "this model has no scalar heads: it is no critic".to_owned(),
            ));
        }
        self.check_lengths(
            requests.iter().map(|r| r.ids.len()),
            self.config.max_position_embeddings,
        )?;
        let rows: Vec<ReadRequest<'_>> = requests
            .iter()
            .map(|r| ReadRequest {
                row: ScopedRow { scope: r.scope, ids: &r.ids },
                keep: r.keep.min(r.ids.len()),
            })
            .collect();
        let read = self.read(&rows, prefixes);
        let heads = |(request, row): (&ScoreRequest, &RowRead)| {
            let at = request.at.iter().map(|&at| match at.checked_sub(row.prefix.tokens) {
                Some(at) => row.heads[at * count..(at + 1) * count].to_vec(),
                None => prefixes.heads(&row.prefix, at),
            });
            at.collect()
        };
        let scores: Vec<Vec<Vec<f32>>> = requests.iter().zip(&read).map(heads).collect();
        scores.iter().flatten().try_for_each(|scores| finite(scores))?;
        Ok(scores)
    }

    /// Returns the logits at every position of a row, `[time][vocab_size]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context; [`Error::NotFinite`].
    pub fn logits(&self, row: &[u32]) -> Result<Vec<Vec<f32>>, Error> {
        self.check_lengths(std::iter::once(row.len()), self.config.max_position_embeddings)?;
        let logits = self.model.row_logits(row);
        finite(&logits)?;
        Ok(logits.chunks(self.config.vocab_size).map(<[f32]>::to_vec).collect())
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
    fn cost(&self, tokens: usize, logits: usize) -> PrefixCounts {
        let (tokens, logits) = (tokens as u64, logits as u64);
        let flops = tokens * self.config.layer_flops() + logits * self.config.logit_flops();
        PrefixCounts { forwarded: tokens, reused: 0, flops }
    }
}

/// Checks a model's output: even with finite weights, sums can overflow.
fn finite(numbers: &[f32]) -> Result<(), Error> {
    let fine = numbers.iter().all(|number| number.is_finite());
    fine.then_some(()).ok_or(Error::NotFinite)
}
