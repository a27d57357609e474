//! Costs of the stages of a run, from the metrics in their output folders.

use std::collections::BTreeMap;
use std::path::Path;

use dataset::METRICS;
use serde::Serialize;
use stage::{Failure, Spent};

use super::folder::{self, BySeed};

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

/// Reads the costs of all stages below a run's folder, by output folder.
pub(super) fn spent(run: &Path) -> Result<BTreeMap<String, Spent>, Failure> {
    folder::each(run, METRICS, Spent::of)
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
    use dataset::MetricsLog;
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
