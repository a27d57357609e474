//! The agreement among a prompt's solutions on their answer.

use critic::agreement::{self, Voter};
use schema::Trajectory;
use serde::{Deserialize, Serialize};
use stage::Failure;

/// The section `[agreement]`: how much a solution weighs in the agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Agreement {
    /// Whether a solution weighs its outcome reward; otherwise all solutions with an answer weigh the same.
    pub(super) outcome: bool,
    /// The power of the policy's probability of the solution in its weight, in [0, 1]; 0 leaves the probability out. With
    /// 0.25, two solutions that differ by 4 nats differ by a factor of e.
    pub(super) likelihood: f64,
}

impl Agreement {
    /// For every trajectory with an answer, that answer's share of the total weight of its prompt's answers, in [0, 1].
    pub(super) fn shares(
        &self,
        rows: &[Trajectory],
        outcomes: &[f32],
    ) -> Result<Vec<Option<f32>>, Failure> {
        let weigh = |(row, &outcome): (&Trajectory, &f32)| match row.answer {
            Some(_) => self.weight(row, outcome),
            None => Ok(0.0),
        };
        let weights: Vec<f64> =
            rows.iter().zip(outcomes).map(weigh).collect::<Result<_, Failure>>()?;
        let voters: Vec<Voter<'_>> = rows
            .iter()
            .zip(weights)
            .map(|(row, weight)| Voter {
                group: &row.prompt_id,
                answer: row.answer.as_deref(),
                weight,
            })
            .collect();
        Ok(agreement::shares(&voters).into_iter().map(|share| share.map(|s| s as f32)).collect())
    }

    fn weight(&self, row: &Trajectory, outcome: f32) -> Result<f64, Failure> {
        let outcome = if self.outcome { f64::from(outcome) } else { 1.0 };
        // Returns before the log-probability is needed, which tables from elsewhere may lack.
        if self.likelihood == 0.0 {
            return Ok(outcome);
        }
        let Some(logprob) = row.logprob else {
            let message = format!("trajectory {} has no log-probability", row.trajectory_id);
            return Err(Failure::data(message).hint("set agreement.likelihood to 0"));
        };
        Ok(outcome * (self.likelihood * f64::from(logprob)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `5` has two of three votes, half of the outcome rewards, and a larger share by likelihood.
    #[test]
    fn agreement_counts_what_the_preset_says() {
        let row = |prompt: &str, answer: Option<&str>, logprob: Option<f32>| Trajectory {
            prompt_id: prompt.to_owned(),
            answer: answer.map(str::to_owned),
            logprob,
            ..Trajectory::default()
        };
        let rows = [
            row("a", Some("5"), Some(0.5f32.ln())),
            row("a", Some("7"), Some(0.5f32.ln() * 2.0)),
            row("a", Some("5"), Some(0.5f32.ln())),
            row("a", None, None),
            row("b", Some("5"), Some(-1.0)),
        ];
        let outcomes = [0.25, 0.5, 0.25, 0.0, 0.0];
        let shares = |outcome, likelihood| {
            let all = Agreement { outcome, likelihood }.shares(&rows, &outcomes).unwrap();
            all.into_iter().map(|share| share.map(|s| (s * 1e3).round())).collect::<Vec<_>>()
        };
        let (third, half) = (Some(333.0), Some(500.0));
        assert_eq!(shares(false, 0.0), [Some(667.0), third, Some(667.0), None, Some(1000.0)]);
        assert_eq!(shares(true, 0.0), [half, half, half, None, Some(0.0)]);
        assert_eq!(shares(true, 1.0)[..2], [Some(667.0), third]);
        let unknown = [row("c", Some("5"), None)];
        let likely = Agreement { outcome: true, likelihood: 0.5 };
        let failure = likely.shares(&unknown, &[0.5]).unwrap_err();
        assert!(failure.to_string().contains("log-probability"), "{failure}");
    }
}
