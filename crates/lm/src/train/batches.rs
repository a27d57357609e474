//! The order of the examples: shuffled, rows of like length together, the same for the same seed.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Example, Training};

/// Rows sorted by length at a time: large enough for little padding, small enough to stay shuffled.
const SORTED: usize = 1024;

/// The batches of the whole run, as indices of examples.
pub(super) fn plan(training: &Training<'_>) -> Vec<Vec<usize>> {
    let (examples, most) = (training.examples, training.config.batch_tokens);
    let epoch = |number: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(training.seed);
        rng.set_stream(number);
        shuffled(examples, most, &mut rng)
    };
    let first = epoch(0);
    let epochs = training.config.epochs;
    let total =
        training.updates.unwrap_or_else(|| (epochs * first.len() as f64).round().max(1.0) as usize);
    let mut plan = first;
    for number in 1.. {
        if plan.len() >= total {
            break;
        }
        plan.extend(epoch(number));
    }
    plan.truncate(total);
    plan
}

fn shuffled(examples: &[Example], most: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.shuffle(rng);
    let mut batches: Vec<Vec<usize>> = order
        .chunks_mut(SORTED)
        .flat_map(|chunk| {
            chunk.sort_by_key(|&i| examples[i].ids.len());
            by_tokens(chunk, |i| examples[i].ids.len(), most)
        })
        .collect();
    batches.shuffle(rng);
    batches
}

/// Cuts a sorted list so that rows times the longest row stays within `most`.
pub(super) fn by_tokens(
    sorted: &[usize],
    length: impl Fn(usize) -> usize,
    most: usize,
) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for &i in sorted {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * length(i) <= most => batch.push(i),
            _ => batches.push(vec![i]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(length: usize) -> Example {
        Example { ids: vec![0; length], targets_from: Some(1), heads: Vec::new(), weight: 1.0 }
    }

    #[test]
    fn every_example_comes_once_an_epoch_within_the_budget() {
        let examples: Vec<Example> = (0..3000).map(|i| example(1 + i % 37)).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let batches = shuffled(&examples, 200, &mut rng);
        let mut seen: Vec<usize> = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..3000).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|&i| examples[i].ids.len()).max().unwrap();
            assert!(batch.len() * longest <= 200);
        }
        let padding: usize = batches
            .iter()
            .flat_map(|b| {
                let longest = b.iter().map(|&i| examples[i].ids.len()).max().unwrap();
                b.iter().map(move |&i| (longest, i))
            })
            .map(|(longest, i)| longest - examples[i].ids.len())
            .sum();
        let tokens: usize = examples.iter().map(|e| e.ids.len()).sum();
        assert!(padding * 20 < tokens, "{padding} of {tokens}");
    }
}
