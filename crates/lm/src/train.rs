//! Training: language modelling on completions, preference optimization on pairs of them, and regression of scalar heads.
//!
//! A batch is always split into the same micro-batches, whose gradients are summed in the same order, so the number of
//! workers affects only the run time. A run can be interrupted at any update: [`Training::run`] hands out its state and
//! can resume from it.

mod batches;
mod config;
mod example;
mod gradients;
mod layout;
mod loss;
mod objective;
mod optimizer;
mod places;
mod progress;
mod rows;
mod state;

use burn::module::Module;
use burn::tensor::Device;

pub use self::config::{Decay, PreferenceConfig, TrainConfig};
pub use self::example::{Example, HeadTarget, Measure, Pair};
pub use self::progress::{Event, Preferred};
pub use self::state::{Outcome, State};

use self::batches::{Plan, Schedule};
use self::loss::{Loss, LossConfig};
use self::optimizer::Optimizer;
use self::rows::Unit;
use crate::{Checkpoint, Decoder, Error, Precision, device, weights};

/// The pairs for preference optimization, and its hyperparameters.
#[derive(Debug, Clone, Copy)]
pub struct Preferences<'a> {
    /// The pairs; may be empty.
    pub pairs: &'a [Pair],
    /// Hyperparameters.
    pub config: PreferenceConfig,
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
    /// [`Error::DamagedState`], [`Error::State`], [`Error::TooLong`] for a row beyond the context, [`Error::Config`],
    /// [`Error::Device`] for one without the precision, and any error that `on_event` returns.
    pub fn run<E: From<Error>>(
        &self,
        devices: &[Device],
        saved: Option<&[u8]>,
        on_event: &mut dyn FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        self.check(devices)?;
        let loss = self.loss(devices);
        let optimizer = Optimizer::new(self.config);
        let start = self.start(&devices[0]);
        let units = self.units(&loss, &start);
        let mut plan = self.plan(&units);
        let mut state = match saved {
            Some(bytes) => State::from_bytes(bytes, &start)?,
            None => State::start(start),
        };
        while state.update < plan.total && !self.out_of_patience(&state) {
            let update = state.update;
            let batch = plan.batch(update);
            let results = loss.gradients(&state.model, &batch, self.config.micro_batches);
            let (value, preferred) = (results.loss, Preferred::of(&results.rewards));
            finite(update + 1, "loss", value)?;
            let rate = self.config.rate(update, self.planned(&plan));
            let norm = optimizer.step(&mut state, results.gradients, rate);
            finite(update + 1, "gradient's norm", norm)?;
            state.update += 1;
            let tokens: usize = batch.iter().map(|unit| unit.tokens()).sum();
            state.tokens += tokens as u64;
            let (update, total) = (state.update, plan.total);
            on_event(Event::Update { update, total, loss: value, rate, norm, tokens, preferred })?;
            self.validate(&loss, &mut state, plan.total, on_event)?;
            // Saved after the validation of the same update, since a resumed run does not repeat it.
            if update.is_multiple_of(self.config.save_every) {
                // No run could go on from others, and they would replace a state that is sound.
                all_finite(&state.model)?;
                on_event(Event::Save(&state))?;
            }
        }
        let outcome = state.outcome(self.planned(&plan));
        all_finite(&outcome.model)?;
        Ok(outcome)
    }

    fn loss(&self, devices: &[Device]) -> Loss {
        Loss::new(
            &self.checkpoint.config,
            devices,
            LossConfig {
                workers: self.workers,
                gradient_checkpointing: self.config.gradient_checkpointing,
                precision: self.precision(&devices[0]),
                preferences: self.preferences.map(|preferences| preferences.config),
            },
        )
    }

    /// The type that a pass rounds factors to. On the CPU, products with frozen weights in bfloat16 round theirs themselves,
    /// and the others, which are small, are faster without.
    fn precision(&self, device: &Device) -> Precision {
        if self.config.lora.is_some() && device::is_cpu(device) {
            Precision::F32
        } else {
            self.config.precision
        }
    }

    fn plan<'a>(&self, units: &'a [Unit<'a>]) -> Plan<'a> {
        let schedule = Schedule {
            batch_tokens: self.config.batch_tokens,
            epochs: self.config.epochs,
            updates: self.updates.map(|course| course.updates),
            seed: self.seed,
        };
        Plan::new(units, schedule)
    }

    /// Updates that the learning rate schedule covers.
    fn planned(&self, plan: &Plan<'_>) -> usize {
        self.updates.map_or(plan.total, |course| course.planned.max(course.updates))
    }

    /// The model before the first update.
    fn start(&self, device: &Device) -> Decoder {
        let model = self.checkpoint.model.clone().to_device(device);
        match &self.config.lora {
            Some(lora) => model.stored_as(self.config.frozen()).adapted(lora, self.seed),
            None => model.merged(),
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

    fn check(&self, devices: &[Device]) -> Result<(), Error> {
        self.config.validate()?;
        if self.config.precision == Precision::Bf16 && !devices.iter().all(device::has_bf16) {
            let problem = "the device has no bfloat16: train with precision = \"f32\"";
            return Err(Error::Device(problem.to_owned()));
        }
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
        if let Some(index) = pairs.iter().position(|pair| !pair.is_complete()) {
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

/// Checks the weights: a finite loss and gradient norm do not rule out that the last update itself overflowed.
fn all_finite(model: &Decoder) -> Result<(), Error> {
    weights::not_finite(model).map_or(Ok(()), |tensor| Err(Error::DivergedWeights(tensor)))
}

#[cfg(test)]
mod tests;
