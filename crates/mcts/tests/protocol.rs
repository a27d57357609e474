//! The protocol: the order of requests, the answers that are refused, and the cost of duplicates and blanks.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{RELEASED, Table, action, plain};
use mcts::{
    Action, Config, Evaluation, Importance, Merge, NodeId, Released, Request, RootSelection,
    SampleRequest, Selection, StopReason, TellError, Tree, Weights, Width,
};

fn one() -> Evaluation {
    Evaluation { value: Some(1.0), ..Evaluation::default() }
}

/// Answers a request to evaluate with a value of 1 for every leaf.
fn evaluate(tree: &mut Tree) {
    let Request::Evaluate { nodes, .. } = tree.request() else { panic!("{:?}", tree.request()) };
    tree.tell_evaluations(vec![one(); nodes.len()]).unwrap();
}

fn tell(tree: &mut Tree, texts: &[&str]) {
    tree.tell_samples(texts.iter().map(|text| action(text, false)).collect()).unwrap();
}

fn attempt(tree: &Tree) -> (NodeId, u32, u32, bool, bool) {
    match tree.request() {
        Request::Sample(wanted) if wanted.len() == 1 => {
            let SampleRequest { node, count, first_attempt, greedy_first, to_end } = wanted[0];
            (node, count, first_attempt, greedy_first, to_end)
        }
        other => panic!("{other:?}"),
    }
}

fn merging(simulations: u32, resamples: u32) -> Config {
    Config { merge: Merge::EditDistance { threshold: 3, resamples }, ..plain(simulations) }
}

#[test]
fn the_root_is_scored_only_for_value_importance() {
    let adaptive = Config { alpha: 1.0, ..plain(5) };
    let mut tree = Tree::new(&adaptive).unwrap();
    assert_eq!(tree.request(), Request::ScoreRoot);
    tree.tell_root(0.25).unwrap();
    assert_eq!(attempt(&tree), (NodeId::ROOT, 1, 0, false, false));
    assert_eq!(tree.node(NodeId::ROOT).visits, 0, "a value of the root is not backed up");
    let released = Released { importance: Importance::Total, ..adaptive.released };
    for config in [plain(5), Config { released, ..adaptive }] {
        attempt(&Tree::new(&config).unwrap());
    }
}

#[test]
fn only_the_first_attempt_is_greedy_and_only_the_last_depth_runs_to_the_end() {
    let config = Config { released: Released::default(), max_depth: 2, ..plain(9) };
    let mut tree = Tree::new(&config).unwrap();
    assert_eq!(attempt(&tree), (NodeId::ROOT, 1, 0, true, false));
    tell(&mut tree, &[""]);
    assert_eq!(attempt(&tree), (NodeId::ROOT, 1, 1, false, false), "after a blank: not again");
    tell(&mut tree, &["a"]);
    evaluate(&mut tree);
    tell(&mut tree, &["b"]);
    evaluate(&mut tree);
    let (node, count, first_attempt, greedy_first, to_end) = attempt(&tree);
    assert_eq!(tree.node(node).text(), "a", "the first of equals");
    assert_eq!((count, first_attempt, greedy_first, to_end), (1, 0, true, true));
}

#[test]
fn a_wave_asks_for_what_the_root_lacks() {
    let width = Width { min: 4, max: 4 };
    let config = Config { root_wave: true, root_width: width, ..merging(20, 3) };
    let mut tree = Tree::new(&config).unwrap();
    assert_eq!(attempt(&tree), (NodeId::ROOT, 4, 0, false, false));
    tell(&mut tree, &["first", "firsts", "second", "a third"]);
    assert_eq!(attempt(&tree), (NodeId::ROOT, 1, 4, false, false), "one was a duplicate");
    tell(&mut tree, &["yet another"]);
    let Request::Evaluate { nodes, rollouts } = tree.request() else { panic!() };
    assert_eq!((nodes.len(), rollouts), (4, 2));
    evaluate(&mut tree);
    assert_eq!(tree.tally().simulations, 4);
    assert_eq!(tree.node(nodes[0]).merged, 1);
}

#[test]
fn a_wave_fits_in_the_budget() {
    let root_width = Width { min: 9, max: 9 };
    let mut config = Config { root_wave: true, root_width, ..plain(7) };
    assert_eq!(attempt(&Tree::new(&config).unwrap()).1, 7);
    config.budget.nodes = Some(5);
    assert_eq!(attempt(&Tree::new(&config).unwrap()).1, 5);
    config.budget.terminals = Some(3);
    assert_eq!(attempt(&Tree::new(&config).unwrap()).1, 3);
}

