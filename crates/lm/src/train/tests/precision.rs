//! Rounded products, and training on several devices.

use super::*;
use crate::Precision;

/// The bits of all of a model's weights, concatenated.
fn numbers(model: &Decoder) -> Vec<u32> {
    weights(model).into_values().flat_map(|tensor| tensor.data).map(f32::to_bits).collect()
}

/// Rounds an `f32`, given as bits, to the nearest bf16: its upper half.
fn bf16(bits: u32) -> u32 {
    (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000
}

#[test]
fn rounded_products_learn_nearly_the_same() {
    for adapters in [None, adapters().lora] {
        let exact = TrainConfig { epochs: 4.0, lora: adapters, ..config() };
        let losses = |config: &TrainConfig| train_as(config, 1, None, 0).0;
        let rounded = TrainConfig { precision: Precision::Bf16, ..exact.clone() };
        let by_block = TrainConfig { gradient_checkpointing: true, ..rounded.clone() };
        let [exact, rounded, by_block] = [&exact, &rounded, &by_block].map(losses);
        assert_ne!(exact, rounded);
        for (at, loss) in exact.iter().enumerate() {
            assert!((loss - rounded[at]).abs() < 0.03 * loss, "{exact:?} and {rounded:?}");
            assert!((loss - by_block[at]).abs() < 0.03 * loss, "{exact:?} and {by_block:?}");
        }
    }
}

#[test]
fn what_learns_is_not_rounded() {
    // Each update is far too small to show in bf16, yet none may be lost.
    let config =
        TrainConfig { precision: Precision::Bf16, learning_rate: 1e-7, epochs: 8.0, ..config() };
    let (_, _, outcome) = train_as(&config, 1, None, 0);
    let (before, after) = (numbers(&checkpoint().model), numbers(&outcome.model));
    let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    let shown = before.iter().zip(&after).filter(|(a, b)| bf16(**a) != bf16(**b)).count();
    assert!(changed > before.len() / 4, "{changed} of {} changed", before.len());
    assert!(shown < changed / 10, "{shown} of {changed} would have shown in bf16");
    let engine = |model| {
        let options = engine::EngineOptions { workers: 1, rows: 4 };
        Engine::new(
            &Checkpoint { model, ..checkpoint() },
            &[device::cpu()],
            Precision::F32,
            options,
        )
    };
    let learned = engine(outcome.model).logits(&[0, 10, 20]).unwrap();
    let mut bits = learned.iter().flatten().map(|x| x.to_bits());
    assert!(bits.any(|bits| bf16(bits) != bits), "inference is not rounded");
}

#[test]
fn frozen_weights_stay_in_bfloat16_and_are_written_so() {
    let config = TrainConfig { precision: Precision::Bf16, ..adapters() };
    let (_, _, outcome) = train_as(&config, 1, None, 0);
    let before = weights(&checkpoint().model);
    let merged = outcome.model.clone().merged();
    for (model, change) in
        [(&outcome.model, &[][..]), (&merged, &["q_proj", "v_proj", "down_proj"])]
    {
        let after = weights(model);
        for (name, tensor) in after.iter().filter(|(name, _)| !name.contains("adapter")) {
            let changed = change.iter().any(|end| name.contains(end));
            let matrix = tensor.shape.len() == 2;
            for (&was, &is) in before[name].data.iter().zip(&tensor.data) {
                let (was, is) = (was.to_bits(), is.to_bits());
                assert!(changed || is == if matrix { bf16(was) } else { was }, "{name}");
                assert!(!matrix || bf16(is) == is, "{name}");
            }
        }
    }
    let adapters = outcome.model.adapters();
    let exact = |tensor: &crate::tensors::HostTensor| {
        tensor.data.iter().any(|value| bf16(value.to_bits()) != value.to_bits())
    };
    assert!(adapters.values().all(exact), "adapters are not rounded");
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in (Checkpoint { model: outcome.model, ..checkpoint() }).files().unwrap() {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let config = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
    assert!(config.contains(r#""torch_dtype": "bfloat16""#), "{config}");
    for stored in [Precision::F32, Precision::Bf16] {
        let again = Checkpoint::load_as(dir.path(), &device::cpu(), stored).unwrap();
        assert_eq!(again.model.matrix_type(), stored);
        assert!(weights(&again.model) == weights(&merged), "{stored:?}");
    }
    let again = Checkpoint::load_as_it_is(dir.path(), &device::cpu()).unwrap();
    assert_eq!(again.model.matrix_type(), Precision::Bf16);
}

#[test]
fn several_devices_learn_what_one_does() {
    // Using the CPU twice: gradients that were computed on another device must be the same to the last bit.
    let (checkpoint, examples) = (checkpoint(), examples());
    let config = TrainConfig { epochs: 6.0, micro_batches: 3, ..config() };
    let learned = |devices: &[Device]| {
        let training = training(&checkpoint, &examples, &config, 1);
        training.run::<Error>(devices, None, &mut |_| Ok(())).unwrap().model
    };
    let one = learned(&[device::cpu()]);
    assert_eq!(numbers(&learned(&[device::cpu(), device::cpu()])), numbers(&one));

    let learned = Checkpoint { model: one, ..checkpoint.clone() };
    let options = engine::EngineOptions { workers: 2, rows: 2 };
    let logits = |engine: &Engine| engine.logits(&[0, 10, 20]).unwrap();
    let alone = Engine::new(&learned, &[device::cpu()], Precision::F32, options);
    let both = Engine::new(&learned, &[device::cpu(), device::cpu()], Precision::F32, options);
    assert_eq!(logits(&both), logits(&alone));
    let requests: Vec<_> = examples
        .iter()
        .map(|e| GenerationRequest {
            prompt: e.ids[..2].to_vec(),
            sampling: Sampling::Temperature { temperature: 1.0 },
            stop: Stop { tokens: vec![1], strings: vec![], until: None, max_new: 9 },
            excluded: vec![],
            seed: u64::from(e.ids[1]),
            scope: u64::from(e.ids[1]),
            keep: false,
        })
        .collect();
    let written = |engine: &Engine| engine.generate(&requests, &mut Prefixes::default()).unwrap();
    assert_eq!(written(&both), written(&alone));
}
