//! The costs of decoders, in the metrics beside an evaluation. Times are kept out of the evaluation's rows, which are
//! the same in every run.

use std::collections::BTreeMap;
use std::path::Path;

use dataset::{METRICS, MetricsLog};
use decoding::Cost;
use serde::{Deserialize, Serialize};

/// The cost of decoders that share their work, for some problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DecodingCost {
    /// Names of the decoders.
    pub(crate) decoders: Vec<String>,
    /// Number of problems.
    pub(crate) problems: usize,
    /// Wall-clock time in seconds.
    pub(crate) seconds: f64,
    /// Generated tokens.
    #[serde(default)]
    pub(crate) tokens: u64,
    /// Tokens through the models, and judgements of the critics.
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

/// A line of the metrics.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CostRow {
    /// The part of the dataset. A part that was measured again counts once.
    pub(crate) part: usize,
    /// The cost of the part.
    #[serde(flatten)]
    pub(crate) group_cost: DecodingCost,
}

/// Means per problem, over all splits that were measured together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanCost {
    /// Tokens through a model, read or generated, by policies and critics.
    pub through_models: f64,
    /// 10⁹ floating point operations of models, as [`lm::ModelConfig::layer_flops`] counts them. Those of servers are
    /// unknown and count as 0.
    pub gflop: f64,
    /// Solutions and states that the critics judged.
    pub judged: f64,
    /// Wall-clock milliseconds, with many problems decoded at once.
    pub milliseconds: f64,
}

impl MeanCost {
    /// The mean of several costs, at least one.
    pub(crate) fn over(all: &[Self]) -> Self {
        let mean =
            |figure: fn(&Self) -> f64| all.iter().map(figure).sum::<f64>() / all.len() as f64;
        Self {
            through_models: mean(|it| it.through_models),
            gflop: mean(|it| it.gflop),
            judged: mean(|it| it.judged),
            milliseconds: mean(|it| it.milliseconds),
        }
    }
}

/// Reads the mean cost of each decoder of an evaluation, by name. Decoders that share their work each bear all of it.
/// Empty if there are no metrics.
pub(crate) fn costs(measurement: &Path) -> Result<BTreeMap<String, MeanCost>, dataset::Error> {
    let lines = MetricsLog::read(&measurement.join(METRICS))?;
    let mut last = BTreeMap::new();
    for line in lines {
        // Other kinds of lines are skipped.
        if let Ok(CostRow { part, group_cost }) = serde_json::from_value(line) {
            // Later lines replace earlier ones: a part that was killed and measured again was paid for twice but counts
            // once.
            last.insert((part, group_cost.decoders.clone()), group_cost);
        }
    }
    let mut sums = BTreeMap::<String, DecodingCost>::new();
    for group_cost in last.into_values() {
        for decoder in &group_cost.decoders {
            let sum = sums.entry(decoder.clone()).or_insert_with(|| DecodingCost {
                decoders: Vec::new(),
                problems: 0,
                seconds: 0.0,
                tokens: 0,
                cost: Cost::default(),
            });
            // Saturating, because a metrics file may contain any number.
            sum.problems = sum.problems.saturating_add(group_cost.problems);
            sum.seconds += group_cost.seconds;
            sum.tokens = sum.tokens.saturating_add(group_cost.tokens);
            sum.cost += group_cost.cost;
        }
    }
    Ok(sums.into_iter().map(|(decoder, sum)| (decoder, sum.mean())).collect())
}

impl DecodingCost {
    fn mean(&self) -> MeanCost {
        // A line of no problems must not divide by 0.
        let per = |total: f64| total / self.problems.max(1) as f64;
        MeanCost {
            through_models: per(self.cost.policy_tokens as f64 + self.cost.critic_tokens as f64),
            gflop: per(self.cost.flops as f64 / 1e9),
            judged: per(self.cost.judged as f64),
            milliseconds: per(self.seconds * 1e3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_one_that_was_measured_again_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = MetricsLog::open(&folder.path().join(METRICS)).unwrap();
        let line = |part, seconds| CostRow {
            part,
            group_cost: DecodingCost {
                decoders: vec!["mcts-vote".to_owned(), "mcts-rerank".to_owned()],
                problems: 10,
                seconds,
                tokens: 30,
                cost: Cost {
                    policy_tokens: 600,
                    critic_tokens: 200,
                    reused_tokens: 9,
                    judged: 50,
                    flops: 2_000_000_000,
                    ..Cost::default()
                },
            },
        };
        log.append(&line(0, 9.0)).unwrap();
        log.append(&serde_json::json!({"problems": 3})).unwrap();
        log.append(&line(0, 1.0)).unwrap();
        log.append(&line(1, 2.0)).unwrap();
        let costs = costs(folder.path()).unwrap();
        let expected =
            MeanCost { through_models: 80.0, gflop: 0.2, judged: 5.0, milliseconds: 150.0 };
        assert_eq!(costs["mcts-vote"], expected);
        assert_eq!(costs["mcts-rerank"], expected);
    }
}
