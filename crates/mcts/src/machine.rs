//! The state machine: what is asked next, and when the search is over.
//!
//! Every simulation is `select`, then samples until a new child or saturation, then an evaluation.
//! Finished leaves are revisited in between, without asking for anything: their score is backed up
//! again, which moves UCT on to their neighbours.

use crate::config::Budget;
use crate::node::{Node, NodeId};
use crate::request::{Request, SampleRequest, StopReason};
use crate::tree::Tree;

/// Where the conversation stands.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// The value of the root is asked for.
    Root,
    /// Options are asked for.
    Sample(Wave),
    /// Scores of these new leaves are asked for.
    Evaluate(Vec<NodeId>),
    /// Over.
    Done(StopReason),
}

/// New children being sampled: one, or as many as a root wave lacks, or one for each simulation under
/// way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wave {
    /// The nodes that still lack some.
    pub(crate) samplings: Vec<Sampling>,
    /// The new children there are, still to be evaluated.
    pub(crate) fresh: Vec<NodeId>,
}

/// New children of one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    /// Whose children.
    pub(crate) node: NodeId,
    /// Samples still to be drawn, if all of them become children; at least 1.
    pub(crate) lacking: u32,
}

impl Wave {
    /// Samples that are asked for.
    pub(crate) fn lacking(&self) -> usize {
        self.samplings.iter().map(|sampling| sampling.lacking as usize).sum()
    }
}

