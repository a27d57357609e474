//! What the critics learn: labelled solutions as training rows.

use lm::ModelConfig;
use lm::train::{Example, HeadTarget, Measure};

use crate::{Encoder, Error, ORM, PRM, VALUE};

/// A solution with the targets of the critics, all in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled<'a> {
    /// The question.
    pub question: &'a str,
    /// The options of the finished solution.
    pub options: &'a [String],
    /// The value of the question alone: the mean reward of its solutions.
    pub root: f32,
    /// The value after each option.
    pub values: &'a [f32],
    /// Whether each option is right.
    pub process: &'a [f32],
    /// Whether the answer is right.
    pub outcome: f32,
    /// Weight of the row.
    pub weight: f32,
}

/// Training rows for a model with some of the heads: the value by squared error, PRM and ORM by
/// cross-entropy (AlphaLLM §4.3).
///
/// # Errors
/// [`Error::Model`] when the tokenizer fails.
pub fn examples(
    labelled: &[Labelled<'_>],
    encoder: &Encoder,
    config: &ModelConfig,
) -> Result<Vec<Example>, Error> {
    let head = |name: &str| config.scalar_heads.iter().position(|h| h == name);
    let (value, process, outcome) = (head(VALUE), head(PRM), head(ORM));
    labelled
        .iter()
        .map(|row| {
            let encoded = encoder.encode(row.question, row.options, true)?;
            let mut heads = Vec::new();
            let mut add = |head: Option<usize>, at, value, measure| {
                heads.extend(head.map(|head| HeadTarget { at, head, value, measure }));
            };
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
