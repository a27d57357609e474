//! Invariants of every tree, whatever the table and the settings.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{Table, plain};
use mcts::{
    Budget, Config, Growth, Importance, Merge, Node, NodeId, PrmAggregation, Released, Request,
    RootSelection, Selection, StopReason, Tree, Width,
};
use proptest::option;
use proptest::prelude::*;

fn merges() -> impl Strategy<Value = Merge> {
    prop_oneof![
        Just(Merge::Off),
        (1..4u32, 0..5u32)
            .prop_map(|(threshold, resamples)| Merge::EditDistance { threshold, resamples }),
        (0.01..0.9f64).prop_map(|least_mass| Merge::Distinct { least_mass }),
        (1..4u32, 1..5u32, option::of(1..5u32)).prop_map(
            |(threshold, attempts, saturate_after)| {
                Merge::MostDistant { threshold, attempts, saturate_after }
            }
        ),
    ]
}

/// Whether options have to be requested one at a time.
fn single(merge: Merge) -> bool {
    matches!(merge, Merge::MostDistant { .. } | Merge::Distinct { .. })
}

fn budgets() -> impl Strategy<Value = Budget> {
    let limits = (option::of(1..30u32), option::of(1..10u32), option::of(1..200u64));
    let least = option::of(1..5u32);
    (1..80u32, least, limits).prop_map(|(simulations, min_terminals, limits)| Budget {
        simulations,
        min_terminals,
        nodes: limits.0,
        terminals: limits.1,
        tokens: limits.2,
    })
}

fn configs() -> impl Strategy<Value = Config> {
    let widths = (1..7u32, 0..4u32, 1..4u32, 0..4u32);
    let how = prop_oneof![
        Just(PrmAggregation::Latest),
        Just(PrmAggregation::Mean),
        Just(PrmAggregation::Max),
        Just(PrmAggregation::Min)
    ];
    let choices = (any::<[bool; 6]>(), 0..3u32, 1..5u32, how);
    let released = (option::of(0..4u32), option::of(0.01..0.3f64));
    let beyond = (any::<[bool; 2]>(), 1..5u32);
    (0.0..3.0f64, 0.0..8.0f64, widths, choices, (merges(), budgets(), released, beyond)).prop_map(
        |(
            exploration,
            alpha,
            widths,
            (flags, rollouts, max_depth, how),
            (merge, budget, released, (beyond, in_flight)),
        )| Config {
            selection: if beyond[0] { Selection::Puct } else { Selection::Uct },
            exploration,
            root: if beyond[1] {
                RootSelection::SequentialHalving
            } else {
                RootSelection::Selection
            },
            in_flight: if single(merge) { 1 } else { in_flight },
            alpha,
            root_width: Width {
                min: widths.0,
                max: widths.0 + if beyond[1] { 0 } else { widths.1 },
            },
            width: Width { min: widths.2, max: widths.2 + widths.3 },
            max_depth,
            root_wave: flags[2] && !single(merge),
            split_depth: released.0,
            settled_variance: released.1.filter(|_| rollouts >= 2),
            merge,
            rollouts,
            released: Released {
                importance: if flags[0] { Importance::Total } else { Importance::Value },
                greedy_first_child: flags[1],
                growth: Growth { plus_one: flags[3], may_shrink: flags[4] },
                stop_when_exhausted: flags[5],
                prm_aggregation: how,
            },
            // Halving has to know how many simulations to share out, which a limit on tokens alone does not say.
            budget: Budget {
                tokens: budget.tokens.filter(|_| !beyond[1] || budget.nodes.is_some()),
                ..budget
            },
            ..plain(1)
        },
    )
}

/// Collects the scores in the subtree of a node, its own first.
fn scores_below(tree: &Tree, id: NodeId) -> Vec<f64> {
    let node = tree.node(id);
    let below = node.children.iter().flat_map(|&child| scores_below(tree, child));
    node.score.into_iter().chain(below).collect()
}

fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &b) in right.iter().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

/// The parts of a node that a wave must not change.
fn essence(node: &Node) -> impl PartialEq + std::fmt::Debug + use<> {
    let Node { parent, depth, visits, width, .. } = *node;
    let (total, importance) = (node.total.to_bits(), node.importance.to_bits());
    let folded = (node.merged, node.failed, node.saturated);
    (parent, depth, visits, total, width, importance, node.text().to_owned(), folded)
}

