//! Batched inference: generation with a KV cache and scoring with scalar heads.
//!
//! A row's result depends on the row alone. Rows are padded to a length that only their own length
//! decides, batches only ever add rows, and every row draws from its own seed: so neither the batch
//! size, nor the other rows, nor the number of workers changes a bit of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::model::{self, Cache, Decoder, MASKED, Rotary};
use crate::weights::values;
use crate::{Checkpoint, Error, ModelConfig, Sampling, Tokenizer};

/// Rows are padded to a multiple of this many tokens.
const BUCKET: usize = 32;
/// Fewer rows than this are filled up: matrix products of one or two rows take another code path,
/// which rounds differently.
const MIN_ROWS: usize = 8;
/// The most tokens, padding included, of one forward pass.
const PASS_TOKENS: usize = 16_384;

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
    /// Seed of this row's draws.
    pub seed: u64,
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
    pub ids: Vec<u32>,
    /// Sum of the new tokens' log-probabilities under the untempered model, in nats.
    pub logprob: f32,
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
}

/// A model ready for inference.
#[derive(Debug)]
pub struct Engine {
    config: ModelConfig,
    decoder: Decoder,
    /// The output projection, `[hidden_size, vocab_size]`, row-major: a transposed right-hand side
    /// is several times slower in the small products of decoding.
    output: Tensor<2>,
    tokenizer: Tokenizer,
    rotary: Rotary,
    device: Device,
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
        let decoder = checkpoint.model.clone().to_device(device).valid();
        let (d, vocab) = (checkpoint.config.hidden_size, checkpoint.config.vocab_size);
        let output = if let Some(head) = &decoder.lm_head {
            head.weight.val()
        } else {
            let transposed = decoder.model.embed_tokens.weight.val().transpose();
            model::tensor(values(transposed), [d, vocab], device)
        };
        Self {
            config: checkpoint.config.clone(),
            decoder,
            output,
            tokenizer: checkpoint.tokenizer.clone(),
            rotary: Rotary::new(&checkpoint.config),
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
    pub fn generate(&self, requests: &[GenerationRequest]) -> Result<Vec<Generation>, Error> {
        let limit = self.config.max_position_embeddings;
        self.check_lengths(requests.iter().map(|r| r.prompt.len()), limit - 1)?;
        let batches = self.batches(requests.iter().map(|r| r.prompt.len()));
        Ok(self.spread(&batches, |engine, rows| {
            let rows: Vec<&GenerationRequest> = rows.iter().map(|&i| &requests[i]).collect();
            Decoding::new(engine, &rows).run()
        }))
    }

    /// The scalar heads at the positions asked for: per request and position one value in `[0, 1]`
    /// per head, in the order of `scalar_heads`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context; [`Error::Config`] for a model without heads.
    pub fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Vec<Vec<f32>>>, Error> {
        if self.config.scalar_heads.is_empty() {
            return Err(Error::Config(
                "this model has no scalar heads: it is no critic".to_owned(),
            ));
        }
        let lengths = || requests.iter().map(|r| r.ids.len());
        self.check_lengths(lengths(), self.config.max_position_embeddings)?;
        let batches = self.batches(lengths());
        Ok(self.spread(&batches, |engine, rows| {
            let rows: Vec<&ScoreRequest> = rows.iter().map(|&i| &requests[i]).collect();
            engine.score_batch(&rows)
        }))
    }

    /// Scores of the whole vocabulary at every position of a row, `[time][vocab_size]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a row beyond the context.
    pub fn logits(&self, row: &[u32]) -> Result<Vec<Vec<f32>>, Error> {
        self.check_lengths(std::iter::once(row.len()), self.config.max_position_embeddings)?;
        let request = ScoreRequest { ids: row.to_vec(), at: (0..row.len()).collect() };
        let hidden = self.hidden_at(&[&request]);
        let logits = values(hidden.matmul(self.output.clone()));
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

    /// Indices of the rows in batches of one padded length each, the longest rows first.
    fn batches(&self, lengths: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
        let mut groups = std::collections::BTreeMap::<usize, Vec<usize>>::new();
        for (row, length) in lengths.enumerate() {
            groups.entry(padded(length)).or_default().push(row);
        }
        let most = |length: usize| (PASS_TOKENS / length).clamp(1, self.options.rows.max(1));
        // Even batches keep the workers equally busy.
        let share = |rows: usize| rows.div_ceil(self.options.workers.max(1)).max(MIN_ROWS);
        groups
            .into_iter()
            .rev()
            .flat_map(|(length, rows)| {
                let size = most(length).min(share(rows.len()));
                rows.chunks(size).map(<[usize]>::to_vec).collect::<Vec<_>>()
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
        let done = Mutex::new(Vec::new());
        let work = |engine: &Self| {
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let results = run(engine, batch);
                let mut done = done.lock().expect("no worker panics while it holds the lock");
                done.extend(batch.iter().copied().zip(results));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.workers.min(batches.len()) {
                let replica = self.replica();
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
            device: self.device.clone(),
            options: self.options,
        }
    }

    /// The hidden states at the positions asked for, row after row, `[positions, hidden_size]`, with
    /// at least [`MIN_ROWS`] rows.
    fn hidden_at(&self, rows: &[&ScoreRequest]) -> Tensor<2> {
        let time = padded(rows.iter().map(|r| r.ids.len()).max().unwrap_or(1));
        let count = rows.len().max(MIN_ROWS);
        let tokens = pad(rows.iter().map(|r| r.ids.as_slice()), count, time);
        let tokens = model::ids(&tokens, [count, time], &self.device);
        let hidden = self.decoder.hidden(tokens, &self.rotary.causal(time, &self.device));
        let mut at: Vec<u32> = rows
            .iter()
            .enumerate()
            .flat_map(|(row, r)| r.at.iter().map(move |&p| (row * time + p) as u32))
            .collect();
        at.resize(at.len().max(MIN_ROWS), 0);
        let at = model::ids(&at, [at.len()], &self.device);
        hidden.reshape([count * time, self.config.hidden_size]).select(0, at)
    }

    fn score_batch(&self, rows: &[&ScoreRequest]) -> Vec<Vec<Vec<f32>>> {
        let head = self.decoder.scalar_head.as_ref().expect("`score` checked for scalar heads");
        let scores = values(sigmoid(head.forward(self.hidden_at(rows))));
        let mut scores = scores.chunks(self.config.scalar_heads.len()).map(<[f32]>::to_vec);
        rows.iter().map(|r| scores.by_ref().take(r.at.len()).collect()).collect()
    }
}

/// A batch being decoded.
struct Decoding<'a> {
    engine: &'a Engine,
    requests: &'a [&'a GenerationRequest],
    rows: Vec<Row>,
    /// The row of the batch in each row of the tensors; those at the end may be fillers.
    live: Vec<usize>,
    caches: Vec<Cache>,
    /// `[live, 1, 1, capacity]`.
    mask: Tensor<4>,
    /// Columns written so far.
    columns: usize,
}

/// What is known of one row.
struct Row {
    rng: ChaCha8Rng,
    ids: Vec<u32>,
    bytes: Vec<u8>,
    logprob: f32,
    stop: Option<StopReason>,
}

impl<'a> Decoding<'a> {
    fn new(engine: &'a Engine, requests: &'a [&'a GenerationRequest]) -> Self {
        let time = padded(requests.iter().map(|r| r.prompt.len()).max().unwrap_or(1));
        let capacity = time + requests.iter().map(|r| r.stop.max_new).max().unwrap_or(0);
        let count = requests.len().max(MIN_ROWS);
        let config = &engine.config;
        let shape = [count, config.kv_heads(), capacity, config.head_width()];
        // The columns between a prompt's end and the padded length hold nothing.
        let mask = (0..count)
            .flat_map(|row| {
                let length = requests.get(row).map_or(time, |r| r.prompt.len());
                (0..capacity).map(move |c| if c >= length && c < time { MASKED } else { 0.0 })
            })
            .collect();
        let rows = requests.iter().map(|r| Row {
            rng: ChaCha8Rng::seed_from_u64(r.seed),
            ids: Vec::new(),
            bytes: Vec::new(),
            logprob: 0.0,
            stop: None,
        });
        Self {
            engine,
            requests,
            rows: rows.collect(),
            live: (0..count).collect(),
            caches: (0..config.num_hidden_layers)
                .map(|_| Cache::new(shape, &engine.device))
                .collect(),
            mask: model::tensor(mask, [count, 1, 1, capacity], &engine.device),
            columns: time,
        }
    }

    fn run(mut self) -> Vec<Generation> {
        let mut logits = self.prefill();
        loop {
            self.choose(&logits);
            if self.rows.iter().all(|row| row.stop.is_some()) {
                break;
            }
            self.compact();
            logits = self.step();
        }
        let finish = |row: Row| Generation {
            ids: row.ids,
            logprob: row.logprob,
            stop: row.stop.expect("the loop ends when every row has stopped"),
        };
        self.rows.into_iter().map(finish).collect()
    }

    /// Reads the prompts; gives the scores that follow each.
    fn prefill(&mut self) -> Vec<f32> {
        let (engine, time, count) = (self.engine, self.columns, self.live.len());
        let tokens = pad(self.requests.iter().map(|r| r.prompt.as_slice()), count, time);
        let tokens = model::ids(&tokens, [count, time], &engine.device);
        let positions = engine.rotary.causal(time, &engine.device);
        let hidden = engine.decoder.hidden_cached(tokens, &positions, &mut self.caches, 0);
        let last: Vec<u32> = (0..count)
            .map(|row| {
                (row * time + self.requests.get(row).map_or(1, |r| r.prompt.len()) - 1) as u32
            })
            .collect();
        let last = model::ids(&last, [count], &engine.device);
        let hidden = hidden.reshape([count * time, engine.config.hidden_size]).select(0, last);
        values(hidden.matmul(engine.output.clone()))
    }

    /// Chooses a token for every live row.
    fn choose(&mut self, logits: &[f32]) {
        let vocab = self.engine.config.vocab_size;
        for (&index, logits) in self.live.iter().zip(logits.chunks(vocab)) {
            let Some(row) = self.rows.get_mut(index).filter(|row| row.stop.is_none()) else {
                continue;
            };
            let request = self.requests[index];
            let (token, logprob) = request.sampling.choose(logits, &mut row.rng);
            row.logprob += logprob;
            row.push(token, self.engine.tokenizer.token_bytes(token), &request.stop);
            let length = request.prompt.len() + row.ids.len();
            if row.stop.is_none() && length >= self.engine.config.max_position_embeddings {
                row.stop = Some(StopReason::Length);
            }
        }
    }

    /// Drops finished rows once they are a quarter of the batch: dropping copies the cache.
    fn compact(&mut self) {
        let open = |&&row: &&usize| self.rows.get(row).is_some_and(|r| r.stop.is_none());
        let wanted = self.live.iter().filter(open).count();
        if wanted.max(MIN_ROWS) * 4 > self.live.len() * 3 {
            return;
        }
        let (mut keep, rest): (Vec<usize>, Vec<usize>) = (0..self.live.len())
            .partition(|&at| self.rows.get(self.live[at]).is_some_and(|r| r.stop.is_none()));
        keep.extend(rest.into_iter().take(MIN_ROWS.saturating_sub(keep.len())));
        let at: Vec<u32> = keep.iter().map(|&i| i as u32).collect();
        let at = model::ids(&at, [at.len()], &self.engine.device);
        for cache in &mut self.caches {
            cache.select(&at);
        }
        self.mask = self.mask.clone().select(0, at);
        self.live = keep.into_iter().map(|i| self.live[i]).collect();
    }

    /// One more token for every row of the tensors; gives the scores that follow.
    fn step(&mut self) -> Vec<f32> {
        let (engine, count) = (self.engine, self.live.len());
        let last = |row: usize| self.rows.get(row).and_then(|r| r.ids.last().copied()).unwrap_or(0);
        let tokens: Vec<u32> = self.live.iter().map(|&row| last(row)).collect();
        let at: Vec<usize> = self
            .live
            .iter()
            .map(|&row| match (self.requests.get(row), self.rows.get(row)) {
                (Some(request), Some(row)) => request.prompt.len() + row.ids.len() - 1,
                _ => 0,
            })
            .collect();
        let mask = self.mask.clone().narrow(3, 0, self.columns + 1);
        let positions = engine.rotary.step(&at, mask, &engine.device);
        let tokens = model::ids(&tokens, [count, 1], &engine.device);
        let hidden =
            engine.decoder.hidden_cached(tokens, &positions, &mut self.caches, self.columns);
        self.columns += 1;
        let hidden = hidden.reshape([count, engine.config.hidden_size]);
        values(hidden.matmul(engine.output.clone()))
    }
}

impl Row {
    fn push(&mut self, token: u32, bytes: &[u8], stop: &Stop) {
        self.ids.push(token);
        let known = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let ended_by = |s: &String| {
            let from = (known + 1).saturating_sub(s.len());
            !s.is_empty() && self.bytes[from..].windows(s.len()).any(|w| w == s.as_bytes())
        };
        self.stop = if stop.tokens.contains(&token) {
            Some(StopReason::Token)
        } else if stop.strings.iter().any(ended_by) {
            Some(StopReason::String)
        } else {
            (self.ids.len() >= stop.max_new).then_some(StopReason::Length)
        };
    }
}

fn padded(length: usize) -> usize {
    length.max(1).next_multiple_of(BUCKET)
}

/// Rows one after another, each filled up to `time` tokens, and empty rows up to `count`.
fn pad<'a, I: Iterator<Item = &'a [u32]>>(rows: I, count: usize, time: usize) -> Vec<u32> {
    let mut tokens = vec![0; count * time];
    for (slot, row) in tokens.chunks_mut(time).zip(rows) {
        slot[..row.len()].copy_from_slice(row);
    }
    tokens
}
