//! Training: language modelling on completions, preference optimization on pairs of them, and regression of scalar heads.
//!
//! A batch is always split into the same micro-batches, whose gradients are summed in the same order, so the number of
//! workers affects only the run time. A run can be interrupted at any update: [`Training::run`] hands out its state and
//! can resume from it.

mod batches;
mod config;
mod loss;
mod optimizer;
mod rows;
mod state;

use burn::module::Module;
use burn::tensor::Device;

pub use self::config::{Decay, PreferenceConfig, TrainConfig};
pub use self::state::State;

use self::loss::Loss;
use self::optimizer::Optimizer;
use self::rows::Unit;
use crate::{Checkpoint, Decoder, Error, weights};

/// A training row.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Index of the first token that the language modelling loss predicts; `None` for a row that only trains scalar
    /// heads.
    pub targets_from: Option<usize>,
    /// Targets for the scalar heads.
    pub heads: Vec<HeadTarget>,
    /// Weight of the row's loss, normally 1.
    pub weight: f32,
}

/// A target for one scalar head at one position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadTarget {
    /// Position in the row.
    pub at: usize,
    /// Index of the head in the configuration's `scalar_heads`.
    pub head: usize,
    /// Target value, 0 to 1.
    pub value: f32,
    /// Loss to use.
    pub measure: Measure,
}

/// Loss of a scalar head that predicts probability `p` for target `t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Squared error, `(p - t)^2`.
    Squared,
    /// Cross-entropy, `-t ln p - (1 - t) ln (1 - p)`.
    CrossEntropy,
}

/// A preference pair: a better and a worse solution for the same prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Tokens of the prompt and the better solution.
    pub chosen: Vec<u32>,
    /// Tokens of the prompt and the worse solution.
    pub rejected: Vec<u32>,
    /// Number of prompt tokens, at least 1. The tokens after them are compared.
    pub targets_from: usize,
}

/// The pairs for preference optimization, and its hyperparameters.
#[derive(Debug, Clone, Copy)]
pub struct Preferences<'a> {
    /// The pairs; may be empty.
    pub pairs: &'a [Pair],
    /// Hyperparameters.
    pub config: PreferenceConfig,
}

/// Metrics of a batch's preference pairs before the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preferred {
    /// Number of pairs.
    pub pairs: usize,
    /// Mean loss, without the chosen solutions' likelihood term; ln 2 at the start.
    pub loss: f64,
    /// Fraction of pairs whose chosen solution has the higher implicit reward.
    pub accuracy: f64,
}

impl Preferred {
    /// Computes the metrics from reward differences; `None` without pairs.
    fn of(rewards: &[f32]) -> Option<Self> {
        let (pairs, rewards) = (rewards.len(), rewards.iter().map(|&reward| f64::from(reward)));
        // -ln sigmoid(r), written so that it does not overflow.
        let losses = rewards.clone().map(|r| (-r).max(0.0) + (-r.abs()).exp().ln_1p());
        let mean = |sum: f64| sum / pairs as f64;
        let (loss, accuracy) =
            (mean(losses.sum()), mean(rewards.filter(|&r| r > 0.0).count() as f64));
        (pairs > 0).then_some(Self { pairs, loss, accuracy })
    }
}

/// Progress reported to the caller.
#[derive(Debug)]
pub enum Event<'a> {
    /// An update is done.
    Update {
        /// Updates done so far.
        update: usize,
        /// Updates planned, unless the run stops early.
        total: usize,
        /// Mean loss of the batch.
        loss: f64,
        /// Learning rate of the update.
        rate: f64,
        /// Gradient norm before clipping.
        norm: f64,
        /// Tokens in the batch, without padding.
        tokens: usize,
        /// Metrics of the batch's preference pairs, if it has any.
        preferred: Option<Preferred>,
    },
    /// The validation loss was measured.
    Validated {
        /// Updates done so far.
        update: usize,
        /// Mean loss on the validation examples.
        loss: f64,
        /// Whether it is the lowest so far.
        best: bool,
    },
    /// A state to save, for resuming after an interruption.
    Save(&'a State),
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The model with the lowest validation loss, or the last one without validation.
    pub model: Decoder,
    /// Updates done.
    pub updates: usize,
    /// Updates that the learning rate schedule was planned for.
    pub planned: usize,
    /// Tokens in the batches of those updates, without padding.
    pub tokens: u64,
    /// The update that the model is from.
    pub best_update: usize,
    /// The model's validation loss.
    pub best_loss: Option<f64>,
    /// The adapters, if the run trained any, as the files of a PEFT folder. The model has them merged in.
    pub adapter: Vec<(String, Vec<u8>)>,
}

