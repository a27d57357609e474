//! The counters of a run, for the summary and the metrics.

use decoding::{Cost, Sampled, SearchProgress, Searched};
use mcts::{Config, Merge, NodeId, StopReason};
use serde::Serialize;
use stage::Failure;

/// Warn once one in this many trees fails to grow, or one in this many options is blank.
const SOME: usize = 4;

/// The counters of a run. Those of trees stay 0 when sampling, and the other way round.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Totals {
    pub(crate) prompts: usize,
    pub(crate) too_long: usize,
    pub(crate) trees: usize,
    pub(crate) nodes: u64,
    pub(crate) simulations: u64,
    /// Options drawn in trees; `merged` of them were merged with siblings.
    pub(crate) sampled: u64,
    pub(crate) merged: u64,
    /// Options that were blank.
    pub(crate) blank: u64,
    /// Trees whose root is saturated with fewer children than `c_min(0)`.
    pub(crate) narrow_roots: usize,
    /// Trees that ended before their budget because no node could have another child, at least one being saturated.
    pub(crate) starved: usize,
    /// The sum of the trees' node budgets; 0 without such a budget.
    pub(crate) budget_nodes: u64,
    pub(crate) terminals: u64,
    /// Paths that ended because the policy's context was full.
    pub(crate) out_of_room: u64,
    /// Samples that fit the budget.
    pub(crate) samples: u64,
    /// All tokens generated.
    pub(crate) tokens: u64,
    /// Tokens of samples that were dropped for being over the budget.
    pub(crate) dropped_tokens: u64,
    pub(crate) answered: usize,
    /// Trees that stopped early because their answer was settled, and the nodes and tokens of the budget this saved.
    pub(crate) settled: usize,
    pub(crate) spared_nodes: u64,
    pub(crate) spared_tokens: u64,
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

impl Totals {
    /// Counts one tree. `config` has its budget and its widths.
    pub(crate) fn add_tree(&mut self, searched: &Searched, config: &Config) {
        let (tree, budget) = (&searched.tree, config.budget);
        let (tally, root) = (tree.tally(), tree.node(NodeId::ROOT));
        let saturated = tree.nodes().any(|(_, node)| node.saturated);
        let narrow = root.saturated && root.children.len() < config.root_width.min as usize;
        self.narrow_roots += usize::from(narrow);
        self.starved += usize::from(tree.stop() == Some(StopReason::Exhausted) && saturated);
        self.budget_nodes += budget.nodes.map_or(0, u64::from);
        self.sampled += u64::from(tally.sampled);
        self.blank += u64::from(tally.failed);
        self.out_of_room += u64::from(searched.out_of_room);
        self.trees += 1;
        self.nodes += u64::from(tally.nodes);
        self.simulations += u64::from(tally.simulations);
        self.merged += u64::from(tally.merged);
        self.terminals += u64::from(tally.terminals);
        self.tokens += searched.tokens;
        self.answered += usize::from(searched.picks.vote.is_some());
        if tree.stop() == Some(StopReason::Settled) {
            self.settled += 1;
            // A search finishes what it has begun beyond its budget, so what it used may be more than the budget.
            let nodes = budget.nodes.map_or(0, |most| most.saturating_sub(tally.nodes));
            let tokens = budget.tokens.map_or(0, |most| most.saturating_sub(tally.tokens));
            self.spared_nodes += u64::from(nodes);
            self.spared_tokens += tokens;
        }
    }

    /// Counts the samples of one prompt.
    pub(crate) fn add_samples(&mut self, sampled: &Sampled) {
        let candidates = || sampled.samples.iter().map(|sample| &sample.candidate);
        self.samples += sampled.samples.len() as u64;
        self.tokens += sampled.tokens;
        // `sampled.tokens` counts every token drawn, the candidates only those of samples within the budget.
        self.dropped_tokens +=
            sampled.tokens - candidates().map(|c| u64::from(c.tokens)).sum::<u64>();
        self.answered += usize::from(candidates().any(|c| c.answer.is_some()));
    }

    /// Warnings for the user: merging starves the trees, options are blank, or contexts are too short.
    pub(crate) fn warnings(&self, config: &Config) -> Vec<String> {
        let mut warnings = Vec::new();
        // When options are drawn without replacement, saturation means that the policy has little left to say, not that
        // merging got in the way.
        let merges = !matches!(config.merge, Merge::Off | Merge::Distinct { .. });
        let some = self.trees.div_ceil(SOME);
        if merges && self.trees > 0 && (self.starved >= some || self.narrow_roots >= some) {
            warnings.push(self.starving(config));
        }
        if self.blank > 0 && self.blank >= self.sampled.div_ceil(SOME as u64) {
            warnings.push(format!(
                "{} of {} options drawn were blank, and after five in a row a node gets no more children: a model that writes empty \
                 lines between its steps needs another `termination` in text.toml, such as `paragraph`",
                self.blank, self.sampled
            ));
        }
        if self.out_of_room > 0 || self.cost.unread > 0 {
            warnings.push(format!(
                "contexts are short: {} paths ended where the policy's was full, and of {} solutions that were judged {} were longer \
                 than a critic's; what was cut is worth nothing",
                self.out_of_room, self.cost.judged, self.cost.unread
            ));
        }
        warnings
    }

