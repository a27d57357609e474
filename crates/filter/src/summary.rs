//! The summary: how much was kept, and which criterion removed the rest.

use serde::Serialize;
use stage::Failure;

use crate::tally::{Brought, Cut, Tally};

/// The header of the table of counts.
const HEADER: [&str; 8] =
    ["prompts", "candidates", "kept", "yield", "mean score", "sft", "preferences", "steps"];

/// The summary as it is printed, and as a row of the metrics.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Prompts that have a trajectory.
    prompts: usize,
    /// Prompts that have a usable trajectory.
    candidates: usize,
    /// Prompts that have an example.
    kept: usize,
    /// `kept / prompts`; null without prompts.
    #[serde(rename = "yield")]
    share: Option<f64>,
    /// Mean critic score of the examples; null without any.
    mean_score: Option<f64>,
    pub(crate) sft: usize,
    pub(crate) preferences: usize,
    pub(crate) steps: usize,
    /// The criteria in the order they apply.
    criteria: Vec<Cut>,
    /// The yield of each operator, if the prompts were given.
    operators: Vec<Brought>,
}

/// The summary as JSON, with its status.
#[derive(Serialize)]
struct Report<'a> {
    status: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl Summary {
    /// Makes the summary of a tally of all prompts. `criteria` are those that were applied, in their order.
    pub(crate) fn new(tally: &Tally, criteria: impl Iterator<Item = &'static str>) -> Self {
        Self {
            prompts: tally.prompts,
            candidates: tally.candidates,
            kept: tally.kept,
            share: ratio(tally.kept as f64, tally.prompts),
            mean_score: ratio(tally.score, tally.sft),
            sft: tally.sft,
            preferences: tally.preferences,
            steps: tally.steps,
            criteria: tally.cuts(criteria),
            operators: tally.operators(),
        }
    }

    /// Prints the summary, and warns if no example was kept.
    pub(crate) fn print(&self, status: &str, json: bool) -> Result<(), Failure> {
        if self.sft == 0 {
            tracing::warn!(
                "no trajectory was kept: the examples are empty, and a policy that learns from them learns from the seeds \
                 alone, as its control does. {}",
                self.emptied_by()
            );
        }
        if json {
            return stage::print_json(&Report { status, summary: self });
        }
        let row = |one: &Cut| {
            vec![one.criterion.to_owned(), one.removed.to_string(), one.left.to_string()]
        };
        let criteria: Vec<Vec<String>> = self.criteria.iter().map(row).collect();
        stage::print_table("Trajectories", &["criterion", "removed", "left"], &criteria)?;
        if !self.operators.is_empty() {
            let rows: Vec<Vec<String>> = self.operators.iter().map(operator).collect();
            let header = ["operator", "prompts", "kept", "yield", "sft", "gain"];
            stage::print_table("\nOperators", &header, &rows)?;
        }
        let title = format!("\nPrompts and rows, {status}");
        stage::print_table(&title, &HEADER, &[self.cells()])
    }

    /// Names the criterion that removed the last trajectories.
    fn emptied_by(&self) -> String {
        match self.criteria.iter().find(|one| one.left == 0) {
            // The first criterion already had nothing to remove.
            Some(Cut { removed: 0, .. }) | None => {
                "There was no trajectory to begin with".to_owned()
            }
            Some(Cut { criterion, removed, .. }) => {
                format!(
                    "`{criterion}` removed the last {removed} of them: lower it, or look at what critics say of them"
                )
            }
        }
    }

    fn cells(&self) -> Vec<String> {
        let none = || "-".to_owned();
        vec![
            self.prompts.to_string(),
            self.candidates.to_string(),
            self.kept.to_string(),
            self.share.map_or_else(none, |share| format!("{:.1} %", 100.0 * share)),
            self.mean_score.map_or_else(none, |score| format!("{score:.4}")),
            self.sft.to_string(),
            self.preferences.to_string(),
            self.steps.to_string(),
        ]
    }
}

fn operator(of: &Brought) -> Vec<String> {
    // Never 0 prompts: an operator is listed from its first prompt on.
    let share = 100.0 * of.kept as f64 / of.prompts as f64;
    vec![
        of.operator.clone(),
        of.prompts.to_string(),
        of.kept.to_string(),
        format!("{share:.1} %"),
        of.sft.to_string(),
        format!("{:.3}", of.gain),
    ]
}

fn ratio(sum: f64, count: usize) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}
