//! Errors of a critic.

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
    Unasked(String),
    /// The server lists neither word among its likeliest tokens after the template's text.
    #[error(
        "[critic.words.{head}]: neither `{yes}` nor `{no}` is among the likeliest tokens that the server tells of after its \
         text; those are {told}: take words from among them, or another text"
    )]
    Unseen {
        /// The head.
        head: String,
        /// The positive word.
        yes: String,
        /// The negative word.
        no: String,
        /// Likely next tokens that the server lists instead.
        told: String,
    },
    /// The configuration has a template for a critic that does not exist.
    #[error("[critic.words.{0}]: there is no such critic; there are value, prm and orm")]
    Unknown(String),
    /// None of the models has a head that is needed.
    #[error("none of the critic's models has a `{0}` head; they have: {1}")]
    MissingHead(&'static str, String),
    /// Two models have the same head.
    #[error("two of the critic's models have a `{0}` head")]
    TwoHeads(String),
}
