//! `search --estimate`: what a whole search would take, extrapolated from a pilot on a few of its prompts.

use std::path::Path;
use std::time::Duration;

use schema::{NodeRow, Table, Trajectory};
use serde::Serialize;
use stage::Failure;

/// The resources that a pilot run used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pilot {
    /// Generated tokens per prompt; 0 for a prompt that is too long.
    pub(crate) tokens: Vec<f64>,
    /// Nodes per prompt; 0 for a prompt that is too long.
    pub(crate) nodes: Vec<f64>,
    /// Wall-clock time.
    pub(crate) elapsed: Duration,
    /// Size of the rows as Parquet, in bytes.
    pub(crate) bytes: u64,
}

/// The projected cost of searching all prompts. A pair is the total and the half-width of its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Prompts in the pilot.
    pilot: usize,
    /// All prompts.
    prompts: usize,
    /// Generated tokens, ± the half-width.
    tokens: [f64; 2],
    /// Nodes, ± the half-width.
    nodes: [f64; 2],
    /// Seconds. Rather too many: a pilot fills its batches less well than the whole run.
    seconds: f64,
    /// Generated tokens per second over all prompts. Rather too few, for the same reason.
    tokens_per_second: f64,
    /// The token budget per prompt that takes the requested seconds; null if none were requested.
    budget_tokens: Option<u64>,
    /// Bytes on disk.
    bytes: f64,
}

/// Picks `pilot` of `prompts` prompts, evenly spread, and returns their positions.
pub(crate) fn chosen(prompts: usize, pilot: usize) -> Vec<usize> {
    let pilot = pilot.clamp(1, prompts.max(1)).min(prompts);
    (0..pilot).map(|i| i * prompts / pilot).collect()
}

/// The size of the rows as Parquet, in bytes.
pub(crate) fn size(nodes: &[NodeRow], trajectories: &[Trajectory]) -> Result<u64, Failure> {
    fn bytes<T: Table>(rows: &[T]) -> Result<u64, Failure> {
        Ok(dataset::parquet_size(rows, Path::new("estimate"))?)
    }
    Ok(bytes(nodes)? + bytes(trajectories)?)
}

impl Estimate {
    /// Scales a pilot up to `prompts`, and turns `seconds_each` into a token budget. Searches have budgets in tokens
    /// because one in seconds would make the result depend on the machine.
    pub(crate) fn of(pilot: &Pilot, prompts: usize, seconds_each: Option<f64>) -> Self {
        let count = pilot.tokens.len();
        let scale = prompts as f64 / count.max(1) as f64;
        let elapsed = pilot.elapsed.as_secs_f64();
        let tokens_per_second = pilot.tokens.iter().sum::<f64>() / elapsed.max(1e-9);
        Self {
            pilot: count,
            prompts,
            tokens: total(&pilot.tokens, prompts),
            nodes: total(&pilot.nodes, prompts),
            seconds: elapsed * scale,
            tokens_per_second,
            budget_tokens: seconds_each.map(|each| (each * tokens_per_second).round() as u64),
            bytes: pilot.bytes as f64 * scale,
        }
    }

    /// Prints the estimate. `budget` is the name of the setting that limits a prompt's tokens.
    pub(crate) fn print(&self, json: bool, budget: &str) -> Result<(), Failure> {
        if json {
            return stage::print_json(self);
        }
        let range = |[total, off]: [f64; 2]| {
            let off = if off.is_nan() { "?".to_owned() } else { format!("{off:.0}") };
            format!("{total:.0} ± {off}")
        };
        let row = vec![
            self.prompts.to_string(),
            self.pilot.to_string(),
            range(self.tokens),
            range(self.nodes),
            format!("{:.0}", self.seconds),
            format!("{:.0}", self.tokens_per_second),
            format!("{:.1}", self.bytes / 1e6),
            self.budget_tokens.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string()),
        ];
        let for_seconds = format!("{budget} for the seconds asked");
        let header = [
            "prompts",
            "tried",
            "tokens",
            "nodes",
            "seconds, at most about",
            "tokens/s",
            "MB",
            &for_seconds,
        ];
        stage::print_table("search would take", &header, &[row])
    }
}

/// Extrapolates a sample to the sum over `prompts`; returns the total and 1.96 standard errors.
fn total(sample: &[f64], prompts: usize) -> [f64; 2] {
    let count = sample.len().max(1) as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let squares: f64 = sample.iter().map(|x| (x - mean) * (x - mean)).sum();
    // A single prompt says nothing of the spread: NaN, which is printed as `?`.
    let deviation = if count > 1.0 { (squares / (count - 1.0)).sqrt() } else { f64::NAN };
    let all = prompts as f64;
    // Finite population correction: the prompts of the pilot are known exactly, only the others are uncertain.
    let others = (1.0 - count / all).max(0.0).sqrt();
    [mean * all, 1.96 * deviation / count.sqrt() * all * others]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pilot_is_spread_and_scaled() {
        assert_eq!(chosen(10, 4), [0, 2, 5, 7]);
        assert_eq!(chosen(3, 16), [0, 1, 2]);
        assert!(chosen(0, 4).is_empty());
        let pilot = Pilot {
            tokens: vec![90.0, 110.0, 90.0, 110.0],
            nodes: vec![8.0; 4],
            elapsed: Duration::from_secs(2),
            bytes: 4000,
        };
        let estimate = Estimate::of(&pilot, 400, Some(0.5));
        assert_eq!((estimate.tokens[0], estimate.nodes), (40_000.0, [3200.0, 0.0]));
        // The standard deviation is 11.547, the standard error of the mean 5.774, that of the total 2309, less the 1 % that
        // is known.
        assert!((estimate.tokens[1] - 1.96 * 2309.4 * 0.99_f64.sqrt()).abs() < 1.0);
        assert!((estimate.seconds - 200.0).abs() < 1e-9);
        assert!((estimate.bytes - 400_000.0).abs() < 1e-6);
        assert!((estimate.tokens_per_second - 200.0).abs() < 1e-9);
        assert_eq!(estimate.budget_tokens, Some(100));
        assert!(Estimate::of(&pilot, 4, None).tokens[1].abs() < 1e-9, "all was tried");
    }
}
