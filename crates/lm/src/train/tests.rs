//! Trains small models.

mod adapters;
mod pairs;
mod precision;
mod shared;

use super::*;
use crate::LoraConfig;
use crate::Precision;
use crate::config::tests::toy;
use crate::lora::Target;
use crate::tokenizer::tests::tokenizer;
use crate::{
    Engine, GenerationRequest, ModelConfig, Prefixes, Sampling, ScoreRequest, Stop, device, engine,
};

fn config() -> TrainConfig {
    TrainConfig {
        final_share: 0.1,
        warmup_share: 0.1,
        clip_norm: 1.0,
        batch_tokens: 64,
        micro_batches: 2,
        save_every: 7,
        ..TrainConfig::plain(80.0, 1e-2)
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

/// The events and the outcome of a run.
struct Ran {
    losses: Vec<f64>,
    preferred: Vec<Preferred>,
    /// The last state saved by a given update.
    state: Option<Vec<u8>>,
    outcome: Outcome,
}

impl Ran {
    fn of(training: &Training<'_>, saved: Option<&[u8]>, stop_at: usize) -> Self {
        let (mut losses, mut all, mut state) = (Vec::new(), Vec::new(), None);
        let outcome = training.run::<Error>(&[device::cpu()], saved, &mut |event| {
            match event {
                Event::Update { loss, preferred, .. } => {
                    losses.push(loss);
                    all.extend(preferred);
                }
                Event::Save(save) if save.update <= stop_at => {
                    state = Some(save.to_bytes());
                }
                _ => {}
            }
            Ok(())
        });
        Self { losses, preferred: all, state, outcome: outcome.unwrap() }
    }
}

/// A run on some examples, with nothing else set.
fn training<'a>(
    checkpoint: &'a Checkpoint,
    examples: &'a [Example],
    config: &'a TrainConfig,
    workers: usize,
) -> Training<'a> {
    Training {
        checkpoint,
        examples,
        preferences: None,
        validation: &[],
        config,
        updates: None,
        seed: 3,
        workers,
    }
}

