//! The parts of a tree: nodes, the options that lead to them, and the critics' scores.

use serde::Serialize;

/// Identifies a node of one tree. Nodes are never removed, so an id stays valid as long as its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The root: the bare prompt.
    pub const ROOT: Self = Self(0);

    /// Returns the position in order of creation; 0 is the root.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One option: the text between two nodes (paper §4.3, `o = <I, pi, beta>`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// The text, including the separator that ended it. An empty text is a failed sample, unless it is terminal.
    pub text: String,
    /// Length in tokens.
    pub tokens: u32,
    /// Tokens generated for it, which count against the budget: 0 if it was already there, as part of a rollout.
    pub cost: u32,
    /// Sum of the log-probabilities of its tokens, a finite number. [`crate::Selection::Puct`] takes its prior from it.
    pub logprob: f32,
    /// Whether the solution is finished after it.
    pub terminal: bool,
    /// Why it ended, in the driver's words. Recorded, but never read by the search.
    pub stop: String,
}

/// The critics' scores of one leaf. A part that is absent adds nothing to the leaf score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// `v(s)`, in the value critic's own range.
    pub value: Option<f64>,
    /// The PRM's score of the option that leads to the leaf.
    pub prm: Option<f64>,
    /// One ORM score for each rollout, or a single one for a terminal. Fewer than requested is fine, since a rollout
    /// can fail.
    pub orm: Vec<f64>,
    /// Tokens generated for the evaluation, that is, by rollouts.
    pub tokens: u64,
}

/// A node: a state, the option that leads to it, and its search statistics. Read only.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Node {
    /// The node above; `None` at the root.
    pub parent: Option<NodeId>,
    /// The nodes below, in order of creation.
    pub children: Vec<NodeId>,
    /// Options between the root and here; 0 at the root.
    pub depth: u32,
    /// The option that leads here; `None` at the root.
    pub action: Option<Action>,
    /// Whether the solution is finished here.
    pub terminal: bool,
    /// Whether the path ends here, because it is finished or at the maximum depth.
    pub closed: bool,
    /// `n`: backups through this node.
    pub visits: u32,
    /// `Q`: sum of the scores backed up.
    pub total: f64,
    /// The simulations that ended here and backed up `score`, numbered from 0 in the order of their backups.
    pub ended: Vec<u32>,
    /// The leaf score `s`, set once; `None` at the root, and elsewhere until evaluated.
    pub score: Option<f64>,
    /// `v(s)`; `None` if the value critic was not asked.
    pub value: Option<f64>,
    /// The PRM's score of the option that leads here.
    pub prm: Option<f64>,
    /// Mean ORM score of the rollouts, or the ORM score of the finished solution.
    pub orm: Option<f64>,
    /// Rollouts that were scored; 0 at a terminal.
    pub rollouts: u32,
    /// `I(s)` as of the last backup; 0 without children.
    pub importance: f64,
    /// Children currently allowed.
    pub width: u32,
    /// Duplicates of this option that were folded into it.
    pub merged: u32,
    /// Options sampled here, whether or not they became children.
    pub attempts: u32,
    /// Blank options among them.
    pub failed: u32,
    /// Whether sampling has stopped bringing new options, so that no more are requested.
    pub saturated: bool,
    /// Most children it may have, whatever its importance: 1 if it is settled, because its rollouts agree.
    #[serde(skip)]
    pub(crate) most: u32,
    /// The policy's total probability of all children (used by [`crate::Merge::Distinct`]).
    #[serde(skip)]
    pub(crate) covered: f64,
    /// Duplicates since the last new child; with [`crate::Merge::MostDistant`] attempts at the next one.
    #[serde(skip)]
    pub(crate) repeats: u32,
    /// Blank options since the last new child.
    #[serde(skip)]
    pub(crate) blanks: u32,
    /// Simulations in flight that pass through here, each a virtual loss.
    #[serde(skip)]
    pub(crate) flying: u32,
    /// Children requested by the simulations in flight.
    #[serde(skip)]
    pub(crate) reserved: u32,
    /// The attempt at the next child that is farthest from its siblings so far ([`crate::Merge::MostDistant`]).
    #[serde(skip)]
    pub(crate) held: Option<Held>,
}

/// An option that may become a child, with its nearest sibling and the edit distance to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) action: Action,
    pub(crate) close: Option<(NodeId, usize)>,
}

impl Held {
    /// Returns the edit distance to the nearest sibling; `usize::MAX` without one.
    pub(crate) fn distance(&self) -> usize {
        self.close.map_or(usize::MAX, |(_, distance)| distance)
    }
}

impl Node {
    /// Returns the mean score `Q/n`; `None` before the first visit.
    pub fn mean(&self) -> Option<f64> {
        (self.visits > 0).then(|| self.total / f64::from(self.visits))
    }

    /// Whether it has no children.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Returns the text of the option that leads here; empty at the root.
    pub fn text(&self) -> &str {
        self.action.as_ref().map_or("", |action| &action.text)
    }

    /// Whether it may have another child.
    pub fn is_open(&self) -> bool {
        self.has_room_for(1)
    }

    /// Whether it may have `more` further children.
    pub(crate) fn has_room_for(&self, more: u32) -> bool {
        let children = self.children.len() as u32;
        !self.closed && !self.saturated && children.saturating_add(more) <= self.width
    }

    /// Returns the visits, including those in flight.
    pub(crate) fn expected_visits(&self) -> u32 {
        self.visits + self.flying
    }

    /// Returns the mean score, with a score of 0 for every simulation in flight (virtual loss); `None` without visits.
    pub(crate) fn expected_mean(&self) -> Option<f64> {
        let visits = self.expected_visits();
        (visits > 0).then(|| self.total / f64::from(visits))
    }
}
