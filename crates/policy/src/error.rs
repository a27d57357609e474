//! Errors of a policy.

/// An error of a policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] lm::Error),
    /// The server did not answer, or answered incorrectly, on every attempt.
    #[error("{address}: {problem}")]
    Unavailable {
        /// The server's address.
        address: String,
        /// The last error.
        problem: String,
    },
    /// A text exceeds the server's context. The caller continues without it.
    #[error("{address}: {problem}")]
    TooLong {
        /// The server's address.
        address: String,
        /// The server's message.
        problem: String,
    },
    /// The server lacks a feature that is needed, or does not report a value that is needed.
    #[error("{address}: {problem}")]
    Refused {
        /// The server's address.
        address: String,
        /// The missing feature.
        problem: String,
    },
}
