//! `evaluate report`: evaluations of several models over several seeds as tables, JSON and plots.
//!
//! A run is one model of one seed. Every seed has to have every model, measured on the same splits with the same
//! decoders, so that a mean over seeds compares like with like. Models are paired as requested, per seed and over all
//! seeds. Every other decoder is paired with greedy decoding of its own model, and every search with its rival at as
//! many and at twice as many tokens: the decoder that picks from independent samples the way the search picks from its
//! solutions.
//!
//! [`report`] is pure. [`markdown()`] and [`plots()`] render its result, byte for byte the same for the same rows.
//! [`run`] reads the datasets and writes the files.

mod arguments;
mod chart;
mod costs;
mod critics;
mod draw;
mod error;
mod folder;
mod gather;
mod kept;
mod markdown;
mod operators;
mod plots;
mod priced;

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

use schema::Outcome;
use serde::Serialize;

use crate::compare::{Lacking, Paired};
use crate::stats::{Interval, Spread};

/// The evaluation of one model of one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRun {
    /// The seed's label.
    pub seed: String,
    /// The model's name, the same in all seeds.
    pub model: String,
    /// Its answers.
    pub rows: Vec<Outcome>,
}

/// The pairs, splits and plots that a report should contain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Pairs of models to compare.
    pub pairs: Vec<Pair>,
    /// Names of the splits to report; all if empty.
    pub splits: Vec<String>,
    /// Models whose accuracy is plotted over generated tokens, by decoder; all if empty.
    pub curves: Vec<String>,
}

/// A model and the model it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The model.
    pub model: String,
    /// The model it is compared with.
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
    /// The models whose accuracy is plotted over generated tokens, by decoder.
    pub curves: Vec<String>,
    /// One entry per split of each task, in a fixed order: `test`, `ood-templates`, `ood-chains`, then others by name.
    pub splits: Vec<SplitReport>,
    /// The costs of the decoders, where their metrics exist.
    pub decoder_costs: Vec<DecoderCost>,
    /// Prompts that each operator of imagination made, by prompt folder. Empty if no run folder was given, as are the
    /// four fields below.
    pub made: Vec<OfOperator<MadeCounts>>,
    /// Solutions found and kept for those prompts, by the folder of the training examples.
    pub brought: Vec<OfOperator<BroughtCounts>>,
    /// Quality of the critics, by folder.
    pub critics: Vec<CriticReport>,
    /// Yield and precision of the filters, by the folder of their audits.
    pub kept: Vec<KeptReport>,
    /// Costs of the stages, by output folder.
    pub costs: Vec<StageCost>,
}

/// The results on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    /// The task's name.
    pub task: String,
    /// The test set within the task.
    pub split: String,
    /// The decoders in a fixed order: greedy, samples, step searches, tree searches, then others by name.
    pub decoders: Vec<DecoderReport>,
    /// Every other decoder against greedy decoding of the same model, ordered by model, then by decoder.
    pub against_greedy: Vec<Versus>,
    /// Every search against its rival of the same model, the cheapest that generates at least as many tokens, in the
    /// same order.
    pub against_rival: Vec<Versus>,
    /// The searches without such a rival.
    pub without_rival: Vec<Lone>,
    /// Every search against the cheapest rival that generates at least twice as many tokens.
    pub against_twice: Vec<Versus>,
    /// The searches without a rival at twice the tokens.
    pub without_twice: Vec<Lone>,
}

/// A search that has no rival at equal tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lone {
    /// The search.
    #[serde(flatten)]
    pub side: Side,
    /// The reason.
    pub lacking: Lacking,
}

/// One decoder on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecoderReport {
    /// The decoder.
    pub decoder: String,
    /// The models that were measured with it.
    pub models: Vec<Measured>,
    /// The requested pairs of models that were both measured with it.
    pub pairs: Vec<Versus>,
}

/// One model with one decoder on one test set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The model.
    pub model: String,
    /// The results of each seed.
    pub seeds: Vec<SeedShare>,
    /// Accuracy in percent, over seeds.
    pub accuracy: Spread,
    /// Generated tokens per problem, mean over seeds; null if not recorded.
    pub tokens: Option<f64>,
    /// Nodes of the search tree per problem, mean over seeds; null for decoders without one.
    pub nodes: Option<f64>,
}

/// The accuracy of one model in one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedShare {
    /// The seed.
    pub seed: String,
    /// Problems answered.
    pub n: u64,
    /// Problems answered correctly.
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

/// One side against another, paired by problem within each seed. In [`Paired::pairs`], `first` is `this`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Versus {
    /// The side whose gain is measured.
    pub this: Side,
    /// The side it is compared with.
    pub other: Side,
    /// The comparison in each seed.
    pub seeds: Vec<SeedPair>,
    /// The gain in percentage points, over seeds.
    pub gain: Spread,
    /// Errors removed in percent, over seeds; null if in some seed the other side makes no errors.
    pub error_removed: Option<Spread>,
    /// All seeds pooled, as if each had problems of its own. Overconfident if seeds share problems.
    pub pooled: Paired,
    /// Number of distinct problems; smaller than `pooled.n` if seeds share problems.
    pub problems: u64,
    /// The p-value of the exact sign-flip test over all seeds, with one sign per problem. Equals that of `pooled` if
    /// seeds share no problems, and stays valid if they do.
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
    /// `(e_other - e_this) / e_other` in percent, where `e` counts errors on the paired problems; null if the other
    /// side makes none.
    pub error_removed: Option<f64>,
}
