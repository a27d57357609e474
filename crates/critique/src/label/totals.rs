//! The counters of a run of `critique label`.

use std::collections::BTreeMap;

use critic::Classes;
use decoding::Cost;
use serde::Serialize;
use stage::Failure;

/// Counts of problems and solutions, and the cost of writing those, in this run.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Totals {
    pub(super) problems: usize,
    pub(super) too_long: usize,
    /// Solutions left out because, with the marks that a critic reads, they no longer fit the policy's context.
    pub(super) unreadable: usize,
    pub(super) solutions: usize,
    pub(super) right: usize,
    /// Solutions from which no answer can be read.
    pub(super) without_answer: usize,
    /// Class counts of all labels by split, those of resumed runs included; only in the last row of the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<BTreeMap<&'static str, Classes>>,
    pub(super) tokens: u64,
    #[serde(flatten)]
    pub(super) cost: Cost,
}

impl Totals {
    pub(super) fn warn(&self) {
        if self.unreadable > 0 {
            tracing::warn!(
                "{} of {} solutions fill the policy's context, and with marks for the critics are longer: left out",
                self.unreadable,
                self.unreadable + self.solutions
            );
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return stage::print_json(self);
        }
        let share = format!("{:.1} %", self.right as f64 * 100.0 / self.solutions.max(1) as f64);
        let row = vec![
            self.problems.to_string(),
            self.solutions.to_string(),
            share,
            self.tokens.to_string(),
        ];
        stage::print_table("label", &["problems", "solutions", "right", "tokens"], &[row])
    }
}
