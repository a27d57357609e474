//! Training: language modelling on completions, preference optimization on pairs of them, and regression of scalar heads.
//!
//! A batch is always cut into the same micro-batches and their gradients are summed in the same
//! order, so the number of workers changes the time a run takes and nothing else. A run can be
//! interrupted at any update: [`Training::run`] hands out its state and takes it back.

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

/// One training row.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Tokens from this index on are targets of the language modelling loss; `None` for a row that
    /// only trains scalar heads.
    pub targets_from: Option<usize>,
    /// Targets of the scalar heads.
    pub heads: Vec<HeadTarget>,
    /// Weight of the row's loss; 1 is usual.
    pub weight: f32,
}

/// What a scalar head should say at a position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadTarget {
    /// The position.
    pub at: usize,
    /// Index of the head in the configuration's `scalar_heads`.
    pub head: usize,
    /// The target, in `[0, 1]`.
    pub value: f32,
    /// How far off is measured.
    pub measure: Measure,
}

/// The loss of a scalar head's probability `p` against its target `t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// `(p - t)^2`.
    Squared,
    /// `-t ln p - (1 - t) ln (1 - p)`.
    CrossEntropy,
}

/// Two solutions of one prompt, of which one is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The tokens of the prompt and of the better solution.
    pub chosen: Vec<u32>,
    /// The tokens of the prompt and of the worse solution.
    pub rejected: Vec<u32>,
    /// Tokens of the prompt, at least 1; those after it are compared.
    pub targets_from: usize,
}

/// Pairs to learn from, and how.
#[derive(Debug, Clone, Copy)]
pub struct Preferences<'a> {
    /// The pairs; may be empty.
    pub pairs: &'a [Pair],
    /// Hyperparameters.
    pub config: PreferenceConfig,
}

/// How the pairs of a batch stood before its update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preferred {
    /// How many there are.
    pub pairs: usize,
    /// The mean of their losses, without that of the chosen solutions' likelihood; ln 2 at the start.
    pub loss: f64,
    /// The share of which the chosen solution has the larger implicit reward.
    pub accuracy: f64,
}

impl Preferred {
    /// From the differences of the rewards; nothing without a pair.
    fn of(rewards: &[f32]) -> Option<Self> {
        let (pairs, rewards) = (rewards.len(), rewards.iter().map(|&reward| f64::from(reward)));
        // -ln sigmoid(r) without overflow.
        let losses = rewards.clone().map(|r| (-r).max(0.0) + (-r.abs()).exp().ln_1p());
        let mean = |sum: f64| sum / pairs as f64;
        let (loss, accuracy) =
            (mean(losses.sum()), mean(rewards.filter(|&r| r > 0.0).count() as f64));
        (pairs > 0).then_some(Self { pairs, loss, accuracy })
    }
}

/// What a run tells its caller as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// An update is done.
    Update {
        /// Updates done.
        update: usize,
        /// Updates that are made unless the run stops early.
        total: usize,
        /// Mean loss of the batch.
        loss: f64,
        /// Learning rate of the update.
        rate: f64,
        /// Norm of the gradient before clipping.
        norm: f64,
        /// Tokens of the batch, without padding.
        tokens: usize,
        /// The pairs of the batch, if it has some.
        preferred: Option<Preferred>,
    },
    /// The validation loss was measured.
    Validated {
        /// Updates done.
        update: usize,
        /// Mean loss on the validation examples.
        loss: f64,
        /// Whether it is the lowest so far.
        best: bool,
    },
    /// The state to go on from after an interruption.
    Save(&'a State),
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The model of the lowest validation loss, or the last one when there is no validation.
    pub model: Decoder,
    /// Updates done.
    pub updates: usize,
    /// Updates that the learning rate was planned for.
    pub planned: usize,
    /// Tokens of their batches, without padding.
    pub tokens: u64,
    /// The update the model is from.
    pub best_update: usize,
    /// Its validation loss.
    pub best_loss: Option<f64>,
    /// The adapters, where they learned in place of the model, as the files of a folder that PEFT reads.
    pub adapter: Vec<(String, Vec<u8>)>,
}

/// How far a run went, for one that is to go as far by the same learning rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Updates done.
    pub updates: usize,
    /// Updates over which the learning rate was to rise and fall: more than were done by a run that stopped early.
    pub planned: usize,
}

/// A training run.
#[derive(Debug)]
pub struct Training<'a> {
    /// The model to start from.
    pub checkpoint: &'a Checkpoint,
    /// What to learn.
    pub examples: &'a [Example],
    /// Pairs to learn from in the same batches; the model they are compared with is the one to start from.
    pub preferences: Option<Preferences<'a>>,
    /// What to judge by; may be empty when `validate_every` is 0.
    pub validation: &'a [Example],
    /// Hyperparameters.
    pub config: &'a TrainConfig,
    /// So many updates instead of `epochs`, and no early stop: for a control run.
    pub updates: Option<Course>,
    /// Seed of the order of the examples.
    pub seed: u64,
    /// Threads.
    pub workers: usize,
}

impl Training<'_> {
    /// Runs, or goes on from a state that an earlier run like this saved ([`State::to_bytes`]). The model learns on the first
    /// of the devices; all of them compute its gradients, each those of whole micro-batches.
    ///
    /// # Panics
    /// Without a device.
    ///
    /// # Errors
    /// [`Error::NoExamples`], [`Error::IncompletePair`], [`Error::Diverged`], [`Error::DamagedState`],
    /// [`Error::TooLong`] for a row beyond the context, [`Error::Config`], and whatever `on_event` returns.
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
        match weights::not_finite(&outcome.model) {
            Some(tensor) => Err(Error::DivergedWeights(tensor).into()),
            None => Ok(outcome),
        }
    }

    /// Updates over which the learning rate runs its course.
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

    /// The examples, then the pairs with how the model at the start prefers one to the other. That is computed again by a
    /// run that goes on: it is one pass over the pairs, and the same to the last bit.
    fn units(&self, loss: &Loss, start: &Decoder) -> Vec<Unit<'_>> {
        let margins = loss.margins(start, self.pairs(), self.config.batch_tokens);
        let pairs = self.pairs().iter().zip(margins);
        let pairs = pairs.map(|(pair, margin)| Unit::Pair(pair, margin));
        self.examples.iter().map(Unit::Example).chain(pairs).collect()
    }

    /// The pairs; none where preferences are not learned.
    fn pairs(&self) -> &[Pair] {
        self.preferences.map_or(&[], |preferences| preferences.pairs)
    }

    /// The outcome, with what adapters have learned in the weights.
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

/// More updates than any run makes.
const MOST_UPDATES: usize = 1_000_000_000;

/// Checks a figure of an update, counted from 1.
fn finite(update: usize, what: &'static str, value: f64) -> Result<(), Error> {
    let diverged = Error::Diverged { update, what, value };
    value.is_finite().then_some(()).ok_or(diverged)
}

#[cfg(test)]
mod tests;
