//! Brute force on small trees: a naive recursive search agrees node by node,
//! and a search that runs to exhaustion has seen every state of the table.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{Table, plain, text};
use mcts::{
    Config, Importance, Merge, NodeId, PrmAggregation, Released, StopReason, Tree, Weights, Width,
    best_leaf, greedy_leaf,
};
use proptest::prelude::*;

/// A node that keeps every score backed up through it, and measures its width on the way down instead of in the backup.
struct Naive {
    text: String,
    depth: u32,
    allowed: usize,
    scores: Vec<f64>,
    children: Vec<Self>,
}

impl Naive {
    fn new(text: String, depth: u32, config: &Config) -> Self {
        let width = if depth == 0 { config.root_width } else { config.width };
        Self { text, depth, allowed: width.min as usize, scores: vec![], children: vec![] }
    }

    fn mean(&self) -> f64 {
        self.scores.iter().sum::<f64>() / self.scores.len() as f64
    }

    /// Runs one simulation and returns the score that is backed up.
    fn simulate(&mut self, table: &Table, config: &Config) -> f64 {
        let score = self.descend(table, config);
        self.scores.push(score);
        score
    }

    fn descend(&mut self, table: &Table, config: &Config) -> f64 {
        if table.0[&self.text].options.is_empty() || self.depth == config.max_depth {
            return score(table, &self.text, config);
        }
        self.widen(table, config);
        if self.children.len() < self.allowed {
            let option = table.sample(&self.text, self.children.len() as u32).text;
            let text = format!("{}{option}", self.text);
            let score = score(table, &text, config);
            let mut child = Self::new(text, self.depth + 1, config);
            child.scores.push(score);
            self.children.push(child);
            return score;
        }
        let visits = self.scores.len() as f64;
        let uct = |child: &Self| {
            let n = child.scores.len() as f64;
            child.mean() + config.exploration * (visits.ln() / n).sqrt()
        };
        let scores: Vec<f64> = self.children.iter().map(uct).collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = scores.iter().position(|&score| score >= best).unwrap();
        self.children[first].simulate(table, config)
    }

    fn widen(&mut self, table: &Table, config: &Config) {
        let means: Vec<f64> = self.children.iter().map(Self::mean).collect();
        let value = |text: &str| table.0[text].value;
        let gaps: Vec<f64> = match config.released.importance {
            Importance::Value => {
                let here = value(&self.text);
                self.children.iter().map(|child| (value(&child.text) - here).abs()).collect()
            }
            Importance::Total => {
                let middle = means.iter().sum::<f64>() / means.len() as f64;
                means.iter().map(|mean| (mean - middle).abs()).collect()
            }
        };
        let importance = gaps.into_iter().fold(0.0, f64::max);
        let width = if self.depth == 0 { config.root_width } else { config.width };
        let wanted = (config.alpha * importance).floor() as u32 + 1;
        let allowed = width.min.max(wanted.min(width.max));
        self.allowed = self.allowed.max(allowed as usize);
    }

    fn assert_same(&self, tree: &Tree, id: NodeId) {
        let node = tree.node(id);
        assert_eq!(text(tree, id), self.text);
        assert_eq!(node.visits as usize, self.scores.len(), "visits of {:?}", self.text);
        assert!((node.total - self.scores.iter().sum::<f64>()).abs() < 1e-9, "{:?}", self.text);
        assert_eq!(node.children.len(), self.children.len(), "children of {:?}", self.text);
        for (child, &id) in self.children.iter().zip(&node.children) {
            child.assert_same(tree, id);
        }
    }
}

fn score(table: &Table, text: &str, config: &Config) -> f64 {
    let state = &table.0[text];
    let Weights { value, prm, orm } = config.weights;
    let scored = config.rollouts > 0 || state.options.is_empty();
    value * state.value + prm * state.prm + if scored { orm * state.orm } else { 0.0 }
}

fn configs() -> impl Strategy<Value = Config> {
    let widths = (1..4u32, 0..3u32, 1..4u32, 0..3u32);
    let choices = (any::<bool>(), any::<bool>(), 0..3u32, 1..5u32);
    (0.0..3.0f64, 0.0..8.0f64, widths, choices, 1..60u32).prop_map(
        |(
            exploration,
            alpha,
            (root, more_root, inner, more),
            (total, wave, rollouts, depth),
            n,
        )| {
            Config {
                exploration,
                alpha,
                root_width: Width { min: root, max: root + more_root },
                width: Width { min: inner, max: inner + more },
                max_depth: depth,
                released: Released {
                    importance: if total { Importance::Total } else { Importance::Value },
                    ..plain(n).released
                },
                rollouts,
                root_wave: wave,
                ..plain(n)
            }
        },
    )
}

proptest! {
    #[test]
    fn agrees_with_a_naive_search(seed: u64, config in configs()) {
        let table = Table::random(seed, 3, false);
        let tree = table.drive(&config);
        let mut naive = Naive::new(String::new(), 0, &config);
        for _ in 0..tree.tally().simulations {
            naive.simulate(&table, &config);
        }
        naive.assert_same(&tree, NodeId::ROOT);
    }

    /// With room for every option and duplicates folded, the search misses nothing, and the best leaf is
    /// the best finished state of the table.
    #[test]
    fn exhaustion_finds_the_best(seed: u64) {
        let table = Table::random(seed, 3, false);
        let merge = Merge::EditDistance { threshold: 1, resamples: 6 };
        let wide = Width { min: 6, max: 6 };
        let weights = Weights { value: 1.0, prm: 0.0, orm: 0.0 };
        let config = Config { merge, root_width: wide, width: wide, weights, exploration: 1e3,
            released: Released { prm_aggregation: PrmAggregation::Max, ..plain(0).released },
            ..plain(100_000) };
        let tree = table.drive(&config);
        prop_assert_eq!(tree.stop(), Some(StopReason::Exhausted));
        prop_assert_eq!(tree.nodes().count(), table.0.len());
        let finished = table.0.values().filter(|state| state.options.is_empty());
        let best = finished.map(|state| state.value).fold(f64::NEG_INFINITY, f64::max);
        let found = best_leaf(&tree).unwrap();
        prop_assert!((tree.node(found).score.unwrap() - best).abs() < 1e-12);
    }

    #[test]
    fn greedy_leaf_is_a_best_child_all_the_way(seed: u64, config in configs()) {
        let tree = Table::random(seed, 3, false).drive(&config);
        let leaf = greedy_leaf(&tree).unwrap();
        prop_assert!(tree.node(leaf).is_leaf());
        for id in tree.path(leaf) {
            let parent = tree.node(id).parent.unwrap();
            let siblings = &tree.node(parent).children;
            let best = siblings.iter().map(|&id| tree.node(id).mean().unwrap()).fold(f64::MIN, f64::max);
            let first = siblings.iter().find(|&&id| tree.node(id).mean().unwrap() >= best);
            prop_assert_eq!(first, Some(&id));
        }
    }
}
