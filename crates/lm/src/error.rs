//! What can go wrong with a model: always a named file, tensor or option, and what to do.

use std::path::{Path, PathBuf};

/// An error of the language model crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of a checkpoint could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of a checkpoint is not what it should be.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The model's configuration asks for something that is not supported.
    #[error("model configuration: {0}")]
    Config(String),
    /// A prompt does not fit the model's context.
    #[error("a row of {tokens} tokens exceeds the model's context of {limit} tokens")]
    TooLong {
        /// Tokens of the row, with room for what is to be generated.
        tokens: usize,
        /// `max_position_embeddings`.
        limit: usize,
    },
    /// Training diverged.
    #[error("training diverged: the loss of update {update} is {loss}; lower the learning rate")]
    Diverged {
        /// The update, counted from 1.
        update: usize,
        /// The loss, NaN or infinite.
        loss: f64,
    },
    /// What an interrupted run had saved cannot be gone on from.
    #[error("not a training state of this run: {0}")]
    State(String),
    /// There is nothing to train on.
    #[error("no training examples")]
    NoExamples,
    /// A pair has nothing to compare; by its index.
    #[error("pair {0} has no prompt, or a solution without a token")]
    IncompletePair(usize),
    /// The requested device is not there.
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
