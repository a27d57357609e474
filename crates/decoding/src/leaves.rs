//! Evaluation of new leaves: rollouts, then critic scores for leaves and rollouts.

use critic::{Scores, Solution};
use dataset::seed_for;
use lm::Sampling;
use mcts::Evaluation;
use policy::{Continuation, StateRequest};

use crate::active::{ActiveSearch, Leaf};
use crate::candidate::worth;
use crate::memory::Memory;
use crate::solutions::solution;
use crate::{Error, Origin, RolloutsBy, Searcher};

impl Searcher {
    /// Runs rollouts from the leaves that are not terminal, then scores leaves and rollouts in one batch.
    pub(crate) fn evaluate(
        &self,
        search: &mut ActiveSearch<'_>,
        leaves: &[Leaf],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let weights = self.config.mcts.weights;
        // Only the ORM judges rollouts. Without its weight they would be wasted.
        let count = if weights.orm > 0.0 { self.config.mcts.rollouts } else { 0 };
        let grown = self.config.rollouts_by == RolloutsBy::PolicyGrown;
        let existing: Vec<Vec<f64>> =
            leaves.iter().map(|leaf| self.existing_outcomes(search, leaf, count)).collect();
        let lacking =
            |i: usize| if leaves[i].terminal { 0 } else { count - existing[i].len() as u32 };
        let lacking: Vec<u32> = (0..leaves.len()).map(lacking).collect();
        let rollouts = self.roll_out(search, leaves, &lacking, memory)?;
        let question = search.question.text;
        // Critics read from left to right, so the scores of a leaf are part of the scores of its rollout and the leaf is
        // not scored again. An empty rollout is the exception: it is scored as a finished solution, which says nothing
        // about the unfinished leaf.
        let first = |i: usize| rollouts.partition_point(|(leaf, _)| *leaf < i);
        let is_alone = |i: usize| lacking[i] == 0 || rollouts[first(i)].1.parts.is_empty();
        let alone = leaves.iter().enumerate().filter(|(i, _)| is_alone(*i));
        let alone = alone.map(|(_, leaf)| {
            let options = leaf.options.clone();
            let branch = options.len();
            Solution { question, options, finished: leaf.terminal, branch }
        });
        let continued = rollouts.iter().map(|(leaf, option)| {
            let leaf = &leaves[*leaf];
            let options = leaf.continued(option);
            let branch = if grown { options.len() } else { leaf.options.len() };
            Solution { question, options, finished: true, branch }
        });
        let solutions: Vec<Solution<'_>> = continued.chain(alone).collect();
        let scores = memory.judge(&self.sampler.critic, &solutions)?;
        let (continued, alone) = scores.split_at(rollouts.len());
        let mut alone = alone.iter();
        let mut evaluations: Vec<Evaluation> = leaves
            .iter()
            .enumerate()
            .map(|(i, leaf)| {
                evaluation(leaf, if is_alone(i) { alone.next() } else { continued.get(first(i)) })
            })
            .collect();
        for (evaluation, outcomes) in evaluations.iter_mut().zip(existing) {
            evaluation.orm.extend(outcomes);
        }
        for ((leaf, option), scores) in rollouts.into_iter().zip(continued) {
            let evaluation = &mut evaluations[leaf];
            let solution = solution(Origin::Rollout, &leaves[leaf], &option, scores);
            evaluation.orm.push(solution.outcome);
            evaluation.tokens += u64::from(solution.cost);
            search.rollouts.push(solution);
        }
        let told = search.tree.tell_evaluations(evaluations);
        told.map_err(|source| search.refused(source))
    }

    /// Outcome rewards of the existing rollouts through a leaf, at most `count`.
    fn existing_outcomes(&self, search: &ActiveSearch<'_>, leaf: &Leaf, count: u32) -> Vec<f64> {
        if leaf.terminal || self.config.rollouts_by != RolloutsBy::PolicyGrown {
            return Vec::new();
        }
        let passing = search.passing(leaf.node);
        passing.take(count as usize).map(|rollout| rollout.outcome()).collect()
    }

    /// Generates the missing rollouts: `lacking[i]` of them for leaf `i`. Each comes with the index of its leaf.
    fn roll_out(
        &self,
        search: &ActiveSearch<'_>,
        leaves: &[Leaf],
        lacking: &[u32],
        memory: &mut Memory,
    ) -> Result<Vec<(usize, Continuation)>, Error> {
        let all = lacking.iter().enumerate();
        let count = self.config.mcts.rollouts;
        // The first rollouts of a leaf are those that already exist, so new ones are numbered after them.
        let wanted: Vec<(usize, u32)> =
            all.flat_map(|(i, &lacks)| (count - lacks..count).map(move |n| (i, n))).collect();
        let grown = self.config.rollouts_by == RolloutsBy::PolicyGrown;
        let greedy_first = grown && self.config.mcts.released.greedy_first_child;
        let states: Vec<StateRequest<'_>> = wanted
            .iter()
            .map(|&(i, n)| {
                let (leaf, question) = (&leaves[i], search.question);
                let greedy = greedy_first && n == 0 && search.is_first(leaf.node);
                StateRequest {
                    question: question.text,
                    written: leaf.options.concat(),
                    sampling: if greedy { Sampling::Greedy } else { self.config.rollout_sampling },
                    to_end: true,
                    // A tree that grows along its rollouts continues from them.
                    keep: grown,
                    excluded: Vec::new(),
                    seed: seed_for(
                        question.seed,
                        "rollout",
                        0,
                        &format!("{}/{n}", leaf.node.index()),
                    ),
                }
            })
            .collect();
        let options = match self.config.rollouts_by {
            RolloutsBy::FastPolicy => self.fast_policy.write(&states, &mut memory.fast_policy)?,
            RolloutsBy::Policy | RolloutsBy::PolicyGrown => {
                self.sampler.policy.write(&states, &mut memory.policy)?
            }
        };
        Ok(wanted.into_iter().map(|(leaf, _)| leaf).zip(options).collect())
    }
}

/// The critic scores of the leaf itself: value and PRM of its last option, and the outcome if it is terminal.
fn evaluation(leaf: &Leaf, scores: Option<&Scores>) -> Evaluation {
    let Some(scores) = scores else { return Evaluation::default() };
    let last = leaf.options.len().checked_sub(1);
    let at = |scores: &[f32]| last.and_then(|i| scores.get(i)).copied().map(f64::from);
    let answer = answer::final_answer(&leaf.options.concat());
    let outcome = scores.outcome.filter(|_| leaf.terminal).map(f64::from);
    Evaluation {
        value: at(&scores.values),
        prm: at(&scores.process),
        orm: outcome
            .map(|outcome| worth(leaf.finished, answer.as_deref(), Some(outcome)))
            .into_iter()
            .collect(),
        tokens: 0,
    }
}

#[cfg(test)]
mod tests {
    use mcts::NodeId;

    use super::*;

    #[test]
    fn a_terminal_that_was_cut_or_answers_nothing_is_worth_nothing_in_the_tree() {
        let scores = Scores { outcome: Some(0.75), ..Scores::default() };
        let orm = |text: &str, terminal, finished| {
            let options = vec![text.to_owned()];
            let leaf = Leaf { node: NodeId::ROOT, options, terminal, finished };
            evaluation(&leaf, Some(&scores)).orm
        };
        assert_eq!(orm("#### 5", true, true), [0.75]);
        assert_eq!(orm("#### 5", true, false), [0.0]);
        assert_eq!(orm("It is 5.", true, true), [0.0]);
        assert!(orm("#### 5", false, false).is_empty());
    }
}