/// Nine samples in ten are the same, and yet every simulation brings a node. In the first prototype duplicates used up
/// the budget.
#[test]
fn duplicates_use_up_no_simulations() {
    let mut options = vec!["always the same;".to_owned(); 9];
    options.push("something else altogether;".into());
    let state =
        |options: &[String]| common::State { options: options.into(), ..Default::default() };
    let mut states = std::collections::BTreeMap::from([(String::new(), state(&options))]);
    for first in &options {
        states.insert(first.clone(), state(&options));
        for second in &options {
            states.insert(format!("{first}{second}"), state(&[]));
        }
    }
    let tree = Table(states).drive(&merging(6, 20));
    let tally = tree.tally();
    assert_eq!((tally.simulations, tally.nodes, tally.revisits), (6, 6, 0));
    assert!(tally.merged >= 3 * 8, "{tally:?}");
}

#[test]
fn a_node_of_duplicates_is_saturated_and_left() {
    let mut tree = Tree::new(&merging(10, 2)).unwrap();
    tell(&mut tree, &["only one"]);
    evaluate(&mut tree);
    for attempts in 1..=3 {
        assert_eq!(attempt(&tree), (NodeId::ROOT, 1, attempts, false, false));
        tell(&mut tree, &["only onE"]);
    }
    let root = tree.node(NodeId::ROOT);
    assert!(root.saturated);
    assert_eq!((root.width, root.children.len(), root.visits), (1, 1, 1));
    let child = root.children[0];
    assert_eq!(tree.node(child).merged, 3);
    assert_eq!(attempt(&tree).0, child, "the search goes on below");
    assert_eq!(tree.tally().simulations, 1, "a resample is no simulation");
}

/// The children cover 0.5 and then 0.8 of the probability. The remaining 0.2 is below `least_mass`, so no more are drawn.
#[test]
fn a_node_is_saturated_once_little_is_left_to_be_drawn() {
    let width = Width { min: 9, max: 9 };
    let merge = Merge::Distinct { least_mass: 0.25 };
    let mut tree = Tree::new(&Config { merge, root_width: width, ..plain(10) }).unwrap();
    for (text, share) in [("half", 0.5f32), ("three tenths", 0.3)] {
        assert_eq!(attempt(&tree).0, NodeId::ROOT);
        assert!(!tree.node(NodeId::ROOT).saturated);
        tree.tell_samples(vec![Action { logprob: share.ln(), ..action(text, false) }]).unwrap();
        evaluate(&mut tree);
    }
    let root = tree.node(NodeId::ROOT);
    assert!(root.saturated);
    assert_eq!((root.width, root.children.len()), (2, 2));
    assert_ne!(attempt(&tree).0, NodeId::ROOT, "the search goes on below");
}

#[test]
fn what_was_at_hand_costs_nothing() {
    let mut tree = Tree::new(&plain(10)).unwrap();
    tree.tell_samples(vec![Action { cost: 0, ..action("a", false) }]).unwrap();
    assert_eq!((tree.tally().tokens, tree.tally().sampled), (0, 1));
}

#[test]
fn resampling_is_counted_per_child() {
    let width = Width { min: 3, max: 3 };
    let mut tree = Tree::new(&Config { root_width: width, ..merging(10, 1) }).unwrap();
    for text in ["first", "first", "second", "second", "the third"] {
        tell(&mut tree, &[text]);
        if matches!(tree.request(), Request::Evaluate { .. }) {
            evaluate(&mut tree);
        }
    }
    assert_eq!(tree.node(NodeId::ROOT).children.len(), 3);
    assert!(!tree.node(NodeId::ROOT).saturated);
}

#[test]
fn finished_options_merge_only_when_identical() {
    let width = Width { min: 5, max: 5 };
    let mut tree = Tree::new(&Config { root_width: width, ..merging(10, 9) }).unwrap();
    let options = [("#### 18", true), ("#### 19", true), ("#### 18 ", true), ("#### 18", false)];
    for (text, terminal) in options {
        tree.tell_samples(vec![action(text, terminal)]).unwrap();
        if matches!(tree.request(), Request::Evaluate { .. }) {
            evaluate(&mut tree);
        }
    }
    let merged: Vec<_> = tree.nodes().skip(1).map(|(_, n)| (n.text(), n.merged)).collect();
    assert_eq!(merged, [("#### 18", 1), ("#### 19", 0), ("#### 18", 0)]);
}

