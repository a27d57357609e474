//! What can go wrong with a critic.

/// An error of a critic.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model underneath.
    #[error(transparent)]
    Model(#[from] lm::Error),
    /// A model that answers in words.
    #[error(transparent)]
    Reader(#[from] policy::Error),
    /// A head that is to be answered for in words, with no text that asks for it.
    #[error("text.toml does not say how `{0}` is asked: [critic.words.{0}]")]
    Unasked(String),
    /// A server that tells of neither word after the text that asks for them.
    #[error(
        "[critic.words.{head}]: neither `{yes}` nor `{no}` is among the likeliest tokens that the server tells of after its \
         text; those are {told}: take words from among them, or another text"
    )]
    Unseen {
        /// The head.
        head: String,
        /// Its words.
        yes: String,
        /// Its words.
        no: String,
        /// Likely next tokens that the server shows in place of both words.
        told: String,
    },
    /// A head that there is no critic for.
    #[error("[critic.words.{0}]: there is no such critic; there are value, prm and orm")]
    Unknown(String),
    /// A head that is needed is in none of the models.
    #[error("none of the critic's models has a `{0}` head; they have: {1}")]
    MissingHead(&'static str, String),
    /// Two models have the same head.
    #[error("two of the critic's models have a `{0}` head")]
    TwoHeads(String),
}
