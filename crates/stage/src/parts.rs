//! Making an output part by part.

use std::ops::Range;

use dataset::Output;
use schema::Table;
use serde::Serialize;

use crate::error::Failure;
use crate::metrics::Metrics;
use crate::progress::Progress;

/// An output that is made part by part, and that can be resumed between any two of them.
pub trait InParts {
    /// The rows of one part.
    type Rows;

    /// Returns the indices of the parts still to be made, in ascending order.
    fn missing(&self) -> Vec<usize>;

    /// Writes a part. When this returns, no crash can lose it.
    fn write(&self, index: usize, rows: &Self::Rows) -> Result<(), Failure>;
}

impl<T: Table> InParts for Output<T> {
    type Rows = Vec<T>;

    fn missing(&self) -> Vec<usize> {
        Self::missing(self)
    }

    fn write(&self, index: usize, rows: &Vec<T>) -> Result<(), Failure> {
        Ok(self.write_part(index, rows)?)
    }
}

/// A part to make.
#[derive(Debug)]
pub struct Part<'a> {
    /// Its index in the output.
    pub index: usize,
    /// The items to make it of, such as prompts, as a range of all items.
    pub items: Range<usize>,
    /// The progress in items. It may be advanced while the part is made; the rest of the part's items is added afterwards.
    pub progress: &'a Progress,
}

/// Makes the missing parts of an output in order, and writes each as soon as it is made. `parts` has the items of every part,
/// `make` returns the rows of one and what to append to the metrics.
///
/// The metrics follow the part: a run that is killed in between lacks a row of them, and none counts a part twice.
pub fn make_missing<O: InParts, M: IntoIterator<Item: Serialize>>(
    label: &str,
    output: &O,
    parts: Vec<Range<usize>>,
    metrics: &mut Metrics,
    mut make: impl FnMut(Part<'_>) -> Result<(O::Rows, M), Failure>,
) -> Result<(), Failure> {
    let all: usize = parts.iter().map(ExactSizeIterator::len).sum();
    let (progress, missing) = (Progress::new(label, all as u64), output.missing());
    for (index, items) in parts.into_iter().enumerate() {
        let count = items.len() as u64;
        if !missing.contains(&index) {
            progress.skip(count);
            continue;
        }
        let end = progress.done() + count;
        let (rows, row) = make(Part { index, items, progress: &progress })?;
        output.write(index, &rows)?;
        row.into_iter().try_for_each(|row| metrics.row(&row))?;
        progress.add(end.saturating_sub(progress.done()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use dataset::MetricsLog;

    use super::*;

    /// An output in memory.
    #[derive(Default)]
    struct Kept(RefCell<BTreeMap<usize, Vec<usize>>>);

    impl InParts for Kept {
        type Rows = Vec<usize>;

        fn missing(&self) -> Vec<usize> {
            (0..3).filter(|index| !self.0.borrow().contains_key(index)).collect()
        }

        fn write(&self, index: usize, rows: &Vec<usize>) -> Result<(), Failure> {
            self.0.borrow_mut().insert(index, rows.clone());
            Ok(())
        }
    }

    #[test]
    fn a_run_that_failed_goes_on_where_it_was() {
        let (folder, output) = (tempfile::tempdir().unwrap(), Kept::default());
        let log = folder.path().join("metrics.jsonl");
        let run = |last: usize| {
            let mut made = Vec::new();
            let mut metrics = Metrics::open(&log).unwrap();
            let ended =
                make_missing("make", &output, vec![0..2, 2..4, 4..5], &mut metrics, |part| {
                    if part.index > last {
                        return Err(Failure::io("full"));
                    }
                    made.push(part.index);
                    let row = serde_json::json!({ "part": part.index });
                    // A part may advance the progress by itself; what it leaves out is added.
                    part.progress.add(1);
                    Ok((part.items.collect(), [row]))
                });
            (made, ended.is_ok())
        };
        assert_eq!(run(0), (vec![0], false));
        assert_eq!(run(2), (vec![1, 2], true));
        assert_eq!(run(2), (vec![], true));
        assert_eq!(output.0.into_inner(), [(0, vec![0, 1]), (1, vec![2, 3]), (2, vec![4])].into());
        let parts: Vec<_> =
            MetricsLog::read(&log).unwrap().iter().map(|row| row["part"].as_u64()).collect();
        assert_eq!(parts, [Some(0), Some(1), Some(2)]);
    }
}
