//! The paper's presets, as shipped, with a policy that writes lines as short as those of real solutions: the trees must
//! have the root widths of Table 5 and the nodes of Table 7. Also tests `contradictions`, which names settings that
//! keep a tree from getting there.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;

use common::{plain, text};
use mcts::{Action, Budget, Config, Evaluation, Merge, NodeId, Request, StopReason, Tree, Width};

fn shipped(preset: &str) -> Config {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
    let mut tree = stage::merged(&root.join(preset).join("tree.toml")).unwrap();
    // The rest is of those who ask a model.
    let mcts: Config = tree.remove("mcts").unwrap().try_into().unwrap();
    mcts.validate().unwrap();
    mcts
}

/// A policy and its critics, whose options and scores are a function of the seed, the state and the attempt.
struct Writer {
    seed: u64,
    /// The number of different lines that can follow a state.
    lines: u64,
    /// The fewest and the most lines of a solution; the last line has the answer.
    steps: [u64; 2],
}

/// Lines per solution. Table 7 has 4.6 steps for GSM8K and 9.9 for MATH on average; at depth 10 a path is written to
/// its end anyway.
const GSM8K: [u64; 2] = [3, 6];
const MATH: [u64; 2] = [8, 10];

impl Writer {
    /// FNV-1a with a final mix, which gives the same hash of a text on any machine and with any compiler.
    fn hash(&self, text: &str) -> u64 {
        let seed = 0xcbf2_9ce4_8422_2325 ^ self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = text
            .bytes()
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
    }

    /// Returns a score in [0, 1].
    fn unit(&self, text: &str) -> f64 {
        (self.hash(text) % 1000) as f64 / 999.0
    }

    fn write(&self, written: &str, attempt: u32) -> Action {
        let line = u64::from(attempt) % self.lines;
        let hash = self.hash(&format!("{written}|{line}"));
        let (a, b) = (2 + hash % 17, 2 + hash / 17 % 9);
        let before = written.lines().count() as u64;
        let [fewest, most] = self.steps;
        let last = before + 1 >= most || (before + 1 >= fewest && hash.is_multiple_of(2));
        let text = match (last, hash / 153 % 4) {
            (true, _) => format!("#### {}", a * b),
            (_, 0) => format!("She has {a} * {b} = {} apples.\n", a * b),
            (_, 1) => format!("That makes {a} + {b} = {}.\n", a + b),
            (_, 2) => format!("So {b} * {a} = {} are left.\n", a * b),
            _ => format!("He pays {a} * ${b} = ${}.\n", a * b),
        };
        let stop = if last { "answer" } else { "termination" };
        Action { text, tokens: 12, cost: 12, logprob: -4.0, terminal: last, stop: stop.into() }
    }

    fn judge(&self, tree: &Tree, node: NodeId, rollouts: u32) -> Evaluation {
        let state = text(tree, node);
        let orm = if tree.node(node).terminal { 1 } else { rollouts };
        Evaluation {
            value: Some(self.unit(&format!("v{state}"))),
            prm: Some(self.unit(&format!("p{state}"))),
            orm: (0..orm).map(|n| self.unit(&format!("o{n}{state}"))).collect(),
            tokens: 0,
        }
    }

    /// Searches a tree to its end.
    fn search(&self, config: &Config) -> Tree {
        let mut tree = Tree::new(config).unwrap();
        loop {
            match tree.request() {
                Request::ScoreRoot => tree.tell_root(self.unit("v")).unwrap(),
                Request::Sample(wanted) => {
                    let samples = wanted.iter().flat_map(|wanted| {
                        let written = text(&tree, wanted.node);
                        let attempts = wanted.first_attempt..wanted.first_attempt + wanted.count;
                        attempts.map(move |attempt| self.write(&written, attempt))
                    });
                    let samples = samples.collect();
                    tree.tell_samples(samples).unwrap();
                }
                Request::Evaluate { nodes, rollouts } => {
                    let judge = |&node: &NodeId| self.judge(&tree, node, rollouts);
                    let evaluations = nodes.iter().map(judge).collect();
                    tree.tell_evaluations(evaluations).unwrap();
                }
                Request::Done(_) => break tree,
            }
        }
    }
}

/// Returns the settings of Table 5 with a name, `[c_min(0), c_min(t), nodes]` (nodes from Table 7), and the fewest and
/// most lines of a solution.
fn table_5() -> Vec<(&'static str, Config, [u32; 3], [u64; 2])> {
    let large = |mut config: Config| {
        config.root_width.min = 20;
        config.budget.nodes = Some(341);
        config.budget.simulations = 3410;
        config
    };
    vec![
        ("gsm8k small", shipped("paper-gsm8k-small"), [10, 2, 55], GSM8K),
        ("gsm8k large", shipped("paper-gsm8k-large"), [40, 2, 230], GSM8K),
        ("math small", shipped("paper-math"), [10, 3, 223], MATH),
        ("math large", large(shipped("paper-math")), [20, 3, 341], MATH),
    ]
}

