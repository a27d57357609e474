//! What a run did, for the summary and the metrics.

use decoding::{Cost, Pulse, Sampled, Searched};
use mcts::{Budget, StopReason};
use serde::Serialize;
use stage::Failure;

/// What a run did; of trees what samples do not have is 0, and the other way round.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    pub(crate) prompts: usize,
    pub(crate) too_long: usize,
    pub(crate) trees: usize,
    pub(crate) nodes: u64,
    pub(crate) simulations: u64,
    pub(crate) merged: u64,
    pub(crate) terminals: u64,
    /// Samples within the budget.
    pub(crate) samples: u64,
    /// All tokens generated.
    pub(crate) tokens: u64,
    /// Those of samples that were over the budget.
    pub(crate) dropped_tokens: u64,
    pub(crate) answered: usize,
    /// Trees whose answer was settled early, and what their budgets had left, of nodes and of tokens.
    pub(crate) settled: usize,
    pub(crate) spared_nodes: u64,
    pub(crate) spared_tokens: u64,
    #[serde(flatten)]
    pub(crate) cost: Cost,
    /// Tokens and nodes of each prompt.
    #[serde(skip)]
    pub(crate) by_prompt: Vec<(f64, f64)>,
}

impl Totals {
    /// Counts a tree that was searched within a budget.
    pub(crate) fn add_tree(&mut self, searched: &Searched, budget: Budget) {
        let tally = searched.tree.tally();
        self.trees += 1;
        self.nodes += u64::from(tally.nodes);
        self.simulations += u64::from(tally.simulations);
        self.merged += u64::from(tally.merged);
        self.terminals += u64::from(tally.terminals);
        self.tokens += searched.tokens;
        self.answered += usize::from(searched.picks.vote.is_some());
        self.by_prompt.push((searched.tokens as f64, f64::from(tally.nodes)));
        if searched.tree.stop() == Some(StopReason::Settled) {
            self.settled += 1;
            let nodes = budget.nodes.map_or(0, |most| most.saturating_sub(tally.nodes));
            let tokens = budget.tokens.map_or(0, |most| most.saturating_sub(tally.tokens));
            self.spared_nodes += u64::from(nodes);
            self.spared_tokens += tokens;
        }
    }

    /// Counts the samples of a prompt.
    pub(crate) fn add_samples(&mut self, sampled: &Sampled) {
        let candidates = || sampled.samples.iter().map(|sample| &sample.candidate);
        self.samples += sampled.samples.len() as u64;
        self.tokens += sampled.tokens;
        self.dropped_tokens +=
            sampled.tokens - candidates().map(|c| u64::from(c.tokens)).sum::<u64>();
        self.answered += usize::from(candidates().any(|c| c.answer.is_some()));
        self.by_prompt.push((sampled.tokens as f64, 0.0));
    }

    /// How far the run is.
    pub(crate) fn pulse(&self) -> Pulse {
        let (nodes, samples, tokens, cost) = (self.nodes, self.samples, self.tokens, self.cost);
        Pulse { done: self.prompts, nodes, samples, tokens, cost }
    }

    /// Prints the summary: that of samples, or that of trees.
    pub(crate) fn print(&self, json: bool, samples: bool) -> Result<(), Failure> {
        if json {
            return stage::print_json(self);
        }
        let searched = (self.prompts - self.too_long).max(1) as f64;
        let mean = |sum: u64| format!("{:.1}", sum as f64 / searched);
        let kept = self.cost.hit_rate();
        let kept = kept.map_or_else(|| "-".to_owned(), |rate| format!("{:.1}", rate * 100.0));
        let (title, found) = if samples {
            let found = [("samples", self.samples), ("dropped tokens", self.dropped_tokens)];
            ("samples (means per prompt)", found.to_vec())
        } else {
            let found = [
                ("nodes", self.nodes),
                ("simulations", self.simulations),
                ("terminals", self.terminals),
                ("merged", self.merged),
            ];
            ("search (means per tree)", found.to_vec())
        };
        let mut columns = vec![
            ("prompts", self.prompts.to_string()),
            ("too long", self.too_long.to_string()),
            ("answered", self.answered.to_string()),
        ];
        columns.extend(found.into_iter().map(|(name, sum)| (name, mean(sum))));
        columns.extend([
            ("tokens", mean(self.tokens)),
            ("through policies", mean(self.cost.policy_tokens)),
            ("through critics", mean(self.cost.critic_tokens)),
            ("kept %", kept),
        ]);
        let (header, row): (Vec<&str>, Vec<String>) = columns.into_iter().unzip();
        stage::print_table(title, &header, &[row])
    }
}

/// How fast it went to where it is, for whoever watches.
pub(crate) fn pace(pulse: Pulse, seconds: f64) -> String {
    let kept = pulse.cost.hit_rate().unwrap_or(0.0) * 100.0;
    let per_second = |count: u64| count as f64 / seconds;
    let (found, what) =
        if pulse.samples > 0 { (pulse.samples, "samples") } else { (pulse.nodes, "nodes") };
    let (found, tokens) = (per_second(found), per_second(pulse.tokens));
    format!("{found:.0} {what}/s, {tokens:.0} tokens/s, {kept:.0} % kept")
}
