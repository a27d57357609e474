//! Errors of `evaluate compare`.

use std::fmt;

use stage::Failure;

/// A comparison that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There are no models.
    NoModels,
    /// Two models have the same label.
    SameLabel {
        /// The label.
        label: String,
    },
    /// No model has the label to compare against.
    UnknownAgainst {
        /// The requested label.
        label: String,
        /// The known labels.
        known: Vec<String>,
    },
    /// A model has no rows.
    NoRows {
        /// The model.
        label: String,
    },
    /// A decoder has more than one answer to a problem.
    SeveralAnswers {
        /// The model.
        label: String,
        /// The measurement, as `task split, decoder`.
        place: String,
        /// The problem.
        prompt_id: String,
    },
    /// Two measurements cover different problems, and neither set contains the other.
    OtherProblems {
        /// The test set, as `task split`.
        place: String,
        /// The first measurement and its number of problems.
        first: (String, usize),
        /// The second measurement and its number of problems.
        second: (String, usize),
        /// The number of problems in both.
        common: usize,
    },
    /// One problem has two different gold answers.
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
            // Mistakes on the command line; everything else is the data's fault.
            Error::NoModels | Error::SameLabel { .. } | Error::UnknownAgainst { .. } => {
                Self::usage(message)
            }
            _ => Self::data(message),
        }
    }
}
