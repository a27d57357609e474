//! The three steps of a simulation that need no model: `select`, `expand`, `backup`. Evaluation comes between the
//! last two and is the driver's job.

use crate::config::{Importance, Merge, RootSelection, Selection, Width};
use crate::formula::{
    allowed_children, argmax, halving_visits, largest_deviation, mean, puct, shares, uct,
};
use crate::merge::{Similarity, nearest, repeated};
use crate::node::{Action, Held, Node, NodeId};
use crate::tree::Tree;

/// Blank samples in a row, or repetitions of options that were drawn without replacement, after which a node is
/// saturated. Not a setting, because a sound policy produces hardly any.
const USELESS_LIMIT: u32 = 5;

impl Tree {
    /// Walks down from the root to the first node that may have another child, or else to a
    /// leaf: a finished path, or one that cannot be continued. The first child wins a tie.
    ///
    /// Widths are updated in `backup`, not here: importance depends only on a node's children, and only a
    /// backup through the node changes those.
    pub(crate) fn select(&self) -> NodeId {
        let mut id = NodeId::ROOT;
        while !self.node(id).has_room_for(self.node(id).reserved + 1) {
            let child = match (id, self.config.root) {
                (NodeId::ROOT, RootSelection::SequentialHalving) => self.halve(),
                _ => self.best_child(id),
            };
            let Some(child) = child else { break };
            id = child;
        }
        id
    }

    fn best_child(&self, id: NodeId) -> Option<NodeId> {
        let visits = self.node(id).expected_visits();
        let constant = self.config.exploration;
        let visited =
            self.children(id).filter_map(|(id, node)| Some((id, node, node.expected_mean()?)));
        match self.config.selection {
            Selection::Uct => {
                argmax(visited.map(|(id, node, mean)| {
                    (id, uct(mean, node.expected_visits(), visits, constant))
                }))
            }
            Selection::Puct => {
                let visited: Vec<_> = visited.collect();
                let logprob =
                    |node: &Node| node.action.as_ref().map_or(0.0, |a| f64::from(a.logprob));
                let priors =
                    shares(&visited.iter().map(|(_, node, _)| logprob(node)).collect::<Vec<_>>());
                argmax(visited.into_iter().zip(priors).map(|((id, node, mean), prior)| {
                    (id, puct(mean, node.expected_visits(), visits, constant * prior))
                }))
            }
        }
    }

    /// Returns the best of the root's remaining children that have not had their visits of this round.
    fn halve(&self) -> Option<NodeId> {
        let root = self.node(NodeId::ROOT);
        let budget = self.config.budget;
        let simulations =
            budget.nodes.map_or(budget.simulations, |nodes| nodes.min(budget.simulations));
        let children = root.children.len() as u32;
        let due = halving_visits(children, simulations, root.expected_visits());
        let left = self.children(NodeId::ROOT).filter(|(_, node)| node.expected_visits() == due);
        argmax(left.filter_map(|(id, node)| Some((id, node.expected_mean()?))))
            .or_else(|| self.best_child(NodeId::ROOT))
    }

    /// Places one sampled option below `parent`. Returns the new child, or `None` when the option is blank,
    /// repeats a sibling, or comes too late. Too many blanks or repetitions in a row saturate `parent`.
    pub(crate) fn expand(
        &mut self,
        parent: NodeId,
        action: Action,
        similarity: &Similarity<'_>,
    ) -> Option<NodeId> {
        self.tally.sampled += 1;
        self.tally.tokens = self.tally.tokens.saturating_add(u64::from(action.cost));
        self.node_mut(parent).attempts += 1;
        if !self.node(parent).is_open() {
            self.tally.discarded += 1;
        } else if action.text.is_empty() && !action.terminal {
            self.drop_blank(parent);
        } else if let Merge::MostDistant { threshold, attempts, .. } = self.config.merge {
            return self.hold(parent, action, threshold as usize, attempts);
        } else if let Some(twin) = repeated(self, parent, &action, similarity) {
            self.fold(parent, twin);
        } else {
            let logprob = action.logprob;
            let child = self.attach(parent, action);
            self.cover(parent, logprob);
            return Some(child);
        }
        None
    }

