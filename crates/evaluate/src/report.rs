//! `evaluate report`: evaluations of several models over several seeds as tables, JSON and plots.
//!
//! A run is one model of one seed. Every seed has every model, measured on the same splits with the same decoders, so
//! that a mean over seeds is one of like with like. Models are paired as asked, per seed and over all of them; every
//! other decoder is paired with the greedy answers of its own model, and every search with its rival at as many and at twice
//! the tokens: with what picks from samples as the search picks from what it found.
//!
//! [`report`] is pure; [`markdown()`] and [`plots()`] write what it found, equal bytes for equal rows; [`run`] reads the
//! datasets and writes the files.

mod arguments;
mod chart;
mod costs;
mod critics;
mod error;
mod folder;
mod gather;
mod kept;
mod markdown;
mod operators;
mod plots;
mod priced;
mod svg;

pub use arguments::{ReportArgs, SeedRun, run};
pub use costs::StageCost;
pub use critics::{CriticReport, MeanQuality, SeedQuality};
pub use error::Error;
pub use gather::report;
pub use kept::{KeptReport, SeedAudit};
pub use markdown::markdown;
pub use operators::{BroughtCounts, MadeCounts, OfOperator};
pub use plots::{Plot, plots};
pub use priced::DecoderCost;

use std::fmt;
use std::str::FromStr;

use schema::Evaluation;
use serde::Serialize;

use crate::compare::{Lacking, Paired};
use crate::stats::{Interval, Spread};

/// The evaluation of one model of one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The seed's label.
    pub seed: String,
    /// The model's name, the same in all seeds.
    pub model: String,
    /// Its answers.
    pub rows: Vec<Evaluation>,
}

/// What a report is to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Models to compare.
    pub pairs: Vec<Pair>,
    /// The splits to report, by name; none is all.
    pub splits: Vec<String>,
    /// Models whose decoders are plotted over what they generate; none is all.
    pub curves: Vec<String>,
}

/// A model and the one that it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The model.
    pub model: String,
    /// The other.
    pub against: String,
}

impl FromStr for Pair {
    type Err = String;

    /// Reads `MODEL=OTHER`. The model's name ends at the first `=`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=').map(|(model, against)| (model.trim(), against.trim())) {
            Some((model, against)) if !model.is_empty() && !against.is_empty() => {
                Ok(Self { model: model.to_owned(), against: against.to_owned() })
            }
            _ => Err(format!("`{text}` is not MODEL=OTHER")),
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.model, self.against)
    }
}

/// Several models over several seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The seeds, in the order given.
    pub seeds: Vec<String>,
    /// The models, in the order given.
    pub models: Vec<String>,
    /// The models whose decoders are plotted over what they generate.
    pub curves: Vec<String>,
    /// One for every split of every task, in a fixed order: `test`, `ood-templates`, `ood-chains`, others by name.
    pub splits: Vec<SplitReport>,
    /// What the decoders cost, where their metrics are there.
    pub decoder_costs: Vec<DecoderCost>,
    /// What the operators of imagination made, by the prompts' folders; none where no run's folder was given, as in the next
    /// four.
    pub made: Vec<OfOperator<MadeCounts>>,
    /// What a search and a filter made of their prompts, by the examples' folders.
    pub brought: Vec<OfOperator<BroughtCounts>>,
    /// How far the critics can be trusted, by their folders.
    pub critics: Vec<CriticReport>,
    /// What the filters are worth, by the folders of their audits.
    pub kept: Vec<KeptReport>,
    /// What the stages cost, by their folders.
    pub costs: Vec<StageCost>,
}

/// What was measured on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    /// The task's name.
    pub task: String,
    /// The test set within the task.
    pub split: String,
    /// The decoders in their order: greedy, samples, step searches, tree searches, others by name.
    pub decoders: Vec<DecoderReport>,
    /// Every other decoder against greedy of the same model, by model, then by decoder.
    pub against_greedy: Vec<Versus>,
    /// Every search against its rival of the same model, the cheapest that generates as many tokens, in the same order.
    pub against_rival: Vec<Versus>,
    /// The searches that have none.
    pub without_rival: Vec<Lone>,
    /// The same as `against_rival`, of the cheapest that generates twice as many.
    pub against_twice: Vec<Versus>,
    /// The searches that have none of those.
    pub without_twice: Vec<Lone>,
}

/// A search that is compared with nothing at equal tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lone {
    /// The search.
    #[serde(flatten)]
    pub side: Side,
    /// Why.
    pub lacking: Lacking,
}

/// One decoder on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecoderReport {
    /// The decoder.
    pub decoder: String,
    /// The models that were measured with it.
    pub models: Vec<Measured>,
    /// The pairs that were asked for, where both were measured with it.
    pub pairs: Vec<Versus>,
}

/// One model with one decoder on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The model.
    pub model: String,
    /// What each seed has.
    pub seeds: Vec<SeedShare>,
    /// Right answers in percent, over seeds.
    pub accuracy: Spread,
    /// Generated tokens of a problem, the mean over seeds; null where not recorded.
    pub tokens: Option<f64>,
    /// Nodes of a search tree, the mean over seeds; null without one.
    pub nodes: Option<f64>,
}

/// What one seed's model answered rightly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedShare {
    /// The seed.
    pub seed: String,
    /// Problems answered.
    pub n: u64,
    /// Problems answered rightly.
    pub correct: u64,
    /// Their share in percent, with the Wilson interval.
    pub accuracy: Interval,
}

/// A model with a decoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The model.
    pub model: String,
    /// The decoder.
    pub decoder: String,
}

/// One side against another, paired by problem within each seed; `first` in pairs is `this`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Versus {
    /// The side that gains.
    pub this: Side,
    /// The side that it is compared with.
    pub other: Side,
    /// What each seed has.
    pub seeds: Vec<SeedPair>,
    /// The gain in percentage points, over seeds.
    pub gain: Spread,
    /// The errors removed, over seeds; null where a seed has none to remove.
    pub error_removed: Option<Spread>,
    /// The problems of all seeds put together, each seed's for others: too sure where seeds share problems.
    pub pooled: Paired,
    /// How many different problems that are: fewer than those of `pooled` where seeds share problems.
    pub problems: u64,
    /// The p-value over all seeds of the exact test by random signs, one for each problem. It is that of `pooled` where
    /// seeds share no problems, and holds where they do.
    pub p_by_problem: f64,
}

impl Versus {
    /// Whether seeds share problems.
    pub fn shares_problems(&self) -> bool {
        self.problems < self.pooled.n
    }
}

/// One side against another in one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedPair {
    /// The seed.
    pub seed: String,
    /// The gain, its interval and its test.
    #[serde(flatten)]
    pub paired: Paired,
    /// `(e_other - e_this) / e_other` in percent, where `e` counts errors on the paired problems; null where the other
    /// makes none.
    pub error_removed: Option<f64>,
}
