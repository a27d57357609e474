//! The released code's search, rewritten loop by loop from its description (paper.md §3.2), agrees
//! with this crate node by node under the settings that stand for it.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{RELEASED, Table, plain, text};
use mcts::{Budget, Config, Merge, NodeId, Tree, Width};
use proptest::prelude::*;

/// A node as in the released code, with its sum of rewards and the children allowed so far.
struct Node {
    state: String,
    action: String,
    depth: u32,
    allowed: usize,
    children: Vec<usize>,
    parent: Option<usize>,
    visits: u32,
    total: f64,
    cached: Option<f64>,
    /// Options drawn here so far, which is the index of the next one in the table. The released code has no such count.
    drawn: u32,
    /// Attempts that the last child took.
    repeats: u32,
}

/// The settings under the released code's names.
struct Released<'a> {
    table: &'a Table,
    nodes: Vec<Node>,
    search_time: u32,
    min_terminals: u32,
    max_depth: u32,
    max_split_depth: u32,
    init_children: usize,
    n_total_children: usize,
    width_increase_factor: f64,
    c_param: f64,
    edit_dist_thres: usize,
    max_n_repeat: u32,
    stop_repeat_node_thres: u32,
}

impl Released<'_> {
    fn run(&mut self) -> u32 {
        let (mut iterations, mut terminals) = (0, 0);
        self.push(None, String::new());
        while iterations < self.search_time || terminals < self.min_terminals {
            if iterations > 10 * self.search_time {
                break;
            }
            iterations += 1;
            let (leaf, expanded) = self.tree_policy();
            if expanded {
                let reward = self.reward(leaf);
                self.nodes[leaf].cached = Some(reward);
                terminals += u32::from(self.finished(leaf));
            }
            self.backup(leaf);
        }
        iterations
    }

    fn push(&mut self, parent: Option<usize>, action: String) -> usize {
        let before =
            parent.map(|parent| (self.nodes[parent].state.clone(), self.nodes[parent].depth));
        let (state, depth) = match before {
            Some((state, depth)) => (state + &action, depth + 1),
            None => (String::new(), 0),
        };
        let allowed = match depth {
            0 => self.init_children,
            depth if depth > self.max_split_depth => 1,
            _ => self.n_total_children,
        };
        let index = self.nodes.len();
        if let Some(parent) = parent {
            self.nodes[parent].children.push(index);
        }
        let (children, visits, total, cached, drawn, repeats) = (vec![], 0, 0.0, None, 0, 0);
        self.nodes.push(Node {
            state,
            action,
            depth,
            allowed,
            children,
            parent,
            visits,
            total,
            cached,
            drawn,
            repeats,
        });
        index
    }

    fn finished(&self, index: usize) -> bool {
        self.table.0[&self.nodes[index].state].options.is_empty()
    }

    fn tree_policy(&mut self) -> (usize, bool) {
        let mut index = 0;
        while !(self.finished(index) || self.nodes[index].depth >= self.max_depth) {
            self.update_allowed_children(index);
            if self.nodes[index].children.len() < self.nodes[index].allowed {
                return (self.expand(index), true);
            }
            index = self.best_child(index);
        }
        (index, false)
    }

    fn update_allowed_children(&mut self, index: usize) {
        let node = &self.nodes[index];
        let mean = |&child: &usize| self.nodes[child].total / f64::from(self.nodes[child].visits);
        let means: Vec<f64> = node.children.iter().map(mean).collect();
        let center = means.iter().sum::<f64>() / means.len() as f64;
        let importance = means.iter().map(|mean| (mean - center).abs()).fold(0.0, f64::max);
        let wanted = ((self.width_increase_factor * importance) as usize).min(10);
        // A node below the split depth keeps its one child.
        if node.depth <= self.max_split_depth {
            self.nodes[index].allowed = node.allowed.max(wanted);
        }
        if self.nodes[index].repeats >= self.stop_repeat_node_thres {
            self.nodes[index].allowed = self.nodes[index].children.len().max(1);
        }
    }

    fn best_child(&self, index: usize) -> usize {
        let parent = f64::from(self.nodes[index].visits);
        let score = |child: usize| {
            let Node { visits, total, .. } = self.nodes[child];
            let n = f64::from(visits);
            total / n + self.c_param * (parent.ln() / n).sqrt()
        };
        let mut best = self.nodes[index].children[0];
        for &child in &self.nodes[index].children {
            if score(child) > score(best) {
                best = child;
            }
        }
        best
    }

    fn expand(&mut self, index: usize) -> usize {
        let mut attempts: Vec<(String, usize)> = Vec::new();
        loop {
            let drawn = self.nodes[index].drawn;
            self.nodes[index].drawn += 1;
            let sample = self.table.sample(&self.nodes[index].state, drawn);
            let distances = self.nodes[index].children.iter();
            let distances = distances.map(|&child| edits(&self.nodes[child].action, &sample.text));
            let distance = distances.min().unwrap_or(10_000);
            attempts.push((sample.text, distance));
            if distance >= self.edit_dist_thres
                || attempts.len() as u32 == self.max_n_repeat
                || sample.terminal
            {
                break;
            }
        }
        let farthest = attempts.iter().map(|(_, distance)| *distance).max().unwrap();
        let chosen = attempts.iter().find(|(_, distance)| *distance == farthest).unwrap().0.clone();
        let leaf = self.push(Some(index), chosen);
        self.nodes[index].repeats = attempts.len() as u32;
        leaf
    }

    fn reward(&self, index: usize) -> f64 {
        let state = &self.table.0[&self.nodes[index].state];
        state.value + state.prm + state.orm
    }

    fn backup(&mut self, leaf: usize) {
        let reward = self.nodes[leaf].cached.unwrap();
        let mut next = Some(leaf);
        while let Some(index) = next {
            self.nodes[index].visits += 1;
            self.nodes[index].total += reward;
            next = self.nodes[index].parent;
        }
    }
}

