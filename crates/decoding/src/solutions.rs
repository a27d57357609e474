//! From finished trees to solutions: completes leaves, gathers all solutions and picks answers.

use critic::{Scores, Solution};
use dataset::seed_for;
use mcts::NodeId;
use policy::{StateRequest, TextOption, ended};

use crate::candidate::worth;
use crate::leaves::Leaf;
use crate::memory::Memory;
use crate::search::{Run, Searched};
use crate::{Error, Origin, Picks, RolloutsBy, Searcher, Solved};

impl Searcher {
    /// Completes unfinished greedy and global leaves, gathers the solutions and picks answers.
    pub(crate) fn finish(
        &self,
        mut runs: Vec<Run<'_>>,
        memory: &mut Memory,
    ) -> Result<Vec<Searched>, Error> {
        let mut open: Vec<Leaf> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let mut wanted = [mcts::greedy_leaf(&run.tree), mcts::best_leaf(&run.tree)];
            if wanted[0] == wanted[1] {
                wanted[1] = None;
            }
            let leaves = wanted.into_iter().flatten().map(|node| run.leaf(index, node));
            open.extend(leaves.filter(|leaf| !leaf.terminal));
        }
        let mut own: Vec<Vec<Solved>> = runs.iter().map(terminals).collect();
        // A finished rollout through the leaf is a completion that has already been paid for.
        open.retain(|leaf| match self.at_hand(&runs[leaf.run], leaf) {
            Some(solved) => {
                own[leaf.run].push(solved);
                false
            }
            None => true,
        });
        let completed = self.complete(&runs, &open, memory)?;
        for (leaf, solved) in open.iter().zip(completed) {
            runs[leaf.run].tokens += u64::from(solved.cost);
            own[leaf.run].push(solved);
        }
        let searched = runs.into_iter().zip(own).map(|(run, mut solved)| {
            let rolled: u64 = run.rollouts.iter().map(|s| u64::from(s.cost)).sum();
            if self.config.rollouts_are_candidates {
                let beside = self.rollouts_beside(&run, &solved);
                solved.extend(beside);
            }
            let picks = Picks::of(&run.tree, &solved, self.config.vote_likelihood);
            Searched {
                picks,
                solved,
                tokens: run.tokens + rolled,
                out_of_room: run.out_of_room,
                tree: run.tree,
            }
        });
        Ok(searched.collect())
    }

    /// The rollouts that are candidates besides the tree's own solutions. If the tree grows along its rollouts, those
    /// that are already in the tree are left out.
    pub(crate) fn rollouts_beside(&self, run: &Run<'_>, solutions: &[Solved]) -> Vec<Solved> {
        match self.config.rollouts_by {
            RolloutsBy::PolicyGrown => run.rollouts_beside(solutions).cloned().collect(),
            RolloutsBy::FastPolicy | RolloutsBy::Policy => run.rollouts.clone(),
        }
    }

    /// The best finished rollout through a leaf, if the tree grows along its rollouts; the first one among equals.
    fn at_hand(&self, run: &Run<'_>, leaf: &Leaf) -> Option<Solved> {
        let grown = self.config.rollouts_by == RolloutsBy::PolicyGrown;
        let better = |best: Solved, next: Solved| {
            if next.outcome > best.outcome { next } else { best }
        };
        let passing = run.passing(leaf.node).filter(|rollout| grown && rollout.finished());
        passing.map(|rollout| rollout.completes(leaf.node)).reduce(better)
    }

    fn complete(
        &self,
        runs: &[Run<'_>],
        open: &[Leaf],
        memory: &mut Memory,
    ) -> Result<Vec<Solved>, Error> {
        let states: Vec<StateRequest<'_>> = open
            .iter()
            .map(|leaf| {
                let question = runs[leaf.run].question;
                StateRequest {
                    question: question.text,
                    written: leaf.options.concat(),
                    sampling: self.config.completion_sampling,
                    to_end: true,
                    keep: false,
                    excluded: Vec::new(),
                    seed: seed_for(question.seed, "completion", 0, &leaf.node.index().to_string()),
                }
            })
            .collect();
        let options = self.policy.write(&states, &mut memory.policy)?;
        let solutions: Vec<Solution<'_>> = open
            .iter()
            .zip(&options)
            .map(|(leaf, option)| Solution {
                question: runs[leaf.run].question.text,
                options: leaf.continued(option),
                finished: true,
                branch: 0,
            })
            .collect();
        let scores = memory.judge(&self.critic, &solutions)?;
        let all = open.iter().zip(&options).zip(&scores);
        Ok(all.map(|((leaf, option), s)| solved(Origin::Completed, leaf, option, s)).collect())
    }
}

/// A solution written from a leaf to the end.
pub(crate) fn solved(origin: Origin, leaf: &Leaf, option: &TextOption, scores: &Scores) -> Solved {
    let text = [leaf.options.concat().as_str(), &option.text].concat();
    let answer = answer::final_answer(&text);
    let finished = ended(option.stop);
    let after = |scores: &[f32]| scores.iter().skip(leaf.options.len()).copied().collect();
    Solved {
        origin,
        leaf: leaf.node,
        rest: option.parts.clone(),
        values: after(&scores.values),
        process: after(&scores.process),
        cost: option.tokens,
        text,
        outcome: worth(finished, answer.as_deref(), scores.outcome.map(f64::from)),
        answer,
        stop: option.stop.to_owned(),
        finished,
    }
}

/// The tree's terminals, with the outcome rewards they received in the tree.
pub(crate) fn terminals(run: &Run<'_>) -> Vec<Solved> {
    let terminal = |(id, node): (NodeId, &mcts::Node)| {
        let text = run.options(id).concat();
        let answer = answer::final_answer(&text);
        let stop = node.action.as_ref().map_or_else(String::new, |a| a.stop.clone());
        let finished = ended(&stop);
        let outcome = worth(finished, answer.as_deref(), node.orm);
        Solved {
            origin: Origin::Tree,
            leaf: id,
            rest: Vec::new(),
            values: Vec::new(),
            process: Vec::new(),
            cost: 0,
            text,
            answer,
            outcome,
            stop,
            finished,
        }
    };
    run.tree.terminals().map(terminal).collect()
}
