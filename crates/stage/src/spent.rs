//! The cost of a stage, from the metrics beside its output.

use std::path::Path;

use dataset::MetricsLog;
use serde::Deserialize;

use crate::error::{Failure, ResultExt};

/// The cost of a stage in one run. Work that was lost to a kill and repeated counts twice. Work that was replaced by a
/// run with other settings does not count, because its metrics were removed with it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Wall-clock time in seconds, of all processes that shared the work.
    pub seconds: f64,
    /// Generated tokens; 0 if none were counted.
    pub generated: u64,
    /// Tokens through the models, read or generated, by policies and critics.
    pub through_models: u64,
    /// Tokens trained on, counted once per pass.
    pub trained: u64,
    /// Floating point operations of models: two per weight and token in inference, three times as many in training.
    pub flops: u64,
}

/// The fields of a metrics line that concern costs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    /// Number of the stage's run that wrote the line.
    start: u64,
    elapsed_s: f64,
    /// If present, the line counts one part of the work; otherwise everything since the stage was started.
    part: Option<usize>,
    /// If present, the line is about one training update and is skipped: the last line of a training has the totals.
    update: Option<usize>,
    tokens: u64,
    policy_tokens: u64,
    critic_tokens: u64,
    trained_tokens: u64,
    flops: u64,
}

impl Line {
    fn spent(&self) -> Spent {
        Spent {
            // Elapsed time is a running total even where a line counts one part: `sum` takes the last of each start.
            seconds: 0.0,
            generated: self.tokens,
            through_models: self.policy_tokens.saturating_add(self.critic_tokens),
            trained: self.trained_tokens,
            flops: self.flops,
        }
    }
}

impl std::ops::AddAssign for Spent {
    // Saturating, because a log file may contain any number.
    fn add_assign(&mut self, more: Self) {
        self.seconds += more.seconds;
        self.generated = self.generated.saturating_add(more.generated);
        self.through_models = self.through_models.saturating_add(more.through_models);
        self.trained = self.trained.saturating_add(more.trained);
        self.flops = self.flops.saturating_add(more.flops);
    }
}

impl Spent {
    /// Adds up the rows of a log of metrics.
    ///
    /// # Errors
    /// Exit 65 for a row whose figures are no numbers.
    pub fn of(metrics: &Path) -> Result<Self, Failure> {
        let lines = MetricsLog::read(metrics)?.into_iter();
        let lines = lines.map(|line| serde_json::from_value(line).or_data(metrics.display()));
        Ok(sum(&lines.collect::<Result<Vec<Line>, Failure>>()?))
    }
}

/// Adds up the lines of all runs of a stage.
///
/// Lines with a `part` each count. Of the other lines only the last of each start does, because they are running
/// totals.
fn sum(lines: &[Line]) -> Spent {
    let mut sum = Spent::default();
    for (at, line) in lines.iter().enumerate() {
        let last = lines.get(at + 1).is_none_or(|next| next.start != line.start);
        if line.part.is_some() || last && line.update.is_none() {
            sum += line.spent();
        }
        if last {
            sum.seconds += line.elapsed_s;
        }
    }
    sum
}
