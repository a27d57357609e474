//! The state of the machine: the request that a tree is waiting on.

use crate::node::NodeId;
use crate::request::StopReason;

/// The request the tree is waiting on.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// Waiting for the value of the root.
    Root,
    /// Waiting for options.
    Sample(Wave),
    /// Waiting for scores of these new leaves.
    Evaluate(Vec<NodeId>),
    /// The search is over.
    Done(StopReason),
}

/// New children being sampled: one, or all that a root wave still lacks, or one for each simulation in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wave {
    /// The nodes that still lack children.
    pub(crate) samplings: Vec<Sampling>,
    /// The new children so far, still to be evaluated.
    pub(crate) fresh: Vec<NodeId>,
}

/// The new children wanted of one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    /// The parent.
    pub(crate) node: NodeId,
    /// Children still lacking, and so the number of samples to request.
    pub(crate) lacking: u32,
}

impl Wave {
    /// Returns the number of samples requested.
    pub(crate) fn lacking(&self) -> usize {
        self.samplings.iter().map(|sampling| sampling.lacking as usize).sum()
    }
}
