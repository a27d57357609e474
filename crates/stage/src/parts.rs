//! Making an output part by part.

use std::collections::BTreeSet;
use std::ops::Range;

use dataset::Output;
use schema::Table;
use serde::Serialize;

use crate::error::Failure;
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::sharing::{Asked, Sharing};

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

/// The parts of an output.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The work, for the progress, such as `search`.
    pub label: &'a str,
    /// The items of every part, as ranges of all items.
    pub items: Vec<Range<usize>>,
    /// Which of them this process makes.
    pub sharing: Sharing,
}

impl Parts<'_> {
    /// Makes the missing parts of an output in order, and writes each as soon as it is made. `make` returns the rows of one
    /// and what to append to the metrics.
    ///
    /// Returns whether the output is to be completed now. It is not if other processes make the rest of it.
    ///
    /// The metrics follow the part: a run that is killed in between lacks a row of them, and none counts a part twice.
    ///
    /// # Errors
    /// Those of `make`, and of writing; exit 75 if a shard was asked to end by USR1 or TERM.
    pub fn make_missing<O: InParts, M: IntoIterator<Item: Serialize>>(
        self,
        output: &O,
        metrics: &mut Metrics,
        mut make: impl FnMut(Part<'_>) -> Result<(O::Rows, M), Failure>,
    ) -> Result<bool, Failure> {
        let Self { label, items, sharing } = self;
        let asked = if sharing.is_shard() { Asked::listen()? } else { Asked::default() };
        let mine = items.into_iter().enumerate().filter(|(index, _)| sharing.makes(*index));
        let mine: Vec<(usize, Range<usize>)> = mine.collect();
        let all: usize = mine.iter().map(|(_, items)| items.len()).sum();
        let missing: BTreeSet<usize> = output.missing().into_iter().collect();
        let progress = Progress::new(label, all as u64);
        for (index, items) in mine {
            let count = items.len() as u64;
            if !missing.contains(&index) {
                progress.skip(count);
                continue;
            }
            if asked.to_end() {
                let failure = Failure::try_again(format!("asked to end before part {index}"));
                return Err(failure.hint("the same command goes on from there"));
            }
            let end = progress.done() + count;
            let (rows, row) = make(Part { index, items, progress: &progress })?;
            output.write(index, &rows)?;
            row.into_iter().try_for_each(|row| metrics.row(&row))?;
            progress.add(end.saturating_sub(progress.done()));
        }
        Ok(!sharing.is_shard())
    }
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
            let items = vec![0..2, 2..4, 4..5];
            let parts = Parts { label: "make", items, sharing: Sharing::default() };
            let ended = parts.make_missing(&output, &mut metrics, |part| {
                if part.index > last {
                    return Err(Failure::io("full"));
                }
                made.push(part.index);
                let row = serde_json::json!({ "part": part.index });
                // A part may advance the progress by itself; what it leaves out is added.
                part.progress.add(1);
                Ok((part.items.collect(), [row]))
            });
            (made, ended == Ok(true))
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
