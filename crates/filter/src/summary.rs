//! What was kept, and what removed the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stage::Failure;

use crate::judged::Judged;
use crate::output::Tables;
use crate::select::{Cut, Selection};

/// The columns of the counts.
const HEADER: [&str; 8] =
    ["prompts", "candidates", "kept", "yield", "mean score", "sft", "preferences", "steps"];

/// The summary: printed, and a row of the metrics.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Prompts that have a trajectory.
    prompts: usize,
    /// Prompts that have a trajectory which may be used.
    candidates: usize,
    /// Prompts that have an example.
    kept: usize,
    /// `kept / prompts`; null without prompts.
    #[serde(rename = "yield")]
    share: Option<f64>,
    /// Mean of the critics' score over the examples; null without any.
    mean_score: Option<f64>,
    sft: usize,
    preferences: usize,
    steps: usize,
    /// The criteria in the order in which they are asked.
    criteria: Vec<Cut>,
    /// What each operator brought, if the prompts were given.
    operators: Vec<Brought>,
}

/// What one operator brought.
#[derive(Debug, Clone, Default, Serialize)]
struct Brought {
    operator: String,
    /// Prompts that have a trajectory.
    prompts: usize,
    /// Prompts that have an example.
    kept: usize,
    sft: usize,
    /// What its prompts teach, 0 to 1: the mean over the prompts of how likely the policy would have said something else
    /// than the best example.
    gain: f64,
}

impl Brought {
    /// By operator, in the order of their names.
    fn all(judged: &Judged, selection: &Selection, tables: &Tables) -> Vec<Self> {
        let mut all = BTreeMap::<&str, Self>::new();
        let operator = |prompt: &str| judged.operators.get(prompt).map(String::as_str);
        let searched: BTreeSet<&str> =
            judged.trajectories.iter().map(|row| row.prompt_id.as_str()).collect();
        for name in searched.into_iter().filter_map(operator) {
            let brought = all.entry(name).or_default();
            name.clone_into(&mut brought.operator);
            brought.prompts += 1;
        }
        // The best of a prompt comes first.
        let bests = selection.choices.iter().scan(0, |at, choice| {
            let of = &tables.sft[*at..*at + choice.kept.len()];
            *at += choice.kept.len();
            Some(of)
        });
        for of in bests {
            let Some(best) = of.first() else { continue };
            if let Some(brought) = operator(&best.prompt_id).and_then(|name| all.get_mut(name)) {
                brought.kept += 1;
                brought.sft += of.len();
                brought.gain += best.news();
            }
        }
        let mean = |one: Self| Self { gain: one.gain / one.prompts as f64, ..one };
        all.into_values().map(mean).collect()
    }

    fn cells(&self) -> Vec<String> {
        let share = 100.0 * self.kept as f64 / self.prompts as f64;
        vec![
            self.operator.clone(),
            self.prompts.to_string(),
            self.kept.to_string(),
            format!("{share:.1} %"),
            self.sft.to_string(),
            format!("{:.3}", self.gain),
        ]
    }
}

/// The summary for programs.
#[derive(Serialize)]
struct Report<'a> {
    status: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl Summary {
    pub(crate) fn new(judged: &Judged, selection: &Selection, tables: &Tables) -> Self {
        let kept = selection.choices.iter().filter(|choice| !choice.kept.is_empty()).count();
        let scores = tables.sft.iter().filter_map(|example| example.score).map(f64::from);
        Self {
            prompts: selection.prompts,
            candidates: selection.choices.len(),
            kept,
            share: ratio(kept as f64, selection.prompts),
            mean_score: ratio(scores.sum(), tables.sft.len()),
            sft: tables.sft.len(),
            preferences: tables.preferences.len(),
            steps: tables.steps.len(),
            criteria: selection.removed.clone(),
            operators: Brought::all(judged, selection, tables),
        }
    }

    /// Prints it; says so if nothing is left to learn from.
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
            let rows: Vec<Vec<String>> = self.operators.iter().map(Brought::cells).collect();
            let header = ["operator", "prompts", "kept", "yield", "sft", "gain"];
            stage::print_table("\nOperators", &header, &rows)?;
        }
        let title = format!("\nPrompts and rows, {status}");
        stage::print_table(&title, &HEADER, &[self.cells()])
    }

    /// Which criterion took what was left.
    fn emptied_by(&self) -> String {
        match self.criteria.iter().find(|one| one.left == 0) {
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

fn ratio(sum: f64, count: usize) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}
