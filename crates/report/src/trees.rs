//! A search tree as the page shows it, with its solutions and what each rule picks.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use schema::{Check, Critique, NodeRow, Trajectory};
use serde::Serialize;
use serde_json::{Value, json};

/// The columns of a node, in their order.
const COLUMNS: [&str; 19] = [
    "node_id",
    "parent_id",
    "depth",
    "text",
    "tokens",
    "logprob",
    "visits",
    "q",
    "simulations",
    "score",
    "value",
    "prm",
    "orm",
    "rollouts",
    "importance",
    "width",
    "merged",
    "terminal",
    "stop_reason",
];

/// The decoder of solutions that end at a node of the tree.
const IN_TREE: &str = "mcts";

/// A search tree.
#[derive(Debug, Serialize)]
pub(crate) struct Tree {
    #[serde(skip)]
    pub(crate) id: String,
    question: String,
    columns: [&'static str; 19],
    /// The power of the policy's probability in the vote.
    vote_likelihood: f64,
    /// In the order in which the search made them.
    nodes: Vec<Value>,
    solutions: Vec<Solution>,
    picks: BTreeMap<&'static str, Option<String>>,
}

/// A solution that the search found.
#[derive(Debug, Serialize)]
struct Solution {
    leaf_id: Option<i32>,
    decoder: String,
    rank: i32,
    answer: Option<String>,
    score: Option<f64>,
    value: Option<f64>,
    orm: Option<f64>,
    agreement: Option<f64>,
    kept: bool,
    why: Option<String>,
    /// The whole text of a rollout: only its beginning is in the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    checks: Vec<Check>,
}

/// A solution with its critique, and what the filter did with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub(crate) trajectory: &'a Trajectory,
    pub(crate) critique: Option<&'a Critique>,
    pub(crate) kept: bool,
    /// Why it was dropped, if that is known.
    pub(crate) why: Option<&'static str>,
}

