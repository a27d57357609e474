//! `evaluate compare`: measurements of several models side by side, paired problem by problem.
//!
//! Every other model is paired with one of them (the control) per split and decoder, and every search decoder with the
//! greedy answers of its own model. Only problems that both have answered are paired. Models that were measured on
//! different problems are refused, unless one set holds the other; so are several answers of a decoder to a problem,
//! since the intervals and tests hold for independent problems.
//!
//! [`compare`] is pure; [`run`] reads the datasets, prints, and writes the same as JSON.

mod arguments;
mod error;
mod pairing;
mod rank;
mod text;
mod words;

pub use arguments::{CompareArgs, Labelled, run};
pub use error::Error;
pub use pairing::compare;
pub use text::render;

use serde::Serialize;

use crate::stats::{Interval, Pairs};

pub(crate) use rank::Rank;

/// The decoder that search is compared with.
pub(crate) const GREEDY: &str = "greedy";

/// How the decoders begin that search with eta-MCTS.
pub(crate) const SEARCH: &str = "mcts";

/// Below this p-value a difference counts as significant.
pub const SIGNIFICANT: f64 = 0.05;

/// Several models side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The label that the others are paired with.
    pub against: String,
    /// One for every split of every task, in a fixed order: `test`, `ood-templates`, `ood-chains`, others by name.
    pub splits: Vec<Split>,
}

/// The measurements on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Split {
    /// The task's name.
    pub task: String,
    /// The test set within the task.
    pub split: String,
    /// The models in the order given, each with its decoders: `greedy`, the searches, others by name.
    pub rows: Vec<Row>,
    /// What the rows say, in sentences.
    pub conclusion: Vec<String>,
}

/// One model with one decoder on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The model's label.
    pub model: String,
    /// How it answered.
    pub decoder: String,
    /// Problems answered.
    pub n: u64,
    /// Problems answered rightly.
    pub correct: u64,
    /// Their share in percent, with the Wilson interval.
    pub accuracy: Interval,
    /// This model against the control with the same decoder; null for the control, and where the control lacks it.
    pub against_control: Option<Paired>,
    /// This decoder against greedy with the same model; null for greedy, and where greedy is lacking.
    pub against_greedy: Option<Paired>,
    /// Mean generated tokens of a problem, where recorded.
    pub tokens: Option<f64>,
    /// Mean nodes of a search tree, where there is one.
    pub nodes: Option<f64>,
}

/// Two measurements, paired by problem; `first` in `pairs` is the row's, `second` the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// Problems that both answered.
    pub n: u64,
    /// Whether one of the two also answered other problems.
    pub partial: bool,
    /// Who was right, by problem.
    pub pairs: Pairs,
    /// The row's accuracy minus the other's, in percentage points, with Newcombe's paired interval.
    pub points: Interval,
    /// The p-value of `McNemar`'s exact two-sided test.
    pub p: f64,
}

impl Paired {
    /// Whether the difference is significant.
    pub fn is_significant(&self) -> bool {
        self.p < SIGNIFICANT
    }
}
