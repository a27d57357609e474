//! Counts over all prompts.

use std::collections::BTreeMap;

use schema::SftExample;
use serde::Serialize;

use crate::inputs::Searched;
use crate::rows::Rows;
use crate::select::Choice;

/// The counts of all prompts added so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Prompts that have a trajectory.
    pub(crate) prompts: usize,
    /// Prompts that have a usable trajectory.
    pub(crate) candidates: usize,
    /// Prompts that have an example.
    pub(crate) kept: usize,
    /// Trajectories, before any criterion.
    trajectories: usize,
    /// Trajectories removed, by criterion.
    removed: BTreeMap<&'static str, usize>,
    /// Sum of the critic scores of the examples.
    pub(crate) score: f64,
    pub(crate) sft: usize,
    pub(crate) preferences: usize,
    pub(crate) steps: usize,
    /// Prompts, examples and gain of each operator, by name; empty unless the prompts were given.
    operators: BTreeMap<String, Brought>,
}

/// How many trajectories one criterion removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Cut {
    pub(crate) criterion: &'static str,
    pub(crate) removed: usize,
    /// Trajectories left after it.
    pub(crate) left: usize,
}

/// The yield of one operator.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Brought {
    pub(crate) operator: String,
    /// Its prompts that have a trajectory. Those that were made but not searched do not count against it.
    pub(crate) prompts: usize,
    /// Its prompts that have an example.
    pub(crate) kept: usize,
    pub(crate) sft: usize,
    /// How much its prompts teach, 0 to 1: the mean over its prompts of `1 - p(y | x)`, the policy's probability of writing
    /// anything but the best example `y`.
    pub(crate) gain: f64,
}

impl Tally {
    /// Adds a prompt, the choice among its trajectories, and the rows made from it.
    pub(crate) fn add(&mut self, searched: &Searched<'_>, choice: &Choice<'_>, rows: &Rows) {
        self.prompts += 1;
        self.candidates += usize::from(!choice.usable.is_empty());
        self.kept += usize::from(!rows.sft.is_empty());
        self.trajectories += searched.judged.len();
        for (_, criterion) in &choice.removed {
            *self.removed.entry(criterion).or_default() += 1;
        }
        let scores = rows.sft.iter().filter_map(|example| example.score);
        self.score = scores.fold(self.score, |sum, score| sum + f64::from(score));
        self.sft += rows.sft.len();
        self.preferences += rows.preferences.len();
        self.steps += rows.steps.len();
        if let Some(asked) = searched.asked {
            self.operators.entry(asked.operator.clone()).or_default().add(&rows.sft);
        }
    }

    /// Returns how many trajectories each of these criteria removed, and how many it left.
    pub(crate) fn cuts(&self, criteria: impl Iterator<Item = &'static str>) -> Vec<Cut> {
        let mut left = self.trajectories;
        let cut = |criterion| {
            let removed = self.removed.get(criterion).copied().unwrap_or_default();
            left -= removed;
            Cut { criterion, removed, left }
        };
        criteria.map(cut).collect()
    }

    /// Returns the yield of each operator, sorted by name.
    pub(crate) fn operators(&self) -> Vec<Brought> {
        let mean = |(operator, sum): (&String, &Brought)| Brought {
            operator: operator.clone(),
            // Over all searched prompts: one without an example counts 0.
            gain: sum.gain / sum.prompts as f64,
            ..sum.clone()
        };
        self.operators.iter().map(mean).collect()
    }
}

impl Brought {
    /// Adds the examples of one prompt, best first. Until [`Tally::operators`] divides it, `gain` is a sum.
    fn add(&mut self, examples: &[SftExample]) {
        self.prompts += 1;
        self.kept += usize::from(!examples.is_empty());
        self.sft += examples.len();
        self.gain += examples.first().map_or(0.0, SftExample::news);
    }
}
