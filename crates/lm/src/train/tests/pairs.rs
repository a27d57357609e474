//! Training on preference pairs.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::super::gradients::{Gradients, by_name};
use super::*;
use crate::Precision;
use crate::model::RowLayout;
use crate::rotary::Rotary;
use crate::tensors::{self, values};

const LN_2: f64 = std::f64::consts::LN_2;

/// Solutions of one to three tokens and an end token, after a prompt of three tokens.
fn pairs() -> Vec<Pair> {
    (0..5u32)
        .map(|i| {
            let row = |solution: &[u32]| [&[0, 10 + i, 20 + 2 * i], solution, &[1]].concat();
            Pair {
                chosen: row(&[50 + i, 60, 61][..=i as usize % 3]),
                rejected: row(&[70 + i, 80][..=i as usize % 2]),
                targets_from: 3,
            }
        })
        .collect()
}

/// Configurations for full fine-tuning, adapters, and adapters with gradient checkpointing.
fn configs() -> [TrainConfig; 3] {
    let by_block = TrainConfig { gradient_checkpointing: true, ..adapters() };
    [config(), adapters(), by_block].map(|config| TrainConfig { epochs: 20.0, ..config })
}

/// A run on examples and pairs, with its state at update 14.
fn prefer(
    (config, how): (&TrainConfig, PreferenceConfig),
    examples: &[Example],
    workers: usize,
    saved: Option<&[u8]>,
) -> Ran {
    let (checkpoint, pairs) = (checkpoint(), pairs());
    let training = Training {
        checkpoint: &checkpoint,
        examples,
        preferences: Some(Preferences { pairs: &pairs, config: how }),
        validation: &[],
        config,
        updates: None,
        seed: 3,
        workers,
    };
    Ran::of(&training, saved, 14)
}

/// The negative log-probability, computed by the inference engine, of a row's tokens from an index on.
fn negative_log_likelihood(checkpoint: &Checkpoint, ids: &[u32], from: usize) -> f64 {
    let options = engine::EngineOptions { workers: 1, rows: 1 };
    let logits =
        Engine::new(checkpoint, &[device::cpu()], Precision::F32, options).logits(ids).unwrap();
    let of = |target: usize| {
        let row = &logits[target - 1];
        let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        sum.ln() - f64::from(row[ids[target] as usize])
    };
    (from..ids.len()).map(of).sum()
}

fn margin(checkpoint: &Checkpoint, pair: &Pair) -> f64 {
    negative_log_likelihood(checkpoint, &pair.rejected, 3)
        - negative_log_likelihood(checkpoint, &pair.chosen, 3)
}

#[test]
fn the_first_loss_is_ln_2_a_pair_which_counts_as_its_chosen_tokens() {
    let (checkpoint, pairs) = (checkpoint(), pairs());
    let config = TrainConfig { batch_tokens: 1000, epochs: 2.0, ..config() };
    let chosen: f64 =
        pairs.iter().map(|pair| negative_log_likelihood(&checkpoint, &pair.chosen, 3)).sum();
    let chosen_tokens: usize = pairs.iter().map(|pair| pair.chosen.len() - 3).sum();
    for (count, sft_weight) in [(0, 0.0), (0, 0.7), (4, 0.0), (4, 0.7)] {
        let examples = &examples()[..count];
        let how = PreferenceConfig { beta: 0.5, sft_weight };
        let ran = prefer((&config, how), examples, 1, None);
        let sum: f64 =
            examples.iter().map(|e| negative_log_likelihood(&checkpoint, &e.ids, 2)).sum();
        let tokens: usize = examples.iter().map(|e| e.ids.len() - 2).sum();
        let expected = (sum + chosen_tokens as f64 * LN_2 + sft_weight * chosen)
            / (tokens + chosen_tokens) as f64;
        assert!((ran.losses[0] - expected).abs() < 1e-4, "{} is not {expected}", ran.losses[0]);
        let [first, second] = ran.preferred[..] else { panic!("{:?}", ran.preferred) };
        assert_eq!(first.pairs, pairs.len());
        assert!((first.loss - LN_2).abs() < 1e-4, "{first:?}");
        assert!((second.loss - LN_2).abs() > 1e-3, "{second:?}");
    }
}

