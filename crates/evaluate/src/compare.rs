//! `evaluate compare`: evaluations of several models side by side, paired problem by problem.
//!
//! Per split and decoder, every other model is paired with one of them (the control). Every other decoder is paired
//! with greedy decoding of its own model, and every search with its rival at equal tokens: the decoder that picks from
//! independent samples the way the search picks from its solutions. Only problems that both sides answered are paired.
//!
//! Models measured on different problems are refused, unless one set contains the other. Several answers of one decoder
//! to one problem are refused too, because the intervals and tests assume independent problems.
//!
//! [`compare`] is pure. [`run`] reads the datasets, prints the comparison, and writes it as JSON.

mod arguments;
mod conclusion;
mod error;
pub(crate) mod measured;
mod pairing;
mod text;

pub use crate::cost::MeanCost;
pub use crate::decoder::Decoder;
pub use crate::rivals::{Lacking, Reason};
pub use arguments::{CompareArgs, Labelled, run};
pub use error::Error;
pub use pairing::compare;
pub use text::render;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats::{Interval, Pairs, SIGNIFICANT};

/// Several models side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Label of the model that the others are paired with.
    pub against: String,
    /// One entry per split of each task, in a fixed order: `test`, `ood-templates`, `ood-chains`, then others by name.
    pub splits: Vec<Split>,
}

/// The results on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Split {
    /// The task's name.
    pub task: String,
    /// The test set within the task.
    pub split: String,
    /// The models in the order given, each with its decoders: greedy, samples, step searches, tree searches, then
    /// others by name.
    pub rows: Vec<Row>,
    /// The conclusions from the rows, as sentences.
    pub conclusion: Vec<String>,
}

/// One model with one decoder on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The model's label.
    pub model: String,
    /// The decoder.
    pub decoder: String,
    /// Problems answered.
    pub n: u64,
    /// Problems answered correctly.
    pub correct: u64,
    /// Their share in percent, with the Wilson interval.
    pub accuracy: Interval,
    /// This model against the control with the same decoder; null for the control, and if the control was not measured
    /// with it.
    pub against_control: Option<Paired>,
    /// This decoder against greedy decoding of the same model; null for greedy, and if greedy was not measured.
    pub against_greedy: Option<Paired>,
    /// This search against its rival of the same model at equal tokens; null for greedy and samples, and where
    /// `lacking` gives a reason.
    pub against_rival: Option<Rival>,
    /// The reason why a search has no rival.
    pub lacking: Option<Lacking>,
    /// Generated tokens per problem, mean; null if not recorded.
    pub tokens: Option<f64>,
    /// Nodes of the search tree per problem, mean; null for decoders without one.
    pub nodes: Option<f64>,
    /// Cost per problem, if requested and recorded. Times differ from run to run, so without `--costs` the output is
    /// reproducible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<MeanCost>,
}

/// The rival of a search: of the decoders that pick the same way from samples, the cheapest that generates at least as
/// many tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rival {
    /// The rival's decoder.
    pub decoder: String,
    /// The rival's generated tokens per problem, mean.
    pub tokens: f64,
    /// The search against the rival.
    pub paired: Paired,
}

/// Two measurements, paired by problem. In `pairs`, `first` is the row's and `second` the other one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// Problems that both answered.
    pub n: u64,
    /// Whether either side also answered problems that the other did not.
    pub partial: bool,
    /// Who was right, by problem.
    pub pairs: Pairs,
    /// The row's accuracy minus the other's, in percentage points, with Newcombe's paired interval.
    pub points: Interval,
    /// The p-value of `McNemar`'s exact two-sided test.
    pub p: f64,
}

impl Comparison {
    /// Fills in the costs of a model's decoders, given by decoder name.
    pub(crate) fn add_costs(&mut self, label: &str, costs: &BTreeMap<String, MeanCost>) {
        let rows = self.splits.iter_mut().flat_map(|split| &mut split.rows);
        for row in rows.filter(|row| row.model == label) {
            row.cost = costs.get(&row.decoder).copied();
        }
    }
}

impl Paired {
    /// Computes the difference and its test. `partial` if either side also answered other problems.
    pub(crate) fn of(pairs: Pairs, partial: bool) -> Self {
        let (n, points, p) = (pairs.n(), pairs.difference(), pairs.p());
        Self { n, partial, pairs, points, p }
    }

    /// Whether the difference is significant.
    pub fn is_significant(&self) -> bool {
        self.p < SIGNIFICANT
    }
}
