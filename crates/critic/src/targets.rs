//! Training rows for the critics, from labelled solutions.

use lm::ModelConfig;
use lm::train::{Example, HeadTarget, Measure};

use crate::{Encoder, Error, Head};

/// A solution with the targets of all heads, each in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled<'a> {
    /// The question.
    pub question: &'a str,
    /// The options of the finished solution.
    pub options: &'a [String],
    /// Target value of the bare question: the mean reward of its solutions.
    pub root: f32,
    /// Target value after each option.
    pub values: &'a [f32],
    /// Target of the PRM for each option: 1 if it is right.
    pub process: &'a [f32],
    /// Target of the ORM: 1 if the answer is right.
    pub outcome: f32,
    /// Weight of the row in the loss.
    pub weight: f32,
}

/// Training rows for the heads that the model has: squared error for the value, cross-entropy for PRM and ORM (AlphaLLM
/// §4.3).
///
/// # Errors
/// [`Error::Model`] if the tokenizer fails.
pub fn examples(
    labelled: &[Labelled<'_>],
    encoder: &Encoder,
    config: &ModelConfig,
) -> Result<Vec<Example>, Error> {
    let [value, process, outcome] =
        [Head::Value, Head::Prm, Head::Orm].map(|head| head.index(config));
    labelled
        .iter()
        .map(|row| {
            let encoded = encoder.encode(row.question, row.options, true)?;
            let mut heads = Vec::new();
            let mut add = |head: Option<usize>, at, value, measure| {
                heads.extend(head.map(|head| HeadTarget { at, head, value, measure }));
            };
            // The bare question needs a value too: importance at the root compares its children with it.
            add(value, encoded.root, row.root, Measure::Squared);
            for (i, &at) in encoded.marks.iter().enumerate() {
                add(value, at, row.values[i], Measure::Squared);
                add(process, at, row.process[i], Measure::CrossEntropy);
            }
            if let Some(&at) = encoded.marks.last() {
                add(outcome, at, row.outcome, Measure::CrossEntropy);
            }
            Ok(Example { ids: encoded.ids, targets_from: None, heads, weight: row.weight })
        })
        .collect()
}
