//! A table that stands in for the models: the options that may follow each state, and the critics' scores of it.
//! Each test program uses only part of this module.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "shared by several programs"
)]

use std::collections::BTreeMap;

use mcts::{
    Action, Budget, Config, Evaluation, Growth, Importance, Merge, NodeId, PrmAggregation,
    Released, Request, RootSelection, Selection, Tree, Weights, Width,
};
use serde::Deserialize;

/// States by their text, which is the options on the path, joined; the prompt is "".
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Table(pub BTreeMap<String, State>);

/// Attempt `i` at a state yields `options[i % len]`; a state without options is a finished solution.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    #[serde(default)]
    pub options: Vec<String>,
    pub value: f64,
    pub prm: f64,
    pub orm: f64,
}

impl Table {
    /// Answers requests until the search is over.
    pub fn drive(&self, config: &Config) -> Tree {
        let mut tree = Tree::new(config).unwrap();
        let ends = (0..100_000).any(|_| !self.step(&mut tree));
        assert!(ends, "asks for ever: {:?}", tree.request());
        tree
    }

    /// Answers one request; returns `false` when the search is over.
    pub fn step(&self, tree: &mut Tree) -> bool {
        match tree.request() {
            Request::ScoreRoot => tree.tell_root(self.0[""].value).unwrap(),
            Request::Sample(wanted) => {
                let samples = wanted.iter().flat_map(|wanted| {
                    let state = text(tree, wanted.node);
                    let attempts = wanted.first_attempt..wanted.first_attempt + wanted.count;
                    attempts.map(move |attempt| self.sample(&state, attempt))
                });
                tree.tell_samples(samples.collect()).unwrap();
            }
            Request::Evaluate { nodes, rollouts } => {
                let evaluations =
                    nodes.iter().map(|&node| self.evaluate(&text(tree, node), rollouts)).collect();
                tree.tell_evaluations(evaluations).unwrap();
            }
            Request::Done(_) => return false,
        }
        true
    }

    pub fn sample(&self, state: &str, attempt: u32) -> Action {
        let options = &self.0[state].options;
        let text = options[attempt as usize % options.len()].clone();
        let terminal =
            self.0.get(&format!("{state}{text}")).is_some_and(|next| next.options.is_empty());
        action(&text, terminal)
    }

    pub fn evaluate(&self, state: &str, rollouts: u32) -> Evaluation {
        let State { options, value, prm, orm } = &self.0[state];
        let scores = if options.is_empty() { 1 } else { rollouts };
        Evaluation {
            value: Some(*value),
            prm: Some(*prm),
            orm: vec![*orm; scores as usize],
            tokens: 3 * u64::from(rollouts),
        }
    }

    /// Makes a random table of states at most `depth` options deep. About a quarter of those above that depth are finished
    /// too. `blanks` lets some options be blank.
    pub fn random(seed: u64, depth: u32, blanks: bool) -> Self {
        let mut random = SplitMix(seed);
        let mut states = BTreeMap::new();
        let mut open = vec![(String::new(), 0)];
        while let Some((text, level)) = open.pop() {
            if states.contains_key(&text) {
                continue; // Reached twice, through equal options.
            }
            let finished = level == depth || (level > 0 && random.below(4) == 0);
            let options = if finished { Vec::new() } else { random.options(blanks) };
            for option in options.iter().filter(|option| !option.is_empty()) {
                open.push((format!("{text}{option}"), level + 1));
            }
            let (value, prm, orm) = (random.unit() * 2.0 - 1.0, random.unit(), random.unit());
            states.insert(text, State { options, value, prm, orm });
        }
        Self(states)
    }
}

/// Returns the text of a state: the options on its path, joined.
pub fn text(tree: &Tree, node: NodeId) -> String {
    tree.path(node).into_iter().map(|id| tree.node(id).text()).collect()
}

pub fn action(text: &str, terminal: bool) -> Action {
    let stop = if terminal { "answer" } else { "newline" };
    Action { text: text.into(), tokens: 2, cost: 2, logprob: -0.5, terminal, stop: stop.into() }
}

/// Settings with two children per node, no merging, and no limit but simulations.
pub fn plain(simulations: u32) -> Config {
    Config {
        selection: Selection::Uct,
        exploration: 1.0,
        root: RootSelection::Selection,
        alpha: 0.0,
        root_width: Width { min: 2, max: 2 },
        width: Width { min: 2, max: 2 },
        max_depth: 8,
        split_depth: None,
        merge: Merge::Off,
        weights: Weights { value: 1.0, prm: 1.0, orm: 1.0 },
        rollouts: 2,
        settled_variance: None,
        budget: Budget {
            simulations,
            min_terminals: None,
            nodes: None,
            terminals: None,
            tokens: None,
        },
        root_wave: false,
        in_flight: 1,
        released: Released { greedy_first_child: false, ..Released::default() },
    }
}

/// The released code's choices, except that first children are not sampled greedily.
pub const RELEASED: Released = Released {
    growth: Growth { plus_one: false, may_shrink: false },
    importance: Importance::Total,
    prm_aggregation: PrmAggregation::Latest,
    greedy_first_child: false,
    stop_when_exhausted: false,
};

/// The generator `SplitMix64` (Steele, Lea and Flood), so that a table is determined by its seed alone.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Returns a number in [0, 1) in steps of 1/64, so that sums are exact.
    fn unit(&mut self) -> f64 {
        self.below(64) as f64 / 64.0
    }

    /// Returns one to six options, often equal. They end in ";", so that no two paths have the same text.
    fn options(&mut self, blanks: bool) -> Vec<String> {
        let words = ["a;", "b;", "ab;", "abc;", "xyz;", ""];
        let known = if blanks { 6 } else { 5 };
        let count = 1 + self.below(6);
        (0..count).map(|_| words[self.below(known) as usize].to_owned()).collect()
    }
}
