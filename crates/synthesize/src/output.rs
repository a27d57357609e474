//! Writes a dataset and reports the result, the same way for all commands.

use std::path::Path;

use dataset::{Begin, METRICS, Mode, Output, Recipe};
use decoding::Cost;
use schema::Table;
use serde::{Serialize, Serializer};
use stage::{Common, Failure, Metrics};

/// A dataset to write, described before any of its rows exists.
pub(crate) struct Target<'a> {
    pub(crate) common: &'a Common,
    pub(crate) out: &'a Path,
    pub(crate) recipe: Recipe,
    /// The maximum number of rows. It alone determines the number of parts, which has to be known before the rows; with
    /// fewer rows the last parts are short or empty.
    pub(crate) rows: usize,
    pub(crate) chunk_rows: usize,
}

/// The rows that were made, with counts and costs.
pub(crate) struct Made<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) tallies: Vec<Tally>,
    /// Cost of the models that wrote or tried prompts.
    pub(crate) spent: Option<Spent>,
}

/// The cost of writing and trying questions: a row of the metrics.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Spent {
    /// Generated tokens.
    pub(crate) tokens: u64,
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

/// Named counts about one thing: a line of the summary and a row of the metrics.
pub(crate) struct Tally {
    /// The kind of thing: the header of the first column.
    pub(crate) about: &'static str,
    pub(crate) name: String,
    pub(crate) counts: Vec<(&'static str, usize)>,
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1 + self.counts.len()))?;
        map.serialize_entry(self.about, &self.name)?;
        self.counts.iter().try_for_each(|(key, count)| map.serialize_entry(key, count))?;
        map.end()
    }
}

/// Writes the rows that `make` returns, sorted by id. Does nothing on a dry run, or if the dataset is up to date.
pub(crate) fn write<T: Table>(
    target: Target<'_>,
    make: impl FnOnce() -> Result<Made<T>, Failure>,
) -> Result<(), Failure> {
    let Target { common, out, recipe, rows, chunk_rows } = target;
    let ranges = dataset::chunk(rows, chunk_rows);
    let report = Report { json: common.json, table: T::NAME, out, parts: ranges.len() };
    if common.dry_run {
        return report.print("would be written", rows, &[]);
    }
    let output = match Output::<T>::begin(out, recipe, ranges.len(), Mode::only(common.force))? {
        Begin::UpToDate(manifest) => {
            return report.print("up to date", manifest.rows() as usize, &[]);
        }
        Begin::Work(output) => output,
    };
    let mut metrics = Metrics::open(&out.join(METRICS))?;
    let Made { rows, tallies, spent } = make()?;
    // By id, so that the parts do not depend on the order in which the rows were made.
    let rows = sorted(rows);
    // A model may write other rows than in a run that was killed; mixing parts of both would repeat some rows and lose
    // others.
    output.discard_parts()?;
    for (index, range) in ranges.iter().enumerate() {
        let end = range.end.min(rows.len());
        output.write_part(index, &rows[range.start.min(end)..end])?;
    }
    tallies.iter().try_for_each(|tally| metrics.row(tally))?;
    spent.iter().try_for_each(|spent| metrics.row(spent))?;
    output.commit()?;
    report.print("written", rows.len(), &tallies)
}

fn sorted<T: Table>(rows: Vec<T>) -> Vec<T> {
    let mut keyed: Vec<(String, T)> = rows.into_iter().map(|row| (row.id(), row)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    keyed.into_iter().map(|(_, row)| row).collect()
}

struct Report<'a> {
    json: bool,
    table: &'static str,
    out: &'a Path,
    parts: usize,
}

/// The summary as JSON.
#[derive(Serialize)]
struct Summary<'a> {
    table: &'a str,
    out: String,
    status: &'a str,
    rows: usize,
    parts: usize,
    counts: &'a [Tally],
}

impl Report<'_> {
    fn print(&self, status: &str, rows: usize, counts: &[Tally]) -> Result<(), Failure> {
        let Self { json, table, parts, .. } = *self;
        let out = self.out.display().to_string();
        if json {
            return stage::print_json(&Summary { table, out, status, rows, parts, counts });
        }
        let Some(first) = counts.first() else {
            let (rows, parts) = (rows.to_string(), parts.to_string());
            let row = vec![table.to_owned(), status.to_owned(), rows, parts, out];
            return stage::print_table(
                "",
                &["table", "status", "rows", "parts", "dataset"],
                &[row],
            );
        };
        let title = format!("{table}: {rows} rows in {parts} parts, {status}, {out}");
        let keys = first.counts.iter().map(|(key, _)| *key);
        let header: Vec<&str> = [first.about].into_iter().chain(keys).collect();
        let cells = |tally: &Tally| {
            let counts = tally.counts.iter().map(|(_, count)| count.to_string());
            [tally.name.clone()].into_iter().chain(counts).collect()
        };
        stage::print_table(&title, &header, &counts.iter().map(cells).collect::<Vec<_>>())
    }
}
