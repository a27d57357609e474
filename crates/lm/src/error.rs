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
    #[error("training diverged: the {what} of update {update} is {value}; lower the learning rate")]
    Diverged {
        /// The update, counted from 1.
        update: usize,
        /// What is no number: the loss, say.
        what: &'static str,
        /// NaN or infinite.
        value: f64,
    },
    /// Training made weights of which some are no numbers.
    #[error(
        "training diverged: tensor `{0}` is not finite after the last update; lower the learning rate"
    )]
    DivergedWeights(String),
    /// What the model says is no number.
    #[error(
        "the model's scores are not finite: its weights are too large, or their training diverged"
    )]
    NotFinite,
    /// What an interrupted run had saved is not what it saved.
    #[error("the training state is damaged")]
    DamagedState,
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
