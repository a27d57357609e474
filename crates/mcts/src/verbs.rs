//! The three verbs of a simulation: `select`, `expand`, `backup`. Evaluation lies between the last
//! two and is the driver's.

use crate::config::{Importance, Merge};
use crate::formula::{allowed_children, argmax, largest_deviation, mean, uct};
use crate::merge::repeated;
use crate::node::{Action, Node, NodeId};
use crate::tree::Tree;

/// Blank samples in a row after which a node is saturated. Not a setting: a sound policy has none.
const BLANK_LIMIT: u32 = 4;

impl Tree {
    /// Walks down from the root by UCT to the first node that may have another child, or else to a
    /// leaf: a finished path, or one that can not be continued. First of equals wins.
    ///
    /// Widths are brought up to date by `backup`, not here: importance depends on a node's children
    /// alone, and nothing but a backup through it changes them.
    pub(crate) fn select(&self) -> NodeId {
        let mut id = NodeId::ROOT;
        while !self.node(id).is_open() {
            let parent_visits = self.node(id).visits;
            let score = |child: &Node| {
                let mean = child.mean()?;
                Some(uct(mean, child.visits, parent_visits, self.config.exploration))
            };
            let scored = self.children(id).filter_map(|(child, node)| Some((child, score(node)?)));
            let Some(child) = argmax(scored) else { break };
            id = child;
        }
        id
    }

    /// Places one sampled option below `parent`: a new child, or `None` when it is blank, repeats a
    /// sibling, or comes too late. After too many of those in a row `parent` is saturated.
    pub(crate) fn expand(&mut self, parent: NodeId, action: Action) -> Option<NodeId> {
        self.tally.sampled += 1;
        self.tally.tokens = self.tally.tokens.saturating_add(u64::from(action.tokens));
        self.node_mut(parent).attempts += 1;
        if self.node(parent).saturated {
            self.tally.discarded += 1;
        } else if action.text.trim().is_empty() {
            self.drop_blank(parent);
        } else if let Some(twin) = repeated(self, parent, &action) {
            self.fold(parent, twin);
        } else {
            return Some(self.attach(parent, action));
        }
        None
    }

    /// Adds `score` to `leaf` and all above it, the root included, and counts the simulation.
    pub(crate) fn backup(&mut self, leaf: NodeId, score: f64) {
        self.tally.simulations += 1;
        let mut next = Some(leaf);
        while let Some(id) = next {
            let node = self.node_mut(id);
            node.visits += 1;
            node.total += score;
            next = node.parent;
            // After the children: what they average has just changed.
            self.widen(id);
        }
    }

    fn attach(&mut self, parent: NodeId, action: Action) -> NodeId {
        let node = self.node_mut(parent);
        (node.repeats, node.blanks) = (0, 0);
        self.tally.nodes += 1;
        self.tally.terminals += u32::from(action.terminal);
        self.push(Some(parent), Some(action))
    }

    fn fold(&mut self, parent: NodeId, twin: NodeId) {
        let resamples = match self.config.merge {
            Merge::Off => 0,
            Merge::EditDistance { resamples, .. } => resamples,
        };
        self.tally.merged += 1;
        self.node_mut(twin).merged += 1;
        let node = self.node_mut(parent);
        node.repeats += 1;
        if node.repeats > resamples {
            node.saturate();
        }
    }

    fn drop_blank(&mut self, parent: NodeId) {
        self.tally.failed += 1;
        let node = self.node_mut(parent);
        node.failed += 1;
        node.blanks += 1;
        if node.blanks >= BLANK_LIMIT {
            node.saturate();
        }
    }

    /// Measures importance again, and allows the children it earns. Never fewer than before.
    fn widen(&mut self, id: NodeId) {
        let importance = self.importance(id);
        let bounds = self.config.width_at(self.node(id).depth);
        let allowed = allowed_children(self.config.alpha, importance, bounds);
        let node = self.node_mut(id);
        node.importance = importance;
        if !node.saturated {
            node.width = node.width.max(allowed);
        }
    }

    fn importance(&self, id: NodeId) -> f64 {
        let measured = |measure: fn(&Node) -> Option<f64>| -> Vec<f64> {
            self.children(id).filter_map(|(_, child)| measure(child)).collect()
        };
        let (center, points) = match self.config.importance {
            Importance::Value => (self.node(id).value, measured(|child| child.value)),
            Importance::Total => {
                let means = measured(Node::mean);
                (mean(&means), means)
            }
        };
        center.map_or(0.0, |center| largest_deviation(center, points.into_iter()))
    }
}

impl Node {
    /// Asks for no more options here. One child is the least a node may have, even if it has none.
    fn saturate(&mut self) {
        self.saturated = true;
        self.width = (self.children.len() as u32).max(1);
    }
}
