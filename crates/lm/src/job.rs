//! Jobs: single rows to run through a model, and their results.

use std::sync::Arc;

use kernels::Kv;
use kernels::spans::Piece;

use crate::prefix::Read;
use crate::requests::{Generation, GenerationRequest};

/// New tokens of a row, after a cached prefix.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) before: Vec<Piece>,
    /// At least one token.
    pub(crate) tokens: Vec<u32>,
    pub(crate) kind: JobKind,
}

/// The result that a job asks for.
#[derive(Debug, Clone)]
pub(crate) enum JobKind {
    /// The keys and values of the first `keep` new tokens, and the scalar heads of all.
    Read { keep: usize },
    /// The final hidden state of the last token.
    Hidden,
    /// The probability of each of these tokens as the next one.
    NextToken(Arc<[u32]>),
    /// A continuation.
    Generate(Arc<GenerationRequest>),
}

/// The result of a job.
#[derive(Debug)]
pub(crate) enum JobResult {
    Read(Read),
    Hidden(Vec<f32>),
    NextToken(Vec<f32>),
    Generated(Generated),
}

/// A continuation.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) generation: Generation,
    /// Keys and values of the last prompt token and all generated tokens but the last, if the request keeps them. (The
    /// last generated token was never run through the model.)
    pub(crate) kv: Option<Kv>,
}

impl Job {
    /// Number of cached tokens.
    pub(crate) fn cached(&self) -> usize {
        self.before.iter().map(|piece| piece.used).sum()
    }

    /// How many of the new tokens' keys and values to return, from the first on.
    pub(crate) fn keep(&self) -> usize {
        match self.kind {
            JobKind::Read { keep } => keep,
            JobKind::Hidden | JobKind::NextToken(_) | JobKind::Generate(_) => 0,
        }
    }
}

// A worker answers each kind of job with its own kind of result.
impl JobResult {
    pub(crate) fn into_read(self) -> Read {
        match self {
            Self::Read(read) => read,
            other => unreachable!("a read job was answered with {other:?}"),
        }
    }

    pub(crate) fn into_numbers(self) -> Vec<f32> {
        match self {
            Self::Hidden(numbers) | Self::NextToken(numbers) => numbers,
            other => unreachable!("a job for numbers was answered with {other:?}"),
        }
    }

    pub(crate) fn into_generated(self) -> Generated {
        match self {
            Self::Generated(generated) => generated,
            other => unreachable!("a generation job was answered with {other:?}"),
        }
    }
}
