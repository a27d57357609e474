//! Losses of an import: dropped rows, and answers that nothing may ever agree with.
//!
//! Every dataset has a few of them. Many mean that a column is not what it was taken for, so the import ends instead of
//! turning it into a different dataset.

use std::collections::BTreeMap;

use answer::{Doubt, Imported};
use stage::Failure;

use crate::args::ImportArgs;

/// The maximum share of rows that may be lost, in percent. A single row always may.
const PERCENT: usize = 1;
/// Number of rows that a message names.
const NAMED: usize = 5;

/// The lost rows, by line.
pub(super) struct Loss {
    rows: usize,
    dropped: Vec<u64>,
    conflicting: Vec<u64>,
    doubtful: BTreeMap<Doubt, Vec<(u64, String)>>,
}

impl Loss {
    /// No losses yet, for a file of `rows` rows.
    pub(super) fn of(rows: usize) -> Self {
        let (dropped, conflicting, doubtful) = Default::default();
        Self { rows, dropped, conflicting, doubtful }
    }

    /// Records a row that is dropped because its question came before; `conflicting` if with a different answer.
    pub(super) fn dropped(&mut self, line: u64, conflicting: bool) {
        self.dropped.push(line);
        self.conflicting.extend(conflicting.then_some(line));
    }

    /// Records a kept row if its answer is doubtful.
    pub(super) fn look_at(&mut self, problem: &Imported) {
        if let Some(doubt) = problem.doubt() {
            let of = (problem.line, problem.answer.clone());
            self.doubtful.entry(doubt).or_default().push(of);
        }
    }

    /// The counts for the summary.
    pub(super) fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("rows", self.rows),
            ("duplicate", self.dropped.len()),
            ("conflicting", self.conflicting.len()),
            ("doubtful", self.doubtful.values().map(Vec::len).sum()),
        ]
    }

    /// Ends the import if too much is lost; otherwise only warns.
    pub(super) fn check(&self, args: &ImportArgs) -> Result<(), Failure> {
        let place = args.input.display();
        let columns = "name every column of the question, such as --question-column Body,Question";
        let mut findings = Vec::new();
        if let Some(said) = self.said_of_dropped() {
            findings.push((self.dropped.len(), said, columns));
        }
        for (doubt, rows) in &self.doubtful {
            findings.push((rows.len(), self.said_of(*doubt, rows), remedy(*doubt)));
        }
        for (count, said, remedy) in findings {
            if !args.allow_loss && count > 1 && count * 100 > self.rows * PERCENT {
                let failure = Failure::data(format!("{place}: {said}"));
                let otherwise = "give --allow-loss where that is meant";
                return Err(failure.hint(format!("{remedy}; {otherwise}")));
            }
            tracing::warn!("{place}: {said}");
        }
        Ok(())
    }

    fn said_of_dropped(&self) -> Option<String> {
        let (dropped, rows) = (self.dropped.len(), self.rows);
        let lines = named(self.dropped.iter().copied());
        let conflicting = self.conflicting.len();
        let another = if conflicting == 0 {
            String::new()
        } else {
            let lines = named(self.conflicting.iter().copied());
            format!(
                "; {conflicting} repeated questions have another answer than the first time: {lines}"
            )
        };
        (dropped > 0).then(|| {
            format!("{dropped} of {rows} rows repeat a question and are dropped: {lines}{another}")
        })
    }

    fn said_of(&self, doubt: Doubt, rows: &[(u64, String)]) -> String {
        let (count, all, reason) = (rows.len(), self.rows, doubt.reason());
        let lines = named(rows.iter().map(|(line, _)| *line));
        let example = rows.first().map(|(_, answer)| shortened(answer)).unwrap_or_default();
        format!(
            "{count} of {all} rows have an answer that may be of no use: {reason} ({lines}; the first is {example})"
        )
    }
}

fn remedy(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::Unmarked | Doubt::Sentence | Doubt::Remark => {
            "name a column of bare answers by --answer-column"
        }
        Doubt::Letter => {
            "put the options into the question, such as --question-column question,options"
        }
    }
}

/// Lists the first few lines.
fn named(lines: impl ExactSizeIterator<Item = u64>) -> String {
    let more = if lines.len() > NAMED { ", ..." } else { "" };
    let first: Vec<String> = lines.take(NAMED).map(|line| line.to_string()).collect();
    format!("lines {}{more}", first.join(", "))
}

/// Shortens a text for a message: quoted, on one line, with control characters escaped so that the terminal does not
/// obey them.
pub(super) fn shortened(text: &str) -> String {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(80).collect();
    let more = if letters.next().is_some() { "..." } else { "" };
    format!("{start:?}{more}")
}
