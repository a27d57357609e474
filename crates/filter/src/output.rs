//! The three outputs, written as a unit.

use std::path::Path;

use dataset::{Begin, METRICS, Mode, Output, Recipe};
use schema::{Preference, SftExample, Steps, Table};
use stage::{Failure, Metrics};

use crate::args::Args;
use crate::rows::Rows;
use crate::summary::Summary;

/// One output before anything is written: its folder, its parts, and whether it is complete already.
struct Pending<'a, T> {
    dir: &'a Path,
    parts: usize,
    /// Rows per part; 0 for a single part.
    chunk_rows: usize,
    begun: Begin<Output<T>>,
}

impl<'a, T: Table> Pending<'a, T> {
    fn begin(
        dir: &'a Path,
        recipe: &Recipe,
        rows: usize,
        chunk_rows: usize,
        force: bool,
    ) -> Result<Self, Failure> {
        let parts = dataset::chunk(rows, chunk_rows).len();
        let begun = Output::begin(dir, recipe.clone(), parts, Mode::only(force))?;
        Ok(Self { dir, parts, chunk_rows, begun })
    }

    fn is_complete(&self) -> bool {
        matches!(self.begun, Begin::UpToDate(_))
    }

    /// Discards the parts that are there, to write all of them again.
    fn anew(self, recipe: &Recipe) -> Result<Open<'a, T>, Failure> {
        let Self { dir, parts, chunk_rows, begun } = self;
        let output = match begun {
            Begin::UpToDate(_) => Output::again(dir, recipe.clone(), parts)?,
            Begin::Work(output) => output,
        };
        output.discard_parts()?;
        Ok(Open { dir, chunk_rows, output, written: 0, rows: Vec::new() })
    }
}

/// An output that is being written, part after part.
struct Open<'a, T> {
    dir: &'a Path,
    chunk_rows: usize,
    output: Output<T>,
    /// Parts written so far.
    written: usize,
    /// The rows of the next part.
    rows: Vec<T>,
}

impl<T: Table> Open<'_, T> {
    /// Adds rows, and writes a part whenever there are enough for one.
    fn add(&mut self, rows: Vec<T>) -> Result<(), Failure> {
        for row in rows {
            self.rows.push(row);
            // Never true for a `chunk_rows` of 0, which asks for a single part.
            if self.rows.len() == self.chunk_rows {
                self.write_part()?;
            }
        }
        Ok(())
    }

    fn write_part(&mut self) -> Result<(), Failure> {
        self.output.write_part(self.written, &self.rows)?;
        self.written += 1;
        self.rows.clear();
        Ok(())
    }

    /// Writes the last part and the metrics, and commits.
    fn commit(mut self, summary: &Summary) -> Result<(), Failure> {
        // Without any rows there is one part, an empty one.
        if self.written == 0 || !self.rows.is_empty() {
            self.write_part()?;
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
    /// Begins all three before writing any, so that if one is refused the others are untouched. The summary says how many
    /// rows each will have.
    pub(crate) fn begin(
        args: &'a Args,
        recipe: &Recipe,
        summary: &Summary,
        chunk_rows: usize,
    ) -> Result<Self, Failure> {
        let force = args.common.force;
        let Summary { sft, preferences, steps, .. } = *summary;
        Ok(Self {
            sft: Pending::begin(&args.out_sft, recipe, sft, chunk_rows, force)?,
            preferences: Pending::begin(
                &args.out_preferences,
                recipe,
                preferences,
                chunk_rows,
                force,
            )?,
            steps: Pending::begin(&args.out_steps, recipe, steps, chunk_rows, force)?,
        })
    }

    /// Discards all three and returns the writer that makes them again; `None` if all are complete. If only some are
    /// complete, those go too: they could be from another version of this program, and the three must come from one run.
    pub(crate) fn anew(self, recipe: &Recipe) -> Result<Option<Writer<'a>>, Failure> {
        let Self { sft, preferences, steps } = self;
        if sft.is_complete() && preferences.is_complete() && steps.is_complete() {
            return Ok(None);
        }
        // The SFT examples stand for the whole (`make` and fine-tuning wait for them), so they are the first to go.
        let sft = sft.anew(recipe)?;
        let (preferences, steps) = (preferences.anew(recipe)?, steps.anew(recipe)?);
        Ok(Some(Writer { sft, preferences, steps }))
    }
}

/// Writes the three outputs side by side.
pub(crate) struct Writer<'a> {
    sft: Open<'a, SftExample>,
    preferences: Open<'a, Preference>,
    steps: Open<'a, Steps>,
}

impl Writer<'_> {
    /// Adds the rows of the next prompt, in the order of the prompt ids.
    pub(crate) fn add(&mut self, rows: Rows) -> Result<(), Failure> {
        self.steps.add(rows.steps)?;
        self.preferences.add(rows.preferences)?;
        self.sft.add(rows.sft)
    }

    /// Commits all three, the SFT examples last.
    pub(crate) fn commit(self, summary: &Summary) -> Result<(), Failure> {
        self.steps.commit(summary)?;
        self.preferences.commit(summary)?;
        self.sft.commit(summary)
    }
}
