//! From finished trees to solutions: completes leaves, gathers all solutions and picks answers.

use critic::{Scores, Solution};
use dataset::seed_for;
use mcts::NodeId;
use policy::{Continuation, StateRequest};

use crate::active::{ActiveSearch, Leaf};
use crate::candidate::worth;
use crate::memory::Memory;
use crate::{Error, Origin, Picks, Question, RolloutsBy, Searched, Searcher, TreeSolution};

impl Searcher {
    /// Completes unfinished greedy and global leaves, gathers the solutions and picks answers.
    pub(crate) fn finish(
        &self,
        mut search: ActiveSearch<'_>,
        memory: &mut Memory,
    ) -> Result<Searched, Error> {
        let mut wanted = [mcts::greedy_leaf(&search.tree), mcts::best_leaf(&search.tree)];
        // Often the same leaf, which is then completed and paid for only once.
        if wanted[0] == wanted[1] {
            wanted[1] = None;
        }
        let leaves = wanted.into_iter().flatten().map(|node| search.leaf(node));
        let mut open: Vec<Leaf> = leaves.filter(|leaf| !leaf.terminal).collect();
        let mut solutions = terminals(&search);
        // A finished rollout through the leaf is a completion that has already been paid for.
        open.retain(|leaf| match self.completed_by_rollout(&search, leaf) {
            Some(solution) => {
                solutions.push(solution);
                false
            }
            None => true,
        });
        for solution in self.complete(search.question, &open, memory)? {
            search.tokens += u64::from(solution.cost);
            solutions.push(solution);
        }
        // `search.tokens` lacks the rollouts: an option that was taken from one cost nothing there.
        let rolled: u64 = search.rollouts.iter().map(|s| u64::from(s.cost)).sum();
        if self.config.rollouts_are_candidates {
            let beside = self.rollouts_beside(&search, &solutions);
            solutions.extend(beside);
        }
        let picks = Picks::of(&search.tree, &solutions, self.config.vote_likelihood);
        Ok(Searched {
            picks,
            solutions,
            tokens: search.tokens + rolled,
            out_of_room: search.out_of_room,
            tree: search.tree,
        })
    }

    /// The rollouts that are candidates besides the tree's own solutions. If the tree grows along its rollouts, those
    /// that are already in the tree are left out.
    pub(crate) fn rollouts_beside(
        &self,
        search: &ActiveSearch<'_>,
        solutions: &[TreeSolution],
    ) -> Vec<TreeSolution> {
        match self.config.rollouts_by {
            RolloutsBy::PolicyGrown => search.rollouts_beside(solutions).cloned().collect(),
            RolloutsBy::FastPolicy | RolloutsBy::Policy => search.rollouts.clone(),
        }
    }

    /// The best finished rollout through a leaf, if the tree grows along its rollouts; the first one among equals.
    fn completed_by_rollout(&self, search: &ActiveSearch<'_>, leaf: &Leaf) -> Option<TreeSolution> {
        let grown = self.config.rollouts_by == RolloutsBy::PolicyGrown;
        let better = |best: TreeSolution, next: TreeSolution| {
            if next.outcome > best.outcome { next } else { best }
        };
        let passing = search.passing(leaf.node).filter(|rollout| grown && rollout.finished());
        passing.map(|rollout| rollout.completes(leaf.node)).reduce(better)
    }

    fn complete(
        &self,
        question: Question<'_>,
        open: &[Leaf],
        memory: &mut Memory,
    ) -> Result<Vec<TreeSolution>, Error> {
        let states: Vec<StateRequest<'_>> = open
            .iter()
            .map(|leaf| StateRequest {
                question: question.text,
                written: leaf.options.concat(),
                sampling: self.config.completion_sampling,
                to_end: true,
                keep: false,
                excluded: Vec::new(),
                seed: seed_for(question.seed, "completion", 0, &leaf.node.index().to_string()),
            })
            .collect();
        let options = self.sampler.policy.write(&states, &mut memory.policy)?;
        let solutions: Vec<Solution<'_>> = open
            .iter()
            .zip(&options)
            .map(|(leaf, option)| Solution {
                question: question.text,
                options: leaf.continued(option),
                finished: true,
                branch: 0,
            })
            .collect();
        let scores = memory.judge(&self.sampler.critic, &solutions)?;
        let all = open.iter().zip(&options).zip(&scores);
        Ok(all.map(|((leaf, option), s)| solution(Origin::Completed, leaf, option, s)).collect())
    }
}

/// A solution written from a leaf to the end.
pub(crate) fn solution(
    origin: Origin,
    leaf: &Leaf,
    option: &Continuation,
    scores: &Scores,
) -> TreeSolution {
    let text = [leaf.options.concat().as_str(), &option.text].concat();
    let answer = answer::final_answer(&text);
    let finished = option.finish.is_natural();
    let after = |scores: &[f32]| scores.iter().skip(leaf.options.len()).copied().collect();
    TreeSolution {
        origin,
        leaf: leaf.node,
        rest: option.parts.clone(),
        values: after(&scores.values),
        process: after(&scores.process),
        cost: option.tokens,
        text,
        outcome: worth(finished, answer.as_deref(), scores.outcome.map(f64::from)),
        answer,
        finish: option.finish,
    }
}

/// The tree's terminals, with the outcome rewards they received in the tree.
pub(crate) fn terminals(search: &ActiveSearch<'_>) -> Vec<TreeSolution> {
    let terminal = |(id, node): (NodeId, &mcts::Node)| {
        let finish = search.finish(id)?;
        let text = search.options(id).concat();
        let answer = answer::final_answer(&text);
        let outcome = worth(finish.is_natural(), answer.as_deref(), node.orm);
        Some(TreeSolution {
            origin: Origin::Tree,
            leaf: id,
            rest: Vec::new(),
            values: Vec::new(),
            process: Vec::new(),
            cost: 0,
            text,
            answer,
            outcome,
            finish,
        })
    };
    search.tree.terminals().filter_map(terminal).collect()
}
