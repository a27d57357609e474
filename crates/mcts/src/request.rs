//! The conversation between a tree and its driver: what is asked, when it ends, what is refused.

use serde::Serialize;

use crate::node::NodeId;

/// What a tree needs to be told before it can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The value of the bare prompt, `v(s_0)`, which importance compares the root's children with.
    /// Answer with `tell_root`. It is not backed up: the root itself is never evaluated.
    ScoreRoot,
    /// Options that continue some nodes, each node once. Answer with `tell_samples`: all options of the
    /// first node in order of attempt, then those of the next.
    Sample(Vec<SampleRequest>),
    /// Scores of new leaves. Answer with `tell_evaluations`, in this order. A terminal node wants
    /// a single ORM score, any other `rollouts` of them; which critics to ask is in the config.
    Evaluate {
        /// The leaves, at least one.
        nodes: Vec<NodeId>,
        /// Fast rollouts for each that is not terminal; 0 when the ORM is off.
        rollouts: u32,
    },
    /// Nothing: the search is over.
    Done(StopReason),
}

/// Options wanted of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRequest {
    /// Where to continue.
    pub node: NodeId,
    /// How many, at least 1.
    pub count: u32,
    /// Ordinal of the first of them among all samples of this node, for seeding: sample `i`
    /// of the request is attempt `first_attempt + i`, and no attempt is asked for twice.
    pub first_attempt: u32,
    /// The first of them is to be sampled at temperature 0.
    pub greedy_first: bool,
    /// The last depth: generate to the end of the solution, not to the end of one option.
    pub to_end: bool,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The budget of simulations is used up.
    Simulations,
    /// The tree has as many nodes as it may.
    Nodes,
    /// The tree has as many finished solutions as it may.
    Terminals,
    /// The budget of tokens is used up.
    Tokens,
    /// No node may have another child: every path is finished, full, or brings only duplicates.
    Exhausted,
    /// Whoever drives the search ended it.
    Settled,
}

/// An answer that does not fit what was asked. The tree is as it was before.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TellError {
    /// Nothing of the kind was asked for, or it has been answered already.
    #[error("told {told}, which was not asked for")]
    NotAsked {
        /// What was told: "the root's value", "samples" or "evaluations".
        told: &'static str,
    },
    /// Too many answers or too few.
    #[error("told {told} {what}, asked for {asked}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many were asked for.
        asked: usize,
        /// How many came.
        told: usize,
    },
    /// A score that is NaN, infinite or absurdly large. It would poison every average above it.
    #[error("{what} is {score}, not a number within 1e9 of 0")]
    Score {
        /// Which score.
        what: &'static str,
        /// What it is.
        score: f64,
    },
}
