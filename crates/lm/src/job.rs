//! What a model is asked for, row by row.

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
    pub(crate) wanted: Wanted,
}

/// What is wanted of a row.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// The keys and values of the first `keep` new tokens, and the scalar heads of all.
    Read { keep: usize },
    /// The final hidden state of the last token.
    Hidden,
    /// The probability of each of these tokens as the next one.
    Next(Arc<[u32]>),
    /// A continuation.
    Written(Arc<GenerationRequest>),
}

/// The result of a job.
#[derive(Debug)]
pub(crate) enum Done {
    Read(Read),
    Hidden(Vec<f32>),
    Next(Vec<f32>),
    Written(Written),
}

/// A continuation.
#[derive(Debug)]
pub(crate) struct Written {
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
        match self.wanted {
            Wanted::Read { keep } => keep,
            Wanted::Hidden | Wanted::Next(_) | Wanted::Written(_) => 0,
        }
    }
}

// Each kind of job has one kind of result, which the workers pair.
impl Done {
    pub(crate) fn into_read(self) -> Read {
        match self {
            Self::Read(read) => read,
            other => unreachable!("{other:?} is not what a row that is read gives"),
        }
    }

    pub(crate) fn into_numbers(self) -> Vec<f32> {
        match self {
            Self::Hidden(numbers) | Self::Next(numbers) => numbers,
            other => unreachable!("{other:?} are not the numbers of a row"),
        }
    }

    pub(crate) fn into_written(self) -> Written {
        match self {
            Self::Written(written) => written,
            other => unreachable!("{other:?} is not what a row that is written gives"),
        }
    }
}