/// Computes the mean loss, its gradients and the rewards row by row, following the formulas in the papers.
fn formula(
    checkpoint: &Checkpoint,
    units: &[Unit<'_>],
    how: PreferenceConfig,
) -> (f64, Gradients, Vec<f32>) {
    let (model, device) = (checkpoint.model.clone().train(), device::cpu().autodiff());
    let rotary = Rotary::new(&checkpoint.config);
    let likelihood = |ids: &[u32], from: usize| {
        let time = ids.len();
        let mut pass =
            model.whole_rows(&rotary, &RowLayout::of_one_text(time), Precision::F32, &device);
        let hidden = model.hidden(tensors::ids(ids, [1, time], &device), &mut pass);
        let all = log_softmax(model.logits(hidden.flatten(0, 1), Precision::F32), 1);
        let of = |at: usize| {
            all.clone().narrow(0, at - 1, 1).narrow(1, ids[at] as usize, 1).reshape([1])
        };
        (from..time).map(of).reduce(|a: Tensor<1>, b| a + b).unwrap()
    };
    let (mut sum, mut tokens) = (Tensor::<1>::zeros([1], &device), 0.0);
    let mut rewards = Vec::new();
    for unit in units {
        let (loss, count) = match unit {
            Unit::Example(e) => (likelihood(&e.ids, 2).neg(), e.ids.len() - 2),
            Unit::Pair(pair, reference) => {
                let (chosen, rejected) =
                    (likelihood(&pair.chosen, 3), likelihood(&pair.rejected, 3));
                let count = pair.chosen.len() - 3;
                let reward = (chosen.clone() - rejected - *reference) * how.beta;
                rewards.extend(values(reward.clone()));
                let mean = chosen.neg() / count as f64;
                let loss = (reward.neg().exp() + 1.0).log() + mean * how.sft_weight;
                (loss * count as f64, count)
            }
        };
        (sum, tokens) = (sum + loss, tokens + count as f64);
    }
    let loss = sum / tokens;
    (f64::from(values(loss.clone())[0]), by_name(&model, loss.backward()), rewards)
}

#[test]
fn the_gradients_are_those_of_the_formula_in_any_micro_batches_and_block_by_block() {
    let (checkpoint, examples, pairs) = (checkpoint(), examples(), pairs());
    let how = PreferenceConfig { beta: 0.3, sft_weight: 0.6 };
    // Made-up reference margins, so that the pairs lie at different points of the loss.
    let pair = |(i, pair)| Unit::Pair(pair, i as f32 * 1.5 - 3.0);
    let units: Vec<Unit<'_>> =
        examples[..3].iter().map(Unit::Example).chain(pairs.iter().enumerate().map(pair)).collect();
    let (expected_loss, expected, mut expected_rewards) = formula(&checkpoint, &units, how);
    expected_rewards.sort_by(f32::total_cmp);
    for (parts, gradient_checkpointing) in [(1, false), (3, false), (1, true), (3, true)] {
        let config = TrainConfig { gradient_checkpointing, ..config() };
        let training = Training {
            checkpoint: &checkpoint,
            examples: &examples,
            preferences: Some(Preferences { pairs: &pairs, config: how }),
            validation: &[],
            config: &config,
            updates: None,
            seed: 3,
            workers: 2,
        };
        let mut results =
            training.loss(&[device::cpu()]).gradients(&checkpoint.model, &units, parts);
        assert!(
            (results.loss - expected_loss).abs() < 1e-5 * expected_loss,
            "{} {expected_loss}",
            results.loss
        );
        results.rewards.sort_by(f32::total_cmp);
        assert_eq!(results.rewards.len(), expected_rewards.len());
        for (x, y) in results.rewards.iter().zip(&expected_rewards) {
            assert!((x - y).abs() < 1e-4, "{x} is not {y}");
        }
        assert_eq!(
            results.gradients.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>()
        );
        for (name, gradient) in results.gradients {
            let expected = values(expected[&name].clone());
            for (x, y) in values(gradient).into_iter().zip(expected) {
                assert!((x - y).abs() < 1e-5 + 1e-3 * y.abs(), "{name}: {x} is not {y}");
            }
        }
    }
}

#[test]
fn a_run_learns_from_both() {
    let examples = examples();
    let how = PreferenceConfig { beta: 0.5, sft_weight: 0.0 };
    let ran = prefer((&config(), how), &examples, 2, None);
    let last = ran.preferred[ran.preferred.len() - 1];
    assert!((last.accuracy - 1.0).abs() < 1e-9 && last.loss < 0.2, "{last:?}");
    let (before, after) = (checkpoint(), Checkpoint { model: ran.outcome.model, ..checkpoint() });
    for pair in &pairs() {
        let risen = margin(&after, pair) - margin(&before, pair);
        assert!(risen > 2.0, "{pair:?}: {risen}");
    }
    for e in &examples {
        let (before, after) = (
            negative_log_likelihood(&before, &e.ids, 2),
            negative_log_likelihood(&after, &e.ids, 2),
        );
        assert!(after < 0.5 * before, "{e:?}: {before} and {after}");
    }
}

#[test]
fn the_weight_of_the_likelihood_keeps_the_chosen_solutions_likely() {
    let [without, with] = [0.0, 1.0].map(|sft_weight| {
        let how = PreferenceConfig { beta: 0.5, sft_weight };
        let ran = prefer((&config(), how), &[], 1, None);
        let learned = Checkpoint { model: ran.outcome.model, ..checkpoint() };
        pairs().iter().map(|pair| negative_log_likelihood(&learned, &pair.chosen, 3)).sum::<f64>()
    });
    assert!(with < 0.5 * without, "{without} and {with}");
}

#[test]
fn workers_change_no_bit_of_pairs() {
    let how = PreferenceConfig { beta: 0.5, sft_weight: 0.5 };
    for config in configs() {
        let runs = [1, 3].map(|workers| prefer((&config, how), &examples()[..4], workers, None));
        let [one, three] = &runs;
        assert_eq!(one.losses, three.losses);
        assert_eq!(one.preferred, three.preferred);
        assert_eq!(weights(&one.outcome.model), weights(&three.outcome.model));
    }
}

#[test]
fn a_run_on_pairs_goes_on_from_its_state() {
    let how = PreferenceConfig { beta: 0.5, sft_weight: 0.5 };
    for config in configs() {
        let whole = prefer((&config, how), &[], 1, None);
        assert!(whole.losses.len() > 20, "{} updates", whole.losses.len());
        let rest = prefer((&config, how), &[], 2, whole.state.as_deref());
        assert_eq!(rest.losses, whole.losses[14..]);
        assert_eq!(rest.preferred, whole.preferred[14..]);
        assert_eq!(weights(&rest.outcome.model), weights(&whole.outcome.model));
    }
}

#[test]
fn pairs_and_their_settings_are_checked() {
    let refused = |pairs: &[Pair], beta: f64, sft_weight: f64| {
        let (checkpoint, config) = (checkpoint(), config());
        let training = Training {
            checkpoint: &checkpoint,
            examples: &[],
            preferences: Some(Preferences { pairs, config: PreferenceConfig { beta, sft_weight } }),
            validation: &[],
            config: &config,
            updates: None,
            seed: 3,
            workers: 1,
        };
        let error = training.run::<Error>(&[device::cpu()], None, &mut |_| Ok(()));
        error.unwrap_err().to_string()
    };
    let of = |chosen: usize, rejected: usize, targets_from: usize| {
        [Pair { chosen: vec![3; chosen], rejected: vec![4; rejected], targets_from }]
    };
    for (beta, sft_weight, key) in
        [(0.0, 0.0, "beta"), (f64::NAN, 0.0, "beta"), (0.1, -1.0, "sft_weight")]
    {
        let message = refused(&pairs(), beta, sft_weight);
        assert!(message.contains(&format!("preferences.{key} is ")), "{message}");
    }
    assert_eq!(refused(&[], 0.1, 0.0), Error::NoExamples.to_string());
    for pair in [of(3, 4, 3), of(4, 3, 3), of(4, 4, 0)] {
        assert_eq!(refused(&pair, 0.1, 0.0), Error::IncompletePair(0).to_string());
    }
    let too_long = Error::TooLong { tokens: 129, limit: 128 }.to_string();
    assert_eq!(refused(&of(4, 129, 3), 0.1, 0.0), too_long);
}