/// Returns a run's losses, its last state saved by a given update, and its outcome.
fn train_as(
    config: &TrainConfig,
    workers: usize,
    saved: Option<&[u8]>,
    stop_at: usize,
) -> (Vec<f64>, Option<Vec<u8>>, Outcome) {
    let (checkpoint, examples) = (checkpoint(), examples());
    let ran = Ran::of(&training(&checkpoint, &examples, config, workers), saved, stop_at);
    (ran.losses, ran.state, ran.outcome)
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

fn weights(model: &Decoder) -> std::collections::BTreeMap<String, crate::tensors::HostTensor> {
    weights::collect(model)
}

#[test]
fn a_batch_is_learned_by_heart_and_greedy_decoding_says_it() {
    let (losses, _, outcome) = train(1, None, 0);
    assert!(losses[0] > 5.0, "starts near ln 300: {}", losses[0]);
    let last = losses[losses.len() - 1];
    assert!(last < 0.2, "ends at {last}");
    let learned = Checkpoint { model: outcome.model, ..checkpoint() };
    let engine = Engine::new(
        &learned,
        &[device::cpu()],
        Precision::F32,
        engine::EngineOptions { workers: 1, rows: 4 },
    );
    let request = |e: &Example| GenerationRequest {
        prompt: e.ids[..2].to_vec(),
        sampling: Sampling::Greedy,
        stop: Stop { tokens: vec![1], strings: vec![], until: None, max_new: 9 },
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
    let training = training(&checkpoint, &examples, &config, 1);
    let error = training.run::<Error>(&[device::cpu()], state.as_deref(), &mut |_| Ok(()));
    assert!(matches!(error, Err(Error::State(_))), "{error:?}");
}

/// Flips one bit anywhere in the file: in the tensors, in the numbers, or in the header that locates them.
#[test]
fn a_damaged_state_is_never_gone_on_from() {
    let (_, state, _) = train(1, None, 14);
    let (state, model) = (state.unwrap(), checkpoint().model);
    State::from_bytes(&state, &model).unwrap();
    let header = 8 + u64::from_le_bytes(state[..8].try_into().unwrap()) as usize;
    let in_header = (0..header).step_by(97);
    let in_tensors = (header..state.len()).step_by(state.len() / 150);
    for at in in_header.chain(in_tensors).chain([state.len() - 1]) {
        let mut damaged = state.clone();
        damaged[at] ^= 1 << (at % 8);
        match State::from_bytes(&damaged, &model) {
            Err(Error::DamagedState) => {}
            // A flipped bit may be harmless, in the white space for example.
            Ok(again) => assert_eq!(again.to_bytes(), state, "byte {at}"),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    for damaged in [&b""[..], b"not one", &state[..state.len() / 2]] {
        let again = State::from_bytes(damaged, &model);
        assert!(matches!(again, Err(Error::DamagedState)), "{again:?}");
    }
}

#[test]
fn training_that_diverges_is_an_error() {
    let (checkpoint, examples) = (checkpoint(), examples());
    for config in [
        TrainConfig { learning_rate: 1e39, ..config() },
        // A single update: its loss is that of the model before it, so only the final check of the weights can notice.
        TrainConfig { learning_rate: 1e39, epochs: 0.1, warmup_share: 0.0, ..config() },
    ] {
        let training = training(&checkpoint, &examples, &config, 1);
        let error = training.run::<Error>(&[device::cpu()], None, &mut |_| Ok(()));
        let error = error.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("training diverged"), "{error}");
    }
}

#[test]
fn hyperparameters_that_are_none_are_refused_by_key() {
    type Change = (&'static str, fn(&mut TrainConfig));
    let changes: [Change; 9] = [
        ("epochs is 1e308", |c| c.epochs = 1e308),
        ("epochs is NaN", |c| c.epochs = f64::NAN),
        ("epochs is inf", |c| c.epochs = f64::INFINITY),
        ("weight_decay is NaN", |c| c.weight_decay = f64::NAN),
        ("weight_decay is -1", |c| c.weight_decay = -1.0),
        ("clip_norm is inf", |c| c.clip_norm = f64::INFINITY),
        ("beta_1 is 1", |c| c.beta_1 = 1.0),
        ("beta_2 is 1", |c| c.beta_2 = 1.0),
        ("learning_rate is inf", |c| c.learning_rate = f64::INFINITY),
    ];
    for (expected, change) in changes {
        let mut config = config();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let rank = LoraConfig { rank: usize::MAX, ..adapters().lora.unwrap() };
    assert!(rank.validate().unwrap_err().to_string().contains("rank is 18446744073709551615"));
    let endless = ModelConfig { hidden_size: 1 << 24, intermediate_size: 1 << 24, ..toy() };
    let fresh = Checkpoint::fresh(endless, tokenizer(), 5, &device::cpu());
    assert!(fresh.map(|_| ()).unwrap_err().to_string().contains("from nothing"));
    let (checkpoint, examples, config) = (checkpoint(), examples(), config());
    let training = Training {
        updates: Some(Course { updates: usize::MAX, planned: usize::MAX }),
        ..training(&checkpoint, &examples, &config, 1)
    };
    let error = training.run::<Error>(&[device::cpu()], None, &mut |_| Ok(()));
    assert!(matches!(error, Err(Error::Config(_))), "{error:?}");
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

/// The loss and the gradient of the first update are finite; its weights are not.
#[test]
fn weights_that_overflow_are_not_saved() {
    let config = TrainConfig { learning_rate: 1e300, save_every: 1, ..config() };
    let (checkpoint, examples) = (checkpoint(), examples());
    let (mut updates, mut saves) = (0, 0);
    let run = training(&checkpoint, &examples, &config, 1);
    let result = run.run::<Error>(&[device::cpu()], None, &mut |event| {
        match event {
            Event::Update { .. } => updates += 1,
            Event::Save(_) => saves += 1,
            Event::Validated { .. } => {}
        }
        Ok(())
    });
    assert!(matches!(result, Err(Error::DivergedWeights(_))), "{:?}", result.err());
    assert_eq!((updates, saves), (1, 0));
}

#[test]
fn scalar_heads_learn_their_targets() {
    let names = ["value".to_owned(), "orm".to_owned()];
    let checkpoint = checkpoint().with_scalar_heads(&names, &device::cpu()).unwrap();
    let rows: Vec<Example> = examples()
        .into_iter()
        .enumerate()
        .map(|(i, e)| {
            let target = |head, measure, value| HeadTarget { at: 4 + head, head, value, measure };
            let (squared, cross) = (Measure::Squared, Measure::CrossEntropy);
            let heads = vec![
                target(0, squared, i as f32 / 5.0),
                target(1, cross, f32::from(u8::from(i % 2 == 0))),
            ];
            Example { targets_from: None, heads, ..e }
        })
        .collect();
    let config = TrainConfig { epochs: 60.0, ..config() };
    let training = training(&checkpoint, &rows, &config, 2);
    let outcome = training.run::<Error>(&[device::cpu()], None, &mut |_| Ok(())).unwrap();
    let learned = Checkpoint { model: outcome.model, ..checkpoint };
    let options = engine::EngineOptions { workers: 2, rows: 64 };
    let engine = Engine::new(&learned, &[device::cpu()], Precision::F32, options);
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

/// Validation examples with reversed continuations, so that learning makes the validation loss worse after a while.
fn against(examples: &[Example]) -> Vec<Example> {
    let reversed =
        |e: &Example| Example { ids: e.ids.iter().rev().copied().collect(), ..e.clone() };
    examples.iter().map(reversed).collect()
}

#[test]
fn early_stopping_gives_back_the_best_model() {
    let (checkpoint, examples) = (checkpoint(), examples());
    let validation = against(&examples);
    let config = TrainConfig { validate_every: 1, patience: 4, ..config() };
    let training =
        Training { validation: &validation, ..training(&checkpoint, &examples, &config, 1) };
    let mut losses = Vec::new();
    let outcome = training
        .run::<Error>(&[device::cpu()], None, &mut |event| {
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

/// A control trains on other examples for as long as the run it belongs to, with the same learning rates.
#[test]
fn a_control_of_a_run_that_stopped_early_has_its_learning_rates() {
    let (checkpoint, examples) = (checkpoint(), examples());
    let validation = against(&examples);
    let config = TrainConfig { validate_every: 1, patience: 4, ..config() };
    let run = |examples: &[Example], updates: Option<Course>| {
        let run = training(&checkpoint, examples, &config, 1);
        let run = Training { validation: &validation, updates, ..run };
        let mut rates = Vec::new();
        let outcome = run.run::<Error>(&[device::cpu()], None, &mut |event| {
            if let Event::Update { rate, .. } = event {
                rates.push(rate);
            }
            Ok(())
        });
        (rates, outcome.unwrap())
    };
    let (rates, outcome) = run(&examples, None);
    let Outcome { updates, planned, .. } = outcome;
    assert!(updates < planned, "it stopped after {updates} of {planned}");
    assert_eq!(planned, 80, "a batch an epoch");
    let (control, outcome) = run(&examples[..2], Some(Course { updates, planned }));
    assert_eq!(control, rates);
    assert_eq!(
        (outcome.updates, outcome.planned),
        (updates, planned),
        "and so has its own control"
    );
    let (other, _) = run(&examples, Some(Course { updates, planned: updates }));
    assert_ne!(other, rates, "over the updates that were made the rate falls faster");
}

#[test]
fn a_state_keeps_the_best_loss_to_the_last_bit() {
    // The shortest decimal form of this number comes back from JSON as its neighbour.
    let loss = 1.532_531_954_334_900_5;
    let model = checkpoint().model;
    let mut state = State::start(model.clone());
    assert!(state.judge(loss));
    let outcome = State::from_bytes(&state.to_bytes(), &model).unwrap().outcome(0);
    assert_eq!(outcome.best_loss.map(f64::to_bits), Some(loss.to_bits()));
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
