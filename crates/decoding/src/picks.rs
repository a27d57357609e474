//! What a search found, and the four ways to pick one answer of it (AlphaLLM §4.3).

use mcts::{NodeId, Tree};

use crate::candidate::{elected, heaviest};

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
        let judged: Vec<_> = solved.iter().map(|s| (s.answer.as_deref(), s.outcome)).collect();
        Self {
            greedy: at(mcts::greedy_leaf(tree)),
            global: at(mcts::best_leaf(tree)),
            rerank: heaviest(&judged),
            vote: elected(&judged),
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

#[cfg(test)]
mod tests {
    use super::*;
    use mcts::{Action, Config, Evaluation, Request};

    fn config() -> Config {
        let width = mcts::Width { min: 2, max: 2 };
        Config {
            selection: mcts::Selection::Uct,
            exploration: 1.0,
            root: mcts::RootSelection::Selection,
            alpha: 0.0,
            growth: mcts::Growth { plus_one: true, may_shrink: false },
            root_width: width,
            width,
            max_depth: 3,
            split_depth: None,
            importance: mcts::Importance::Total,
            merge: mcts::Merge::Off,
            weights: mcts::Weights { value: 1.0, prm: 0.0, orm: 0.0 },
            rollouts: 0,
            settled_variance: None,
            prm_aggregation: mcts::PrmAggregation::Latest,
            greedy_first_child: false,
            budget: mcts::Budget {
                simulations: 2,
                min_terminals: None,
                nodes: None,
                terminals: None,
                tokens: None,
            },
            stop_when_exhausted: true,
            root_wave: true,
            in_flight: 1,
        }
    }

    /// A tree of two leaves below the root: the second is worth more.
    fn tree() -> Tree {
        let mut tree = Tree::new(&config()).unwrap();
        let action = |text: &str| Action {
            text: text.to_owned(),
            tokens: 3,
            logprob: -1.0,
            terminal: true,
            stop: "end".to_owned(),
        };
        while !matches!(tree.request(), Request::Done(_)) {
            match tree.request() {
                Request::ScoreRoot => tree.tell_root(0.5).unwrap(),
                Request::Sample(_) => {
                    tree.tell_samples(vec![action("#### 1"), action("#### 2")]).unwrap();
                }
                _ => {
                    let worth = |value| Evaluation { value: Some(value), ..Evaluation::default() };
                    tree.tell_evaluations(vec![worth(0.2), worth(0.6)]).unwrap();
                }
            }
        }
        tree
    }

    fn solved(origin: Origin, leaf: NodeId, answer: Option<&str>, outcome: f64) -> Solved {
        Solved {
            origin,
            leaf,
            rest: Vec::new(),
            rest_tokens: 0,
            rest_logprob: 0.0,
            text: String::new(),
            answer: answer.map(str::to_owned),
            outcome,
            stop: "end".to_owned(),
            finished: true,
        }
    }

    #[test]
    fn each_pick_follows_its_own_rule() {
        let tree = tree();
        let leaves: Vec<NodeId> = tree.leaves().map(|(id, _)| id).collect();
        let solutions = [
            solved(Origin::Tree, leaves[0], Some("1"), 0.4),
            solved(Origin::Tree, leaves[1], Some("2"), 0.5),
            solved(Origin::Rollout, leaves[1], Some("1"), 0.3),
            solved(Origin::Rollout, leaves[1], None, 0.9),
        ];
        let picks = Picks::of(&tree, &solutions);
        assert_eq!((picks.greedy, picks.global), (Some(1), Some(1)), "by return, never a rollout");
        assert_eq!(picks.rerank, Some(3), "by outcome alone");
        assert_eq!(picks.vote, Some(0), "0.4 + 0.3 beat 0.5; the best solution of the answer");
    }

    #[test]
    fn without_an_answer_there_is_no_vote() {
        let tree = tree();
        let leaf = tree.leaves().next().unwrap().0;
        let picks = Picks::of(&tree, &[solved(Origin::Tree, leaf, None, 0.0)]);
        assert_eq!((picks.vote, picks.rerank), (None, Some(0)));
        assert_eq!(Picks::of(&tree, &[]).rerank, None);
    }
}
