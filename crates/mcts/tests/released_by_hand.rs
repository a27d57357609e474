//! Eight simulations of the released code's order (paper.md §3.2), worked out by hand.
//!
//! The flags are `c_param` 1, `width_increase_factor` 8, `init_children` 2, `n_total_children` 1, `edit_dist_thres` 2 and
//! `max_n_repeat` 2, and the reward is the value alone. A, Z, B, A1, Z1 and R are the states of the table below, `N` and `Q`
//! are visits and sum of rewards, `score = Q/N + sqrt(ln N_parent / N)`, and I is importance, the largest distance of a
//! child's mean from the mean of these means.
//!
//! 1. The root has no child and may have 2. The first option, A, has no sibling to repeat. Reward 0.5.
//! 2. One child of 2. `ab` is one edit from A, which is below 2, so another sample is drawn: `zz` is two edits away and becomes
//!    Z. Reward 0.25; root N 2, Q 0.75.
//! 3. Means 0.5 and 0.25, I = 0.125: 8 times that is 1, so 2 stay allowed. Scores 0.5 + 0.8326 and 0.25 + 0.8326: A wins. It may
//!    have one child and has none: it gets A1, an answer. Reward 1; A N 2, Q 1.5; root N 3, Q 1.75.
//! 4. Means 0.75 and 0.25, I = 0.25: 2 allowed. Scores 0.75 + 0.7412 and 0.25 + 1.0481: A wins, and its only child A1 is
//!    revisited. Reward 1 again; A N 3, Q 2.5; root N 4, Q 2.75.
//! 5. Means 0.8333 and 0.25, I = 0.2917: 2 allowed. Scores 0.8333 + 0.6798 and 0.25 + 1.1774: A1 again. A N 4, Q 3.5;
//!    root N 5, Q 3.75.
//! 6. Means 0.875 and 0.25, I = 0.3125: 2 allowed. Scores 0.875 + 0.6343 and 0.25 + 1.2686: Z wins, and gets Z1, an answer.
//!    Reward 0; Z N 2, Q 0.25; root N 6, Q 3.75.
//! 7. Means 0.875 and 0.125, I = 0.375: 3 allowed. The root gets a third child, R, an answer. Answers are never drawn again,
//!    however close to a sibling. Reward -0.25; root N 7, Q 3.5.
//! 8. Means 0.875, 0.125 and -0.25, I = 0.625: 5 allowed. `aa` is 0 edits from A and `ab` is 1; after two attempts the farther
//!    one stays: B. Reward 0.125; root N 8, Q 3.625.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{RELEASED, Table, plain, text};
use mcts::{Config, Merge, NodeId, Tree, Width};

const A: &str = "aa\n";
const Z: &str = "zz\n";
const B: &str = "ab\n";
const A1: &str = "aa\n#### 1\n";
const Z1: &str = "zz\n#### 2\n";
const R: &str = "#### 3\n";

fn table() -> Table {
    serde_json::from_value(serde_json::json!({
        "": { "options": [A, B, Z, R], "value": 0.0, "prm": 0.0, "orm": 0.0 },
        A: { "options": ["#### 1\n"], "value": 0.5, "prm": 0.0, "orm": 0.0 },
        Z: { "options": ["#### 2\n"], "value": 0.25, "prm": 0.0, "orm": 0.0 },
        B: { "options": ["#### 4\n"], "value": 0.125, "prm": 0.0, "orm": 0.0 },
        A1: { "value": 1.0, "prm": 0.0, "orm": 0.0 },
        Z1: { "value": 0.0, "prm": 0.0, "orm": 0.0 },
        R: { "value": -0.25, "prm": 0.0, "orm": 0.0 },
    }))
    .unwrap()
}

fn after(simulations: u32) -> Tree {
    let config = Config {
        exploration: 1.0,
        alpha: 8.0,
        root_width: Width { min: 2, max: 10 },
        width: Width { min: 1, max: 10 },
        max_depth: 10,
        merge: Merge::MostDistant { threshold: 2, attempts: 2, saturate_after: None },
        weights: mcts::Weights { value: 1.0, prm: 0.0, orm: 0.0 },
        released: RELEASED,
        ..plain(simulations)
    };
    table().drive(&config)
}

#[test]
fn every_simulation_is_the_one_that_was_worked_out() {
    let steps = [
        (0.5, 1, 2),
        (0.75, 2, 2),
        (1.75, 3, 2),
        (2.75, 3, 2),
        (3.75, 3, 2),
        (3.75, 4, 3),
        (3.5, 5, 5),
        (3.625, 6, 5),
    ];
    for (simulations, (total, nodes, allowed)) in (1..).zip(steps) {
        let tree = after(simulations);
        let root = tree.node(NodeId::ROOT);
        assert_eq!(root.visits, simulations);
        assert!((root.total - total).abs() < 1e-12, "{simulations}: {}", root.total);
        assert_eq!(tree.nodes().count() - 1, nodes, "{simulations}");
        // The width is updated after each simulation, so this is the one that the next simulation sees.
        assert_eq!(root.width, allowed, "{simulations}");
    }
}

#[test]
fn the_tree_is_the_one_that_was_worked_out() {
    let tree = after(8);
    let found: Vec<(String, u32, f64)> =
        tree.nodes().map(|(id, node)| (text(&tree, id), node.visits, node.total)).collect();
    let expected = [
        ("", 8, 3.625),
        (A, 4, 3.5),
        (Z, 2, 0.25),
        (A1, 3, 3.0),
        (Z1, 1, 0.0),
        (R, 1, -0.25),
        (B, 1, 0.125),
    ];
    // Compared for equality, because all of these sums are exact in binary.
    assert_eq!(found, expected.map(|(text, visits, total)| (text.to_owned(), visits, total)));
}
