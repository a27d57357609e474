//! Converts trees, solutions and samples to rows of the tables.

use dataset::row_id;
use decoding::{Origin, Part, Question, Sample, Searched, TreeSolution};
use mcts::{Node, NodeId, Tree};
use schema::trajectories::TextOption;
use schema::{NodeRow, Trajectory};

/// The fields that all rows of a run share.
pub(crate) struct Source {
    /// The policy.
    pub(crate) model: String,
    /// The hash of the critics and of the texts with which they are asked.
    pub(crate) critics: String,
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
        simulations: node.ended.iter().map(|&simulation| simulation as i32).collect(),
        score: node.score.map(|score| score as f32),
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
pub(crate) fn trajectories(
    from: &Source,
    question: &Question<'_>,
    searched: &Searched,
    keep: usize,
) -> Vec<Trajectory> {
    let mut order: Vec<&TreeSolution> = searched.solutions.iter().collect();
    let q = |s: &TreeSolution| mean(searched.tree.node(s.leaf)).unwrap_or(0.0);
    let rolled = |s: &TreeSolution| s.origin == Origin::Rollout;
    order.sort_by(|a, b| {
        let outcome = b.outcome.total_cmp(&a.outcome);
        outcome.then(q(b).total_cmp(&q(a))).then(rolled(a).cmp(&rolled(b)))
    });
    let mut seen = std::collections::BTreeSet::new();
    // The same text may come from the tree and from a rollout. Both stay: `decoder` tells them apart, and the filter
    // chooses by it.
    order.retain(|s| seen.insert((s.text.as_str(), rolled(s))));
    let best = order.into_iter().take(keep).enumerate();
    best.map(|(rank, solution)| trajectory(from, question, (&searched.tree, solution), rank))
        .collect()
}

fn trajectory(
    from: &Source,
    question: &Question<'_>,
    (tree, solution): (&Tree, &TreeSolution),
    rank: usize,
) -> Trajectory {
    let options = options(tree, solution);
    let decoder = match solution.origin {
        Origin::Tree | Origin::Completed => "mcts",
        Origin::Rollout => "rollout",
    };
    let leaf = solution.leaf.index();
    let id = row_id(&[
        question.id,
        &solution.text,
        decoder,
        &leaf.to_string(),
        &from.model,
        &question.seed.to_string(),
    ]);
    Trajectory {
        trajectory_id: id,
        prompt_id: question.id.to_owned(),
        leaf_id: Some(leaf as i32),
        prompt: question.text.to_owned(),
        completion: solution.text.clone(),
        answer: solution.answer.clone(),
        q: mean(tree.node(solution.leaf)),
        reward: Some(solution.outcome as f32),
        rank: rank as i32,
        tokens: options.iter().map(|o| o.tokens).sum(),
        logprob: Some(options.iter().filter_map(|o| o.logprob).sum()),
        options,
        decoder: decoder.to_owned(),
        model: from.model.clone(),
        critics: Some(from.critics.clone()),
        seed: question.seed as i64,
        finish: solution.finish.to_string(),
        finished: solution.finish.is_natural(),
        round: from.round,
    }
}

/// The options of a solution: first those in the tree, with their nodes, then those written after the leaf.
fn options(tree: &Tree, solution: &TreeSolution) -> Vec<TextOption> {
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
    let own = tree.path(solution.leaf).into_iter().map(of_node);
    own.chain(without_nodes(&solution.rest, &solution.values, &solution.process)).collect()
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
pub(crate) fn samples(
    from: &Source,
    question: &Question<'_>,
    samples: &[Sample],
    keep: usize,
) -> Vec<Trajectory> {
    let mut order: Vec<(usize, &Sample)> = samples.iter().enumerate().collect();
    // The sort is stable: of equal rewards, the sample drawn first comes first.
    order.sort_by(|(_, a), (_, b)| b.candidate.outcome.total_cmp(&a.candidate.outcome));
    let best = order.into_iter().take(keep).enumerate();
    best.map(|(rank, (draw, sample))| sampled(from, question, sample, [draw, rank])).collect()
}

/// The row of a sample: of its place in the order of drawing and of its rank, both from 0.
fn sampled(
    from: &Source,
    question: &Question<'_>,
    sample: &Sample,
    [draw, rank]: [usize; 2],
) -> Trajectory {
    let options: Vec<TextOption> =
        without_nodes(&sample.parts, &sample.values, &sample.process).collect();
    let (decoder, seed) = ("sample", question.seed);
    // `draw` keeps the ids of duplicate texts apart.
    let id = row_id(&[
        question.id,
        &sample.candidate.text,
        decoder,
        &draw.to_string(),
        &from.model,
        &seed.to_string(),
    ]);
    Trajectory {
        trajectory_id: id,
        prompt_id: question.id.to_owned(),
        leaf_id: None,
        prompt: question.text.to_owned(),
        completion: sample.candidate.text.clone(),
        answer: sample.candidate.answer.clone(),
        q: None,
        reward: Some(sample.candidate.outcome as f32),
        rank: rank as i32,
        tokens: options.iter().map(|o| o.tokens).sum(),
        logprob: Some(options.iter().filter_map(|o| o.logprob).sum()),
        options,
        decoder: decoder.to_owned(),
        model: from.model.clone(),
        critics: Some(from.critics.clone()),
        seed: seed as i64,
        finish: sample.finish.to_string(),
        finished: sample.finish.is_natural(),
        round: from.round,
    }
}

fn mean(node: &Node) -> Option<f32> {
    node.mean().map(|q| q as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use decoding::{Candidate, FinishReason};

    fn sample(text: &str, outcome: f64) -> Sample {
        let candidate =
            Candidate { text: text.to_owned(), answer: None, outcome, score: outcome, tokens: 9 };
        Sample {
            candidate,
            parts: Vec::new(),
            values: Vec::new(),
            process: Vec::new(),
            finish: FinishReason::End,
        }
    }

    #[test]
    fn samples_are_ranked_by_outcome_and_repetitions_stay() {
        let question = Question { id: "p", text: "How many?", seed: 7 };
        let from = Source { model: "m".to_owned(), critics: "c".to_owned(), round: 1 };
        let drawn = [("3", 0.25), ("5", 0.5), ("3", 0.25), ("7", 0.75), ("9", 0.5)]
            .map(|(text, outcome)| sample(text, outcome));
        let rows = samples(&from, &question, &drawn, 4);
        let of = |row: &Trajectory| (row.completion.clone(), row.rank);
        let expected =
            [("7", 0), ("5", 1), ("9", 2), ("3", 3)].map(|(t, rank)| (t.to_owned(), rank));
        assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), expected);
        assert!(rows.iter().all(|row| row.decoder == "sample" && row.leaf_id.is_none()));
        assert_eq!(rows[0].reward, Some(0.75));
        let all = samples(&from, &question, &drawn, 9);
        assert_eq!((all.len(), &all[3].completion), (5, &all[4].completion));
        assert_ne!(all[3].trajectory_id, all[4].trajectory_id);
    }
}
