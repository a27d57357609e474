//! Converts trees, solutions and samples to rows of the tables.

use dataset::row_id;
use decoding::{Origin, Part, Question, Sample, Searched, Solved};
use mcts::{Node, NodeId, Tree};
use schema::trajectories::TextOption;
use schema::{NodeRow, Trajectory};

/// The fields that all rows of a question share.
pub(crate) struct Source<'a> {
    pub(crate) question: &'a Question<'a>,
    pub(crate) model: &'a str,
    pub(crate) critics: &'a str,
    pub(crate) round: i32,
}

/// One row for every node of a tree.
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

/// The best `keep` distinct solutions of a tree, best first: by outcome reward, then by the mean return of the leaf, then
/// the policy's own before those from rollouts.
pub(crate) fn trajectories(from: &Source<'_>, searched: &Searched, keep: usize) -> Vec<Trajectory> {
    let mut order: Vec<&Solved> = searched.solved.iter().collect();
    let q = |s: &Solved| mean(searched.tree.node(s.leaf)).unwrap_or(0.0);
    let rolled = |s: &Solved| s.origin == Origin::Rollout;
    order.sort_by(|a, b| {
        let outcome = b.outcome.total_cmp(&a.outcome);
        outcome.then(q(b).total_cmp(&q(a))).then(rolled(a).cmp(&rolled(b)))
    });
    let mut seen = std::collections::BTreeSet::new();
    // The same text may come from the tree and from a rollout. Both stay: `decoder` tells them apart, and the filter
    // chooses by it.
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
        critics: Some(from.critics.to_owned()),
        seed: from.question.seed as i64,
        finish: solved.stop.clone(),
        finished: solved.finished,
        round: from.round,
    }
}

/// The options of a solution: first those in the tree, with their nodes, then those written after the leaf.
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
    let own = tree.path(solved.leaf).into_iter().map(of_node);
    own.chain(without_nodes(&solved.rest, &solved.values, &solved.process)).collect()
}

/// Options outside any tree, with their critic scores where there are any.
fn without_nodes(
    parts: &[Part],
    values: &[f32],
    process: &[f32],
) -> impl Iterator<Item = TextOption> {
    parts.iter().enumerate().map(|(i, part)| TextOption {
        text: part.text.clone(),
        node_id: None,
        tokens: part.drawn.ids.len() as i32,
        logprob: Some(part.drawn.logprob()),
        q: None,
        value: values.get(i).copied(),
        prm: process.get(i).copied(),
        visits: 0,
    })
}

/// The best `keep` samples of a prompt, best first: by outcome reward, then in the order they were drawn. Duplicate texts
/// stay, because self-consistency and `agreement` count how often an answer was drawn; the filter later keeps one of each
/// text.
pub(crate) fn samples(from: &Source<'_>, samples: &[Sample], keep: usize) -> Vec<Trajectory> {
    let mut order: Vec<(usize, &Sample)> = samples.iter().enumerate().collect();
    // The sort is stable: of equal rewards, the sample drawn first comes first.
    order.sort_by(|(_, a), (_, b)| b.candidate.outcome.total_cmp(&a.candidate.outcome));
    let best = order.into_iter().take(keep).enumerate();
    best.map(|(rank, (draw, sample))| sampled(from, sample, draw, rank)).collect()
}

/// The row of the sample drawn at position `draw`, from 0.
fn sampled(from: &Source<'_>, sample: &Sample, draw: usize, rank: usize) -> Trajectory {
    let options: Vec<TextOption> =
        without_nodes(&sample.parts, &sample.values, &sample.process).collect();
    let (decoder, seed) = ("sample", from.question.seed);
    // `draw` keeps the ids of duplicate texts apart.
    let id = row_id(&[
        from.question.id,
        &sample.candidate.text,
        decoder,
        &draw.to_string(),
        from.model,
        &seed.to_string(),
    ]);
    Trajectory {
        trajectory_id: id,
        prompt_id: from.question.id.to_owned(),
        leaf_id: None,
        prompt: from.question.text.to_owned(),
        completion: sample.candidate.text.clone(),
        answer: sample.candidate.answer.clone(),
        q: None,
        reward: Some(sample.candidate.outcome as f32),
        rank: rank as i32,
        tokens: options.iter().map(|o| o.tokens).sum(),
        logprob: Some(options.iter().filter_map(|o| o.logprob).sum()),
        options,
        decoder: decoder.to_owned(),
        model: from.model.to_owned(),
        critics: Some(from.critics.to_owned()),
        seed: seed as i64,
        finish: sample.stop.clone(),
        finished: sample.finished,
        round: from.round,
    }
}

fn mean(node: &Node) -> Option<f32> {
    node.mean().map(|q| q as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use decoding::Candidate;

    fn sample(text: &str, outcome: f64) -> Sample {
        let candidate =
            Candidate { text: text.to_owned(), answer: None, outcome, score: outcome, tokens: 9 };
        Sample {
            candidate,
            parts: Vec::new(),
            values: Vec::new(),
            process: Vec::new(),
            stop: "end".to_owned(),
            finished: true,
        }
    }

    #[test]
    fn samples_are_ranked_by_outcome_and_repetitions_stay() {
        let question = Question { id: "p", text: "How many?", seed: 7 };
        let from = Source { question: &question, model: "m", critics: "c", round: 1 };
        let drawn = [("3", 0.25), ("5", 0.5), ("3", 0.25), ("7", 0.75), ("9", 0.5)]
            .map(|(text, outcome)| sample(text, outcome));
        let rows = samples(&from, &drawn, 4);
        let of = |row: &Trajectory| (row.completion.clone(), row.rank);
        let expected =
            [("7", 0), ("5", 1), ("9", 2), ("3", 3)].map(|(t, rank)| (t.to_owned(), rank));
        assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), expected);
        assert!(rows.iter().all(|row| row.decoder == "sample" && row.leaf_id.is_none()));
        assert_eq!(rows[0].reward, Some(0.75));
        let all = samples(&from, &drawn, 9);
        assert_eq!((all.len(), &all[3].completion), (5, &all[4].completion));
        assert_ne!(all[3].trajectory_id, all[4].trajectory_id);
    }
}
