//! The solutions of the problems, graded.

use std::collections::BTreeMap;
use std::ops::Range;

use dataset::Dataset;
use schema::{Critique, NodeRow, Prompt, Trajectory};
use stage::Failure;

use super::Args;

/// A solution that can be right: it has an end and an answer.
#[derive(Debug)]
pub(super) struct Solution {
    pub(super) trajectory: Trajectory,
    pub(super) critique: Critique,
    /// Whether its answer is the problem's.
    pub(super) right: bool,
    /// Tokens of the options that its tree had when it was there.
    pub(super) born: u64,
}

/// The solutions of all problems. Those of a problem stand together, in the order of their ranks.
#[derive(Debug)]
pub(super) struct Solutions {
    pub(super) all: Vec<Solution>,
    /// The place of each problem's solutions; empty where nothing can be right.
    pub(super) problems: Vec<Range<usize>>,
    /// Tokens of the options of the largest tree; 0 without the nodes.
    pub(super) most_tokens: u64,
}

impl Solutions {
    /// Reads and grades them.
    ///
    /// # Errors
    /// A trajectory without its critique, of an unknown problem, or of one without an answer.
    pub(super) fn read(args: &Args) -> Result<Self, Failure> {
        let trajectories =
            Dataset::<Trajectory>::open(&args.trajectories)?.require_rows()?.rows()?;
        let critiques = Dataset::<Critique>::open(&args.critiques)?.rows()?;
        let problems = Dataset::<Prompt>::open(&args.problems)?.require_rows()?.rows()?;
        let nodes = args.nodes.as_deref().map(|dir| Dataset::<NodeRow>::open(dir)?.rows());
        let nodes = nodes.transpose()?;
        Self::of(trajectories, critiques, &problems, nodes.as_deref())
    }

    pub(super) fn of(
        mut trajectories: Vec<Trajectory>,
        critiques: Vec<Critique>,
        problems: &[Prompt],
        nodes: Option<&[NodeRow]>,
    ) -> Result<Self, Failure> {
        let mut critiques: BTreeMap<String, Critique> =
            critiques.into_iter().map(|one| (one.trajectory_id.clone(), one)).collect();
        let answers: BTreeMap<&str, Option<&str>> =
            problems.iter().map(|one| (one.prompt_id.as_str(), one.answer.as_deref())).collect();
        let times = nodes.map(times).unwrap_or_default();
        trajectories.sort_by(|a, b| (&a.prompt_id, a.rank).cmp(&(&b.prompt_id, b.rank)));
        let most_tokens = times.values().map(|node| node.last).max().unwrap_or(0);
        let mut found = Self { all: Vec::new(), problems: Vec::new(), most_tokens };
        let mut last = None;
        for trajectory in trajectories {
            let (id, problem) = (&trajectory.trajectory_id, trajectory.prompt_id.clone());
            let Some(critique) = critiques.remove(id) else {
                return Err(Failure::data(format!("trajectory {id} has no critique"))
                    .hint("run `critique score` on these trajectories"));
            };
            let Some(answer) = answers.get(problem.as_str()).copied().flatten() else {
                return Err(Failure::data(format!(
                    "problem {problem} of trajectory {id} is not there or has no answer"
                ))
                .hint("give the labelled problems that were searched"));
            };
            let at = found.all.len();
            if last.as_ref() != Some(&problem) {
                found.problems.push(at..at);
                last = Some(problem);
            }
            if trajectory.can_be_right() {
                let (right, born) =
                    (answer::grade(&trajectory.completion, answer), born(&trajectory, &times));
                found.all.push(Solution { trajectory, critique, right, born });
            }
            if let Some(place) = found.problems.last_mut() {
                place.end = found.all.len();
            }
        }
        Ok(found)
    }
}

/// A node, by the tokens of the options that its tree had by then.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// When it was made.
    made: u64,
    /// When the last node of its tree was made.
    last: u64,
    /// Whether a solution ends in it.
    terminal: bool,
}

/// By problem and node. Nodes are numbered in the order in which they were made.
type Times<'a> = BTreeMap<(&'a str, i32), Time>;

fn times(nodes: &[NodeRow]) -> Times<'_> {
    let mut times = Times::new();
    for tree in nodes.chunk_by(|a, b| a.prompt_id == b.prompt_id) {
        let tokens = |node: &NodeRow| u64::try_from(node.tokens).unwrap_or(0);
        let (mut made, last) = (0, tree.iter().map(tokens).sum());
        for node in tree {
            made += tokens(node);
            let time = Time { made, last, terminal: node.terminal };
            times.insert((&node.prompt_id, node.node_id), time);
        }
    }
    times
}

/// A solution in the tree and a rollout are there with their leaf. A leaf that was completed for a pick is so at the end.
fn born(trajectory: &Trajectory, times: &Times<'_>) -> u64 {
    let leaf = trajectory.leaf_id.map(|leaf| (trajectory.prompt_id.as_str(), leaf));
    let time = leaf.and_then(|leaf| times.get(&leaf));
    time.map_or(0, |time| {
        let early = time.terminal || trajectory.decoder != IN_TREE;
        if early { time.made } else { time.last }
    })
}

/// The decoder of solutions that a tree has, or that its leaves were completed to.
const IN_TREE: &str = "mcts";