impl Tree {
    /// The tree of a prompt. `nodes` are all of its nodes by their ids, `solutions` all of its solutions.
    pub(crate) fn new(
        question: &str,
        nodes: &[NodeRow],
        solutions: &[Judged<'_>],
        likelihood: f64,
    ) -> Self {
        Self {
            id: nodes.first().map(|node| node.prompt_id.clone()).unwrap_or_default(),
            question: question.to_owned(),
            columns: COLUMNS,
            vote_likelihood: likelihood,
            nodes: nodes.iter().map(row).collect(),
            picks: BTreeMap::from([
                ("mcts-vote", vote(solutions, likelihood).map(|(answer, _)| answer)),
                ("mcts-greedy", greedy(nodes, solutions)),
                ("mcts-global", global(nodes, solutions)),
                ("mcts-rerank", best(solutions)),
            ]),
            solutions: solutions.iter().map(|one| solution(nodes, one)).collect(),
        }
    }
}

impl Tree {
    /// The tree for other programs: `prompt_id`, `question`, `nodes` with a name for each figure, `solutions` and `picks`.
    pub(crate) fn named(&self) -> Value {
        let figures = |node: &Value| -> Value {
            let values = node.as_array().into_iter().flatten().cloned();
            self.columns.iter().map(|name| (*name).to_owned()).zip(values).collect()
        };
        json!({
            "prompt_id": self.id,
            "question": self.question,
            "nodes": self.nodes.iter().map(figures).collect::<Vec<_>>(),
            "solutions": self.solutions,
            "picks": self.picks,
        })
    }
}

/// The values of a node in the order of [`COLUMNS`].
fn row(node: &NodeRow) -> Value {
    let short = |x: Option<f32>| x.map(short);
    json!([
        node.node_id,
        node.parent_id,
        node.depth,
        node.text,
        node.tokens,
        short(node.logprob),
        node.visits,
        short(node.q),
        node.simulations,
        short(node.score),
        short(node.value),
        short(node.prm),
        short(node.orm),
        node.rollouts,
        short(node.importance),
        node.width,
        node.merged,
        node.terminal,
        node.stop_reason,
    ])
}

/// Four digits after the point: more are noise, and take room.
fn short(x: f32) -> f64 {
    (f64::from(x) * 1e4).round() / 1e4
}

fn solution(nodes: &[NodeRow], one: &Judged<'_>) -> Solution {
    let Judged { trajectory, critique, kept, why } = *one;
    let of = |figure: fn(&Critique) -> Option<f32>| critique.and_then(figure).map(short);
    Solution {
        leaf_id: trajectory.leaf_id,
        decoder: trajectory.decoder.clone(),
        rank: trajectory.rank,
        answer: trajectory.answer.clone(),
        score: of(|critique| Some(critique.score)),
        value: of(|critique| critique.values.last().copied()),
        orm: of(|critique| Some(critique.outcome_reward)),
        agreement: of(|critique| critique.agreement),
        kept,
        why: why.map(str::to_owned),
        // The nodes have the text of a solution that ends in one of them. A leaf may have been completed after the search.
        text: (trajectory.decoder != IN_TREE || !ends_in(nodes, trajectory.leaf_id))
            .then(|| trajectory.completion.clone()),
        checks: critique.map(|critique| critique.checks.clone()).unwrap_or_default(),
    }
}

/// The answer with the largest sum of weights, and its share of all. A solution weighs its outcome reward times the policy's
/// probability of it to the power `likelihood`.
pub(crate) fn vote(solutions: &[Judged<'_>], likelihood: f64) -> Option<(String, f64)> {
    let mut sums = BTreeMap::<&str, f64>::new();
    for Judged { trajectory, critique, .. } in solutions {
        if let (Some(answer), Some(critique)) = (&trajectory.answer, critique) {
            let logprob = trajectory.logprob.map_or(0.0, f64::from);
            let weight = f64::from(critique.outcome_reward) * (likelihood * logprob).exp();
            *sums.entry(answer).or_default() += weight;
        }
    }
    let all: f64 = sums.values().sum();
    let most = sums.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((most.0.to_owned(), if all > 0.0 { most.1 / all } else { 0.0 }))
}

/// The answer at the end of the path that takes the child of the best Q at every node.
pub(crate) fn greedy(nodes: &[NodeRow], solutions: &[Judged<'_>]) -> Option<String> {
    let mut at = nodes.iter().find(|node| node.parent_id.is_none())?;
    loop {
        let children = nodes.iter().filter(|node| node.parent_id == Some(at.node_id));
        let best = children.filter(|node| node.q.is_some()).max_by(|a, b| by_q(a, b));
        let Some(best) = best else { break };
        at = best;
    }
    at_leaf(at.node_id, solutions)
}

/// The answer at the leaf with the best Q.
fn global(nodes: &[NodeRow], solutions: &[Judged<'_>]) -> Option<String> {
    let parents: BTreeSet<i32> = nodes.iter().filter_map(|node| node.parent_id).collect();
    let leaves = nodes.iter().filter(|node| !parents.contains(&node.node_id));
    let rated = leaves.filter(|node| node.parent_id.is_some() && node.q.is_some());
    at_leaf(rated.max_by(|a, b| by_q(a, b))?.node_id, solutions)
}

/// Orders nodes by Q, and of equals the first last: `max_by` takes the last.
fn by_q(a: &NodeRow, b: &NodeRow) -> Ordering {
    a.q.partial_cmp(&b.q).unwrap_or(Ordering::Equal).then(b.node_id.cmp(&a.node_id))
}

/// The answer of the tree's own solution at a leaf; rollouts may begin there, too.
fn at_leaf(leaf: i32, solutions: &[Judged<'_>]) -> Option<String> {
    let own = |one: &&Judged<'_>| {
        one.trajectory.leaf_id == Some(leaf) && one.trajectory.decoder == IN_TREE
    };
    solutions.iter().find(own)?.trajectory.answer.clone()
}

/// Whether a solution ends in this node.
fn ends_in(nodes: &[NodeRow], leaf: Option<i32>) -> bool {
    nodes.iter().any(|node| Some(node.node_id) == leaf && node.terminal)
}

/// The answer of the solution with the largest outcome reward.
fn best(solutions: &[Judged<'_>]) -> Option<String> {
    let judged = solutions.iter().filter_map(|one| Some((one.critique?.outcome_reward, one)));
    let (_, most) = judged
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.trajectory.rank.cmp(&a.1.trajectory.rank)))?;
    most.trajectory.answer.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(node_id: i32, parent_id: Option<i32>, q: f32) -> NodeRow {
        NodeRow { prompt_id: "p".to_owned(), node_id, parent_id, q: Some(q), ..NodeRow::default() }
    }

    fn trajectory(answer: &str, leaf_id: i32, q: f32) -> Trajectory {
        let (answer, decoder) = (Some(answer.to_owned()), IN_TREE.to_owned());
        Trajectory { answer, decoder, leaf_id: Some(leaf_id), q: Some(q), ..Trajectory::default() }
    }

    fn critique(outcome_reward: f32) -> Critique {
        Critique { outcome_reward, ..Critique::default() }
    }

    #[test]
    fn a_vote_weighs_what_the_policy_would_rather_write() {
        let unlikely = Trajectory { logprob: Some(-8.0), ..trajectory("7", 1, 0.5) };
        let likely = Trajectory { logprob: Some(-2.0), ..trajectory("8", 2, 0.5) };
        let critiques = [0.8, 0.4].map(critique);
        let of = |trajectory, critique| Judged {
            trajectory,
            critique: Some(critique),
            kept: false,
            why: None,
        };
        let judged = [of(&unlikely, &critiques[0]), of(&likely, &critiques[1])];
        assert_eq!(vote(&judged, 0.0).unwrap().0, "7");
        assert_eq!(vote(&judged, 0.25).unwrap().0, "8");
    }

    #[test]
    fn every_rule_picks_by_its_own_figure() {
        // The root's better child ends in 7, the best leaf in 8, the best judged one in 9, and most agree on 7.
        let nodes = [
            node(0, None, 0.5),
            node(1, Some(0), 0.7),
            node(2, Some(0), 0.6),
            node(3, Some(1), 0.6),
            node(4, Some(2), 0.9),
            node(5, Some(2), 0.1),
            node(6, Some(1), 0.6),
        ];
        let found = [
            trajectory("7", 3, 0.6),
            trajectory("8", 4, 0.9),
            trajectory("9", 5, 0.1),
            trajectory("7", 6, 0.6),
            // Written from a node within the tree, whose Q is not that of a leaf.
            Trajectory { decoder: "rollout".to_owned(), ..trajectory("6", 1, 0.95) },
        ];
        let critiques = [0.5, 0.4, 0.6, 0.5, 0.1].map(critique);
        let judged: Vec<Judged<'_>> = found
            .iter()
            .zip(&critiques)
            .map(|(trajectory, critique)| Judged {
                trajectory,
                critique: Some(critique),
                kept: false,
                why: None,
            })
            .collect();
        let tree = Tree::new("?", &nodes, &judged, 0.0);
        let picks = tree.picks.iter().map(|(rule, answer)| (*rule, answer.as_deref().unwrap()));
        let expected =
            [("mcts-global", "8"), ("mcts-greedy", "7"), ("mcts-rerank", "9"), ("mcts-vote", "7")];
        assert_eq!(picks.collect::<Vec<_>>(), expected);
        assert!((vote(&judged, 0.0).unwrap().1 - 1.0 / 2.1).abs() < 1e-6);
        assert_eq!(tree.nodes[1].as_array().unwrap().len(), COLUMNS.len());
        let named = tree.named();
        let second = &named["nodes"][1];
        assert_eq!((&named["prompt_id"], &named["picks"]["mcts-vote"]), (&json!("p"), &json!("7")));
        assert_eq!(
            (&second["node_id"], &second["parent_id"], &second["q"]),
            (&json!(1), &json!(0), &json!(0.7))
        );
        let empty = Tree::new("?", &nodes, &[], 0.0);
        assert!(empty.picks.values().all(Option::is_none));
    }
}
