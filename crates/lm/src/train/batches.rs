//! The order of examples and pairs: shuffled, rows of like length together, the same for the same seed.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Training;
use super::rows::Unit;

/// Rows sorted by length at a time: large enough for little padding, small enough to stay shuffled.
const SORTED: usize = 1024;

/// The batches of the whole run, as indices of units.
pub(super) fn plan(training: &Training<'_>, units: &[Unit<'_>]) -> Vec<Vec<usize>> {
    let most = training.config.batch_tokens;
    let epoch = |number: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(training.seed);
        rng.set_stream(number);
        shuffled(units, most, &mut rng)
    };
    let first = epoch(0);
    let epochs = training.config.epochs;
    let total = match training.updates {
        Some(course) => course.updates,
        None => (epochs * first.len() as f64).round().max(1.0) as usize,
    };
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

fn shuffled(units: &[Unit<'_>], most: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.shuffle(rng);
    let chunks = order.chunks_mut(SORTED);
    let mut batches: Vec<Vec<usize>> =
        chunks.flat_map(|chunk| by_length(chunk, units, most)).collect();
    batches.shuffle(rng);
    batches
}

/// Sorts a list of units by length, and cuts it so that rows times the longest row stays within `most`. Both rows of a
/// pair are in one batch.
pub(super) fn by_length(order: &mut [usize], units: &[Unit<'_>], most: usize) -> Vec<Vec<usize>> {
    order.sort_by_key(|&i| units[i].length());
    let (mut batches, mut rows): (Vec<Vec<usize>>, usize) = (Vec::new(), 0);
    for &i in &*order {
        let more = units[i].rows().count();
        match batches.last_mut() {
            Some(batch) if (rows + more) * units[i].length() <= most => {
                batch.push(i);
                rows += more;
            }
            _ => {
                batches.push(vec![i]);
                rows = more;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Example, Pair};

    #[test]
    fn every_unit_comes_once_an_epoch_within_the_budget() {
        let example = |length| Example {
            ids: vec![0; length],
            targets_from: Some(1),
            heads: Vec::new(),
            weight: 1.0,
        };
        let pair = |i: usize| Pair {
            chosen: vec![0; 2 + i % 37],
            rejected: vec![0; 2 + i % 31],
            targets_from: 1,
        };
        let examples: Vec<Example> = (0..3000).map(|i| example(1 + i % 37)).collect();
        let pairs: Vec<Pair> = (0..500).map(pair).collect();
        let alone: Vec<Unit<'_>> = examples.iter().map(Unit::Example).collect();
        let pairs = pairs.iter().map(|pair| Unit::Pair(pair, 0.0));
        let mixed: Vec<Unit<'_>> = alone.iter().copied().chain(pairs).collect();
        // What is padding is a small share; the two rows of a pair differ in length.
        for (units, share) in [(alone, 20), (mixed, 5)] {
            let batches = shuffled(&units, 200, &mut ChaCha8Rng::seed_from_u64(1));
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..units.len()).collect::<Vec<_>>());
            let mut read = 0;
            for batch in &batches {
                let longest = batch.iter().map(|&i| units[i].length()).max().unwrap();
                let rows: usize = batch.iter().map(|&i| units[i].rows().count()).sum();
                assert!(rows * longest <= 200);
                read += rows * longest;
            }
            let tokens: usize = units.iter().map(|unit| unit.tokens()).sum();
            assert!((read - tokens) * share < tokens, "{read} for {tokens}");
        }
    }
}