    fn starving(&self, config: &Config) -> String {
        let each = |sum: u64| format!("{:.1}", sum as f64 / self.trees as f64);
        let nodes = match config.budget.nodes {
            Some(budget) => format!("{} nodes a tree, of {budget}", each(self.nodes)),
            None => format!("{} nodes a tree", each(self.nodes)),
        };
        format!(
            "merging starves the trees: of {} trees {} ended with no node that could have another child, and {} have a root of fewer \
             than {} children, c_min(0); {:.0} % of {} options drawn were merged with siblings; {nodes}. Lower the threshold of `merge` \
             in tree.toml, or take `most_distant`, which makes a child of the most distant attempt",
            self.trees,
            self.starved,
            self.narrow_roots,
            config.root_width.min,
            100.0 * self.merged as f64 / self.sampled.max(1) as f64,
            self.sampled,
        )
    }

    /// The progress so far.
    pub(crate) fn progress(&self) -> SearchProgress {
        let (nodes, samples, tokens, cost) = (self.nodes, self.samples, self.tokens, self.cost);
        SearchProgress { done: self.prompts, nodes, samples, tokens, cost }
    }

    /// Prints the summary, of samples or of trees.
    pub(crate) fn print(&self, json: bool, samples: bool) -> Result<(), Failure> {
        if json {
            return stage::print_json(self);
        }
        // Means are over the prompts that were searched: those that are too long would only dilute them.
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
        if !samples {
            columns.push(("narrow roots", self.narrow_roots.to_string()));
            columns.push(("starved", self.starved.to_string()));
        }
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

/// The average speed of a run that has reached `progress` after `seconds`, for the progress line.
pub(crate) fn pace(progress: SearchProgress, seconds: f64) -> String {
    let kept = progress.cost.hit_rate().unwrap_or(0.0) * 100.0;
    let per_second = |count: u64| count as f64 / seconds;
    let (found, what) = if progress.samples > 0 {
        (progress.samples, "samples")
    } else {
        (progress.nodes, "nodes")
    };
    let (found, tokens) = (per_second(found), per_second(progress.tokens));
    format!("{found:.0} {what}/s, {tokens:.0} tokens/s, {kept:.0} % from the cache")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcts::Width;

    fn config(merge: &str) -> Config {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/chat-gsm8k/tree.toml");
        let tree: stage::Preset<decoding::SearchConfig> = stage::load(path.as_ref(), &[]).unwrap();
        let merge = serde_json::from_str(merge).unwrap();
        Config { merge, root_width: Width { min: 10, max: 60 }, ..tree.value.mcts }
    }

    #[test]
    fn merging_that_starves_trees_is_told_with_counts() {
        let folding = config(r#"{ "edit_distance": { "threshold": 50, "resamples": 5 } }"#);
        let totals = |starved, narrow_roots| Totals {
            trees: 8,
            nodes: 32,
            sampled: 200,
            merged: 150,
            starved,
            narrow_roots,
            ..Totals::default()
        };
        let told = totals(7, 8).warnings(&folding);
        assert_eq!(told.len(), 1, "{told:?}");
        for word in [
            "of 8 trees 7",
            "8 have a root of fewer than 10",
            "75 % of 200",
            "4.0 nodes a tree, of 16",
        ] {
            assert!(told[0].contains(word), "{told:?}");
        }
        assert_eq!(totals(2, 0).warnings(&folding).len(), 1);
        assert_eq!(totals(1, 1).warnings(&folding), [""; 0], "some questions have one answer");
        let distinct = config(r#"{ "distinct": { "least_mass": 0.05 } }"#);
        assert_eq!(totals(8, 8).warnings(&distinct), [""; 0]);
        assert_eq!(Totals::default().warnings(&folding), [""; 0]);
    }

    #[test]
    fn blank_options_are_told() {
        let off = config(r#""off""#);
        let totals = |blank| Totals { trees: 2, sampled: 40, blank, ..Totals::default() };
        assert_eq!(totals(9).warnings(&off), [""; 0]);
        let told = totals(10).warnings(&off);
        assert!(told.len() == 1 && told[0].contains("10 of 40 options"), "{told:?}");
    }

    #[test]
    fn what_contexts_cut_is_told() {
        let merge = config(r#""off""#);
        let cost = Cost { judged: 40, unread: 3, ..Cost::default() };
        let told = Totals { out_of_room: 5, cost, ..Totals::default() }.warnings(&merge);
        assert!(told[0].contains("5 paths") && told[0].contains("of 40 solutions"), "{told:?}");
    }
}