    /// Adds `score` to `leaf` and all its ancestors, the root included, and counts the simulation.
    pub(crate) fn backup(&mut self, leaf: NodeId, score: f64) {
        let simulation = self.tally.simulations;
        self.node_mut(leaf).ended.push(simulation);
        self.tally.simulations += 1;
        let mut next = Some(leaf);
        while let Some(id) = next {
            let node = self.node_mut(id);
            node.visits += 1;
            node.total += score;
            next = node.parent;
            // From the leaf up, so that importance sees the children's new means.
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
            Merge::Off | Merge::MostDistant { .. } => 0,
            Merge::Distinct { .. } => USELESS_LIMIT - 1,
            Merge::EditDistance { resamples, .. } | Merge::Similarity { resamples, .. } => {
                resamples
            }
        };
        self.count_merged(twin);
        let node = self.node_mut(parent);
        node.repeats += 1;
        if node.repeats > resamples {
            node.saturate();
        }
    }

    /// Adds the probability of a new child to the covered mass, and saturates `parent` if too little is left.
    fn cover(&mut self, parent: NodeId, logprob: f32) {
        let Merge::Distinct { least_mass } = self.config.merge else { return };
        let node = self.node_mut(parent);
        node.covered += f64::from(logprob).exp();
        if 1.0 - node.covered < least_mass {
            node.saturate();
        }
    }

    fn count_merged(&mut self, twin: NodeId) {
        self.tally.merged += 1;
        self.node_mut(twin).merged += 1;
    }

    /// Takes one attempt at a child, as the released code does: of this attempt and the one held so far, the
    /// farther from its nearest sibling is kept (the earlier in a tie). If this was the last attempt, the one kept
    /// becomes the child.
    fn hold(
        &mut self,
        parent: NodeId,
        action: Action,
        threshold: usize,
        attempts: u32,
    ) -> Option<NodeId> {
        let close = nearest(self, parent, &action);
        let taken = action.terminal || close.is_none_or(|(_, distance)| distance >= threshold);
        let new = Held { action, close };
        let node = self.node_mut(parent);
        node.repeats += 1;
        let last = taken || node.repeats >= attempts;
        let loser = match node.held.take() {
            Some(held) if held.distance() >= new.distance() => {
                node.held = Some(held);
                Some(new)
            }
            before => {
                node.held = Some(new);
                before
            }
        };
        if let Some((twin, _)) = loser.and_then(|loser| loser.close) {
            self.count_merged(twin);
        }
        if last { self.take_held(parent) } else { None }
    }

    /// Turns the held attempt into a child. Returns `None` if there is none.
    pub(crate) fn take_held(&mut self, parent: NodeId) -> Option<NodeId> {
        let held = self.node_mut(parent).held.take()?;
        let attempts = self.node(parent).repeats;
        let child = self.attach(parent, held.action);
        let saturate_after = match self.config.merge {
            Merge::MostDistant { saturate_after, .. } => saturate_after,
            Merge::Off
            | Merge::Distinct { .. }
            | Merge::EditDistance { .. }
            | Merge::Similarity { .. } => None,
        };
        // Blank options may have saturated the node in the meantime. Saturating it again sets its width to
        // the children it now has.
        if self.node(parent).saturated || saturate_after.is_some_and(|limit| attempts >= limit) {
            self.node_mut(parent).saturate();
        }
        Some(child)
    }

    fn drop_blank(&mut self, parent: NodeId) {
        self.tally.failed += 1;
        let node = self.node_mut(parent);
        node.failed += 1;
        node.blanks += 1;
        if node.blanks >= USELESS_LIMIT {
            node.saturate();
        }
    }

    /// Recomputes importance and the number of children it allows.
    fn widen(&mut self, id: NodeId) {
        let importance = self.importance(id);
        let bounds = self.config.width_at(self.node(id).depth);
        let growth = self.config.released.growth;
        // A width that only grows started at `c_min` already.
        let min = if growth.may_shrink { bounds.min } else { 0 };
        let bounds = Width { min, ..bounds };
        let allowed = allowed_children(self.config.alpha, importance, growth, bounds);
        let node = self.node_mut(id);
        node.importance = importance;
        if !node.saturated {
            let width = if growth.may_shrink { allowed } else { node.width.max(allowed) };
            node.width = width.min(node.most);
        }
    }

    fn importance(&self, id: NodeId) -> f64 {
        let measured = |measure: fn(&Node) -> Option<f64>| -> Vec<f64> {
            self.children(id).filter_map(|(_, child)| measure(child)).collect()
        };
        let (center, points) = match self.config.released.importance {
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
    /// Stops requesting options here. The width stays at least 1, even if there are no children.
    fn saturate(&mut self) {
        self.saturated = true;
        self.width = (self.children.len() as u32).max(1);
    }
}
