//! Search trees, with one row per node. All rows of a tree are in the same part.

table! {
    /// A node of a search tree: the state after an option, with the statistics the search ended with. Those after any earlier
    /// simulation follow from `simulations` and `score`.
    pub struct NodeRow = "nodes" version 2, key (prompt_id, node_id), check older_parent;

    /// The prompt searched; one tree per prompt.
    pub prompt_id: String,
    /// Position in the tree's arena; the root is 0 and a parent comes before its children.
    pub node_id: i32,
    /// The parent's `node_id`; null for the root.
    pub parent_id: Option<i32>,
    /// Options between the root and this node; the root has 0.
    pub depth: i32,
    /// The option's text; empty for the root.
    pub text: String,
    /// The option's length in tokens.
    pub tokens: i32,
    /// Sum of the natural log-probabilities of the option's tokens under the policy.
    pub logprob: Option<f32>,
    /// Simulations that passed through the node.
    pub visits: i32,
    /// Mean return of those simulations.
    pub q: Option<f32>,
    /// The simulations that ended here, numbered from 0 over the tree. Each is counted in `visits` of this node and of all above it.
    pub simulations: Vec<i32>,
    /// The return of each simulation that ended here; null where none did.
    pub score: Option<f32>,
    /// The value function's estimate of the state.
    pub value: Option<f32>,
    /// The process reward of the option.
    pub prm: Option<f32>,
    /// The outcome reward, averaged over the node's rollouts.
    pub orm: Option<f32>,
    /// Rollouts that its outcome reward is the mean of; 0 where the solution ends.
    pub rollouts: i32,
    /// Importance of the node, which sets its width: how much its children's values spread.
    pub importance: Option<f32>,
    /// Children the node may have; null where it was not decided.
    pub width: Option<i32>,
    /// Near-duplicate options that were merged into this one, itself not counted.
    pub merged: i32,
    /// Whether the answer is complete here.
    pub terminal: bool,
    /// Why the option ended, for example `newline` or `end`; null for the root.
    pub stop_reason: Option<String>,
    /// The round of the search.
    pub round: i32,
}

/// Checks that the parent comes before the node, which rules out cycles.
fn older_parent(row: &NodeRow) -> Result<(), String> {
    match row.parent_id {
        Some(parent) if parent < 0 || parent >= row.node_id => {
            Err(format!("node {} cannot have node {parent} as its parent", row.node_id))
        }
        _ => Ok(()),
    }
}
