//! The solutions of a search, and four ways to pick one answer (AlphaLLM §4.3).

use mcts::{NodeId, Tree};
use policy::{FinishReason, Part};

use crate::candidate::{elected, heaviest};

/// Where a solution comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A terminal node: the policy wrote it as part of the tree.
    Tree,
    /// A leaf of the tree, completed by the policy.
    Completed,
    /// A rollout: written from a node of the tree to the end, by the fast policy or by the policy (`rollouts_by`).
    Rollout,
}

/// A solution of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeSolution {
    /// Where it comes from.
    pub origin: Origin,
    /// The node it was written from; for a terminal, the node itself.
    pub leaf: NodeId,
    /// The options written after that node; empty for a terminal.
    pub rest: Vec<Part>,
    /// The value after each of those options, in `[0, 1]`; empty without a value head.
    pub values: Vec<f32>,
    /// The process reward of each of those options, in `[0, 1]`; empty without a PRM head.
    pub process: Vec<f32>,
    /// Tokens generated after that node; 0 if the text came from an existing rollout.
    pub cost: u32,
    /// The full text.
    pub text: String,
    /// The answer in canonical form, if there is one.
    pub answer: Option<String>,
    /// The outcome reward, in `[0, 1]`; 0 if the solution was cut or has no answer.
    pub outcome: f64,
    /// Why it ended.
    pub finish: FinishReason,
}

impl TreeSolution {
    /// Log-probability of the full text under the policies that wrote it, in nats.
    pub fn logprob(&self, tree: &Tree) -> f64 {
        let path = tree.path(self.leaf).into_iter().filter_map(|id| tree.node(id).action.as_ref());
        let own: f64 = path.map(|action| f64::from(action.logprob)).sum();
        own + self.rest.iter().map(|part| f64::from(part.drawn.logprob())).sum::<f64>()
    }
}

/// A finished search.
#[derive(Debug)]
pub struct Searched {
    /// The tree.
    pub tree: Tree,
    /// The solutions found: terminals in tree order, then completed leaves, then rollouts.
    pub solutions: Vec<TreeSolution>,
    /// The picked solutions, as indices into `solutions`.
    pub picks: Picks,
    /// Tokens generated in total, including completions.
    pub tokens: u64,
    /// Number of paths that ended because the policy's context was full.
    pub out_of_room: u32,
}

/// A way to pick one of the solutions of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pick {
    /// See [`Picks::greedy`].
    Greedy,
    /// See [`Picks::global`].
    Global,
    /// See [`Picks::rerank`].
    Rerank,
    /// See [`Picks::vote`].
    Vote,
}

impl Pick {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Greedy, Self::Global, Self::Rerank, Self::Vote];

    /// The decoder's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greedy => "mcts-greedy",
            Self::Global => "mcts-global",
            Self::Rerank => "mcts-rerank",
            Self::Vote => "mcts-vote",
        }
    }
}

/// Indices of the picked solutions; `None` if there is nothing to pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Picks {
    /// The leaf reached from the root by always following the child with the highest mean return.
    pub greedy: Option<usize>,
    /// The leaf with the highest mean return: the paper's choice of training data.
    pub global: Option<usize>,
    /// The solution with the highest outcome reward.
    pub rerank: Option<usize>,
    /// The heaviest solution of the answer with the largest total weight. A solution weighs its outcome reward times the
    /// policy's probability of it to the power `vote_likelihood`.
    pub vote: Option<usize>,
}

