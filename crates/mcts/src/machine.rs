//! The state machine: what is asked next, and when the search is over.
//!
//! Every simulation is `select`, then samples until a new child or saturation, then an evaluation.
//! Finished leaves are revisited in between, without asking for anything: their score is backed up
//! again, which moves UCT on to their neighbours.

use crate::config::Budget;
use crate::node::{Node, NodeId};
use crate::request::{Request, StopReason};
use crate::tree::Tree;

/// Where the conversation stands.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// The value of the root is asked for.
    Root,
    /// Options are asked for.
    Sample(Sampling),
    /// Scores of these new leaves are asked for.
    Evaluate(Vec<NodeId>),
    /// Over.
    Done(StopReason),
}

/// New children of one node being sampled: one, or as many as a root wave lacks.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    /// Whose children.
    pub(crate) node: NodeId,
    /// How many new children are wanted in all.
    pub(crate) want: u32,
    /// Those there are, still to be evaluated.
    pub(crate) fresh: Vec<NodeId>,
}

impl Sampling {
    /// Samples still to be drawn, if all of them become children.
    pub(crate) fn lacking(&self) -> u32 {
        self.want - self.fresh.len() as u32
    }
}

impl Tree {
    /// What the tree needs next. The same until it is told; once [`Request::Done`], for ever.
    pub fn request(&self) -> Request {
        match &self.pending {
            Pending::Root => Request::ScoreRoot,
            Pending::Sample(sampling) => self.sample_request(sampling),
            Pending::Evaluate(nodes) => {
                Request::Evaluate { nodes: nodes.clone(), rollouts: self.rollouts() }
            }
            Pending::Done(reason) => Request::Done(*reason),
        }
    }

    /// Rollouts asked for at a leaf that is not terminal.
    pub(crate) fn rollouts(&self) -> u32 {
        if self.config.weights.orm > 0.0 { self.config.rollouts } else { 0 }
    }

    /// Samples again for those still lacking, if the node and the budget have room; evaluates what
    /// there is otherwise.
    pub(crate) fn after_samples(&mut self, sampling: Sampling) -> Pending {
        let go_on = sampling.lacking() > 0
            && self.node(sampling.node).is_open()
            && self.out_of_tokens().is_none();
        if go_on {
            return Pending::Sample(sampling);
        }
        let mut sampling = sampling;
        sampling.fresh.extend(self.take_held(sampling.node));
        if sampling.fresh.is_empty() { self.advance() } else { Pending::Evaluate(sampling.fresh) }
    }

    /// Selects, revisiting finished leaves on the way, until something has to be asked.
    pub(crate) fn advance(&mut self) -> Pending {
        if self.config.asks_root_value() && self.node(NodeId::ROOT).value.is_none() {
            return Pending::Root;
        }
        loop {
            if let Some(reason) = self.limit_reached() {
                return Pending::Done(reason);
            }
            let id = self.select();
            if self.node(id).is_open() {
                return Pending::Sample(self.sampling(id));
            }
            match self.node(id).score {
                Some(score)
                    if !self.config.stop_when_exhausted || self.nodes.iter().any(Node::is_open) =>
                {
                    self.tally.revisits += 1;
                    self.backup(id, score);
                }
                // Revisits alone could go on until the budget ends, and would change no leaf.
                _ => return Pending::Done(StopReason::Exhausted),
            }
        }
    }

    fn sample_request(&self, sampling: &Sampling) -> Request {
        let node = self.node(sampling.node);
        Request::Sample {
            node: sampling.node,
            count: sampling.lacking(),
            first_attempt: node.attempts,
            // Not after a blank first try: temperature 0 would only repeat it.
            greedy_first: self.config.greedy_first_child && node.attempts == 0,
            to_end: node.depth + 1 >= self.config.max_depth,
        }
    }

    fn sampling(&self, id: NodeId) -> Sampling {
        let wave = id == NodeId::ROOT && self.config.root_wave;
        let children = self.node(id).children.len() as u32;
        let lacking = self.config.root_width.min.saturating_sub(children);
        let want = if wave { lacking.max(1).min(self.room()) } else { 1 };
        Sampling { node: id, want, fresh: Vec::new() }
    }

    /// Children that fit in the budget even if all of them are terminal; at least 1 unless a limit
    /// is reached.
    fn room(&self) -> u32 {
        let Budget { simulations, min_terminals, nodes, terminals, tokens: _ } = self.config.budget;
        let asked = simulations.saturating_sub(self.tally.simulations);
        let lacking = min_terminals.unwrap_or(0).saturating_sub(self.tally.terminals);
        let nodes = nodes.map_or(u32::MAX, |limit| limit - self.tally.nodes);
        let terminals = terminals.map_or(u32::MAX, |limit| limit - self.tally.terminals);
        let left = self.most_simulations() - self.tally.simulations;
        asked.max(lacking).min(left).min(nodes).min(terminals)
    }

    /// The simulations there may be: more than asked for while finished solutions are lacking.
    fn most_simulations(&self) -> u32 {
        let Budget { simulations, min_terminals, .. } = self.config.budget;
        match min_terminals {
            // The released loop looks at its cap before it counts.
            Some(least) if self.tally.terminals < least => {
                simulations.saturating_mul(10).saturating_add(1)
            }
            _ => simulations.max(self.tally.simulations),
        }
    }

    fn limit_reached(&self) -> Option<StopReason> {
        let Budget { nodes, terminals, .. } = self.config.budget;
        let reached = |limit: Option<u32>, count: u32| limit.is_some_and(|limit| count >= limit);
        if self.tally.simulations >= self.most_simulations() {
            Some(StopReason::Simulations)
        } else if reached(nodes, self.tally.nodes) {
            Some(StopReason::Nodes)
        } else if reached(terminals, self.tally.terminals) {
            Some(StopReason::Terminals)
        } else {
            self.out_of_tokens()
        }
    }

    fn out_of_tokens(&self) -> Option<StopReason> {
        let spent = self.config.budget.tokens.is_some_and(|limit| self.tally.tokens >= limit);
        spent.then_some(StopReason::Tokens)
    }
}
