//! The three outputs, written as a unit.

use std::ops::Range;
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

/// The rows of the outputs, ordered by prompt id.
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

/// One output before anything is written: its folder, its parts, and whether it is complete already.
struct Pending<'a, T> {
    dir: &'a Path,
    ranges: Vec<Range<usize>>,
    begun: Begin<Output<T>>,
}

impl<'a, T: Table> Pending<'a, T> {
    fn begin(
        dir: &'a Path,
        recipe: &Recipe,
        rows: &[T],
        chunk_rows: usize,
        force: bool,
    ) -> Result<Self, Failure> {
        let ranges = dataset::chunk(rows.len(), chunk_rows);
        let begun = Output::begin(dir, recipe.clone(), ranges.len(), force)?;
        Ok(Self { dir, ranges, begun })
    }

    fn is_complete(&self) -> bool {
        matches!(self.begun, Begin::UpToDate(_))
    }

    /// Discards the parts that are there, to write all of them again.
    fn anew(self, recipe: &Recipe) -> Result<Open<'a, T>, Failure> {
        let Self { dir, ranges, begun } = self;
        let output = match begun {
            Begin::UpToDate(_) => Output::again(dir, recipe.clone(), ranges.len())?,
            Begin::Work(output) => output,
        };
        output.discard_parts()?;
        Ok(Open { dir, ranges, output })
    }
}

/// An output that has no parts yet.
struct Open<'a, T> {
    dir: &'a Path,
    ranges: Vec<Range<usize>>,
    output: Output<T>,
}

impl<T: Table> Open<'_, T> {
    /// Writes all parts and the metrics, and commits.
    fn write(self, rows: &[T], summary: &Summary) -> Result<(), Failure> {
        for (index, range) in self.ranges.into_iter().enumerate() {
            self.output.write_part(index, &rows[range])?;
        }
        let mut metrics = Metrics::open(&self.dir.join(METRICS))?;
        metrics.row(summary)?;
        self.output.commit()?;
        Ok(())
    }
}

/// The three outputs, each locked against other writers.
pub(crate) struct Outputs<'a> {
    sft: Pending<'a, SftExample>,
    preferences: Pending<'a, Preference>,
    steps: Pending<'a, Steps>,
}

impl<'a> Outputs<'a> {
    /// Begins all three before writing any, so that if one is refused the others are untouched.
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

    /// Writes all three, the SFT examples last, unless all are complete; returns whether it wrote. If only some are
    /// complete, all are written again: those could be from another version of this program, and the three must come from
    /// one run.
    pub(crate) fn write(
        self,
        recipe: &Recipe,
        tables: &Tables,
        summary: &Summary,
    ) -> Result<bool, Failure> {
        let Self { sft, preferences, steps } = self;
        if sft.is_complete() && preferences.is_complete() && steps.is_complete() {
            return Ok(false);
        }
        // The SFT examples stand for the whole (`make` and fine-tuning wait for them), so they are the first to go.
        let sft = sft.anew(recipe)?;
        let (preferences, steps) = (preferences.anew(recipe)?, steps.anew(recipe)?);
        steps.write(&tables.steps, summary)?;
        preferences.write(&tables.preferences, summary)?;
        sft.write(&tables.sft, summary)?;
        Ok(true)
    }
}
