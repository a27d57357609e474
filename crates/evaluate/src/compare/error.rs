//! Why measurements are not compared.

use std::fmt;

use stage::Failure;

/// A comparison that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There is nothing to compare.
    NoModels,
    /// Two models have one label.
    SameLabel {
        /// The label.
        label: String,
    },
    /// The label to compare against is none of the models'.
    UnknownAgainst {
        /// What was asked for.
        label: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A model has no measurements.
    NoRows {
        /// The model.
        label: String,
    },
    /// A decoder has more than one answer to a problem.
    SeveralAnswers {
        /// The model.
        label: String,
        /// Where, as `task split, decoder`.
        place: String,
        /// The problem.
        prompt_id: String,
    },
    /// Two measurements cover different problems, and neither set holds the other.
    OtherProblems {
        /// Where, as `task split`.
        place: String,
        /// The first measurement and its number of problems.
        first: (String, usize),
        /// The second measurement and its number of problems.
        second: (String, usize),
        /// The number of problems in both.
        common: usize,
    },
    /// One problem has two gold answers.
    OtherTarget {
        /// The problem.
        prompt_id: String,
        /// The first measurement and its gold answer.
        first: (String, String),
        /// The second measurement and its gold answer.
        second: (String, String),
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModels => write!(f, "there is no model to compare"),
            Self::SameLabel { label } => write!(f, "two models are labelled `{label}`"),
            Self::UnknownAgainst { label, known } => {
                write!(f, "no model is labelled `{label}`; there are {}", known.join(", "))
            }
            Self::NoRows { label } => write!(f, "`{label}` has no measurements"),
            Self::SeveralAnswers { label, place, prompt_id } => write!(
                f,
                "`{label}` has more than one answer to problem {prompt_id} ({place}): only one answer per problem, \
                 of one model, can be compared"
            ),
            Self::OtherProblems { place, first, second, common } => write!(
                f,
                "{place}: {} answered {} problems and {} answered {}, of which only {common} are the same: measure \
                 them on the same problems",
                first.0, first.1, second.0, second.1
            ),
            Self::OtherTarget { prompt_id, first, second } => write!(
                f,
                "problem {prompt_id} has the gold answer `{}` in {} and `{}` in {}: these are not the same problems",
                first.1, first.0, second.1, second.0
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::NoModels | Error::SameLabel { .. } | Error::UnknownAgainst { .. } => {
                Self::usage(message)
            }
            _ => Self::data(message),
        }
    }
}
