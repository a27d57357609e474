//! Errors of a critic.

use crate::head::{Head, UnknownHead};

/// An error of a critic.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] lm::Error),
    /// A model that answers in words failed.
    #[error(transparent)]
    Reader(#[from] policy::Error),
    /// A head is to be answered in words, but the configuration has no template for it.
    #[error("text.toml does not say how `{0}` is asked: [critic.words.{0}]")]
    Unasked(Head),
    /// The server lists neither word among its likeliest tokens after the template's text.
    #[error(
        "[critic.words.{head}]: neither `{yes}` nor `{no}` is among the likeliest tokens that the server tells of after its \
         text; those are {told}: take words from among them, or another text"
    )]
    Unseen {
        /// The head.
        head: Head,
        /// The positive word.
        yes: String,
        /// The negative word.
        no: String,
        /// Likely next tokens that the server lists instead.
        told: String,
    },
    /// A checkpoint names a critic that does not exist.
    #[error(transparent)]
    Unknown(#[from] UnknownHead),
    /// None of the models has a head that is needed.
    #[error("none of the critic's models has a `{0}` head; they have: {1}")]
    MissingHead(Head, String),
    /// Two models have the same head.
    #[error("two of the critic's models have a `{0}` head")]
    TwoHeads(Head),
}
