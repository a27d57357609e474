//! Batches of examples and pairs: shuffled by seed, with rows of similar length together.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::rows::Unit;

/// Rows are sorted by length in chunks of this many: large enough for little padding, small enough to stay well shuffled.
const SORTED: usize = 1024;

/// How a run goes through its units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Tokens per batch, including padding.
    pub(super) batch_tokens: usize,
    /// Passes over the units.
    pub(super) epochs: f64,
    /// A fixed number of updates instead of `epochs`.
    pub(super) updates: Option<usize>,
    /// Seed for the order of the units.
    pub(super) seed: u64,
}

/// The batches of a whole run as lists of unit indices, generated one epoch at a time.
pub(super) struct Plan<'a> {
    units: &'a [Unit<'a>],
    schedule: Schedule,
    /// Number of batches in the run.
    pub(super) total: usize,
    /// Number of the epoch that `epoch` has the batches of.
    number: u64,
    epoch: Vec<Vec<usize>>,
    /// Number of batches in earlier epochs.
    before: usize,
}

impl<'a> Plan<'a> {
    /// Plans a run. There must be at least one unit.
    pub(super) fn new(units: &'a [Unit<'a>], schedule: Schedule) -> Self {
        let mut plan = Self { units, schedule, total: 0, number: 0, epoch: Vec::new(), before: 0 };
        plan.begin(0);
        let planned = (schedule.epochs * plan.epoch.len() as f64).round().max(1.0);
        plan.total = schedule.updates.unwrap_or(planned as usize);
        plan
    }

    fn begin(&mut self, number: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.schedule.seed);
        // A stream per epoch, so that any epoch can be generated without those before it.
        rng.set_stream(number);
        let batches = shuffled(self.units, self.schedule.batch_tokens, &mut rng);
        (self.number, self.epoch) = (number, batches);
    }

    /// The batch of an update. Updates must be asked for in ascending order.
    pub(super) fn batch(&mut self, update: usize) -> Vec<Unit<'a>> {
        while update - self.before >= self.epoch.len() {
            self.before += self.epoch.len();
            self.begin(self.number + 1);
        }
        self.epoch[update - self.before].iter().map(|&i| self.units[i]).collect()
    }
}

fn shuffled(units: &[Unit<'_>], most: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.shuffle(rng);
    let chunks = order.chunks_mut(SORTED);
    let mut batches: Vec<Vec<usize>> =
        chunks.flat_map(|chunk| by_length(chunk, units, most)).collect();
    // A sorted chunk gives its batches in order of length; shuffle them so that the lengths mix over the epoch.
    batches.shuffle(rng);
    batches
}

/// Sorts units by length and cuts them into batches, so that rows times the longest row stays within `most` tokens. Both
/// rows of a pair go into the same batch.
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
    use crate::train::example::{Example, Pair};

    /// A long run is planned as it goes: its batches are those of its epochs, one after the other.
    #[test]
    fn a_plan_of_many_epochs_is_made_epoch_by_epoch() {
        let ids = |i: usize| vec![0; 2 + i % 5];
        let example =
            |i| Example { ids: ids(i), targets_from: Some(1), heads: vec![], weight: 1.0 };
        let examples: Vec<Example> = (0..40).map(example).collect();
        let units: Vec<Unit<'_>> = examples.iter().map(Unit::Example).collect();
        let schedule = Schedule { batch_tokens: 60, epochs: 1e6, updates: None, seed: 3 };
        let mut plan = Plan::new(&units, schedule);
        let epoch = |number: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            rng.set_stream(number);
            shuffled(&units, 60, &mut rng)
        };
        assert_eq!(plan.total, 1_000_000 * epoch(0).len());
        let expected: Vec<Vec<usize>> = (0..4).flat_map(epoch).collect();
        let lengths =
            |batch: &[usize]| batch.iter().map(|&i| units[i].length()).collect::<Vec<_>>();
        for (update, batch) in expected.iter().enumerate() {
            let planned: Vec<usize> = plan.batch(update).iter().map(|unit| unit.length()).collect();
            assert_eq!(planned, lengths(batch), "{update}");
        }
        // A resumed run starts in the middle.
        let mut later = Plan::new(&units, schedule);
        let last = expected.len() - 1;
        let planned: Vec<usize> = later.batch(last).iter().map(|unit| unit.length()).collect();
        assert_eq!(planned, lengths(&expected[last]));
    }

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
        // Little of it is padding. The two rows of a pair differ in length, so pairs have more.
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
