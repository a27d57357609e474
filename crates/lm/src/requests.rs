//! Requests to an engine, and what it generates.

use std::sync::Arc;

use crate::{Drawn, Sampling};

/// When a generation stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Stop tokens. The one that was generated is kept.
    pub tokens: Vec<u32>,
    /// Stop strings, matched anywhere in the generated text. The text is kept.
    pub strings: Vec<String>,
    /// A condition on the generated text that stops it. The text is kept.
    pub until: Option<Until>,
    /// Maximum number of new tokens.
    pub max_new: usize,
}

/// A predicate on the bytes of a generated text: whether it is complete.
#[derive(Clone)]
pub struct Until(Arc<Ends>);

type Ends = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Until {
    /// Wraps a predicate.
    pub fn new(ends: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ends))
    }

    /// Whether the text is complete.
    pub(crate) fn holds(&self, text: &[u8]) -> bool {
        (self.0)(text)
    }
}

impl PartialEq for Until {
    fn eq(&self, other: &Self) -> bool {
        // Closures cannot be compared, so two conditions are equal if they are the same object.
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Until {}

impl std::fmt::Debug for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Until")
    }
}

/// A request to continue a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationRequest {
    /// The prompt, at least one token.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// When to stop.
    pub stop: Stop,
    /// Continuations that must not be drawn again for this prompt. At temperature 1 the rest follow the model's
    /// distribution, renormalized. At other temperatures, a token that starts an excluded continuation keeps the share of
    /// its probability that the untempered model assigns to other continuations.
    pub excluded: Vec<Drawn>,
    /// Seed for the random draws of this row.
    pub seed: u64,
    /// Scope of the row's cached prefix, shared with related rows ([`crate::prefix::scope_of`]).
    pub scope: u64,
    /// Whether to cache the generated tokens, for later rows that continue from them.
    pub keep: bool,
}

/// Why a generation stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It generated a stop token.
    Token,
    /// It generated a stop string, or met the condition.
    String,
    /// It reached `max_new` tokens or the end of the model's context.
    Length,
}

/// A generated continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The new tokens, including the stop token.
    pub drawn: Drawn,
    /// Why it stopped.
    pub stop: StopReason,
}

/// A request to read the scalar heads along a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRequest {
    /// The tokens, at least one.
    pub ids: Vec<u32>,
    /// Positions at which to read the heads.
    pub at: Vec<usize>,
    /// Scope of the row's cached prefix, shared with related rows ([`crate::prefix::scope_of`]).
    pub scope: u64,
    /// How many leading tokens to cache for later rows.
    pub keep: usize,
}

/// A row to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedRequest {
    /// The tokens, at least one.
    pub ids: Vec<u32>,
    /// Scope of the row's cached prefix, shared with related rows ([`crate::prefix::scope_of`]).
    pub scope: u64,
}
