//! Errors of a decoder.

use stage::Failure;

/// An error of a decoder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model could not be loaded or used.
    #[error("{name} {}: {source}", dir.display())]
    Model {
        /// The model's role.
        name: String,
        /// Its directory.
        dir: std::path::PathBuf,
        /// The cause.
        source: policy::Error,
    },
    /// The policy failed.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// A critic failed.
    #[error(transparent)]
    Critic(#[from] critic::Error),
    /// A setting of the tree is invalid.
    #[error(transparent)]
    Setting(#[from] mcts::ConfigError),
    /// Another setting is invalid.
    #[error("setting `{key}`: {problem}")]
    Config {
        /// The key in the preset.
        key: &'static str,
        /// The problem.
        problem: String,
    },
    /// A model returned something that the tree refuses, such as NaN.
    #[error("prompt {prompt}: the search tree refused an answer: {source}")]
    Tree {
        /// The prompt's id.
        prompt: String,
        /// The cause.
        source: mcts::TellError,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Setting(_) | Error::Config { .. } => Self::config(message),
            Error::Model { source: policy::Error::Model(lm::Error::Device(_)), .. }
            | Error::Policy(policy::Error::Unavailable { .. })
            | Error::Critic(critic::Error::Reader(policy::Error::Unavailable { .. })) => {
                Self::unavailable(message)
            }
            Error::Model { source: policy::Error::Model(lm::Error::Io { .. }), .. } => {
                Self::io(message)
            }
            Error::Model { .. } | Error::Policy(_) | Error::Critic(_) | Error::Tree { .. } => {
                Self::data(message)
            }
        }
    }
}
