//! Training: language modelling on completions, and regression of scalar heads.
//!
//! A batch is always cut into the same micro-batches and their gradients are summed in the same
//! order, so the number of workers changes the time a run takes and nothing else. A run can be
//! interrupted at any update: [`Training::run`] hands out its state and takes it back.

mod batches;
mod loss;
mod optimizer;
mod state;

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

pub use self::state::State;

use self::loss::Loss;
use self::optimizer::Optimizer;
use crate::{Checkpoint, Decoder, Error, LoraConfig};

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

/// Hyperparameters of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the examples; the run is shorter when it stops early.
    pub epochs: f64,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Learning rate at the end, as a share of the highest.
    pub final_share: f64,
    /// Share of the updates over which the learning rate rises linearly from 0.
    pub warmup_share: f64,
    /// How the learning rate falls after the warm-up.
    pub decay: Decay,
    /// Decoupled weight decay of the matrices; vectors have none.
    pub weight_decay: f64,
    /// Decay of AdamW's first moment.
    pub beta_1: f64,
    /// Decay of AdamW's second moment.
    pub beta_2: f64,
    /// The gradient's global norm is cut to this; 0 turns clipping off.
    pub clip_norm: f64,
    /// Tokens of a batch, padding included.
    pub batch_tokens: usize,
    /// Parts of a batch whose gradients are computed one by one and summed; at least 1.
    pub micro_batches: usize,
    /// Updates between two looks at the validation loss; 0 turns them and early stopping off.
    pub validate_every: usize,
    /// Looks without improvement after which the run stops; 0 never stops early.
    pub patience: usize,
    /// Updates between two saves of the run's state.
    pub save_every: usize,
    /// Keep the input of every block alone for the backward pass, and compute the block again then: a third more work for
    /// a fraction of the memory.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Adapters that learn in place of the model; absent, all of it learns. Their changes are added to the weights at the
    /// end.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

/// The course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// A straight line.
    Linear,
    /// Half a cosine.
    Cosine,
}

impl TrainConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] names the key and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = |key: &str, value: f64| {
            let fine = value.is_finite() && value > 0.0;
            fine.then_some(()).ok_or(Error::Config(format!("{key} is {value}: must be above 0")))
        };
        let share = |key: &str, value: f64| {
            let fine = (0.0..=1.0).contains(&value);
            fine.then_some(()).ok_or(Error::Config(format!("{key} is {value}: must be in [0, 1]")))
        };
        positive("epochs", self.epochs)?;
        positive("learning_rate", self.learning_rate)?;
        positive("batch_tokens", self.batch_tokens as f64)?;
        positive("micro_batches", self.micro_batches as f64)?;
        positive("save_every", self.save_every as f64)?;
        share("final_share", self.final_share)?;
        share("warmup_share", self.warmup_share)?;
        share("beta_1", self.beta_1)?;
        share("beta_2", self.beta_2)?;
        self.lora.as_ref().map_or(Ok(()), LoraConfig::validate)
    }

    /// Learning rate of an update, counted from 0, of `total`.
    fn rate(&self, update: usize, total: usize) -> f64 {
        let warmup = self.warmup_share * total as f64;
        let done = update as f64;
        let factor = if done + 1.0 < warmup {
            (done + 1.0) / warmup
        } else {
            let fallen = ((done - warmup) / (total as f64 - warmup).max(1.0)).clamp(0.0, 1.0);
            let left = match self.decay {
                Decay::Linear => 1.0 - fallen,
                Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * fallen).cos()),
            };
            self.final_share + (1.0 - self.final_share) * left
        };
        self.learning_rate * factor
    }
}

/// What a run tells its caller as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// An update is done.
    Update {
        /// Updates done.
        update: usize,
        /// Updates planned.
        total: usize,
        /// Mean loss of the batch.
        loss: f64,
        /// Learning rate of the update.
        rate: f64,
        /// Norm of the gradient before clipping.
        norm: f64,
        /// Tokens of the batch, without padding.
        tokens: usize,
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
    /// The update the model is from.
    pub best_update: usize,
    /// Its validation loss.
    pub best_loss: Option<f64>,
    /// The adapters, where they learned in place of the model, as the files of a folder that PEFT reads.
    pub adapter: Vec<(String, Vec<u8>)>,
}