fn json(tree: &Tree) -> String {
    serde_json::to_string(&tree.snapshot()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn visits_are_conserved(seed: u64, config in configs()) {
        let tree = Table::random(seed, 4, true).drive(&config);
        let tally = tree.tally();
        prop_assert_eq!(tree.node(NodeId::ROOT).visits, tally.simulations);
        prop_assert_eq!(tally.simulations, tally.nodes + tally.revisits, "duplicates are free");
        for (id, node) in tree.nodes() {
            let below: u32 = node.children.iter().map(|&child| tree.node(child).visits).sum();
            let sums: f64 = node.children.iter().map(|&child| tree.node(child).total).sum();
            if id == NodeId::ROOT {
                prop_assert_eq!(node.visits, below);
            } else if !node.is_leaf() {
                // Its own evaluation plus those below.
                prop_assert_eq!(node.visits, below + 1);
            } else {
                prop_assert!(node.visits >= 1);
            }
            let own = if node.is_leaf() { f64::from(node.visits) } else { 1.0 };
            let total = sums + own * node.score.unwrap_or(0.0);
            prop_assert!((node.total - total).abs() < 1e-9, "{} is not {}", node.total, total);
        }
    }

    #[test]
    fn statistics_follow_from_where_each_simulation_ended(seed: u64, config in configs()) {
        let tree = Table::random(seed, 4, true).drive(&config);
        let mut ends: Vec<_> =
            tree.nodes().flat_map(|(id, node)| node.ended.iter().map(move |&at| (at, id))).collect();
        ends.sort();
        let simulations: Vec<u32> = ends.iter().map(|end| end.0).collect();
        prop_assert_eq!(simulations, (0..tree.tally().simulations).collect::<Vec<_>>());
        let mut sums = vec![(0, 0.0); tree.nodes().count()];
        for (_, end) in ends {
            let score = tree.node(end).score.unwrap();
            for id in tree.path(end).into_iter().chain([NodeId::ROOT]) {
                let (visits, total) = &mut sums[id.index()];
                (*visits, *total) = (*visits + 1, *total + score);
            }
        }
        for ((_, node), (visits, total)) in tree.nodes().zip(sums) {
            prop_assert_eq!(node.visits, visits);
            prop_assert!((node.total - total).abs() < 1e-9, "{} is not {}", node.total, total);
        }
    }

    #[test]
    fn means_lie_between_the_scores_below(seed: u64, config in configs()) {
        let tree = Table::random(seed, 4, true).drive(&config);
        for (id, node) in tree.nodes() {
            let Some(mean) = node.mean() else { continue };
            let scores = scores_below(&tree, id);
            let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
            let high = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(low - 1e-9 <= mean && mean <= high + 1e-9, "{low} {mean} {high}");
        }
    }

    #[test]
    fn counts_agree_with_the_tree(seed: u64, config in configs()) {
        let tree = Table::random(seed, 4, true).drive(&config);
        let tally = tree.tally();
        let sum = |field: fn(&Node) -> u32| tree.nodes().map(|(_, node)| field(node)).sum::<u32>();
        prop_assert_eq!(tally.nodes as usize + 1, tree.nodes().count());
        prop_assert_eq!(tally.terminals as usize, tree.terminals().count());
        prop_assert_eq!(tally.sampled, tally.nodes + tally.merged + tally.failed + tally.discarded);
        prop_assert_eq!(tally.sampled, sum(|node| node.attempts));
        prop_assert_eq!(tally.merged, sum(|node| node.merged));
        prop_assert_eq!(tally.failed, sum(|node| node.failed));
        prop_assert_eq!(tally.rollouts, sum(|node| node.rollouts));
        for (id, node) in tree.nodes() {
            prop_assert_eq!(tree.path(id).len(), node.depth as usize);
            prop_assert!(node.depth <= config.max_depth);
            let bounds = match config.split_depth {
                Some(deepest) if node.depth > deepest => Width { min: 1, max: 1 },
                _ if node.depth == 0 => config.root_width,
                _ => config.width,
            };
            let most = if config.released.growth.may_shrink { bounds.max } else { node.width };
            prop_assert!(node.children.len() <= most as usize);
            prop_assert!(node.width <= bounds.max);
            // A leaf whose rollouts agree may have only one child, even below `c_min`.
            let may_settle = config.settled_variance.is_some() && node.rollouts > 0;
            let least = if may_settle { 1 } else { bounds.min };
            prop_assert!(node.saturated || node.width >= least);
        }
    }

    #[test]
    fn limits_hold_at_every_request(seed: u64, config in configs()) {
        let table = Table::random(seed, 4, true);
        let mut tree = Tree::new(&config).unwrap();
        let Budget { simulations, min_terminals, nodes, terminals, tokens } = config.budget;
        let most = if min_terminals.is_some() { 10 * simulations + 1 } else { simulations };
        loop {
            let asks_sample = matches!(tree.request(), Request::Sample(_));
            let tally = tree.tally();
            prop_assert!(tally.simulations <= most);
            prop_assert!(nodes.is_none_or(|limit| tally.nodes <= limit));
            prop_assert!(terminals.is_none_or(|limit| tally.terminals <= limit));
            prop_assert!(!asks_sample || tokens.is_none_or(|limit| tally.tokens < limit));
            if !table.step(&mut tree) {
                break;
            }
        }
        let tally = tree.tally();
        match tree.stop().unwrap() {
            StopReason::Simulations => {
                prop_assert!(tally.simulations >= simulations);
                let enough = min_terminals.is_none_or(|least| tally.terminals >= least);
                prop_assert!(enough || tally.simulations == most);
            }
            StopReason::Nodes => prop_assert_eq!(Some(tally.nodes), nodes),
            StopReason::Terminals => prop_assert_eq!(Some(tally.terminals), terminals),
            StopReason::Tokens => prop_assert!(tally.tokens >= tokens.unwrap()),
            StopReason::Settled => prop_assert!(false, "nobody settled it"),
            StopReason::Exhausted => prop_assert!(!tree.nodes().any(|(_, node)| node.is_open())),
        }
    }

    #[test]
    fn the_same_answers_give_the_same_tree(seed: u64, config in configs()) {
        let table = Table::random(seed, 4, true);
        let (mut left, mut right) = (Tree::new(&config).unwrap(), Tree::new(&config).unwrap());
        loop {
            prop_assert_eq!(left.request(), left.request(), "asking changes nothing");
            prop_assert_eq!(left.request(), right.request());
            prop_assert_eq!(json(&left), json(&right));
            if !(table.step(&mut left) && table.step(&mut right)) {
                break;
            }
        }
    }

    #[test]
    fn a_root_wave_changes_no_statistic(seed: u64, config in configs()) {
        let table = Table::random(seed, 4, true);
        let mut config = config;
        if single(config.merge) {
            return Ok(());
        }
        config.budget.tokens = None; // A wave is sampled whole before its tokens are counted.
        config.in_flight = 1; // More would descend before the root is full.
        let wave = table.drive(&Config { root_wave: true, ..config });
        let single = table.drive(&Config { root_wave: false, ..config });
        let (left, right): (Vec<_>, Vec<_>) = (wave.nodes().collect(), single.nodes().collect());
        prop_assert_eq!(left.len(), right.len());
        for ((id, left), (_, right)) in left.into_iter().zip(right) {
            prop_assert_eq!(essence(left), essence(right), "node {:?}", id);
        }
        prop_assert_eq!(wave.stop(), single.stop());
    }

    #[test]
    fn siblings_differ_by_the_threshold(seed: u64, config in configs()) {
        let tree = Table::random(seed, 4, true).drive(&config);
        let Merge::EditDistance { threshold, .. } = config.merge else { return Ok(()) };
        for (_, node) in tree.nodes() {
            for (i, &left) in node.children.iter().enumerate() {
                let left = tree.node(left);
                for &right in &node.children[..i] {
                    let right = tree.node(right);
                    let distance = edit_distance(left.text().trim(), right.text().trim());
                    if left.terminal == right.terminal {
                        let least = if left.terminal { 1 } else { threshold as usize };
                        prop_assert!(distance >= least, "{} {}", left.text(), right.text());
                    }
                }
            }
        }
    }
}
