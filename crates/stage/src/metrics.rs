//! Times and other measurements of a run, as rows of `metrics.jsonl` beside a dataset.
//!
//! Measured times go only here, because in a part or a manifest they would make the bytes of two equal runs differ.

use std::path::Path;
use std::time::Instant;

use dataset::{METRICS, MetricsLog};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Failure, ResultExt};
use crate::sharing::{Sharing, shards_metrics};

/// Appends rows to the metrics of a dataset, each with the seconds since this was opened.
#[derive(Debug)]
pub struct Metrics {
    log: MetricsLog,
    start: u64,
    watch: Stopwatch,
}

impl Metrics {
    /// Opens the log of this process for the dataset in `dir`: that of the dataset, or of a shard.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn shared(dir: &Path, sharing: Sharing) -> Result<Self, Failure> {
        Self::open(&sharing.metrics(dir))
    }

    /// Opens the log at `path` for appending, creating it and its folder if needed, and starts the
    /// clock. The times in a run's rows are measured from its own start.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        // A resumed stage appends to the rows of its earlier runs, and its clock starts again at 0: `start` tells them apart.
        let last = MetricsLog::read(path)?.pop();
        let start = last.map_or(0, |row| start_of(&row).saturating_add(1));
        Ok(Self { log: MetricsLog::open(path)?, start, watch: Stopwatch::start() })
    }

    /// Appends one row: `start`, the number of earlier runs of the stage that wrote rows, `elapsed_s`, the time in seconds,
    /// and then the fields of `row`, which must serialize as an object. A number that is not finite becomes `null`.
    pub fn row(&mut self, row: &impl Serialize) -> Result<(), Failure> {
        let row = timed(self.start, self.watch.seconds(), row)?;
        Ok(self.log.append(&row)?)
    }
}

/// Appends the metrics of all shards to those of the dataset in `dir`, as those of further runs of the stage.
pub(crate) fn gather(dir: &Path) -> Result<(), Failure> {
    let folder = shards_metrics(dir);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.or_io(folder.display())?;
    paths.sort();
    let all = dir.join(METRICS);
    let mut next = MetricsLog::read(&all)?.last().map_or(0, |row| start_of(row).saturating_add(1));
    let mut log = MetricsLog::open(&all)?;
    for path in paths {
        let rows = MetricsLog::read(&path)?;
        let starts = rows.last().map_or(0, |row| start_of(row).saturating_add(1));
        for mut row in rows {
            row["start"] = Value::from(start_of(&row).saturating_add(next));
            log.append(&row)?;
        }
        next = next.saturating_add(starts);
        // A merge that is repeated does not gather it again.
        std::fs::remove_file(&path).or_io(path.display())?;
    }
    Ok(())
}

/// The number of earlier runs of the stage that wrote rows.
fn start_of(row: &Value) -> u64 {
    row["start"].as_u64().unwrap_or(0)
}

fn timed(start: u64, seconds: f64, row: &impl Serialize) -> Result<Map<String, Value>, Failure> {
    let fields = serde_json::to_value(row).or_bug("a metrics row cannot be written as JSON")?;
    let Value::Object(fields) = fields else {
        return Err(Failure::bug(format!("a metrics row is {fields}, not an object")));
    };
    // Rounded to microseconds; the digits after that are noise.
    let elapsed = ("elapsed_s".to_owned(), Value::from((seconds * 1e6).round() / 1e6));
    let start = ("start".to_owned(), Value::from(start));
    Ok([start, elapsed].into_iter().chain(fields).collect())
}

/// A clock that measures the seconds since it was started.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts a new clock at zero.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the seconds since the start, which never decrease.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_starts_with_its_time_and_keeps_its_order() {
        let row = timed(2, 1.234_567_89, &json!({"step": 3, "loss": 0.5})).unwrap();
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(text, r#"{"start":2,"elapsed_s":1.234568,"step":3,"loss":0.5}"#);
    }

    #[test]
    fn a_second_run_appends_to_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out/metrics.jsonl");
        for step in [1, 2] {
            let mut metrics = Metrics::open(&path).unwrap();
            metrics.row(&json!({"step": step})).unwrap();
            metrics.row(&json!({"step": 10 * step})).unwrap();
        }
        // A run that writes no row is not counted.
        Metrics::open(&path).unwrap();
        let rows = MetricsLog::read(&path).unwrap();
        let steps: Vec<_> = rows.iter().map(|row| row["step"].as_i64()).collect();
        assert_eq!(steps, [Some(1), Some(10), Some(2), Some(20)]);
        let starts: Vec<_> = rows.iter().map(|row| row["start"].as_u64()).collect();
        assert_eq!(starts, [Some(0), Some(0), Some(1), Some(1)]);
        assert!(rows.iter().all(|row| row["elapsed_s"].is_f64()));
    }

    #[test]
    fn metrics_of_shards_are_further_runs_and_gathered_once() {
        let folder = tempfile::tempdir().unwrap();
        Metrics::open(&folder.path().join(METRICS)).unwrap().row(&json!({"part": 0})).unwrap();
        let shards = shards_metrics(folder.path());
        for (name, part) in [("0-of-2.jsonl", 1), ("1-of-2.jsonl", 2), ("0-of-2.jsonl", 3)] {
            Metrics::open(&shards.join(name)).unwrap().row(&json!({"part": part})).unwrap();
        }
        for _ in 0..2 {
            gather(folder.path()).unwrap();
        }
        let rows = MetricsLog::read(&folder.path().join(METRICS)).unwrap();
        let rows = rows.iter().map(|row| (row["start"].as_u64(), row["part"].as_u64()));
        let rows: Vec<_> = rows.collect();
        let expected = [(0, 0), (1, 1), (2, 3), (3, 2)];
        assert_eq!(rows, expected.map(|(start, part)| (Some(start), Some(part))));
    }

    #[test]
    fn a_count_of_starts_without_a_next_one_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"start\": 18446744073709551615}\n").unwrap();
        Metrics::open(&path).unwrap().row(&json!({"step": 1})).unwrap();
        assert_eq!(MetricsLog::read(&path).unwrap()[1]["start"], u64::MAX);
    }

    #[test]
    fn a_row_without_names_is_a_bug() {
        let failure = timed(0, 0.0, &[1, 2]).unwrap_err();
        assert_eq!(failure.exit(), crate::Exit::Bug);
        assert!(failure.to_string().contains("[1,2]"));
    }

    #[test]
    fn a_watch_never_goes_back() {
        let watch = Stopwatch::start();
        let first = watch.seconds();
        assert!(first >= 0.0 && watch.seconds() >= first);
    }
}
