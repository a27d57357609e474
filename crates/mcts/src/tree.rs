//! The tree: an arena of nodes addressed by index, with its read-only public interface.
//!
//! Nodes are appended and never removed or moved. Outside the crate they cannot be changed.

use serde::Serialize;

use crate::config::{Config, ConfigError};
use crate::node::{Action, Node, NodeId};
use crate::pending::Pending;
use crate::request::StopReason;

/// One search: the tree of a prompt, with the request it is waiting on.
///
/// To drive one, answer [`Tree::request`] in a loop until it is [`crate::Request::Done`]:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let preset = include_str!("../tests/presets/gsm8k_small.toml");
/// # let config: mcts::Config = toml::from_str(preset)?;
/// use mcts::{Action, Evaluation, Request, Tree};
/// let mut tree = Tree::new(&config)?;
/// loop {
///     match tree.request() {
///         Request::ScoreRoot => tree.tell_root(0.5)?,
///         Request::Sample(wanted) => {
///             let attempts = wanted.iter().flat_map(|s| s.first_attempt..s.first_attempt + s.count);
///             tree.tell_samples(attempts.map(|attempt| Action {
///                 text: format!("#### {attempt}"),
///                 tokens: 4,
///                 cost: 4,
///                 logprob: -1.0,
///                 terminal: true,
///                 stop: "answer".into(),
///             }).collect())?;
///         }
///         Request::Evaluate { nodes, .. } => {
///             let right = Evaluation { orm: vec![1.0], ..Evaluation::default() };
///             tree.tell_evaluations(vec![right; nodes.len()])?;
///         }
///         Request::Done(_) => break,
///     }
/// }
/// assert_eq!(tree.terminals().count(), 10);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tree {
    pub(crate) config: Config,
    pub(crate) nodes: Vec<Node>,
    pub(crate) tally: Tally,
    pub(crate) pending: Pending,
    /// The nodes with simulations in flight, once for each selection.
    pub(crate) in_flight: Vec<NodeId>,
}

/// Counts of the work a search has done so far. `sampled = nodes + merged + failed + discarded` when no attempt is
/// held back, and `simulations = nodes + revisits` between simulations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Simulations, that is, scores backed up.
    pub simulations: u32,
    /// Simulations that reached a leaf they could not expand and backed up its score again.
    pub revisits: u32,
    /// Nodes besides the root.
    pub nodes: u32,
    /// Finished solutions among them.
    pub terminals: u32,
    /// Options sampled.
    pub sampled: u32,
    /// Options folded into a sibling.
    pub merged: u32,
    /// Blank options: empty and not terminal.
    pub failed: u32,
    /// Options that arrived after their node was full or saturated.
    pub discarded: u32,
    /// Rollouts scored.
    pub rollouts: u32,
    /// Tokens generated for options and evaluations.
    pub tokens: u64,
}

/// A whole tree in a form that can be serialized, for golden files and inspection.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot<'a> {
    /// Why the search ended; `None` while it runs.
    pub stop: Option<StopReason>,
    /// Counts.
    pub tally: Tally,
    /// The nodes, in order of creation.
    pub nodes: &'a [Node],
}

impl Tree {
    /// Creates the tree of a bare prompt. Fails if `config` does not validate.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut tree = Self {
            config: config.clone(),
            nodes: Vec::new(),
            tally: Tally::default(),
            pending: Pending::Root,
            in_flight: Vec::new(),
        };
        tree.push(None, None);
        tree.pending = tree.advance();
        Ok(tree)
    }

    /// Returns the node `id`, which must come from this tree.
    ///
    /// # Panics
    /// If `id` comes from a larger tree.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Iterates over every node with its id in order of creation: the root first, parents before children.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index as u32), node))
    }

    /// Iterates over nodes without children, in order of creation. The root is not a leaf, even when it is alone,
    /// since it is never evaluated.
    pub fn leaves(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes().skip(1).filter(|(_, node)| node.is_leaf())
    }

    /// Iterates over finished solutions, in order of creation.
    pub fn terminals(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes().filter(|(_, node)| node.terminal)
    }

    /// Returns the path to `id`, from the child of the root to `id` itself; empty for the root.
    pub fn path(&self, id: NodeId) -> Vec<NodeId> {
        let parent = |id: &NodeId| self.node(*id).parent;
        let mut path: Vec<_> = std::iter::successors(Some(id), parent).collect();
        path.pop(); // The root.
        path.reverse();
        path
    }

    /// Returns the counts of the work done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Why the search ended; `None` while it runs.
    pub fn stop(&self) -> Option<StopReason> {
        match self.pending {
            Pending::Done(reason) => Some(reason),
            _ => None,
        }
    }

    /// Returns the tree as it stands, for serialization.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { stop: self.stop(), tally: self.tally, nodes: &self.nodes }
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = (NodeId, &Node)> {
        self.node(id).children.iter().map(|&child| (child, self.node(child)))
    }

    /// Appends a node and makes it the last child of its parent.
    pub(crate) fn push(&mut self, parent: Option<NodeId>, action: Option<Action>) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        let depth = parent.map_or(0, |parent| self.node(parent).depth + 1);
        let terminal = action.as_ref().is_some_and(|action| action.terminal);
        if let Some(parent) = parent {
            self.node_mut(parent).children.push(id);
        }
        self.nodes.push(Node {
            parent,
            children: Vec::new(),
            depth,
            action,
            terminal,
            closed: terminal || depth >= self.config.max_depth,
            visits: 0,
            total: 0.0,
            ended: Vec::new(),
            score: None,
            value: None,
            prm: None,
            orm: None,
            rollouts: 0,
            importance: 0.0,
            width: self.config.width_at(depth).min,
            merged: 0,
            attempts: 0,
            failed: 0,
            saturated: false,
            most: u32::MAX,
            covered: 0.0,
            repeats: 0,
            blanks: 0,
            flying: 0,
            reserved: 0,
            held: None,
        });
        id
    }
}