impl Tree {
    /// What the tree needs next. The same until it is told; once [`Request::Done`], for ever.
    pub fn request(&self) -> Request {
        match &self.pending {
            Pending::Root => Request::ScoreRoot,
            Pending::Sample(wave) => Request::Sample(
                wave.samplings.iter().map(|&sampling| self.sample_request(sampling)).collect(),
            ),
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

    /// Ends the search as it stands, for a reason that the driver knows. What was asked for and not
    /// answered is dropped.
    pub fn settle(&mut self) {
        if !matches!(self.pending, Pending::Done(_)) {
            self.land();
            self.pending = Pending::Done(StopReason::Settled);
        }
    }

    /// Samples again for those still lacking, if the node and the budget have room; evaluates what
    /// there is otherwise.
    pub(crate) fn after_samples(&mut self, mut wave: Wave) -> Pending {
        let spent = self.out_of_tokens().is_some();
        for Sampling { node, lacking } in std::mem::take(&mut wave.samplings) {
            if lacking > 0 && self.node(node).is_open() && !spent {
                wave.samplings.push(Sampling { node, lacking });
            } else {
                wave.fresh.extend(self.take_held(node));
            }
        }
        if !wave.samplings.is_empty() {
            Pending::Sample(wave)
        } else if wave.fresh.is_empty() {
            self.land();
            self.advance()
        } else {
            Pending::Evaluate(wave.fresh)
        }
    }

    /// Selects, revisiting finished leaves on the way, until something has to be asked.
    pub(crate) fn advance(&mut self) -> Pending {
        if self.config.asks_root_value() && self.node(NodeId::ROOT).value.is_none() {
            return Pending::Root;
        }
        let mut wave = Wave::default();
        let stop = loop {
            if self.node(NodeId::ROOT).flying >= self.config.in_flight {
                break None;
            }
            if let Some(reason) = self.limit_reached() {
                break Some(reason);
            }
            if let Err(reason) = self.simulate(&mut wave) {
                break reason;
            }
        };
        match stop {
            Some(reason) if wave.samplings.is_empty() => Pending::Done(reason),
            _ => Pending::Sample(wave),
        }
    }

    /// One simulation: up to its samples, or the whole of it if it revisits a finished leaf. Otherwise
    /// there is nothing to do, for good or, without a reason, until the wave has landed.
    fn simulate(&mut self, wave: &mut Wave) -> Result<(), Option<StopReason>> {
        let id = self.select();
        let node = self.node(id);
        if node.has_room_for(node.reserved + 1) {
            self.take_off(id, wave);
            return Ok(());
        }
        // A revisit beside what is under way would win by the virtual loss of the others, again and again.
        let waits = self.node(NodeId::ROOT).flying > 0;
        let open = !self.config.stop_when_exhausted || self.nodes.iter().any(Node::is_open);
        match node.score {
            Some(score) if open && !waits => {
                self.tally.revisits += 1;
                self.backup(id, score);
                Ok(())
            }
            _ if waits => Err(None),
            // Revisits alone could go on until the budget ends, and would change no leaf.
            _ => Err(Some(StopReason::Exhausted)),
        }
    }

    /// Asks for new children of a node, and counts them as under way on all the way there.
    fn take_off(&mut self, id: NodeId, wave: &mut Wave) {
        let lacking = self.wanted(id);
        match wave.samplings.iter_mut().find(|sampling| sampling.node == id) {
            Some(sampling) => sampling.lacking += lacking,
            None => wave.samplings.push(Sampling { node: id, lacking }),
        }
        self.node_mut(id).reserved += lacking;
        let mut next = Some(id);
        while let Some(id) = next {
            let node = self.node_mut(id);
            node.flying += lacking;
            next = node.parent;
        }
        self.aloft.push(id);
    }

    /// Nothing is under way any more.
    pub(crate) fn land(&mut self) {
        for id in std::mem::take(&mut self.aloft) {
            let mut next = Some(id);
            while let Some(id) = next {
                let node = self.node_mut(id);
                (node.flying, node.reserved) = (0, 0);
                next = node.parent;
            }
        }
    }

    fn sample_request(&self, sampling: Sampling) -> SampleRequest {
        let node = self.node(sampling.node);
        SampleRequest {
            node: sampling.node,
            count: sampling.lacking,
            first_attempt: node.attempts,
            // Not after a blank first try: temperature 0 would only repeat it.
            greedy_first: self.config.greedy_first_child && node.attempts == 0,
            to_end: node.depth + 1 >= self.config.max_depth,
        }
    }

    /// Children to ask for at a node: one, or at the root all that it lacks.
    fn wanted(&self, id: NodeId) -> u32 {
        let wave = id == NodeId::ROOT && self.config.root_wave;
        let children = self.node(id).children.len() as u32 + self.node(id).reserved;
        let lacking = self.config.root_width.min.saturating_sub(children);
        if wave { lacking.max(1).min(self.room()) } else { 1 }
    }

    /// Children that fit in the budget even if all of them, and all that are under way, are terminal;
    /// at least 1 unless a limit is reached.
    fn room(&self) -> u32 {
        let Budget { simulations, min_terminals, nodes, terminals, tokens: _ } = self.config.budget;
        let [done, nodes_expected, terminals_expected] = self.expected();
        let asked = simulations.saturating_sub(done);
        let lacking = min_terminals.unwrap_or(0).saturating_sub(terminals_expected);
        let left = |limit: Option<u32>, count: u32| limit.map_or(u32::MAX, |limit| limit - count);
        let simulations = self.most_simulations().saturating_sub(done);
        let nodes = left(nodes, nodes_expected);
        asked.max(lacking).min(simulations).min(nodes).min(left(terminals, terminals_expected))
    }

    /// Simulations, nodes and terminals, if every child that is under way comes, and is terminal.
    fn expected(&self) -> [u32; 3] {
        let under_way = self.node(NodeId::ROOT).flying;
        [self.tally.simulations, self.tally.nodes, self.tally.terminals].map(|n| n + under_way)
    }

    /// The simulations there may be: more than asked for while finished solutions are lacking.
    fn most_simulations(&self) -> u32 {
        let Budget { simulations, min_terminals, .. } = self.config.budget;
        let [done, _, terminals] = self.expected();
        match min_terminals {
            // The released loop looks at its cap before it counts.
            Some(least) if terminals < least => simulations.saturating_mul(10).saturating_add(1),
            _ => simulations.max(done),
        }
    }

    fn limit_reached(&self) -> Option<StopReason> {
        let Budget { nodes, terminals, .. } = self.config.budget;
        let reached = |limit: Option<u32>, count: u32| limit.is_some_and(|limit| count >= limit);
        let [done, nodes_expected, terminals_expected] = self.expected();
        if done >= self.most_simulations() {
            Some(StopReason::Simulations)
        } else if reached(nodes, nodes_expected) {
            Some(StopReason::Nodes)
        } else if reached(terminals, terminals_expected) {
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