/// Levenshtein distance of the trimmed texts by its definition, row by row, to check the library against.
fn edits(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) =
        (left.trim().chars().collect(), right.trim().chars().collect());
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.iter().enumerate() {
            let step = (corner + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], step);
        }
    }
    row[right.len()]
}

fn assert_same(released: &Released<'_>, tree: &Tree) {
    assert_eq!(tree.nodes().count(), released.nodes.len());
    // Both number nodes in order of creation.
    for ((id, node), expected) in tree.nodes().zip(&released.nodes) {
        assert_eq!(text(tree, id), expected.state);
        assert_eq!(node.visits, expected.visits, "visits of {:?}", expected.state);
        assert!((node.total - expected.total).abs() < 1e-9, "{:?}", expected.state);
        let children: Vec<usize> = node.children.iter().map(|child| child.index()).collect();
        assert_eq!(children, expected.children, "children of {:?}", expected.state);
    }
}

proptest! {
    #[test]
    fn agrees_with_the_released_loop(
        seed: u64,
        (exploration, alpha) in (0.0..2.0f64, 0.0..12.0f64),
        (root, inner) in (1..5u32, 1..4u32),
        (max_depth, split_depth) in (1..5u32, 0..5u32),
        (threshold, attempts, saturate_after) in (1..4u32, 1..5u32, 1..7u32),
        (simulations, min_terminals) in (1..30u32, 1..8u32),
    ) {
        let table = Table::random(seed, 3, false);
        let config = Config {
            exploration,
            alpha,
            root_width: Width { min: root, max: 10 },
            width: Width { min: inner, max: 10 },
            max_depth,
            split_depth: Some(split_depth),
            merge: Merge::MostDistant { threshold, attempts, saturate_after: Some(saturate_after) },
            released: RELEASED,
            budget: Budget {
                simulations,
                min_terminals: Some(min_terminals),
                nodes: None,
                terminals: None,
                tokens: None,
            },
            ..plain(simulations)
        };
        let tree = table.drive(&config);
        let mut released = Released {
            table: &table,
            nodes: Vec::new(),
            search_time: simulations,
            min_terminals,
            max_depth,
            max_split_depth: split_depth,
            init_children: root as usize,
            n_total_children: inner as usize,
            width_increase_factor: alpha,
            c_param: exploration,
            edit_dist_thres: threshold as usize,
            max_n_repeat: attempts,
            stop_repeat_node_thres: saturate_after,
        };
        let iterations = released.run();
        prop_assert_eq!(tree.tally().simulations, iterations);
        assert_same(&released, &tree);
        prop_assert_eq!(tree.node(NodeId::ROOT).visits, iterations);
    }
}

#[test]
fn the_published_settings_are_read() {
    let config: Config = toml::from_str(include_str!("presets/released.toml")).unwrap();
    config.validate().unwrap();
}
