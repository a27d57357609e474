//! Questions to decode, and the progress of decoding them.

use crate::Cost;

/// A question to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The prompt's id, for error messages.
    pub id: &'a str,
    /// The question's text.
    pub text: &'a str,
    /// Seed of all random draws in its search.
    pub seed: u64,
}

/// Progress of a batch of questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchProgress {
    /// Finished questions.
    pub done: usize,
    /// Nodes in all trees.
    pub nodes: u64,
    /// Independent samples drawn for all questions.
    pub samples: u64,
    /// Tokens generated.
    pub tokens: u64,
    /// Model cost so far.
    pub cost: Cost,
}

impl std::ops::Add for SearchProgress {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        let mut cost = self.cost;
        cost += more.cost;
        Self {
            done: self.done + more.done,
            nodes: self.nodes + more.nodes,
            samples: self.samples + more.samples,
            tokens: self.tokens + more.tokens,
            cost,
        }
    }
}
