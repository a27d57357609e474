//! Test evaluations, as rows and as datasets.

use std::path::Path;

use schema::{Evaluation, Outcome};

/// Rows of one decoder on one split: problems `from..from + right.len()`, correct where `right` has an `x`.
pub(crate) fn rows(split: &str, decoder: &str, from: usize, right: &str) -> Vec<Outcome> {
    let row = |(i, mark): (usize, char)| Outcome {
        task: "world".into(),
        split: split.into(),
        prompt_id: format!("p{:03}", from + i),
        decoder: decoder.into(),
        target: "42".into(),
        correct: mark == 'x',
        tokens: Some(if decoder == "greedy" { 40 } else { 400 }),
        nodes: (decoder != "greedy").then_some(20 + i32::try_from(i % 2).unwrap()),
    };
    right.chars().enumerate().map(row).collect()
}

/// Writes an evaluation and returns its path.
pub(crate) fn write(dir: &Path, rows: &[Outcome]) -> String {
    let row = |one: &Outcome| {
        let Outcome { task, split, prompt_id, decoder, target, correct, tokens, nodes } =
            one.clone();
        let model = "digest".into();
        Evaluation {
            task,
            split,
            prompt_id,
            decoder,
            target,
            correct,
            tokens,
            nodes,
            model,
            ..Evaluation::default()
        }
    };
    alphallm::write_rows(dir, &rows.iter().map(row).collect::<Vec<_>>());
    dir.display().to_string()
}
