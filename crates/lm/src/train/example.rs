//! Examples and pairs to learn from.

/// A training row.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Index of the first token that the language modelling loss predicts; `None` for a row that only trains scalar
    /// heads.
    pub targets_from: Option<usize>,
    /// Targets for the scalar heads.
    pub heads: Vec<HeadTarget>,
    /// Weight of the row's loss, normally 1.
    pub weight: f32,
}

/// A target for one scalar head at one position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadTarget {
    /// Position in the row.
    pub at: usize,
    /// Index of the head in the configuration's `scalar_heads`.
    pub head: usize,
    /// Target value, 0 to 1.
    pub value: f32,
    /// Loss to use.
    pub measure: Measure,
}

/// Loss of a scalar head that predicts probability `p` for target `t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Squared error, `(p - t)^2`.
    Squared,
    /// Cross-entropy, `-t ln p - (1 - t) ln (1 - p)`.
    CrossEntropy,
}

/// A preference pair: a better and a worse solution for the same prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Tokens of the prompt and the better solution.
    pub chosen: Vec<u32>,
    /// Tokens of the prompt and the worse solution.
    pub rejected: Vec<u32>,
    /// Number of prompt tokens, at least 1. The tokens after them are compared.
    pub targets_from: usize,
}

impl Example {
    /// Indices of the tokens that the language modelling loss predicts. The first token of a row has no context and is
    /// never one.
    pub(super) fn targets(&self) -> std::ops::Range<usize> {
        let from = self.targets_from.map_or(self.ids.len(), |from| from.max(1));
        from..self.ids.len().max(from)
    }
}

impl Pair {
    /// A pair's weight in the batch's mean, which also multiplies its loss: the number of chosen tokens.
    ///
    /// A batch's loss is a mean over tokens. Weighted this way, a pair counts like an example of its chosen solution,
    /// with the pair's loss in place of the mean over the solution's tokens. That is the scale at which Pang et al.
    /// (2024) add the two, and `sft_weight = 1` makes a chosen solution count as an example does. As a single target, a
    /// pair would weigh no more than one token.
    pub(super) fn weight(&self) -> f32 {
        self.chosen.len().saturating_sub(self.targets_from) as f32
    }

    /// Whether the pair has a prompt and both solutions have tokens.
    pub(super) fn is_complete(&self) -> bool {
        self.targets_from > 0 && self.chosen.len().min(self.rejected.len()) > self.targets_from
    }
}
