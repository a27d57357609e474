//! Trees and solutions as rows of the tables.

use dataset::row_id;
use decoding::{Origin, Part, Question, Searched, Solved};
use mcts::{Node, NodeId, Tree};
use schema::trajectories::TextOption;
use schema::{NodeRow, Trajectory};

/// What the rows of a question share.
pub(crate) struct Source<'a> {
    pub(crate) question: &'a Question<'a>,
    pub(crate) model: &'a str,
    pub(crate) round: i32,
}

/// A row for every node of a tree.
pub(crate) fn nodes(question: &Question<'_>, tree: &Tree, round: i32) -> Vec<NodeRow> {
    let row = |(id, node): (NodeId, &Node)| NodeRow {
        prompt_id: question.id.to_owned(),
        node_id: id.index() as i32,
        parent_id: node.parent.map(|parent| parent.index() as i32),
        depth: node.depth as i32,
        text: node.text().to_owned(),
        tokens: node.action.as_ref().map_or(0, |a| a.tokens as i32),
        logprob: node.action.as_ref().map(|a| a.logprob),
        visits: node.visits as i32,
        q: mean(node),
        value: node.value.map(|v| v as f32),
        prm: node.prm.map(|v| v as f32),
        orm: node.orm.map(|v| v as f32),
        rollouts: node.rollouts as i32,
        importance: Some(node.importance as f32),
        width: Some(node.width as i32),
        merged: node.merged as i32,
        terminal: node.terminal,
        stop_reason: node.action.as_ref().map(|a| a.stop.clone()),
        round,
    };
    tree.nodes().map(row).collect()
}

/// The best solutions of a tree, distinct, best first: by outcome reward, then by the leaf's mean
/// return, the policy's own before rollouts.
pub(crate) fn trajectories(from: &Source<'_>, searched: &Searched, keep: usize) -> Vec<Trajectory> {
    let mut order: Vec<&Solved> = searched.solved.iter().collect();
    let q = |s: &Solved| mean(searched.tree.node(s.leaf)).unwrap_or(0.0);
    let rolled = |s: &Solved| s.origin == Origin::Rollout;
    order.sort_by(|a, b| {
        let outcome = b.outcome.total_cmp(&a.outcome);
        outcome.then(q(b).total_cmp(&q(a))).then(rolled(a).cmp(&rolled(b)))
    });
    let mut seen = std::collections::BTreeSet::new();
    order.retain(|s| seen.insert((s.text.as_str(), rolled(s))));
    let best = order.into_iter().take(keep).enumerate();
    best.map(|(rank, solved)| trajectory(from, &searched.tree, solved, rank)).collect()
}

fn trajectory(from: &Source<'_>, tree: &Tree, solved: &Solved, rank: usize) -> Trajectory {
    let options = options(tree, solved);
    let decoder = match solved.origin {
        Origin::Tree | Origin::Completed => "mcts",
        Origin::Rollout => "rollout",
    };
    let leaf = solved.leaf.index();
    let id = row_id(&[
        from.question.id,
        &solved.text,
        decoder,
        &leaf.to_string(),
        from.model,
        &from.question.seed.to_string(),
    ]);
    Trajectory {
        trajectory_id: id,
        prompt_id: from.question.id.to_owned(),
        leaf_id: Some(leaf as i32),
        prompt: from.question.text.to_owned(),
        completion: solved.text.clone(),
        answer: solved.answer.clone(),
        q: mean(tree.node(solved.leaf)),
        reward: Some(solved.outcome as f32),
        rank: rank as i32,
        tokens: options.iter().map(|o| o.tokens).sum(),
        logprob: Some(options.iter().filter_map(|o| o.logprob).sum()),
        options,
        decoder: decoder.to_owned(),
        model: from.model.to_owned(),
        seed: from.question.seed as i64,
        finish: solved.stop.clone(),
        finished: solved.finished,
        round: from.round,
    }
}

/// The options of a solution: those of the tree with their nodes, then what was written after.
fn options(tree: &Tree, solved: &Solved) -> Vec<TextOption> {
    let of_node = |id: NodeId| {
        let node = tree.node(id);
        TextOption {
            text: node.text().to_owned(),
            node_id: Some(id.index() as i32),
            tokens: node.action.as_ref().map_or(0, |a| a.tokens as i32),
            logprob: node.action.as_ref().map(|a| a.logprob),
            q: mean(node),
            value: node.value.map(|v| v as f32),
            prm: node.prm.map(|v| v as f32),
            visits: node.visits as i32,
        }
    };
    let of_rest = |part: &Part| TextOption {
        text: part.text.clone(),
        node_id: None,
        tokens: part.drawn.ids.len() as i32,
        logprob: Some(part.drawn.logprob()),
        q: None,
        value: None,
        prm: None,
        visits: 0,
    };
    let own = tree.path(solved.leaf).into_iter().map(of_node);
    own.chain(solved.rest.iter().map(of_rest)).collect()
}

fn mean(node: &Node) -> Option<f32> {
    node.mean().map(|q| q as f32)
}
