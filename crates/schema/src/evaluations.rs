//! Measurements: a policy's answers to test problems, and whether they are right.

table! {
    /// One answer to one test problem.
    pub struct Evaluation = "evaluations" version 1,
    key (task, split, prompt_id, decoder, model, sample), check crate::table::anything;

    /// The task's name.
    pub task: String,
    /// The test set within the task, for example `test`, `ood-templates` or `ood-chains`.
    pub split: String,
    /// The problem.
    pub prompt_id: String,
    /// How it was answered, for example `greedy` or `mcts`.
    pub decoder: String,
    /// Which of several answers to the problem, from 0.
    pub sample: i32,
    /// The answer as it stands in the completion; null if there is none.
    pub prediction: Option<String>,
    /// The prediction in canonical form; null if it has none.
    pub answer: Option<String>,
    /// The gold answer.
    pub target: String,
    /// Whether the answer equals the target.
    pub correct: bool,
    /// Tokens generated for the problem.
    pub tokens: Option<i32>,
    /// Nodes of the search tree; null without one.
    pub nodes: Option<i32>,
    /// The policy measured.
    pub model: String,
    /// The random seed of the answer; null where nothing is random.
    pub seed: Option<i64>,
    /// The whole answer; null where it was not kept.
    pub completion: Option<String>,
    /// How hard the problem is, for example its number of operations.
    pub difficulty: Option<i32>,
    /// The round measured.
    pub round: i32,
}

view! {
    /// Whether an answer is right, and what it cost: all that a comparison needs. The texts are by far the most of a row.
    pub struct Outcome of Evaluation {
        /// The task's name.
        pub task: String,
        /// The test set within the task.
        pub split: String,
        /// The problem.
        pub prompt_id: String,
        /// How it was answered.
        pub decoder: String,
        /// The gold answer.
        pub target: String,
        /// Whether the answer equals the target.
        pub correct: bool,
        /// Tokens generated for the problem.
        pub tokens: Option<i32>,
        /// Nodes of the search tree; null without one.
        pub nodes: Option<i32>,
    }
}
