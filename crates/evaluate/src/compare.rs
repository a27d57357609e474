//! `evaluate compare`: measurements of several models side by side, paired problem by problem.
//!
//! Every other model is paired with one of them (the control) per split and decoder, every other decoder with the greedy
//! answers of its own model, and every search with its rival at equal tokens: what picks from samples as the search picks
//! from what it found. Only problems that both have answered are paired. Models that were measured on
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

pub use crate::bill::MeanCost;
pub use crate::rivals::{Lacking, Reason};
pub use arguments::{CompareArgs, Labelled, run};
pub use error::Error;
pub use pairing::compare;
pub use text::render;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats::{Interval, Pairs};

pub(crate) use rank::Rank;

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
    /// The models in the order given, each with its decoders: greedy, samples, step searches, tree searches, others by
    /// name.
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
    /// This search against what picks from samples of the same model as it does and generates as many tokens; null for
    /// greedy and samples, and where `lacking` says why.
    pub against_rival: Option<Rival>,
    /// Why a search is not compared so.
    pub lacking: Option<Lacking>,
    /// Mean generated tokens of a problem, where recorded.
    pub tokens: Option<f64>,
    /// Mean nodes of a search tree, where there is one.
    pub nodes: Option<f64>,
    /// What it cost, where that was asked for and recorded. Times differ from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<MeanCost>,
}

/// What a search is compared with: the cheapest of its kind that generates at least as many tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rival {
    /// Its decoder.
    pub decoder: String,
    /// Mean generated tokens of a problem.
    pub tokens: f64,
    /// The decoder against it.
    pub paired: Paired,
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

impl Comparison {
    /// Adds what the decoders of a model cost, by their names.
    pub(crate) fn add_costs(&mut self, label: &str, costs: &BTreeMap<String, MeanCost>) {
        let rows = self.splits.iter_mut().flat_map(|split| &mut split.rows);
        for row in rows.filter(|row| row.model == label) {
            row.cost = costs.get(&row.decoder).copied();
        }
    }
}

impl Paired {
    /// What follows from who was right; `partial` if one side also answered other problems.
    pub(crate) fn of(pairs: Pairs, partial: bool) -> Self {
        let (n, points, p) = (pairs.n(), pairs.difference(), pairs.p());
        Self { n, partial, pairs, points, p }
    }

    /// Whether the difference is significant.
    pub fn is_significant(&self) -> bool {
        self.p < SIGNIFICANT
    }
}
