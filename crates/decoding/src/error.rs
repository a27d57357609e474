//! What can go wrong with a decoder.

use stage::Failure;

/// An error of a decoder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model.
    #[error("{name} {}: {source}", dir.display())]
    Model {
        /// The model's role.
        name: String,
        /// Its directory.
        dir: std::path::PathBuf,
        /// What is wrong.
        source: policy::Error,
    },
    /// Writing failed.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// A critic.
    #[error(transparent)]
    Critic(#[from] critic::Error),
    /// A setting of the search.
    #[error(transparent)]
    Setting(#[from] mcts::ConfigError),
    /// A setting beside the tree's.
    #[error("setting `{key}`: {problem}")]
    Config {
        /// The key, as written in a preset.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A model said something a tree refuses, NaN for instance.
    #[error("prompt {prompt}: the search tree refused an answer: {source}")]
    Tree {
        /// The prompt.
        prompt: String,
        /// Why.
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