#[test]
fn an_option_joins_the_nearest_sibling() {
    let width = Width { min: 3, max: 3 };
    let merge = Merge::EditDistance { threshold: 4, resamples: 5 };
    // Nearest to the first, nearest to the second, and a tie, which goes to the first.
    let cases = [("abcdefgZ", [1, 0]), ("aBCDWXYZ", [0, 1]), ("abcdefYZ", [1, 0])];
    for (option, expected) in cases {
        let mut tree = Tree::new(&Config { root_width: width, merge, ..plain(10) }).unwrap();
        for text in ["abcdefgh", "abcdWXYZ"] {
            tell(&mut tree, &[text]);
            evaluate(&mut tree);
        }
        tell(&mut tree, &[option]);
        let merged: Vec<_> = tree.nodes().skip(1).map(|(_, node)| node.merged).collect();
        assert_eq!(merged, expected, "{option}");
    }
}

#[test]
fn blanks_saturate_too() {
    let mut tree = Tree::new(&plain(10)).unwrap();
    for _ in 0..5 {
        tell(&mut tree, &[""]);
    }
    assert_eq!(tree.request(), Request::Done(StopReason::Exhausted));
    assert_eq!(tree.tally().failed, 5);
    assert_eq!(mcts::best_leaf(&tree), None);
    assert_eq!(mcts::greedy_leaf(&tree), None);
}

#[test]
fn a_finished_tree_is_exhausted_before_the_budget() {
    let mut tree = Tree::new(&plain(1000)).unwrap();
    for (text, orm) in [("#### 1", 0.0), ("#### 2", 1.0)] {
        tree.tell_samples(vec![action(text, true)]).unwrap();
        let evaluation = Evaluation { orm: vec![orm], ..Evaluation::default() };
        tree.tell_evaluations(vec![evaluation]).unwrap();
    }
    assert_eq!(tree.request(), Request::Done(StopReason::Exhausted));
    assert_eq!(tree.tally().simulations, 2);
    assert_eq!(tree.node(mcts::best_leaf(&tree).unwrap()).text(), "#### 2");
}

#[test]
fn the_token_budget_stops_resampling() {
    let mut config = merging(10, 100);
    config.budget.tokens = Some(7);
    let mut tree = Tree::new(&config).unwrap();
    tell(&mut tree, &["a"]);
    evaluate(&mut tree);
    tell(&mut tree, &["a"]);
    tell(&mut tree, &["a"]);
    tell(&mut tree, &["a"]);
    assert_eq!(tree.request(), Request::Done(StopReason::Tokens));
    assert_eq!(tree.tally().tokens, 8);
}

#[test]
fn no_rollouts_are_asked_for_without_an_orm() {
    let weights = Weights { value: 1.0, prm: 0.0, orm: 0.0 };
    let mut tree = Tree::new(&Config { weights, ..plain(5) }).unwrap();
    tell(&mut tree, &["a"]);
    assert!(matches!(tree.request(), Request::Evaluate { rollouts: 0, .. }));
}

#[test]
fn a_leaf_score_is_the_weighted_sum() {
    let weights = Weights { value: 1.0, prm: 0.5, orm: 2.0 };
    let mut tree = Tree::new(&Config { weights, ..plain(1) }).unwrap();
    tell(&mut tree, &["a"]);
    let evaluation =
        Evaluation { value: Some(-0.5), prm: Some(0.75), orm: vec![1.0, 0.5], tokens: 40 };
    tree.tell_evaluations(vec![evaluation]).unwrap();
    let root = tree.node(NodeId::ROOT);
    let leaf = tree.node(root.children[0]);
    assert_eq!(leaf.score, Some(-0.5 + 0.375 + 1.5));
    assert_eq!((leaf.orm, leaf.rollouts), (Some(0.75), 2));
    assert_eq!((root.visits, root.mean()), (1, leaf.score));
    assert_eq!(tree.tally().tokens, 42);
    assert_eq!(tree.request(), Request::Done(StopReason::Simulations));
}

/// Gives `tree` an answer that it must refuse, checks that nothing has changed, and returns the error message.
fn refused(tree: &mut Tree, tell: impl Fn(&mut Tree) -> Result<(), TellError>) -> String {
    let state = |tree: &Tree| (serde_json::to_value(tree.snapshot()).unwrap(), tree.request());
    let before = state(tree);
    let message = tell(tree).unwrap_err().to_string();
    assert_eq!(state(tree), before);
    message
}

