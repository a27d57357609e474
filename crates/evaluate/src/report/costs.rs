//! Costs of the stages of a run, from the metrics in their output folders.

use std::collections::BTreeMap;
use std::path::Path;

use dataset::{METRICS, MetricsLog};
use serde::{Deserialize, Serialize};
use stage::{Failure, ResultExt};

use super::folder::{self, BySeed};

/// The cost of a stage in one run. Work that was lost to a kill and repeated counts twice. Work that was replaced by a
/// run with other settings does not count, because its metrics were removed with it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Spent {
    seconds: f64,
    generated: u64,
    through_models: u64,
    trained: u64,
    flops: u64,
}

/// The cost of a stage, averaged over seeds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StageCost {
    /// Folder of its output within the run.
    pub stage: String,
    /// Number of seeds with this stage.
    pub seeds: usize,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// Generated tokens; 0 if none were counted.
    pub generated: f64,
    /// Tokens through the models, read or generated, by policies and critics.
    pub through_models: f64,
    /// Tokens trained on, counted once per pass.
    pub trained: f64,
    /// 10¹² floating point operations of models: two per weight and token in inference, three times as many in
    /// training. Attention is not counted, nor is the work of a server.
    pub tflop: f64,
}

impl StageCost {
    /// Adds up the costs of several stages.
    pub(super) fn sum(stages: &[&Self]) -> Self {
        stages.iter().fold(Self::default(), |sum, one| Self {
            seconds: sum.seconds + one.seconds,
            generated: sum.generated + one.generated,
            through_models: sum.through_models + one.through_models,
            trained: sum.trained + one.trained,
            tflop: sum.tflop + one.tflop,
            ..sum
        })
    }
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

/// Reads the costs of all stages below a run's folder, by output folder.
pub(super) fn spent(run: &Path) -> Result<BTreeMap<String, Spent>, Failure> {
    folder::each(run, METRICS, |path| {
        let lines = MetricsLog::read(path)?.into_iter();
        let lines = lines.map(|line| serde_json::from_value(line).or_data(path.display()));
        Ok(sum(&lines.collect::<Result<Vec<Line>, Failure>>()?))
    })
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

/// Averages the cost of each stage over the seeds that have it.
pub(super) fn means(seeds: BySeed<Spent>) -> Vec<StageCost> {
    let mean = |(stage, seeds): (String, Vec<(String, Spent)>)| {
        let mut sum = Spent::default();
        for (_, spent) in &seeds {
            sum += *spent;
        }
        let per = |total: u64| total as f64 / seeds.len() as f64;
        StageCost {
            stage,
            seeds: seeds.len(),
            seconds: sum.seconds / seeds.len() as f64,
            generated: per(sum.generated),
            through_models: per(sum.through_models),
            trained: per(sum.trained),
            tflop: per(sum.flops) / 1e12,
        }
    };
    folder::by_folder(seeds).into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run_with(stages: &[(&str, &[serde_json::Value])]) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        for (stage, lines) in stages {
            let mut log = MetricsLog::open(&run.path().join(stage).join(METRICS)).unwrap();
            for line in *lines {
                log.append(line).unwrap();
            }
        }
        run
    }

    #[test]
    fn totals_count_once_a_start_and_parts_each() {
        let search = |start: u64, elapsed: f64, tokens: u64| json!({"start": start, "elapsed_s": elapsed, "tokens": tokens, "policy_tokens": 2 * tokens, "critic_tokens": 1, "flops": 1000 * tokens});
        let part = |start: u64, elapsed: f64, part: u64| json!({"start": start, "elapsed_s": elapsed, "part": part, "policy_tokens": 5, "flops": 7});
        let run = run_with(&[
            ("round-01/trajectories", &[search(0, 1.0, 10), search(0, 2.0, 30), search(1, 2.5, 4)]),
            ("round-01/evaluation", &[part(0, 1.0, 0), part(0, 2.0, 1), part(1, 1.0, 2)]),
        ]);
        let found = spent(run.path()).unwrap();
        let expected =
            Spent { seconds: 4.5, generated: 34, through_models: 70, trained: 0, flops: 34_000 };
        assert_eq!(found["round-01/trajectories"], expected);
        let expected =
            Spent { seconds: 3.0, generated: 0, through_models: 15, trained: 0, flops: 21 };
        assert_eq!(found["round-01/evaluation"], expected);
    }

    #[test]
    fn a_training_says_at_its_end_what_all_of_it_cost() {
        let run = run_with(&[(
            "round-01/policy",
            &[
                json!({"elapsed_s": 4.0, "update": 20, "loss": 1.0, "tokens": 512}),
                json!({"start": 1, "elapsed_s": 2.0, "update": 40, "loss": 1.0, "tokens": 500}),
                json!({"start": 1, "elapsed_s": 3.0, "trained_tokens": 9000, "flops": 3_000_000_000_000_u64}),
            ],
        )]);
        let other = run_with(&[]);
        let costs = means(
            [("0", &run), ("1", &other)]
                .map(|(seed, run)| (seed.to_owned(), spent(run.path()).unwrap()))
                .into(),
        );
        let [cost] = &costs[..] else { panic!("{costs:?}") };
        assert_eq!((cost.stage.as_str(), cost.seeds, cost.seconds), ("round-01/policy", 1, 7.0));
        assert_eq!((cost.generated, cost.trained, cost.tflop), (0.0, 9000.0, 3.0));
    }

    #[test]
    fn counts_that_no_stage_can_have_are_no_panic() {
        let part = |part: usize| json!({"part": part, "policy_tokens": u64::MAX, "critic_tokens": u64::MAX, "tokens": u64::MAX, "flops": u64::MAX});
        let run = run_with(&[("round-01/evaluation", &[part(0), part(1)])]);
        assert_eq!(spent(run.path()).unwrap()["round-01/evaluation"].flops, u64::MAX);
    }

    #[test]
    fn a_line_that_is_no_cost_is_refused_with_its_file() {
        let run = run_with(&[("labels", &[json!({"elapsed_s": "soon"})])]);
        let failure = spent(run.path()).unwrap_err();
        assert!(failure.to_string().contains("labels/metrics.jsonl"), "{failure}");
    }
}
