//! Test evaluations, as rows and as datasets.

use std::path::Path;

use schema::Evaluation;

/// Rows of one decoder on one split: problems `from..from + right.len()`, correct where `right` has an `x`.
pub(crate) fn rows(split: &str, decoder: &str, from: usize, right: &str) -> Vec<Evaluation> {
    let row = |(i, mark): (usize, char)| Evaluation {
        task: "world".into(),
        split: split.into(),
        prompt_id: format!("p{:03}", from + i),
        decoder: decoder.into(),
        target: "42".into(),
        correct: mark == 'x',
        tokens: Some(if decoder == "greedy" { 40 } else { 400 }),
        nodes: (decoder != "greedy").then_some(20 + i32::try_from(i % 2).unwrap()),
        model: "digest".into(),
        ..Evaluation::default()
    };
    right.chars().enumerate().map(row).collect()
}

/// Writes an evaluation and returns its path.
pub(crate) fn write(dir: &Path, rows: &[Evaluation]) -> String {
    alphallm::write_rows(dir, rows);
    dir.display().to_string()
}
