//! Errors of `evaluate report`.

use std::fmt;

use stage::Failure;

use super::Pair;
use crate::compare;

/// A report that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There are no runs.
    NoRuns,
    /// A seed has two evaluations of the same model.
    SameRun {
        /// The seed.
        seed: String,
        /// The model.
        model: String,
    },
    /// Two runs have the same folder.
    SameFolder {
        /// The folder, as given for the second run.
        dir: String,
        /// The first run, as `SEED:MODEL`.
        first: String,
        /// The second run, as `SEED:MODEL`.
        second: String,
    },
    /// A seed lacks a model that another seed has.
    LacksModel {
        /// The seed.
        seed: String,
        /// The model.
        model: String,
        /// A seed that has it.
        other: String,
    },
    /// A requested model is not among those given.
    UnknownModel {
        /// The option that asked for it, as on the command line.
        place: String,
        /// The name.
        model: String,
        /// The known names.
        known: Vec<String>,
    },
    /// A model is to be compared with itself.
    PairOfOne {
        /// The pair.
        pair: Pair,
    },
    /// No run was measured on a requested split.
    UnknownSplit {
        /// The name.
        split: String,
        /// The known names.
        known: Vec<String>,
    },
    /// A model was measured on something in one seed but not in another.
    Uneven {
        /// The model.
        model: String,
        /// The seed that lacks it.
        seed: String,
        /// The seed that has it.
        other: String,
        /// The missing measurement, as `task split` or `task split with decoder`.
        what: String,
    },
    /// Two models have no split and decoder in common.
    NothingPaired {
        /// The pair.
        pair: Pair,
    },
    /// Evaluations that cannot be paired.
    Compare(compare::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuns => write!(f, "there is no run to report"),
            Self::SameRun { seed, model } => {
                write!(f, "seed {seed} has two runs of `{model}`: name one of them otherwise")
            }
            Self::SameFolder { dir, first, second } => write!(
                f,
                "--run '{second}={dir}': '{first}' is the same folder: give each evaluation once"
            ),
            Self::LacksModel { seed, model, other } => write!(
                f,
                "seed {seed} has no run of `{model}`, seed {other} has one: give --run '{seed}:{model}=DIR', or \
                 leave `{model}` out of every seed"
            ),
            Self::UnknownModel { place, model, known } => {
                write!(f, "{place}: no run is of `{model}`; there are {}", known.join(", "))
            }
            Self::PairOfOne { pair } => {
                write!(f, "--pair '{pair}' compares a model with itself: name another")
            }
            Self::UnknownSplit { split, known } => write!(
                f,
                "--split {split}: no run was measured on it; there are {}",
                known.join(", ")
            ),
            Self::Uneven { model, seed, other, what } => write!(
                f,
                "`{model}` of seed {seed} was not measured on {what}, that of seed {other} was: measure all seeds \
                 with the same preset, or name with --split what all of them have"
            ),
            Self::NothingPaired { pair } => write!(
                f,
                "--pair '{pair}': no split was measured with the same decoder of both: measure them alike"
            ),
            Self::Compare(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<compare::Error> for Error {
    fn from(error: compare::Error) -> Self {
        Self::Compare(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Compare(error) => error.into(),
            // Known only once the evaluations have been read.
            Error::Uneven { .. } | Error::NothingPaired { .. } => Self::data(error.to_string()),
            // Everything else is a mistake on the command line.
            _ => Self::usage(error.to_string()),
        }
    }
}
