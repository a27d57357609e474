//! Rows that begin alike.

use super::super::layout::Layout;
use super::super::loss::{Loss, LossConfig};
use super::super::rows::{Rows, Unit};
use super::*;
use crate::tensors::values;

/// A beginning of so many tokens, and rows with a few more, one of them with none. The first have targets in what they share,
/// too.
fn alike(shared: u32) -> (Vec<Example>, Vec<Pair>) {
    let begin: Vec<u32> = (0..shared).map(|i| 3 + i * 7 % 200).collect();
    let head = |at, head| HeadTarget { at, head, value: 0.25, measure: Measure::CrossEntropy };
    let example = |more: &[u32], heads| Example {
        ids: [&begin, more].concat(),
        targets_from: Some(begin.len() - 3 + more.len()),
        heads,
        weight: 0.5 + more.len() as f32,
    };
    let examples = vec![
        example(
            &[50, 60, 70, 80],
            vec![head(shared as usize - 2, 0), head(shared as usize + 2, 1)],
        ),
        example(&[], vec![head(2, 1)]),
        example(&[90, 91], vec![head(shared as usize - 2, 0)]),
    ];
    let pair = Pair {
        chosen: [&begin[..], &[40, 41, 1]].concat(),
        rejected: [&begin[..], &[42, 1]].concat(),
        targets_from: begin.len(),
    };
    (examples, vec![pair])
}

/// All rows in one micro-batch, where they share their beginning, and each in a micro-batch of its own, where nothing is shared.
#[test]
fn a_shared_beginning_gives_the_gradients_of_rows_by_themselves() {
    let names = ["value".to_owned(), "orm".to_owned()];
    let checkpoint = checkpoint().with_scalar_heads(&names, &device::cpu()).unwrap();
    let (examples, pairs) = alike(40);
    let units: Vec<Unit<'_>> = examples.iter().map(Unit::Example).collect();
    let units: Vec<Unit<'_>> =
        units.into_iter().chain(pairs.iter().map(|pair| Unit::Pair(pair, 0.1))).collect();
    let models = [checkpoint.model.clone(), learned_a_little(&checkpoint)];
    for (model, gradient_checkpointing) in
        models.iter().flat_map(|model| [(model, false), (model, true)])
    {
        let config = LossConfig {
            workers: 1,
            gradient_checkpointing,
            precision: Precision::F32,
            preferences: Some(PreferenceConfig { beta: 0.5, sft_weight: 0.3 }),
        };
        let loss = Loss::new(&checkpoint.config, &[device::cpu()], config);
        let shared = loss.gradients(model, &units, 1);
        let alone = loss.gradients(model, &units, units.len());
        assert!((shared.loss - alone.loss).abs() < 1e-5, "{} {}", shared.loss, alone.loss);
        assert_eq!(shared.gradients.len(), alone.gradients.len());
        for (name, gradient) in &shared.gradients {
            let [a, b] = [gradient, &alone.gradients[name]].map(|g| values(g.clone()));
            let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let largest = b.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            assert!(off < 1e-4 * largest.max(1e-2), "{name}: {off} of {largest}");
        }
        let off = shared.rewards[0] - alone.rewards[0];
        assert!(off.abs() < 1e-4, "{:?} {:?}", shared.rewards, alone.rewards);
    }
}

/// A model with adapters.
fn learned_a_little(checkpoint: &Checkpoint) -> Decoder {
    let config = TrainConfig { epochs: 2.0, ..adapters() };
    let examples = examples();
    let ran = Ran::of(&training(checkpoint, &examples, &config, 1), None, 0);
    ran.outcome.model.adapted(&config.lora.unwrap(), 0)
}

#[test]
fn what_rows_share_lies_there_once() {
    for (shared, tokens) in [(15, 5 * 19), (16, 16 + 4 + 2 + 3 + 2)] {
        let (examples, pairs) = alike(shared);
        let rows: Rows<'_> = (examples.iter().map(Unit::Example))
            .chain(pairs.iter().map(|pair| Unit::Pair(pair, 0.0)))
            .collect();
        let layout = Layout::new(&rows, &device::cpu());
        let all = values(layout.tensor(&device::cpu()).float());
        assert_eq!(all.len(), tokens);
        for (row, ids) in rows.ids().iter().enumerate() {
            let found = (0..ids.len()).map(|at| all[layout.place(row, at)] as u32);
            assert_eq!(found.collect::<Vec<_>>(), *ids, "{row}");
        }
    }
}