impl Picks {
    /// Picks among the solutions of a tree.
    pub(crate) fn of(tree: &Tree, solutions: &[TreeSolution], likelihood: f64) -> Self {
        let at = |leaf: Option<NodeId>| {
            // A rollout starts at a leaf too, but it is not the tree's own solution for that leaf.
            let own = |s: &TreeSolution| s.origin != Origin::Rollout && Some(s.leaf) == leaf;
            solutions.iter().position(own)
        };
        let judged: Vec<_> = solutions.iter().map(|s| (s.answer.as_deref(), s.outcome)).collect();
        // A likelihood of 0 makes the factor exactly 1, so the paper's vote needs no branch.
        let weight = |s: &TreeSolution| s.outcome * (likelihood * s.logprob(tree)).exp();
        let votes: Vec<_> = solutions.iter().map(|s| (s.answer.as_deref(), weight(s))).collect();
        Self {
            greedy: at(mcts::greedy_leaf(tree)),
            global: at(mcts::best_leaf(tree)),
            rerank: heaviest(&judged),
            vote: elected(&votes),
        }
    }

    /// The solution of one way to pick.
    pub fn get(&self, pick: Pick) -> Option<usize> {
        match pick {
            Pick::Greedy => self.greedy,
            Pick::Global => self.global,
            Pick::Rerank => self.rerank,
            Pick::Vote => self.vote,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{action, config, part, solution};
    use mcts::{Evaluation, Request};

    /// A tree with two leaves below the root, the second of which scores higher.
    fn tree() -> Tree {
        let mut tree = Tree::new(&config(2)).unwrap();
        while !matches!(tree.request(), Request::Done(_)) {
            match tree.request() {
                Request::ScoreRoot => tree.tell_root(0.5).unwrap(),
                Request::Sample(_) => {
                    tree.tell_samples(vec![action("#### 1", true), action("#### 2", true)])
                        .unwrap();
                }
                _ => {
                    let worth = |value| Evaluation { value: Some(value), ..Evaluation::default() };
                    tree.tell_evaluations(vec![worth(0.2), worth(0.6)]).unwrap();
                }
            }
        }
        tree
    }

    #[test]
    fn each_pick_follows_its_own_rule() {
        let tree = tree();
        let leaves: Vec<NodeId> = tree.leaves().map(|(id, _)| id).collect();
        let solutions = [
            solution(Origin::Tree, leaves[0], Some("1"), 0.4),
            solution(Origin::Tree, leaves[1], Some("2"), 0.5),
            solution(Origin::Rollout, leaves[1], Some("1"), 0.3),
            solution(Origin::Rollout, leaves[1], None, 0.9),
        ];
        let picks = Picks::of(&tree, &solutions, 0.0);
        assert_eq!((picks.greedy, picks.global), (Some(1), Some(1)), "by return, never a rollout");
        assert_eq!(picks.rerank, Some(3), "by outcome alone");
        assert_eq!(picks.vote, Some(0), "0.4 + 0.3 beat 0.5; the best solution of the answer");
    }

    /// With equal outcome rewards the likelier answer wins, whether its tokens are in the tree or in the rollout.
    #[test]
    fn the_vote_may_weigh_what_the_policy_thinks() {
        let tree = tree();
        let leaf = tree.leaves().next().unwrap().0;
        let rolled = |answer, logprob| TreeSolution {
            rest: vec![part("", logprob)],
            ..solution(Origin::Rollout, leaf, Some(answer), 0.5)
        };
        let solutions = [rolled("1", -4.0), rolled("2", -2.0), rolled("1", -4.0)];
        assert!((solutions[1].logprob(&tree) - -3.0).abs() < 1e-6, "1 nat is the leaf's own");
        assert_eq!(Picks::of(&tree, &solutions, 0.0).vote, Some(0));
        assert_eq!(Picks::of(&tree, &solutions, 1.0).vote, Some(1));
        assert_eq!(Picks::of(&tree, &solutions, 0.25).vote, Some(0), "two against one");
    }

    #[test]
    fn without_an_answer_there_is_no_vote() {
        let tree = tree();
        let leaf = tree.leaves().next().unwrap().0;
        let picks = Picks::of(&tree, &[solution(Origin::Tree, leaf, None, 0.0)], 0.0);
        assert_eq!((picks.vote, picks.rerank), (None, Some(0)));
        assert_eq!(Picks::of(&tree, &[], 0.0).rerank, None);
    }
}
