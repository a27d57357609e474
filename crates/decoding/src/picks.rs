//! What a search found, and the four ways to pick one answer of it (AlphaLLM §4.3).

use mcts::{NodeId, Tree};

/// Where a solution comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A terminal node of the tree: every token is the policy's.
    Tree,
    /// A leaf of the tree, written to the end by the policy.
    Completed,
    /// A fast rollout: the small policy wrote it from a node of the tree on.
    Rollout,
}

/// A solution of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// Where it comes from.
    pub origin: Origin,
    /// The last node of the tree on its way.
    pub leaf: NodeId,
    /// What was written after that node, as options; empty for a terminal.
    pub rest: Vec<String>,
    /// Tokens of the rest.
    pub rest_tokens: u32,
    /// Log-probability of the rest.
    pub rest_logprob: f32,
    /// The whole text.
    pub text: String,
    /// The answer in canonical form, if there is one.
    pub answer: Option<String>,
    /// The outcome reward, in `[0, 1]`; 0 for one that does not end.
    pub outcome: f64,
    /// Why it ended.
    pub stop: String,
    /// Whether it ended by itself.
    pub finished: bool,
}

/// Indices of the picked solutions; none where there is nothing to pick from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Picks {
    /// From the root always to the child of the highest mean return.
    pub greedy: Option<usize>,
    /// The leaf of the highest mean return: the paper's choice of training data.
    pub global: Option<usize>,
    /// The highest outcome reward.
    pub rerank: Option<usize>,
    /// The answer with the highest sum of outcome rewards; its best solution.
    pub vote: Option<usize>,
}

impl Picks {
    /// Picks among the solutions of a tree.
    pub(crate) fn of(tree: &Tree, solved: &[Solved]) -> Self {
        let at = |leaf: Option<NodeId>| {
            let own = |s: &Solved| s.origin != Origin::Rollout && Some(s.leaf) == leaf;
            solved.iter().position(own)
        };
        let scored: Vec<(usize, f64)> =
            solved.iter().enumerate().map(|(i, s)| (i, s.outcome)).collect();
        let answers: Vec<(&str, f64)> =
            solved.iter().filter_map(|s| Some((s.answer.as_deref()?, s.outcome))).collect();
        let winner = mcts::weighted_vote(&answers);
        let agreeing: Vec<(usize, f64)> = scored
            .iter()
            .copied()
            .filter(|&(i, _)| winner.is_some() && solved[i].answer.as_deref() == winner)
            .collect();
        Self {
            greedy: at(mcts::greedy_leaf(tree)),
            global: at(mcts::best_leaf(tree)),
            rerank: mcts::rerank(&scored),
            vote: mcts::rerank(&agreeing),
        }
    }

    /// The four picks by the name of their decoder.
    pub fn named(&self) -> [(&'static str, Option<usize>); 4] {
        [
            ("mcts-greedy", self.greedy),
            ("mcts-global", self.global),
            ("mcts-rerank", self.rerank),
            ("mcts-vote", self.vote),
        ]
    }
}