/// The length of a run, for another one that is to go as far with the same learning rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Updates done.
    pub updates: usize,
    /// Updates that the learning rate schedule covers; more than `updates` if the run stopped early.
    pub planned: usize,
}

/// A training run.
#[derive(Debug)]
pub struct Training<'a> {
    /// The model to start from.
    pub checkpoint: &'a Checkpoint,
    /// Training examples.
    pub examples: &'a [Example],
    /// Preference pairs to mix into the same batches. The reference model is the one to start from.
    pub preferences: Option<Preferences<'a>>,
    /// Validation examples; may be empty if `validate_every` is 0.
    pub validation: &'a [Example],
    /// Hyperparameters.
    pub config: &'a TrainConfig,
    /// A fixed number of updates instead of `epochs`, without early stopping: for a control run.
    pub updates: Option<Course>,
    /// Seed for the order of the examples, and for initializing adapters.
    pub seed: u64,
    /// Number of threads.
    pub workers: usize,
}

impl Training<'_> {
    /// Runs the training, or resumes it from a saved state ([`State::to_bytes`]) of the same run. The model lives on the
    /// first device; all devices compute gradients, each of whole micro-batches.
    ///
    /// # Panics
    /// Panics if `devices` is empty.
    ///
    /// # Errors
    /// [`Error::NoExamples`], [`Error::IncompletePair`], [`Error::Diverged`], [`Error::DivergedWeights`],
    /// [`Error::DamagedState`], [`Error::State`], [`Error::TooLong`] for a row beyond the context, [`Error::Config`], and
    /// any error that `on_event` returns.
    pub fn run<E: From<Error>>(
        &self,
        devices: &[Device],
        saved: Option<&[u8]>,
        on_event: &mut dyn FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        self.check()?;
        let loss = Loss::new(self, devices);
        let optimizer = Optimizer::new(self.config);
        let start = self.start(&devices[0]);
        let units = self.units(&loss, &start);
        let mut plan = batches::Plan::new(self, &units);
        let mut state = match saved {
            Some(bytes) => State::from_bytes(bytes, &start)?,
            None => State::start(start),
        };
        while state.update < plan.total && !self.out_of_patience(&state) {
            let update = state.update;
            let batch = plan.batch(update);
            let found = loss.gradients(&state.model, &batch, self.config.micro_batches);
            let (value, preferred) = (found.loss, Preferred::of(&found.rewards));
            finite(update + 1, "loss", value)?;
            let rate = self.config.rate(update, self.planned(&plan));
            let norm = optimizer.step(&mut state, found.gradients, rate);
            finite(update + 1, "gradient's norm", norm)?;
            state.update += 1;
            let tokens: usize = batch.iter().map(|unit| unit.tokens()).sum();
            state.tokens += tokens as u64;
            let (update, total) = (state.update, plan.total);
            on_event(Event::Update { update, total, loss: value, rate, norm, tokens, preferred })?;
            self.validate(&loss, &mut state, plan.total, on_event)?;
            if update.is_multiple_of(self.config.save_every) {
                on_event(Event::Save(&state))?;
            }
        }
        let outcome = self.finished(state.outcome(self.planned(&plan)));
        // A finite loss and gradient norm do not rule out that the last update itself overflowed.
        match weights::not_finite(&outcome.model) {
            Some(tensor) => Err(Error::DivergedWeights(tensor).into()),
            None => Ok(outcome),
        }
    }

    /// Updates that the learning rate schedule covers.
    fn planned(&self, plan: &batches::Plan<'_>) -> usize {
        self.updates.map_or(plan.total, |course| course.planned.max(course.updates))
    }

    /// The model before the first update.
    fn start(&self, device: &Device) -> Decoder {
        let model = self.checkpoint.model.clone().to_device(device);
        match &self.config.lora {
            Some(lora) => model.adapted(lora, self.seed),
            None => model,
        }
    }

    /// The examples, followed by the pairs with the starting model's log-probability margin. A resumed run recomputes the
    /// margins rather than loading them: it takes one pass over the pairs and gives the same bits.
    fn units(&self, loss: &Loss, start: &Decoder) -> Vec<Unit<'_>> {
        let margins = loss.margins(start, self.pairs(), self.config.batch_tokens);
        let pairs = self.pairs().iter().zip(margins);
        let pairs = pairs.map(|(pair, margin)| Unit::Pair(pair, margin));
        self.examples.iter().map(Unit::Example).chain(pairs).collect()
    }

    /// The pairs; empty without preference optimization.
    fn pairs(&self) -> &[Pair] {
        self.preferences.map_or(&[], |preferences| preferences.pairs)
    }

    /// The outcome with the adapters merged into the weights.
    fn finished(&self, outcome: Outcome) -> Outcome {
        let Some(lora) = &self.config.lora else { return outcome };
        let adapter = outcome.model.peft(lora);
        Outcome { model: outcome.model.merged(lora), adapter, ..outcome }
    }

    fn check(&self) -> Result<(), Error> {
        self.config.validate()?;
        self.preferences.map_or(Ok(()), |preferences| preferences.config.validate())?;
        if let Some(Course { updates, .. }) = self.updates.filter(|it| it.updates > MOST_UPDATES) {
            let problem = format!("{updates} updates: {MOST_UPDATES} is the limit");
            return Err(Error::Config(problem));
        }
        let pairs = self.pairs();
        let nothing = self.examples.is_empty() && pairs.is_empty();
        if nothing || self.config.validate_every > 0 && self.validation.is_empty() {
            return Err(Error::NoExamples);
        }
        if let Some(index) = pairs.iter().position(|pair| !pair.is_whole()) {
            return Err(Error::IncompletePair(index));
        }
        let limit = self.checkpoint.config.max_position_embeddings;
        let examples = self.examples.iter().chain(self.validation).map(|e| e.ids.len());
        let pairs = pairs.iter().map(|pair| pair.chosen.len().max(pair.rejected.len()));
        match examples.chain(pairs).max() {
            Some(tokens) if tokens > limit => Err(Error::TooLong { tokens, limit }),
            _ => Ok(()),
        }
    }

    fn out_of_patience(&self, state: &State) -> bool {
        let patience = self.config.patience;
        self.updates.is_none() && patience > 0 && state.worse >= patience
    }

    fn validate<E: From<Error>>(
        &self,
        loss: &Loss,
        state: &mut State,
        total: usize,
        on_event: &mut dyn FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let every = self.config.validate_every;
        let due = every > 0 && (state.update.is_multiple_of(every) || state.update == total);
        if !due {
            return Ok(());
        }
        let value = loss.mean(&state.model, self.validation, self.config.batch_tokens);
        finite(state.update, "validation loss", value)?;
        let best = state.judge(value);
        on_event(Event::Validated { update: state.update, loss: value, best })
    }
}

/// Limit on updates, beyond any real run.
const MOST_UPDATES: usize = 1_000_000_000;

/// Checks that a figure of an update, counted from 1, is finite.
fn finite(update: usize, what: &'static str, value: f64) -> Result<(), Error> {
    let diverged = Error::Diverged { update, what, value };
    value.is_finite().then_some(()).ok_or(diverged)
}

#[cfg(test)]
mod tests;
