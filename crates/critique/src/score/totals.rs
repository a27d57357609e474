//! The counters of a run of `critique score`.

use std::collections::BTreeMap;
use std::path::Path;

use dataset::{METRICS, MetricsLog};
use decoding::Cost;
use schema::critiques::Check;
use schema::{Critique, Trajectory};
use serde::Serialize;
use stage::Failure;

/// Counts of the critiques made in this run, and the cost of their scores.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Totals {
    trajectories: usize,
    /// Trajectories whose scores came from the search.
    pub(super) judged_before: usize,
    /// Of the others, those longer than a critic's context.
    pub(super) unread: u64,
    /// Trajectories with an end and an answer: only these can be right.
    answered: usize,
    /// The smallest and the largest outcome reward among the answered ones.
    outcomes: Option<[f32; 2]>,
    calculator_holds: usize,
    outcome_above_half: usize,
    score: f64,
    #[serde(flatten)]
    pub(super) cost: Cost,
}

impl Totals {
    pub(super) fn add(&mut self, rows: &[Trajectory], critiques: &[Critique]) {
        for (row, critique) in rows.iter().zip(critiques) {
            if row.can_be_right() {
                let outcome = critique.outcome_reward;
                let [least, most] = self.outcomes.unwrap_or([outcome; 2]);
                self.outcomes = Some([least.min(outcome), most.max(outcome)]);
                self.answered += 1;
            }
        }
        let holds = |c: &&Critique| Check::all_hold(&c.checks);
        self.trajectories += critiques.len();
        self.calculator_holds += critiques.iter().filter(holds).count();
        self.outcome_above_half += critiques.iter().filter(|c| c.outcome_reward > 0.5).count();
        self.score += critiques.iter().map(|c| f64::from(c.score)).sum::<f64>();
    }

    /// Counts the trajectories that no shard could read, from the metrics that the merge has gathered. The other counts stay 0.
    ///
    /// # Errors
    /// Metrics that cannot be read.
    pub(super) fn of_shards(dir: &Path) -> Result<Self, Failure> {
        // Running totals: the last row of each start counts.
        let rows = MetricsLog::read(&dir.join(METRICS))?;
        let last: BTreeMap<Option<u64>, u64> = rows
            .iter()
            .filter_map(|row| Some((row["start"].as_u64(), row["unread"].as_u64()?)))
            .collect();
        let unread = last.into_values().fold(0, u64::saturating_add);
        Ok(Self { unread, ..Self::default() })
    }

    pub(super) fn warn_of_unread(&self, all: usize) {
        if self.unread > 0 {
            tracing::warn!(
                "{} of {all} trajectories are longer than a critic's context: what it did not read is worth 0",
                self.unread
            );
        }
    }

    pub(super) fn warn(&self) {
        self.warn_of_unread(self.trajectories);
        if let Some(nothing) = self.tells_nothing_apart() {
            tracing::warn!("{nothing}");
        }
    }

    /// Fails as soon as more than half of *all* trajectories are known to be too long. Measured against the whole and not
    /// against what was read so far: parts differ in length, and an earlier run may have judged some of them.
    pub(super) fn require(&self, all: usize) -> Result<(), Failure> {
        if self.unread <= all as u64 / 2 {
            return Ok(());
        }
        let message = format!(
            "{} of {all} trajectories at least are longer than a critic's context",
            self.unread
        );
        Err(Failure::data(message)
            .hint("take critics with a longer context, or shorter prompts and solutions"))
    }

    /// Why this run's scores cannot tell solutions apart; `None` if they can.
    fn tells_nothing_apart(&self) -> Option<String> {
        let Self { trajectories, answered, .. } = *self;
        match self.outcomes {
            None if trajectories > 0 => Some(format!(
                "0 of {trajectories} trajectories have an end and an answer: all count as wrong"
            )),
            Some([least, most]) if answered > 1 && least >= most => Some(format!(
                "all of {answered} solutions have the outcome reward {least}: these critics tell nothing apart"
            )),
            _ => None,
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return stage::print_json(self);
        }
        let share =
            |part: usize| format!("{:.1} %", part as f64 * 100.0 / self.trajectories.max(1) as f64);
        let row = vec![
            self.trajectories.to_string(),
            share(self.calculator_holds),
            share(self.outcome_above_half),
            format!("{:.3}", self.score / self.trajectories.max(1) as f64),
        ];
        let header = ["trajectories", "calculator holds", "outcome > 0.5", "mean score"];
        stage::print_table("critique", &header, &[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_error_when_critics_cannot_read_most() {
        let require = |trajectories, unread, all| {
            Totals { trajectories, unread, ..Totals::default() }.require(all)
        };
        require(8, 4, 8).unwrap();
        // The first part may have the longest ones: the other six are not known yet.
        require(2, 2, 8).unwrap();
        let failure = require(6, 5, 8).unwrap_err();
        assert_eq!(failure.exit(), stage::Exit::Data);
        assert!(failure.to_string().contains("5 of 8 trajectories"), "{failure}");
    }

    #[test]
    fn critics_that_say_one_thing_of_all_are_named() {
        let row = |answer: Option<&str>| Trajectory {
            answer: answer.map(str::to_owned),
            finished: true,
            ..Trajectory::default()
        };
        let of = |outcomes: &[(Option<&str>, f32)]| {
            let mut totals = Totals::default();
            for &(answer, outcome_reward) in outcomes {
                totals.add(&[row(answer)], &[Critique { outcome_reward, ..Critique::default() }]);
            }
            totals.tells_nothing_apart()
        };
        let (some, none) = (Some("5"), None);
        let constant = of(&[(some, 0.5), (none, 0.0), (some, 0.5)]).unwrap();
        assert!(
            constant.starts_with("all of 2 solutions have the outcome reward 0.5"),
            "{constant}"
        );
        let mute = of(&[(none, 0.0), (none, 0.0)]).unwrap();
        assert!(mute.starts_with("0 of 2 trajectories have an end and an answer"), "{mute}");
        for fine in [&[(some, 0.5), (some, 0.75)][..], &[(some, 0.5)], &[]] {
            assert_eq!(of(fine), None);
        }
    }

    #[test]
    fn a_merge_knows_what_all_shards_could_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let lines = [
            r#"{"start":0,"elapsed_s":1.0,"unread":1}"#,
            r#"{"start":0,"elapsed_s":2.0,"unread":3}"#,
            r#"{"start":1,"elapsed_s":1.0,"unread":2}"#,
            r#"{"start":2,"elapsed_s":1.0,"outputs":7}"#,
        ];
        std::fs::write(dir.path().join(METRICS), lines.join("\n") + "\n").unwrap();
        let totals = Totals::of_shards(dir.path()).unwrap();
        assert_eq!(totals.unread, 5);
        totals.require(10).unwrap();
        assert!(totals.require(9).is_err());
    }
}
