//! `search --estimate`: what a whole search would take, from a pilot of a few of its prompts.

use std::path::Path;
use std::time::Duration;

use schema::{NodeRow, Table, Trajectory};
use serde::Serialize;
use stage::Failure;

/// What a pilot used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pilot {
    /// Generated tokens, by prompt; 0 for one that is too long.
    pub(crate) tokens: Vec<f64>,
    /// Nodes, by prompt; 0 for one that is too long.
    pub(crate) nodes: Vec<f64>,
    /// Wall-clock time.
    pub(crate) elapsed: Duration,
    /// Bytes of the rows as Parquet.
    pub(crate) bytes: u64,
}

/// What all prompts would take; ranges are 95 % intervals of the total.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Prompts of the pilot.
    pilot: usize,
    /// Prompts in all.
    prompts: usize,
    /// Generated tokens and how far off that may be.
    tokens: [f64; 2],
    /// Nodes and how far off that may be.
    nodes: [f64; 2],
    /// Seconds. A pilot fills the batches worse than the whole, so this is rather too long.
    seconds: f64,
    /// Generated tokens a second, all prompts together; rather too few, for the same reason.
    tokens_per_second: f64,
    /// The token budget of a prompt that takes the seconds asked for; null if none were.
    budget_tokens: Option<u64>,
    /// Bytes on the disk.
    bytes: f64,
}

/// Prompts of a pilot of `pilot` out of `prompts`, evenly spread.
pub(crate) fn chosen(prompts: usize, pilot: usize) -> Vec<usize> {
    let pilot = pilot.clamp(1, prompts.max(1)).min(prompts);
    (0..pilot).map(|i| i * prompts / pilot).collect()
}

/// The size of rows as Parquet.
pub(crate) fn size(nodes: &[NodeRow], trajectories: &[Trajectory]) -> Result<u64, Failure> {
    fn bytes<T: Table>(rows: &[T]) -> Result<u64, Failure> {
        Ok(dataset::parquet_size(rows, Path::new("estimate"))?)
    }
    Ok(bytes(nodes)? + bytes(trajectories)?)
}

impl Estimate {
    /// Scales a pilot up to `prompts`, and turns seconds for each of them into tokens: a budget in seconds would make
    /// the result depend on the machine.
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

    /// `budget` is the setting that limits the tokens of a prompt.
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

/// The sum over `prompts` that a sample of them suggests, and 1.96 standard errors of it.
fn total(sample: &[f64], prompts: usize) -> [f64; 2] {
    let count = sample.len().max(1) as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let squares: f64 = sample.iter().map(|x| (x - mean) * (x - mean)).sum();
    let deviation = if count > 1.0 { (squares / (count - 1.0)).sqrt() } else { f64::NAN };
    let all = prompts as f64;
    // What was tried is known: the uncertainty is that of the others.
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
        // The deviation is 11.547, of the mean 5.774, of the total 2309, less 1 % known.
        assert!((estimate.tokens[1] - 1.96 * 2309.4 * 0.99_f64.sqrt()).abs() < 1.0);
        assert!((estimate.seconds - 200.0).abs() < 1e-9);
        assert!((estimate.bytes - 400_000.0).abs() < 1e-6);
        assert!((estimate.tokens_per_second - 200.0).abs() < 1e-9);
        assert_eq!(estimate.budget_tokens, Some(100));
        assert!(Estimate::of(&pilot, 4, None).tokens[1].abs() < 1e-9, "all was tried");
    }
}
