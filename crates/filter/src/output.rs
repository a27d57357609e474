//! The three outputs, written together.

use std::path::Path;

use dataset::{Begin, METRICS, Output, Recipe};
use schema::{Preference, SftExample, Steps, Table};
use stage::{Failure, Metrics};

use crate::args::Args;
use crate::config::FilterConfig;
use crate::judged::Judged;
use crate::rows;
use crate::select::Selection;
use crate::summary::Summary;

/// The rows of the outputs, in the order of the prompts' ids.
pub(crate) struct Tables {
    pub(crate) sft: Vec<SftExample>,
    pub(crate) preferences: Vec<Preference>,
    pub(crate) steps: Vec<Steps>,
}

impl Tables {
    pub(crate) fn new(judged: &Judged, selection: &Selection, config: &FilterConfig) -> Self {
        let choices = || selection.choices.iter();
        let kept = choices().flat_map(|choice| &choice.kept);
        let usable = choices().flat_map(|choice| &choice.usable);
        Self {
            sft: kept.map(|pick| rows::example(judged, *pick)).collect(),
            preferences: choices().flat_map(|choice| rows::pairs(judged, choice, config)).collect(),
            steps: usable
                .filter_map(|pick| rows::steps(judged, *pick, config.step_threshold))
                .collect(),
        }
    }
}

/// One output: where, and what is left to do.
struct Pending<'a, T> {
    dir: &'a Path,
    chunk_rows: usize,
    /// `None` if it is there already.
    output: Option<Output<T>>,
}

impl<'a, T: Table> Pending<'a, T> {
    fn begin(
        dir: &'a Path,
        recipe: &Recipe,
        rows: &[T],
        chunk_rows: usize,
        force: bool,
    ) -> Result<Self, Failure> {
        let parts = dataset::chunk(rows.len(), chunk_rows).len();
        let output = match Output::begin(dir, recipe.clone(), parts, force)? {
            Begin::UpToDate(_) => None,
            Begin::Work(output) => Some(output),
        };
        Ok(Self { dir, chunk_rows, output })
    }

    /// Writes and commits it; whether there was something to do.
    fn write(self, rows: &[T], summary: &Summary) -> Result<bool, Failure> {
        let Some(output) = self.output else { return Ok(false) };
        let ranges = dataset::chunk(rows.len(), self.chunk_rows);
        for index in output.missing() {
            output.write_part(index, &rows[ranges[index].clone()])?;
        }
        let mut metrics = Metrics::open(&self.dir.join(METRICS))?;
        metrics.row(summary)?;
        output.commit()?;
        Ok(true)
    }
}

/// The three outputs, each held against other writers.
pub(crate) struct Outputs<'a> {
    sft: Pending<'a, SftExample>,
    preferences: Pending<'a, Preference>,
    steps: Pending<'a, Steps>,
}

impl<'a> Outputs<'a> {
    /// Begins all three before anything is written, so that one that is refused leaves the others alone.
    pub(crate) fn begin(
        args: &'a Args,
        recipe: &Recipe,
        tables: &Tables,
        chunk_rows: usize,
    ) -> Result<Self, Failure> {
        let force = args.common.force;
        let (sft, preferences) = (&args.out_sft, &args.out_preferences);
        Ok(Self {
            sft: Pending::begin(sft, recipe, &tables.sft, chunk_rows, force)?,
            preferences: Pending::begin(
                preferences,
                recipe,
                &tables.preferences,
                chunk_rows,
                force,
            )?,
            steps: Pending::begin(&args.out_steps, recipe, &tables.steps, chunk_rows, force)?,
        })
    }

    /// Writes what is not there yet, the examples last; whether there was anything.
    pub(crate) fn write(self, tables: &Tables, summary: &Summary) -> Result<bool, Failure> {
        let steps = self.steps.write(&tables.steps, summary)?;
        let preferences = self.preferences.write(&tables.preferences, summary)?;
        let sft = self.sft.write(&tables.sft, summary)?;
        Ok(steps || preferences || sft)
    }
}
