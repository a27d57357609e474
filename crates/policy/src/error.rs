//! What can go wrong with a policy.

/// An error of a policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model underneath.
    #[error(transparent)]
    Model(#[from] lm::Error),
    /// The server did not answer, or not as it had to, as often as it was asked.
    #[error("{address}: {problem}")]
    Unavailable {
        /// The server.
        address: String,
        /// What was wrong the last time.
        problem: String,
    },
    /// A text is over the server's context; whoever asked goes on without it.
    #[error("{address}: {problem}")]
    TooLong {
        /// The server.
        address: String,
        /// What it said.
        problem: String,
    },
    /// The server cannot do what is needed of it, or does not say what has to be known.
    #[error("{address}: {problem}")]
    Refused {
        /// The server.
        address: String,
        /// What it lacks.
        problem: String,
    },
}
