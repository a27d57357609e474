//! Solutions: paths from the root of a search tree to a terminal node, or samples without a tree.

/// Whether a solution can be right. One without an end or without an answer cannot, whatever its critics say: its outcome
/// reward is 0.
pub fn can_be_right(finished: bool, answer: Option<&str>) -> bool {
    finished && answer.is_some()
}

impl Trajectory {
    /// Whether it can be right; see [`can_be_right`].
    pub fn can_be_right(&self) -> bool {
        can_be_right(self.finished, self.answer.as_deref())
    }
}

record! {
    /// An option of a trajectory, with the statistics of its node.
    pub struct TextOption {
        /// The option's text, its terminator included.
        pub text: String,
        /// The node it leads to; null without a tree.
        pub node_id: Option<i32>,
        /// Length in tokens.
        pub tokens: i32,
        /// Sum of the natural log-probabilities of its tokens.
        pub logprob: Option<f32>,
        /// Mean return of the node.
        pub q: Option<f32>,
        /// The value function's estimate after the option.
        pub value: Option<f32>,
        /// The process reward of the option.
        pub prm: Option<f32>,
        /// Simulations that passed through the node; 0 without a tree.
        pub visits: i32,
    }
}

table! {
    /// A solution of a prompt.
    // Version 2 has `critics`: scores by the same critics are taken from here, and scoring 61 955 solutions took 2.2 s of CPU
    // time instead of 214 (docs/PERFORMANCE.md).
    pub struct Trajectory = "trajectories" version 2, key (trajectory_id), check crate::table::anything;

    /// Hash of what decides the trajectory.
    pub trajectory_id: String,
    /// The prompt answered.
    pub prompt_id: String,
    /// The tree's node at which it ends; null without a tree.
    pub leaf_id: Option<i32>,
    /// The question as the policy saw it.
    pub prompt: String,
    /// The whole solution.
    pub completion: String,
    /// The solution option by option.
    pub options: Vec<TextOption>,
    /// The answer extracted from the completion; null if there is none.
    pub answer: Option<String>,
    /// Mean return of the leaf.
    pub q: Option<f32>,
    /// The critic's reward of the whole solution.
    pub reward: Option<f32>,
    /// Place among the prompt's trajectories, best first, from 0.
    pub rank: i32,
    /// Length of the completion in tokens.
    pub tokens: i32,
    /// Sum of the natural log-probabilities of the completion's tokens.
    pub logprob: Option<f32>,
    /// What produced it, for example `mcts` or `sample`.
    pub decoder: String,
    /// The policy that produced it.
    pub model: String,
    /// Hash of the critics whose scores these are, and of how they read; null for a solution without scores. A critique by
    /// the same critics takes the scores from here.
    pub critics: Option<String>,
    /// The random seed of the prompt's search.
    pub seed: i64,
    /// Why it ended, for example `end` or `length`.
    pub finish: String,
    /// Whether it ended by itself, not for lack of room or budget.
    pub finished: bool,
    /// The round of the search.
    pub round: i32,
}
