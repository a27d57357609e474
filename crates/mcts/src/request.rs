//! The protocol between a tree and its driver: requests, reasons to stop, and errors.

use serde::Serialize;

use crate::node::NodeId;

/// A request that the driver must answer before the tree can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The value of the bare prompt, `v(s_0)`. Answer with `tell_root`. It is needed to measure the root's importance
    /// against its children, and it is not backed up: the root itself is never evaluated.
    ScoreRoot,
    /// Options that continue some nodes, each of which appears once. Answer with `tell_samples`: all options of the
    /// first node in order of attempt, then those of the next.
    Sample(Vec<SampleRequest>),
    /// Scores of new leaves. Answer with `tell_evaluations`, in the order of `nodes`. A terminal node needs
    /// a single ORM score, any other `rollouts` of them. Critics whose weight in the config is 0 need not be asked.
    Evaluate {
        /// The leaves, at least one.
        nodes: Vec<NodeId>,
        /// Fast rollouts for each leaf that is not terminal; 0 when the ORM is off.
        rollouts: u32,
    },
    /// Nothing: the search is over.
    Done(StopReason),
}

/// A request for options at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRequest {
    /// The node to continue from.
    pub node: NodeId,
    /// The number of options, at least 1.
    pub count: u32,
    /// Ordinal of the first option among all samples of this node. Sample `i` of the request is attempt
    /// `first_attempt + i`, and no attempt is requested twice, so node and attempt together can seed the sampler.
    pub first_attempt: u32,
    /// Whether to sample the first option at temperature 0.
    pub greedy_first: bool,
    /// Whether to generate to the end of the solution rather than to the end of one option. True at the last depth.
    pub to_end: bool,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The budget of simulations is used up.
    Simulations,
    /// The budget of nodes is used up.
    Nodes,
    /// The budget of finished solutions is used up.
    Terminals,
    /// The budget of tokens is used up.
    Tokens,
    /// No node may have another child: every one is finished, full, or brings only duplicates or blanks.
    Exhausted,
    /// The driver ended the search.
    Settled,
}

/// An answer that does not fit the request. It leaves the tree unchanged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TellError {
    /// Nothing of the kind was requested, or the request has been answered already.
    #[error("told {told}, which was not asked for")]
    NotAsked {
        /// The kind of answer: "the root's value", "samples", "samples without their similarity" or "evaluations".
        told: &'static str,
    },
    /// Too many answers, or too few.
    #[error("told {told} {what}, asked for {asked}")]
    Count {
        /// The kind of thing counted.
        what: &'static str,
        /// The number requested.
        asked: usize,
        /// The number received.
        told: usize,
    },
    /// A score that is NaN, infinite or absurdly large. Backed up, it would spoil the mean of every ancestor.
    #[error("{what} is {score}, not a number within 1e9 of 0")]
    Score {
        /// The kind of score.
        what: &'static str,
        /// Its number.
        score: f64,
    },
}
