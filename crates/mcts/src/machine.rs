//! The state machine: which request comes next, and when the search is over.
//!
//! Every simulation is `select`, then samples until there is a new child or the node is saturated, then an
//! evaluation. Finished leaves are revisited in between without any request: their score is backed up
//! again, which moves UCT on to their neighbours.

use crate::config::Budget;
use crate::node::{Node, NodeId};
use crate::pending::{Pending, Sampling, Wave};
use crate::request::{Request, SampleRequest, StopReason};
use crate::tree::Tree;

impl Tree {
    /// Returns what the tree needs next. The request stays the same until it is answered, and
    /// [`Request::Done`] is final.
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

    /// Returns the rollouts to request at a leaf that is not terminal. An ORM that is off would ignore them.
    pub(crate) fn rollouts(&self) -> u32 {
        if self.config.weights.orm > 0.0 { self.config.rollouts } else { 0 }
    }

    /// Ends the search as it stands, for a reason of the driver's own. A request that has not been answered is
    /// dropped.
    pub fn settle(&mut self) {
        if !matches!(self.pending, Pending::Done(_)) {
            self.land();
            self.pending = Pending::Done(StopReason::Settled);
        }
    }

    /// Requests more samples for nodes that still lack children, if the node and the budget have room. Otherwise
    /// requests scores of the new children.
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

    /// Runs simulations, revisits of finished leaves among them, until there is something to request.
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

    /// Runs one simulation, up to its samples or, if it revisits a finished leaf, to its end. Fails if there is
    /// nothing to do: for good if there is a reason, or until the wave is answered if there is none.
    fn simulate(&mut self, wave: &mut Wave) -> Result<(), Option<StopReason>> {
        let id = self.select();
        let node = self.node(id);
        if node.has_room_for(node.reserved + 1) {
            self.take_off(id, wave);
            return Ok(());
        }
        // With simulations in flight, the virtual loss of the other children would make a finished leaf win
        // again and again.
        let waits = self.node(NodeId::ROOT).flying > 0;
        let open =
            !self.config.released.stop_when_exhausted || self.nodes.iter().any(Node::is_open);
        match node.score {
            Some(score) if open && !waits => {
                self.tally.revisits += 1;
                self.backup(id, score);
                Ok(())
            }
            _ if waits => Err(None),
            // Revisits alone could go on until the budget is used up, and would add no leaf.
            _ => Err(Some(StopReason::Exhausted)),
        }
    }

    /// Adds new children of `id` to the wave, and counts them as in flight at every node from there to the root.
    fn take_off(&mut self, id: NodeId, wave: &mut Wave) {
        let lacking = self.wanted(id);
        // One request per node, since the driver expects each node once.
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
        self.in_flight.push(id);
    }

    /// Clears the virtual loss: no simulation is in flight any more.
    pub(crate) fn land(&mut self) {
        for id in std::mem::take(&mut self.in_flight) {
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
            // Not after a blank first attempt: temperature 0 would only repeat it.
            greedy_first: self.config.released.greedy_first_child && node.attempts == 0,
            to_end: node.depth + 1 >= self.config.max_depth,
        }
    }

    /// Returns the number of children to request at a node: one, or with a root wave all that the root lacks.
    fn wanted(&self, id: NodeId) -> u32 {
        let wave = id == NodeId::ROOT && self.config.root_wave;
        let children = self.node(id).children.len() as u32 + self.node(id).reserved;
        let lacking = self.config.root_width.min.saturating_sub(children);
        if wave { lacking.max(1).min(self.room()) } else { 1 }
    }

    /// Returns the number of children that fit in the budget even if all of them, and all in flight, are
    /// terminal; at least 1 unless a limit is reached.
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

    /// Returns the numbers of simulations, nodes and terminals there will be if every simulation in flight brings a
    /// terminal.
    fn expected(&self) -> [u32; 3] {
        let under_way = self.node(NodeId::ROOT).flying;
        [self.tally.simulations, self.tally.nodes, self.tally.terminals].map(|n| n + under_way)
    }

    /// Returns the limit on simulations, which is higher than configured while finished solutions are lacking.
    fn most_simulations(&self) -> u32 {
        let Budget { simulations, min_terminals, .. } = self.config.budget;
        let [done, _, terminals] = self.expected();
        match min_terminals {
            // One more than ten times, because the released loop checks its cap before it counts.
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
