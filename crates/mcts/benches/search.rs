//! Measures nodes per second of the search core alone. A stub replaces the models; the settings are the paper's for
//! GSM8K, with and without merging. Run with `cargo bench --workspace --bench search`.
#![expect(clippy::unwrap_used, reason = "a failed step ends the benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcts::{Action, Config, Evaluation, Merge, Request, SampleRequest, Tree};

/// Makes lines of about ninety characters. Most have little in common, but two in every three differ only in their
/// numbers, so that merging has something to do.
fn lines() -> Vec<String> {
    let words =
        ["boxes", "holds", "apples", "twice", "left", "each", "train", "hours", "sells", "costs"];
    let line = |i: usize| {
        let kind = i / 3 * 2 + usize::from(i % 3 == 2);
        let word = |at: usize| words[mixed(kind, at as u32) % words.len()];
        let text: Vec<&str> = (0..14).map(word).collect();
        format!("{} {} = {}.\n", text.join(" "), i + 2, 7 * i + 5)
    };
    (0..300).map(line).collect()
}

fn mixed(node: usize, attempt: u32) -> usize {
    let mixed = (node as u64 * 1_000_003 + u64::from(attempt)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize
}

fn options(lines: &[String], wanted: &SampleRequest) -> Vec<Action> {
    let option = |attempt: u32| {
        let drawn = mixed(wanted.node.index(), attempt);
        let terminal = wanted.to_end || drawn.is_multiple_of(5);
        let text = lines[drawn % lines.len()].clone();
        Action { text, tokens: 24, cost: 24, logprob: -9.0, terminal, stop: "line".into() }
    };
    (wanted.first_attempt..wanted.first_attempt + wanted.count).map(option).collect()
}

fn score(node: usize, salt: u32) -> f64 {
    (mixed(node, salt) % 1000) as f64 / 1000.0
}

/// Searches one tree and returns its number of nodes.
fn search(config: &Config, lines: &[String]) -> u32 {
    let mut tree = Tree::new(config).unwrap();
    loop {
        match tree.request() {
            Request::ScoreRoot => tree.tell_root(0.5).unwrap(),
            Request::Sample(wanted) => {
                let told = wanted.iter().flat_map(|wanted| options(lines, wanted)).collect();
                tree.tell_samples(told).unwrap();
            }
            Request::Evaluate { nodes, rollouts } => {
                let evaluation = |node: mcts::NodeId| {
                    let index = node.index();
                    let count = if tree.node(node).terminal { 1 } else { rollouts };
                    Evaluation {
                        value: Some(score(index, 1)),
                        prm: Some(score(index, 2)),
                        orm: (0..count).map(|i| score(index, 3 + i)).collect(),
                        tokens: 0,
                    }
                };
                let told = nodes.into_iter().map(evaluation).collect();
                tree.tell_evaluations(told).unwrap();
            }
            Request::Done(_) => return tree.tally().nodes,
        }
    }
}

fn nodes(criterion: &mut Criterion) {
    let small: Config = toml::from_str(include_str!("../tests/presets/gsm8k_small.toml")).unwrap();
    let lines = lines();
    let mut large = small.clone();
    large.root_width.min = 40;
    large.budget.simulations = 230;
    let mut group = criterion.benchmark_group("nodes");
    for (name, config) in [("small", small), ("large", large)] {
        for (merging, merge) in [("merging", config.merge), ("no merging", Merge::Off)] {
            let config = Config { merge, ..config.clone() };
            let nodes = search(&config, &lines);
            group.throughput(Throughput::Elements(u64::from(nodes)));
            group.bench_function(format!("{name}, {merging}"), |bencher| {
                bencher.iter(|| search(black_box(&config), &lines));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, nodes);
criterion_main!(benches);
