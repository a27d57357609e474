//! The preset.

use serde::{Deserialize, Serialize};
use stage::Failure;

/// The preset's `filter.toml`. Thresholds are `f32`, like the columns they are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterConfig {
    /// The outcome reward must be above this: `γ` of `f(x, y) > γ`, with the ORM as `f`. A negative value turns the
    /// criterion off. The paper does not give a value; the names of its checkpoints say 0.98.
    pub outcome_above: f32,
    /// Keep a trajectory only if the calculator could decide at least one equation in it, and all that it could decide
    /// hold.
    pub require_calculator: bool,
    /// The least agreement, 0 to 1: the share of the prompt's trajectories that have the same answer, weighted as
    /// `critique.toml` says. A trajectory without an answer has 0. 0 turns the criterion off.
    pub agreement_at_least: f32,
    /// The least calibrated probability that the answer is right, 0 to 1. 0 turns the criterion off; above 0, critiques
    /// without a confidence are refused.
    pub confidence_at_least: f32,
    /// Leave out solutions that ended for lack of room or budget. Applies to pairs and step labels too.
    pub finished_only: bool,
    /// The decoders whose trajectories may be used, for example `["mcts"]`; an empty list means all. Applies to pairs and
    /// step labels too, but not to agreement, which `critique score` has counted over all decoders.
    pub decoders: Vec<String>,
    /// Examples to keep per prompt, best first; at least 1. The paper keeps one.
    pub per_prompt: usize,
    /// How trajectories of one prompt are ranked. Ties are broken by `rank`, then by id.
    pub rank_by: RankBy,
    /// The least difference between the critic scores of a pair's two solutions; 0 or more.
    pub preference_margin: f32,
    /// Pairs per prompt; 0 makes none. The best example is paired with the worst rejected solution, the second best with
    /// the second worst, and so on; the last example takes all rejected solutions that are left.
    pub pairs_per_prompt: usize,
    /// A step is labelled good if its process reward is above this.
    pub step_threshold: f32,
    /// Rows per part; 0 writes a single part.
    pub chunk_rows: usize,
}

/// The ranking of the trajectories of one prompt; larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankBy {
    /// The critics' combined score.
    Score,
    /// The outcome reward.
    Outcome,
    /// The calibrated probability that the answer is right. Critiques without one are refused.
    Confidence,
    /// The mean return of the leaf in its tree, the paper's choice. Trajectories without one come last.
    Q,
}

impl FilterConfig {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let refuse = |name: &str, value: f32, range: &str| {
            Err(Failure::config(format!("`{name}` is {value}: it has to be {range}")))
        };
        for (name, value) in
            [("outcome_above", self.outcome_above), ("step_threshold", self.step_threshold)]
        {
            if !value.is_finite() {
                return refuse(name, value, "a number");
            }
        }
        for (name, share) in [
            ("agreement_at_least", self.agreement_at_least),
            ("confidence_at_least", self.confidence_at_least),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return refuse(name, share, "0 to 1");
            }
        }
        if !self.preference_margin.is_finite() || self.preference_margin < 0.0 {
            return refuse("preference_margin", self.preference_margin, "0 or more");
        }
        if self.per_prompt == 0 {
            return Err(Failure::config("`per_prompt` is 0: it has to be 1 or more"));
        }
        Ok(())
    }

    /// Whether any setting needs the calibrated confidence.
    pub(crate) fn asks_confidence(&self) -> bool {
        self.confidence_at_least > 0.0 || self.rank_by == RankBy::Confidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_thresholds_are_refused_by_name() {
        let good = crate::judged::fixtures::config();
        assert!(good.check().is_ok());
        let cases = [
            ("outcome_above", FilterConfig { outcome_above: f32::NAN, ..good.clone() }),
            ("agreement_at_least", FilterConfig { agreement_at_least: 1.5, ..good.clone() }),
            ("confidence_at_least", FilterConfig { confidence_at_least: -0.5, ..good.clone() }),
            ("preference_margin", FilterConfig { preference_margin: -0.1, ..good.clone() }),
            ("step_threshold", FilterConfig { step_threshold: f32::INFINITY, ..good.clone() }),
            ("per_prompt", FilterConfig { per_prompt: 0, ..good }),
        ];
        for (name, config) in cases {
            let failure = config.check().unwrap_err();
            assert_eq!(failure.exit(), stage::Exit::Config);
            assert!(failure.to_string().contains(name), "{failure}");
        }
    }
}
