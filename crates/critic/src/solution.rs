//! Solutions, and the scores that critics give them.

/// A complete or partial solution to score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution<'a> {
    /// The question.
    pub question: &'a str,
    /// The options so far.
    pub options: Vec<String>,
    /// Whether the last option ends the solution.
    pub finished: bool,
    /// Number of leading options that later solutions may share; their KV cache is kept.
    pub branch: usize,
}

/// The scores of a solution, all in `[0, 1]`. Positions beyond a model's context score 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    /// The value of the bare question, `v(s_0)`.
    pub root: f32,
    /// The value after each option; empty without a value head.
    pub values: Vec<f32>,
    /// The process reward of each option; empty without a PRM head.
    pub process: Vec<f32>,
    /// The outcome reward; `None` for an unfinished solution or without an ORM head.
    pub outcome: Option<f32>,
}