#[test]
fn what_was_not_asked_is_refused() {
    let mut tree = Tree::new(&plain(5)).unwrap();
    let message = refused(&mut tree, |tree| tree.tell_root(1.0));
    assert_eq!(message, "told the root's value, which was not asked for");
    let message = refused(&mut tree, |tree| tree.tell_evaluations(vec![one()]));
    assert_eq!(message, "told evaluations, which was not asked for");
    let message = refused(&mut tree, |tree| tree.tell_samples(vec![]));
    assert_eq!(message, "told 0 samples, asked for 1");
    tell(&mut tree, &["a"]);
    let message = refused(&mut tree, |tree| tree.tell_samples(vec![action("b", false)]));
    assert_eq!(message, "told samples, which was not asked for");
    let message = refused(&mut tree, |tree| tree.tell_evaluations(vec![one(), one()]));
    assert_eq!(message, "told 2 evaluations, asked for 1");
    let message = refused(&mut tree, |tree| {
        tree.tell_evaluations(vec![Evaluation { orm: vec![0.5; 3], ..one() }])
    });
    assert_eq!(message, "told 3 ORM scores, asked for 2");
}

#[test]
fn scores_that_would_poison_the_tree_are_refused() {
    let mut tree = Tree::new(&Config { alpha: 1.0, ..plain(5) }).unwrap();
    let message = refused(&mut tree, |tree| tree.tell_root(f64::NAN));
    assert_eq!(message, "the root's value is NaN, not a number within 1e9 of 0");
    tree.tell_root(0.0).unwrap();
    refused(&mut tree, |tree| {
        let mut sample = action("a", false);
        sample.logprob = f32::NEG_INFINITY;
        tree.tell_samples(vec![sample])
    });
    tell(&mut tree, &["a"]);
    for poison in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        let value = Evaluation { value: Some(poison), ..one() };
        let prm = Evaluation { prm: Some(poison), ..one() };
        let orm = Evaluation { orm: vec![0.5, poison], ..one() };
        for evaluation in [value, prm, orm] {
            refused(&mut tree, |tree| tree.tell_evaluations(vec![evaluation.clone()]));
        }
    }
    evaluate(&mut tree);
    assert_eq!(tree.node(NodeId::ROOT).mean(), Some(1.0), "and the search goes on");
}

/// Searches a tree whose root has two terminal children with these scores and log-probabilities.
fn two_children(config: &Config, scores: [f64; 2], logprobs: [f32; 2]) -> Tree {
    let mut tree = Tree::new(&Config { root_wave: true, ..config.clone() }).unwrap();
    let child = |(text, logprob)| Action { logprob, ..action(text, true) };
    tree.tell_samples(["a", "b"].into_iter().zip(logprobs).map(child).collect()).unwrap();
    let told = scores.map(|value| Evaluation { value: Some(value), ..Evaluation::default() });
    tree.tell_evaluations(told.into()).unwrap();
    tree
}

fn visits(tree: &Tree) -> Vec<u32> {
    tree.nodes().skip(1).map(|(_, node)| node.visits).collect()
}

#[test]
fn puct_prefers_what_the_policy_prefers() {
    let config = Config { selection: Selection::Puct, released: RELEASED, ..plain(9) };
    let likely_second = [-3.0, -1.0];
    let visited = |config: &Config| visits(&two_children(config, [0.5, 0.5], likely_second));
    let puct = visited(&config);
    assert!(puct[1] > puct[0] + 2, "{puct:?}");
    assert_eq!(visited(&Config { selection: Selection::Uct, ..config }), [5, 4]);
}

#[test]
fn simulations_in_flight_are_spread_by_a_virtual_loss() {
    let config = Config { in_flight: 3, ..plain(20) };
    let mut tree = Tree::new(&config).unwrap();
    assert_eq!(attempt(&tree).1, 2, "the root has room for two");
    tell(&mut tree, &["a", "b"]);
    evaluate(&mut tree);
    let Request::Sample(wanted) = tree.request() else { panic!("{:?}", tree.request()) };
    let asked: Vec<(&str, u32)> =
        wanted.iter().map(|wanted| (tree.node(wanted.node).text(), wanted.count)).collect();
    assert_eq!(asked, [("a", 2), ("b", 1)], "equals in turn");
    tell(&mut tree, &["c", "d", "e"]);
    let Request::Evaluate { nodes, .. } = tree.request() else { panic!("{:?}", tree.request()) };
    let parents: Vec<&str> =
        nodes.iter().map(|id| tree.node(tree.node(*id).parent.unwrap()).text()).collect();
    assert_eq!(parents, ["a", "a", "b"]);
    evaluate(&mut tree);
    assert_eq!((tree.tally().simulations, tree.node(NodeId::ROOT).visits), (5, 5));
    assert_eq!(visits(&tree), [3, 2, 1, 1, 1], "no loss is left behind");
}

