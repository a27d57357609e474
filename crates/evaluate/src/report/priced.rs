//! Costs of decoders, from the metrics in the folders of their evaluations.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SeedRun;
use crate::cost::{self, MeanCost};
use crate::rank::Rank;

/// The cost of a model's decoder per problem: the mean over the splits that were measured together, and over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecoderCost {
    /// The model.
    pub model: String,
    /// The decoder. Decoders that share their work each bear all of it.
    pub decoder: String,
    /// Number of seeds with metrics.
    pub seeds: usize,
    /// The means.
    #[serde(flatten)]
    pub cost: MeanCost,
}

/// Reads the costs of all decoders, by model in the order given, then by decoder.
pub(super) fn of_decoders(runs: &[SeedRun]) -> Result<Vec<DecoderCost>, dataset::Error> {
    // Not a map, which would lose the order given.
    let mut models: Vec<(&str, BTreeMap<String, Vec<MeanCost>>)> = Vec::new();
    for run in runs {
        let label = run.model.label.as_str();
        let at = models.iter().position(|(model, _)| *model == label).unwrap_or(models.len());
        if at == models.len() {
            models.push((label, BTreeMap::new()));
        }
        for (decoder, cost) in cost::costs(&run.model.dir)? {
            models[at].1.entry(decoder).or_default().push(cost);
        }
    }
    let mut found = Vec::new();
    for (model, decoders) in models {
        let mut decoders: Vec<(String, Vec<MeanCost>)> = decoders.into_iter().collect();
        decoders.sort_by(|(one, _), (two, _)| Rank::decoder(one).cmp(&Rank::decoder(two)));
        found.extend(decoders.into_iter().map(|(decoder, costs)| DecoderCost {
            model: model.to_owned(),
            decoder,
            seeds: costs.len(),
            cost: MeanCost::over(&costs),
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use dataset::{METRICS, MetricsLog};

    use super::*;

    #[test]
    fn costs_are_means_over_the_seeds_that_have_them() {
        let folder = tempfile::tempdir().unwrap();
        let run = |seed: &str, model: &str, group_costs: &[(&[&str], u64)]| {
            let dir = folder.path().join(format!("{seed}-{model}"));
            let mut log = MetricsLog::open(&dir.join(METRICS)).unwrap();
            for (part, (decoders, tokens)) in group_costs.iter().enumerate() {
                let line = serde_json::json!({
                    "part": part, "decoders": decoders, "problems": 10, "seconds": 0.5, "policy_tokens": tokens,
                    "critic_tokens": 0, "reused_tokens": 0, "judged": 20, "flops": 1_000_000_000_u64 * tokens,
                    "kept_bytes": 0, "evicted": 0,
                });
                log.append(&line).unwrap();
            }
            format!("{seed}:{model}={}", dir.display()).parse::<SeedRun>().unwrap()
        };
        let runs = [
            run("0", "base", &[(&["mcts-vote", "mcts-greedy"], 300), (&["greedy"], 100)]),
            run("1", "base", &[(&["mcts-vote", "mcts-greedy"], 500)]),
            run("0", "round 1", &[]),
        ];
        let found = of_decoders(&runs).unwrap();
        let figures: Vec<_> = found
            .iter()
            .map(|it| (it.decoder.as_str(), it.seeds, it.cost.through_models, it.cost.gflop))
            .collect();
        assert_eq!(
            figures,
            [
                ("greedy", 1, 10.0, 10.0),
                ("mcts-greedy", 2, 40.0, 40.0),
                ("mcts-vote", 2, 40.0, 40.0)
            ]
        );
        assert!(found.iter().all(|it| it.model == "base"));
        let judged: Vec<f64> = found.iter().map(|it| it.cost.judged).collect();
        assert_eq!(judged, [2.0; 3]);
    }
}
