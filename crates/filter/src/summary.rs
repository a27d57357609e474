//! The summary: how much was kept, and which criterion removed the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stage::Failure;

use crate::judged::Judged;
use crate::output::Tables;
use crate::select::{Cut, Selection};

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
    sft: usize,
    preferences: usize,
    steps: usize,
    /// The criteria in the order they apply.
    criteria: Vec<Cut>,
    /// The yield of each operator, if the prompts were given.
    operators: Vec<Brought>,
}

/// The yield of one operator.
#[derive(Debug, Clone, Default, Serialize)]
struct Brought {
    operator: String,
    /// Its prompts that have a trajectory.
    prompts: usize,
    /// Its prompts that have an example.
    kept: usize,
    sft: usize,
    /// How much its prompts teach, 0 to 1: the mean over its prompts of `1 - p(y | x)`, the policy's probability of writing
    /// anything but the best example `y`.
    gain: f64,
}

impl Brought {
    /// The yields of all operators, sorted by name.
    fn all(judged: &Judged, selection: &Selection, tables: &Tables) -> Vec<Self> {
        let mut all = BTreeMap::<&str, Self>::new();
        let operator = |prompt: &str| judged.operators.get(prompt).map(String::as_str);
        // A prompt that was made but has no trajectory does not count against its operator.
        let searched: BTreeSet<&str> =
            judged.trajectories.iter().map(|row| row.prompt_id.as_str()).collect();
        for name in searched.into_iter().filter_map(operator) {
            let brought = all.entry(name).or_default();
            name.clone_into(&mut brought.operator);
            brought.prompts += 1;
        }
        // `tables.sft` has the examples of one choice after those of another, each prompt's best first.
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
        // The mean is over all searched prompts: one without an example counts 0.
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

/// The summary as JSON, with its status.
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
            let rows: Vec<Vec<String>> = self.operators.iter().map(Brought::cells).collect();
            let header = ["operator", "prompts", "kept", "yield", "sft", "gain"];
            stage::print_table("\nOperators", &header, &rows)?;
        }
        let title = format!("\nPrompts and rows, {status}");
        stage::print_table(&title, &HEADER, &[self.cells()])
    }

    /// Names the criterion that removed the last trajectories.
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
