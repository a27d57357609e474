//! Errors of this crate. They name the file, tensor or option, and say what to do about it.

use std::path::{Path, PathBuf};

/// An error of the language model crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A checkpoint file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The error from the operating system.
        source: std::io::Error,
    },
    /// A checkpoint file has invalid contents.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// The problem, and what to do about it.
        problem: String,
    },
    /// The model configuration asks for something that is not supported.
    #[error("model configuration: {0}")]
    Config(String),
    /// A row does not fit the model's context.
    #[error("a row of {tokens} tokens exceeds the model's context of {limit} tokens")]
    TooLong {
        /// Length of the row in tokens.
        tokens: usize,
        /// The context length, `max_position_embeddings`.
        limit: usize,
    },
    /// A training figure became NaN or infinite.
    #[error("training diverged: the {what} of update {update} is {value}; lower the learning rate")]
    Diverged {
        /// The update, counted from 1.
        update: usize,
        /// The quantity that diverged, such as the loss.
        what: &'static str,
        /// Its value, NaN or infinite.
        value: f64,
    },
    /// Some weights are NaN or infinite after the last update.
    #[error(
        "training diverged: tensor `{0}` is not finite after the last update; lower the learning rate"
    )]
    DivergedWeights(String),
    /// The model produced logits or scores that are NaN or infinite.
    #[error(
        "the model's scores are not finite: its weights are too large, or their training diverged"
    )]
    NotFinite,
    /// A saved training state fails its hash check.
    #[error("the training state is damaged")]
    DamagedState,
    /// A saved training state is intact but does not belong to this run.
    #[error("not a training state of this run: {0}")]
    State(String),
    /// There are no examples to train or validate on.
    #[error("no training examples")]
    NoExamples,
    /// A preference pair, given by its index, has no prompt or an empty solution.
    #[error("pair {0} has no prompt, or a solution without a token")]
    IncompletePair(usize),
    /// The requested device is not available.
    #[error("{0}")]
    Device(String),
    /// The tokenizer failed.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
}

impl Error {
    pub(crate) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}
