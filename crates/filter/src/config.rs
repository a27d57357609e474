//! The preset.

use serde::{Deserialize, Serialize};
use stage::Failure;

/// Preset of `filter`. The thresholds have the precision of the columns they are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterConfig {
    /// An outcome reward has to be above this: `γ` of `f(x, y) > γ`, with the ORM as `f`. A negative value turns it
    /// off. The paper does not give it; the names of its checkpoints say 0.98.
    pub outcome_above: f32,
    /// Keep a trajectory only if the calculator found at least one equation in it that it could decide, and all such
    /// equations hold.
    pub require_calculator: bool,
    /// The least share of the prompt's trajectories that have the same answer, 0 to 1. A trajectory without an answer
    /// has 0. 0 turns it off.
    pub agreement_at_least: f32,
    /// The least calibrated chance that the answer is right, 0 to 1. 0 turns it off; above that, critiques without a
    /// confidence are refused.
    pub confidence_at_least: f32,
    /// Leave out what ended for lack of room or budget. Holds for pairs and step labels too.
    pub finished_only: bool,
    /// The decoders whose trajectories may be used, for example `["mcts"]`; none means all. Holds for pairs and step
    /// labels too. Agreement is counted over all decoders, whichever they are.
    pub decoders: Vec<String>,
    /// Examples a prompt, the best first; 1 or more. The paper keeps one.
    pub per_prompt: usize,
    /// What makes one trajectory better than another. Ties are decided by `rank`, then by id.
    pub rank_by: RankBy,
    /// How much the critics' score of a pair's better solution is above that of its worse one, at least; 0 or more.
    pub preference_margin: f32,
    /// Pairs a prompt; 0 makes none. The best example goes with the worst rejected solution, the second best with the
    /// second worst, and so on; the last example with all that are left.
    pub pairs_per_prompt: usize,
    /// A step is labelled good if its process reward is above this.
    pub step_threshold: f32,
    /// Rows a part; 0 puts all of them into one.
    pub chunk_rows: usize,
}

/// What trajectories of one prompt are ranked by; larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankBy {
    /// The critics combined.
    Score,
    /// The outcome reward.
    Outcome,
    /// The calibrated chance that the answer is right. Critiques without it are refused.
    Confidence,
    /// The mean return of the leaf in its tree; what has none comes last. The paper's choice.
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

    /// Whether something is decided by the calibrated confidence.
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