/// A training run.
#[derive(Debug)]
pub struct Training<'a> {
    /// The model to start from.
    pub checkpoint: &'a Checkpoint,
    /// What to learn.
    pub examples: &'a [Example],
    /// What to judge by; may be empty when `validate_every` is 0.
    pub validation: &'a [Example],
    /// Hyperparameters.
    pub config: &'a TrainConfig,
    /// Exactly this many updates instead of `epochs`, and no early stop: for a control run.
    pub updates: Option<usize>,
    /// Seed of the order of the examples.
    pub seed: u64,
    /// Threads.
    pub workers: usize,
}

impl Training<'_> {
    /// Runs, or goes on from a state that an earlier run like this saved ([`State::to_bytes`]).
    ///
    /// # Errors
    /// [`Error::NoExamples`], [`Error::Diverged`], [`Error::TooLong`] for a row beyond the context,
    /// [`Error::Config`], and whatever `on_event` returns.
    pub fn run<E: From<Error>>(
        &self,
        device: &Device,
        saved: Option<&[u8]>,
        on_event: &mut dyn FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        self.check()?;
        let plan = batches::plan(self);
        let loss = Loss::new(self, device);
        let optimizer = Optimizer::new(self.config);
        let start = self.start(device);
        let mut state = match saved {
            Some(bytes) => State::from_bytes(bytes, &start)?,
            None => State::start(start),
        };
        while state.update < plan.len() && !self.out_of_patience(&state) {
            let update = state.update;
            let batch: Vec<&Example> = plan[update].iter().map(|&i| &self.examples[i]).collect();
            let (value, gradients) =
                loss.gradients(&state.model, &batch, self.config.micro_batches);
            if !value.is_finite() {
                return Err(Error::Diverged { update: update + 1, loss: value }.into());
            }
            let rate = self.config.rate(update, plan.len());
            let norm = optimizer.step(&mut state, gradients, rate);
            state.update += 1;
            let tokens = batch.iter().map(|e| e.ids.len()).sum();
            let (update, total) = (state.update, plan.len());
            on_event(Event::Update { update, total, loss: value, rate, norm, tokens })?;
            self.validate(&loss, &mut state, plan.len(), on_event)?;
            if update.is_multiple_of(self.config.save_every) {
                on_event(Event::Save(&state))?;
            }
        }
        Ok(self.finished(state.outcome()))
    }

    /// The model before the first update.
    fn start(&self, device: &Device) -> Decoder {
        let model = self.checkpoint.model.clone().to_device(device);
        match &self.config.lora {
            Some(lora) => model.adapted(lora, self.seed),
            None => model,
        }
    }

    /// The outcome, with what adapters have learned in the weights.
    fn finished(&self, outcome: Outcome) -> Outcome {
        let Some(lora) = &self.config.lora else { return outcome };
        let adapter = outcome.model.peft(lora);
        Outcome { model: outcome.model.merged(lora), adapter, ..outcome }
    }

    fn check(&self) -> Result<(), Error> {
        self.config.validate()?;
        if self.examples.is_empty() || self.config.validate_every > 0 && self.validation.is_empty()
        {
            return Err(Error::NoExamples);
        }
        let limit = self.checkpoint.config.max_position_embeddings;
        let longest = self.examples.iter().chain(self.validation).map(|e| e.ids.len()).max();
        match longest {
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
        let best = state.judge(value);
        on_event(Event::Validated { update: state.update, loss: value, best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::toy;
    use crate::lora::Target;
    use crate::tokenizer::tests::tokenizer;
    use crate::{
        Engine, GenerationRequest, Prefixes, Sampling, ScoreRequest, Stop, device, engine,
    };

    fn config() -> TrainConfig {
        TrainConfig {
            epochs: 80.0,
            learning_rate: 1e-2,
            final_share: 0.1,
            warmup_share: 0.1,
            decay: Decay::Linear,
            weight_decay: 0.0,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
            batch_tokens: 64,
            micro_batches: 2,
            validate_every: 0,
            patience: 0,
            save_every: 7,
            gradient_checkpointing: false,
            lora: None,
        }
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint::fresh(toy(), tokenizer(), 5, &device::cpu()).unwrap()
    }

    fn examples() -> Vec<Example> {
        (0..6u32)
            .map(|i| Example {
                ids: vec![0, 10 + i, 20 + 2 * i, 30 + i, 40 + i % 3, 1],
                targets_from: Some(2),
                heads: Vec::new(),
                weight: 1.0,
            })
            .collect()
    }

    /// A run, the state it saved last up to an update, and its losses.
    fn train_as(
        config: &TrainConfig,
        workers: usize,
        saved: Option<&[u8]>,
        stop_at: usize,
    ) -> (Vec<f64>, Option<Vec<u8>>, Outcome) {
        let (checkpoint, examples) = (checkpoint(), examples());
        let training = Training {
            checkpoint: &checkpoint,
            examples: &examples,
            validation: &[],
            config,
            updates: None,
            seed: 3,
            workers,
        };
        let (mut losses, mut state) = (Vec::new(), None);
        let outcome = training.run::<Error>(&device::cpu(), saved, &mut |event| {
            match event {
                Event::Update { loss, .. } => losses.push(loss),
                Event::Save(save) if save.update <= stop_at => {
                    state = Some(save.to_bytes());
                }
                _ => {}
            }
            Ok(())
        });
        (losses, state, outcome.unwrap())
    }

    fn train(
        workers: usize,
        saved: Option<&[u8]>,
        stop_at: usize,
    ) -> (Vec<f64>, Option<Vec<u8>>, Outcome) {
        train_as(&config(), workers, saved, stop_at)
    }

    fn adapters() -> TrainConfig {
        let targets = vec![Target::QProj, Target::VProj, Target::DownProj];
        let lora = LoraConfig { rank: 4, alpha: 8.0, targets };
        TrainConfig { lora: Some(lora), learning_rate: 3e-2, ..config() }
    }

    fn weights(model: &Decoder) -> std::collections::BTreeMap<String, crate::weights::HostTensor> {
        crate::weights::collect(model)
    }

    #[test]
    fn a_batch_is_learned_by_heart_and_greedy_decoding_says_it() {
        let (losses, _, outcome) = train(1, None, 0);
        assert!(losses[0] > 5.0, "starts near ln 300: {}", losses[0]);
        let last = losses[losses.len() - 1];
        assert!(last < 0.2, "ends at {last}");
        let learned = Checkpoint { model: outcome.model, ..checkpoint() };
        let engine =
            Engine::new(&learned, &device::cpu(), engine::EngineOptions { workers: 1, rows: 4 });
        let request = |e: &Example| GenerationRequest {
            prompt: e.ids[..2].to_vec(),
            sampling: Sampling::Greedy,
            stop: Stop { tokens: vec![1], strings: vec![], max_new: 9 },
            excluded: vec![],
            seed: 0,
            scope: u64::from(e.ids[1]),
            keep: false,
        };
        let requests: Vec<_> = examples().iter().map(request).collect();
        for (generation, example) in
            engine.generate(&requests, &mut Prefixes::default()).unwrap().iter().zip(examples())
        {
            assert_eq!(generation.drawn.ids, example.ids[2..]);
        }
    }

    #[test]
    fn workers_do_not_change_a_bit() {
        let (one, ..) = train(1, None, 0);
        let (three, ..) = train(3, None, 0);
        assert_eq!(one, three);
    }

    #[test]
    fn a_run_goes_on_from_its_state_as_if_nothing_had_happened() {
        for config in [config(), adapters()] {
            let (whole, state, outcome) = train_as(&config, 1, None, 14);
            let (rest, _, again) = train_as(&config, 1, state.as_deref(), 0);
            assert_eq!(rest, whole[14..]);
            assert_eq!(weights(&outcome.model), weights(&again.model));
        }
    }

    #[test]
    fn the_state_of_another_run_is_refused() {
        let (_, state, _) = train(1, None, 14);
        let (checkpoint, examples, config) = (checkpoint(), examples(), adapters());
        let training = Training {
            checkpoint: &checkpoint,
            examples: &examples,
            validation: &[],
            config: &config,
            updates: None,
            seed: 3,
            workers: 1,
        };
        for saved in [state.unwrap(), b"not one".to_vec()] {
            let error = training.run::<Error>(&device::cpu(), Some(&saved), &mut |_| Ok(()));
            assert!(matches!(error, Err(Error::State(_))), "{error:?}");
        }
    }

    #[test]
    fn adapters_learn_and_nothing_else_does() {
        let (losses, state, outcome) = train_as(&adapters(), 2, None, 14);
        // A random model of which a part alone learns does not come far.
        assert!(losses[losses.len() - 1] < losses[0] - 0.3, "{losses:?}");
        let (before, after) = (weights(&checkpoint().model), weights(&outcome.model));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        let adapted = ["q_proj.weight", "v_proj.weight", "down_proj.weight"];
        for (name, tensor) in &before {
            let changed = adapted.iter().any(|end| name.ends_with(end));
            assert_eq!(after[name] != *tensor, changed, "{name}");
        }
        let whole = State::start(checkpoint().model).to_bytes().len();
        assert!(state.unwrap().len() < whole, "what does not learn is not saved");
    }

    /// What PEFT adds: `alpha / r` times B A, to weights that are stored `[out, in]`.
    #[test]
    fn the_files_of_the_adapters_say_what_was_added() {
        let (_, _, outcome) = train_as(&adapters(), 1, None, 0);
        let [(_, about), (_, tensors)] = &outcome.adapter[..] else { panic!("two files") };
        let about: serde_json::Value = serde_json::from_slice(about).unwrap();
        assert_eq!(about["target_modules"], serde_json::json!(["q_proj", "v_proj", "down_proj"]));
        let tensors = crate::checkpoint::Weights::parse(tensors).unwrap().all().unwrap();
        let layers = checkpoint().config.num_hidden_layers;
        assert_eq!(tensors.len(), 2 * 3 * layers);
        let (before, after) = (weights(&checkpoint().model), weights(&outcome.model));
        let name = "model.layers.1.mlp.down_proj";
        let matrix = |end: &str| &tensors[&format!("base_model.model.{name}.{end}.weight")];
        let (a, b) = (matrix("lora_A"), matrix("lora_B"));
        let (rank, inputs, outputs) = (a.shape[0], a.shape[1], b.shape[0]);
        let (old, new) = (&before[&format!("{name}.weight")], &after[&format!("{name}.weight")]);
        for (row, column) in [(0, 0), (outputs - 1, inputs - 1), (3, 5)] {
            let of = |r: usize| b.data[row * rank + r] * a.data[r * inputs + column];
            let added: f32 = (0..rank).map(of).sum::<f32>() * 2.0;
            let at = row * inputs + column;
            assert!((new.data[at] - old.data[at] - added).abs() < 1e-5, "{row} {column}");
        }
    }

    #[test]
    fn a_block_that_is_computed_again_gives_the_same_gradients() {
        for config in [config(), adapters()] {
            let config = TrainConfig { epochs: 10.0, ..config };
            let again = TrainConfig { gradient_checkpointing: true, ..config.clone() };
            let (plain, _, first) = train_as(&config, 1, None, 0);
            let (spare, _, second) = train_as(&again, 2, None, 0);
            for (a, b) in plain.iter().zip(&spare) {
                assert!((a - b).abs() < 1e-3 * a.abs(), "{plain:?} {spare:?}");
            }
            let (first, second) = (weights(&first.model), weights(&second.model));
            for (name, tensor) in &first {
                let off = tensor.data.iter().zip(&second[name].data).map(|(a, b)| (a - b).abs());
                assert!(off.fold(0.0, f32::max) < 1e-3, "{name}");
            }
        }
    }

    #[test]
    fn scalar_heads_learn_their_targets() {
        let names = ["value".to_owned(), "orm".to_owned()];
        let checkpoint = checkpoint().with_scalar_heads(&names, &device::cpu()).unwrap();
        let rows: Vec<Example> = examples()
            .into_iter()
            .enumerate()
            .map(|(i, e)| {
                let target =
                    |head, measure, value| HeadTarget { at: 4 + head, head, value, measure };
                let (squared, cross) = (Measure::Squared, Measure::CrossEntropy);
                let heads = vec![
                    target(0, squared, i as f32 / 5.0),
                    target(1, cross, f32::from(u8::from(i % 2 == 0))),
                ];
                Example { targets_from: None, heads, ..e }
            })
            .collect();
        let config = TrainConfig { epochs: 60.0, ..config() };
        let training = Training {
            checkpoint: &checkpoint,
            examples: &rows,
            validation: &[],
            config: &config,
            updates: None,
            seed: 3,
            workers: 2,
        };
        let outcome = training.run::<Error>(&device::cpu(), None, &mut |_| Ok(())).unwrap();
        let learned = Checkpoint { model: outcome.model, ..checkpoint };
        let options = engine::EngineOptions { workers: 2, rows: 64 };
        let engine = Engine::new(&learned, &device::cpu(), options);
        let requests: Vec<_> = rows
            .iter()
            .map(|e| ScoreRequest { ids: e.ids.clone(), at: vec![4, 5], scope: 0, keep: 6 })
            .collect();
        let scores = engine.score(&requests, &mut Prefixes::default()).unwrap();
        for (i, scores) in scores.iter().enumerate() {
            assert!((scores[0][0] - i as f32 / 5.0).abs() < 0.15, "value {i}: {}", scores[0][0]);
            assert!((scores[1][1] > 0.5) == (i % 2 == 0), "orm {i}: {}", scores[1][1]);
        }
    }

    #[test]
    fn early_stopping_gives_back_the_best_model() {
        let (checkpoint, examples) = (checkpoint(), examples());
        // Validation wants other continuations, so learning makes it worse after a while.
        let validation: Vec<Example> = examples
            .iter()
            .map(|e| Example { ids: e.ids.iter().rev().copied().collect(), ..e.clone() })
            .collect();
        let config = TrainConfig { validate_every: 1, patience: 4, ..config() };
        let training = Training {
            checkpoint: &checkpoint,
            examples: &examples,
            validation: &validation,
            config: &config,
            updates: None,
            seed: 3,
            workers: 1,
        };
        let mut losses = Vec::new();
        let outcome = training
            .run::<Error>(&device::cpu(), None, &mut |event| {
                if let Event::Validated { loss, .. } = event {
                    losses.push(loss);
                }
                Ok(())
            })
            .unwrap();
        let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(outcome.best_loss, Some(best));
        assert_eq!(losses.iter().position(|&loss| loss <= best), Some(outcome.best_update - 1));
        assert_eq!(outcome.updates, outcome.best_update + 4);
    }

    #[test]
    fn the_learning_rate_rises_and_falls() {
        let config = TrainConfig { learning_rate: 1.0, ..config() };
        let rates: Vec<f64> = (0..100).map(|u| config.rate(u, 100)).collect();
        assert!((rates[0] - 0.1).abs() < 1e-9);
        assert!((rates[10] - 1.0).abs() < 1e-9);
        assert!(rates[10..].windows(2).all(|w| w[0] > w[1]));
        assert!((rates[99] - 0.11).abs() < 1e-9);
    }
}