/// The virtual loss of an open child makes its finished sibling look better, which must not make the search visit that
/// one again and again.
#[test]
fn finished_leaves_are_not_revisited_beside_what_is_under_way() {
    let config = Config { in_flight: 4, root_wave: true, exploration: 0.7, ..plain(80) };
    let mut tree = Tree::new(&config).unwrap();
    tree.tell_samples(vec![action("open", false), action("finished", true)]).unwrap();
    let worth = |value| Evaluation { value: Some(value), ..Evaluation::default() };
    tree.tell_evaluations(vec![worth(2.4), worth(2.3)]).unwrap();
    let Request::Sample(wanted) = tree.request() else { panic!("{:?}", tree.request()) };
    assert_eq!(wanted.len(), 1);
    assert!(tree.tally().revisits <= 1, "{:?}", tree.tally());
}

#[test]
fn halving_shares_the_visits_out_in_rounds() {
    let root_width = Width { min: 4, max: 4 };
    let config = Config {
        root: RootSelection::SequentialHalving,
        root_width,
        root_wave: true,
        released: RELEASED,
        ..plain(16)
    };
    let mut tree = Tree::new(&config).unwrap();
    tree.tell_samples(["a", "b", "c", "d"].map(|text| action(text, true)).into()).unwrap();
    let worth = |value| Evaluation { value: Some(value), ..Evaluation::default() };
    tree.tell_evaluations([0.1, 0.9, 0.2, 0.8].map(worth).into()).unwrap();
    // Two rounds of eight simulations: each of the four twice, then the better two four more times each.
    assert_eq!(visits(&tree), [2, 6, 2, 6]);
}

#[test]
fn a_settled_search_is_over() {
    let mut tree = Tree::new(&plain(9)).unwrap();
    tell(&mut tree, &["a"]);
    evaluate(&mut tree);
    tree.settle();
    assert_eq!(tree.request(), Request::Done(StopReason::Settled));
    assert_eq!((tree.tally().nodes, tree.tally().simulations), (1, 1));
}

/// This driver counts options with the same first letter as similar.
#[test]
fn similar_options_are_folded_as_the_driver_measures() {
    let merge = Merge::Similarity { threshold: 0.7, resamples: 1 };
    let config = Config { merge, root_wave: true, ..plain(9) };
    let mut tree = Tree::new(&config).unwrap();
    let alike = |node, new: &Action, old: &Action| {
        assert_eq!(node, NodeId::ROOT);
        if new.text.as_bytes()[0] == old.text.as_bytes()[0] { 0.8 } else { 0.7 }
    };
    let actions = |texts: [&str; 2]| texts.map(|text| action(text, false)).into();
    let refused = tree.tell_samples(actions(["a", "b"])).unwrap_err();
    assert_eq!(refused, TellError::NotAsked { told: "samples without their similarity" });
    tree.tell_compared(actions(["apple", "ant"]), alike).unwrap();
    assert_eq!(attempt(&tree), (NodeId::ROOT, 1, 2, false, false), "one was like the other");
    tree.tell_compared(vec![action("bee", false)], alike).unwrap();
    evaluate(&mut tree);
    assert_eq!((tree.tally().nodes, tree.tally().merged), (2, 1));
    assert_eq!(tree.nodes().nth(1).unwrap().1.merged, 1);
}

#[test]
fn a_leaf_whose_rollouts_agree_has_one_child() {
    let config = Config { settled_variance: Some(0.01), ..plain(12) };
    let mut tree = Tree::new(&config).unwrap();
    let told = |orm: [f64; 2]| Evaluation { orm: orm.to_vec(), ..one() };
    for orm in [[0.9, 0.9], [0.1, 0.9]] {
        let siblings = tree.nodes().count().to_string();
        tell(&mut tree, &[&siblings]);
        tree.tell_evaluations(vec![told(orm)]).unwrap();
    }
    while let Request::Sample(_) = tree.request() {
        let another = tree.nodes().count().to_string();
        tell(&mut tree, &[&another]);
        if let Request::Evaluate { nodes, .. } = tree.request() {
            tree.tell_evaluations(vec![told([0.1, 0.9]); nodes.len()]).unwrap();
        }
    }
    let children: Vec<usize> = tree
        .node(NodeId::ROOT)
        .children
        .iter()
        .map(|&child| tree.node(child).children.len())
        .collect();
    assert_eq!(children, [1, 2], "{}", serde_json::to_string(&tree.snapshot()).unwrap());
}