#[test]
fn the_papers_presets_have_the_roots_and_the_nodes_of_the_paper() {
    for (name, config, [root, width, nodes], steps) in table_5() {
        let bounds = (config.root_width, config.width);
        assert_eq!(bounds, (Width { min: root, max: 60 }, Width { min: width, max: 10 }), "{name}");
        assert!(config.contradictions().is_empty(), "{name}");
        let (mut trees, mut whole) = (0, 0);
        for (seed, lines) in (0..8).flat_map(|seed| [(seed, 1000), (seed, 3), (seed, 1)]) {
            let tree = Writer { seed, lines, steps }.search(&config);
            let told = format!("{name}, seed {seed}, {lines} lines: {:?}", tree.tally());
            assert!(tree.node(NodeId::ROOT).children.len() as u32 >= root, "{told}");
            // A terminal with a high score is revisited, in some trees until the cap of ten simulations per node.
            let ends = [Some(StopReason::Nodes), Some(StopReason::Simulations)];
            assert!(ends.contains(&tree.stop()) && 10 * tree.tally().nodes >= 9 * nodes, "{told}");
            trees += 1;
            whole += u32::from(tree.tally().nodes == nodes);
        }
        assert!(10 * whole >= 9 * trees, "{name}: {whole} of {trees} trees have {nodes} nodes");
    }
}

/// Why the presets do not fold: with lines this short, folding at 50 edits saturates the root and leaves a path.
#[test]
fn folding_at_fifty_edits_leaves_a_path_of_short_lines() {
    let folding = Merge::EditDistance { threshold: 50, resamples: 5 };
    let config = Config { merge: folding, ..shipped("paper-gsm8k-small") };
    let tree = Writer { seed: 1, lines: 1000, steps: GSM8K }.search(&config);
    let root = tree.node(NodeId::ROOT);
    assert!(root.saturated && root.children.len() < 3, "{:?}", tree.tally());
    assert_eq!(tree.stop(), Some(StopReason::Exhausted));
    assert!(tree.tally().nodes < 15 && tree.tally().merged > tree.tally().nodes);
}

#[test]
fn settings_that_keep_a_tree_from_what_another_asks_for_are_named() {
    let said = |config: Config| -> Vec<&'static str> {
        config.validate().unwrap();
        config.contradictions().iter().map(|found| found.field).collect()
    };
    let paper = || shipped("paper-gsm8k-small");
    let budget = |simulations, nodes| Budget { simulations, nodes, ..paper().budget };
    let with = |budget| Config { budget, ..paper() };
    assert_eq!(said(paper()), [""; 0]);
    assert_eq!(said(with(budget(550, Some(9)))), ["budget.nodes"]);
    assert_eq!(said(with(budget(9, None))), ["budget.simulations"]);
    assert_eq!(said(with(budget(40, Some(55)))), ["budget.nodes"]);
    let terminals = Budget { min_terminals: Some(4), terminals: Some(3), ..paper().budget };
    assert_eq!(said(with(terminals)), ["budget.terminals"]);
    // `min_terminals` allows ten times as many simulations, which is enough for 55 nodes.
    let escape = Budget { min_terminals: Some(4), ..budget(40, Some(55)) };
    assert_eq!(said(with(escape)), [""; 0]);
    // 18 = six nodes at depth 1 and two below each of them. With alpha 0 only the least widths count: 4 = 2 + 2.
    let width = |min, max| Width { min, max };
    let flat = |alpha, nodes| Config {
        alpha,
        max_depth: 2,
        root_width: width(2, 6),
        width: width(1, 2),
        ..with(budget(500, Some(nodes)))
    };
    assert_eq!(said(flat(1.0, 18)), [""; 0]);
    assert_eq!(said(flat(1.0, 19)), ["budget.nodes"]);
    assert_eq!(said(flat(0.0, 4)), [""; 0]);
    assert_eq!(said(flat(0.0, 5)), ["budget.nodes"]);
    // A single path is as long as `max_depth`.
    let line = |nodes| Config {
        max_depth: 3000,
        root_width: width(1, 1),
        width: width(1, 1),
        ..with(budget(5000, Some(nodes)))
    };
    assert_eq!(said(line(3000)), [""; 0]);
    assert_eq!(said(line(3001)), ["budget.nodes"]);
    let path = Merge::MostDistant { threshold: 50, attempts: 5, saturate_after: Some(1) };
    assert_eq!(said(Config { merge: path, ..paper() }), ["merge.most_distant.saturate_after"]);
    let mut silent = Config { rollouts: 4, settled_variance: Some(0.1), ..plain(9) };
    silent.weights.orm = 0.0;
    assert_eq!(said(silent), ["settled_variance"]);
}

#[test]
fn no_shipped_tree_contradicts_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
    let mut seen = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "base" {
            seen += 1;
            assert!(shipped(&name).contradictions().is_empty(), "{name}");
        }
    }
    assert!(seen >= 8, "{seen}");
}
