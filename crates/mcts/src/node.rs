//! What a tree is made of: nodes, the options that lead to them, and what critics said of them.

use serde::Serialize;

/// Names a node of one tree. Nodes are never removed, so an id stays valid as long as its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The root, the bare prompt.
    pub const ROOT: Self = Self(0);

    /// Position in order of creation; 0 is the root.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One option: the text between two nodes (paper §4.3, `o = <I, pi, beta>`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// The text, up to and including what ended it. Empty text is a failed sample, unless it is terminal.
    pub text: String,
    /// Tokens it has.
    pub tokens: u32,
    /// Tokens generated for it: 0 for one that was at hand.
    pub cost: u32,
    /// Sum of the log-probabilities of its tokens, a finite number: the prior of [`crate::Selection::Puct`].
    pub logprob: f32,
    /// Whether the solution is finished after it.
    pub terminal: bool,
    /// Why it ended, in the driver's words. Kept, never used.
    pub stop: String,
}

/// What the critics say of one leaf. A part that is absent adds nothing to the leaf's score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// `v(s)`, in the value critic's own range.
    pub value: Option<f64>,
    /// The PRM's score of the option that led here.
    pub prm: Option<f64>,
    /// One ORM score for each rollout, or a single one for a terminal. Fewer than asked for is fine.
    pub orm: Vec<f64>,
    /// Tokens generated for the evaluation, that is by rollouts.
    pub tokens: u64,
}

/// A node: a state, the option that led to it, and what the search has learnt. Read only.
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
    /// Whether the path ends here: it is finished, or as deep as may be.
    pub closed: bool,
    /// `n`: backups that passed through here.
    pub visits: u32,
    /// `Q`: sum of the scores they carried.
    pub total: f64,
    /// The leaf score `s`, given once; `None` at the root and until evaluated.
    pub score: Option<f64>,
    /// `v(s)` where the value critic was asked.
    pub value: Option<f64>,
    /// The PRM's score of the option that leads here.
    pub prm: Option<f64>,
    /// Mean ORM score, over rollouts or of the finished solution.
    pub orm: Option<f64>,
    /// Rollouts that were scored; 0 at a terminal.
    pub rollouts: u32,
    /// `I(s)` given the present children; 0 without children.
    pub importance: f64,
    /// Children allowed so far.
    pub width: u32,
    /// Siblings' duplicates folded in here.
    pub merged: u32,
    /// Options sampled here, whatever became of them.
    pub attempts: u32,
    /// Blank options among them.
    pub failed: u32,
    /// Whether sampling has stopped bringing new options, so that no more are asked for.
    pub saturated: bool,
    /// Children it may have at most, whatever its importance: one if its rollouts agree.
    #[serde(skip)]
    pub(crate) most: u32,
    /// The policy's probability of all children.
    #[serde(skip)]
    pub(crate) covered: f64,
    /// Duplicates since the last new child.
    #[serde(skip)]
    pub(crate) repeats: u32,
    /// Blank options since the last new child.
    #[serde(skip)]
    pub(crate) blanks: u32,
    /// Simulations under way that were selected through here.
    #[serde(skip)]
    pub(crate) flying: u32,
    /// Children being sampled or waiting for their scores that are not yet in `children`.
    #[serde(skip)]
    pub(crate) reserved: u32,
    /// The best attempt at the next child so far, where attempts are compared.
    #[serde(skip)]
    pub(crate) held: Option<Held>,
}

/// An option that may become a child, and the sibling it is closest to, with the distance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) action: Action,
    pub(crate) close: Option<(NodeId, usize)>,
}

impl Held {
    /// Edits to the closest sibling; without one it is as far as can be.
    pub(crate) fn distance(&self) -> usize {
        self.close.map_or(usize::MAX, |(_, distance)| distance)
    }
}

impl Node {
    /// Mean score `Q/n`; `None` before the first visit.
    pub fn mean(&self) -> Option<f64> {
        (self.visits > 0).then(|| self.total / f64::from(self.visits))
    }

    /// Whether it has no children.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// The text of the option that leads here; empty at the root.
    pub fn text(&self) -> &str {
        self.action.as_ref().map_or("", |action| &action.text)
    }

    /// Whether it may have another child.
    pub fn is_open(&self) -> bool {
        self.has_room_for(1)
    }

    /// Whether `more` further children may be had.
    pub(crate) fn has_room_for(&self, more: u32) -> bool {
        let children = self.children.len() as u32;
        !self.closed && !self.saturated && children.saturating_add(more) <= self.width
    }

    /// Visits, with those under way.
    pub(crate) fn expected_visits(&self) -> u32 {
        self.visits + self.flying
    }

    /// Mean score with a score of 0 for every simulation under way (virtual loss); `None` without any.
    pub(crate) fn expected_mean(&self) -> Option<f64> {
        let visits = self.expected_visits();
        (visits > 0).then(|| self.total / f64::from(visits))
    }
}
