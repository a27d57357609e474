//! What new leaves of the trees are worth: rollouts, and the critics on leaves and rollouts.

use critic::{Scores, Solution};
use dataset::seed_for;
use lm::Sampling;
use mcts::{Evaluation, NodeId};
use policy::{StateRequest, TextOption};

use crate::candidate::worth;
use crate::memory::Memory;
use crate::search::{Run, refused};
use crate::solutions::solved;
use crate::{Error, Origin, RolloutsBy, Searcher};

/// A leaf that waits for its evaluation.
pub(crate) struct Leaf {
    pub(crate) run: usize,
    pub(crate) node: NodeId,
    pub(crate) options: Vec<String>,
    pub(crate) terminal: bool,
    /// Whether it is terminal because the solution ended, not because it was cut for its length.
    pub(crate) finished: bool,
}

impl Searcher {
    /// Fast rollouts of the leaves that are not terminal, then the critics on leaves and rollouts.
    pub(crate) fn evaluate(
        &self,
        runs: &mut [Run<'_>],
        leaves: &[Leaf],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        if leaves.is_empty() {
            return Ok(());
        }
        let weights = self.config.mcts.weights;
        let count = if weights.orm > 0.0 { self.config.mcts.rollouts } else { 0 };
        let grown = self.config.rollouts_by == RolloutsBy::PolicyGrown;
        let at_hand: Vec<Vec<f64>> =
            leaves.iter().map(|leaf| self.at_hand_outcomes(runs, leaf, count)).collect();
        let lacking =
            |i: usize| if leaves[i].terminal { 0 } else { count - at_hand[i].len() as u32 };
        let lacking: Vec<u32> = (0..leaves.len()).map(lacking).collect();
        let rollouts = self.roll_out(runs, leaves, &lacking, memory)?;
        let question = |leaf: &Leaf| runs[leaf.run].question.text;
        // A critic reads from left to right: what it says of a leaf stands in its reading of the leaf's rollout, so the leaf
        // is not read again. A rollout without text says nothing of it: it is read as a finished solution.
        let first = |i: usize| rollouts.partition_point(|(leaf, _)| *leaf < i);
        let is_alone = |i: usize| lacking[i] == 0 || rollouts[first(i)].1.parts.is_empty();
        let alone = leaves.iter().enumerate().filter(|(i, _)| is_alone(*i));
        let alone = alone.map(|(_, leaf)| {
            let options = leaf.options.clone();
            let branch = options.len();
            Solution { question: question(leaf), options, finished: leaf.terminal, branch }
        });
        let continued = rollouts.iter().map(|(leaf, option)| {
            let leaf = &leaves[*leaf];
            let options = leaf.continued(option);
            let branch = if grown { options.len() } else { leaf.options.len() };
            Solution { question: question(leaf), options, finished: true, branch }
        });
        let solutions: Vec<Solution<'_>> = continued.chain(alone).collect();
        let scores = memory.judge(&self.critic, &solutions)?;
        let (continued, alone) = scores.split_at(rollouts.len());
        let mut alone = alone.iter();
        let mut evaluations: Vec<Evaluation> = leaves
            .iter()
            .enumerate()
            .map(|(i, leaf)| {
                evaluation(leaf, if is_alone(i) { alone.next() } else { continued.get(first(i)) })
            })
            .collect();
        for (evaluation, outcomes) in evaluations.iter_mut().zip(at_hand) {
            evaluation.orm.extend(outcomes);
        }
        for ((leaf, option), scores) in rollouts.into_iter().zip(continued) {
            let evaluation = &mut evaluations[leaf];
            let solved = solved(Origin::Rollout, &leaves[leaf], &option, scores);
            evaluation.orm.push(solved.outcome);
            evaluation.tokens += u64::from(solved.cost);
            runs[leaves[leaf].run].rollouts.push(solved);
        }
        tell_evaluations(runs, leaves, evaluations)
    }

    /// Outcome rewards of the rollouts that a leaf has already, `count` of them at most.
    fn at_hand_outcomes(&self, runs: &[Run<'_>], leaf: &Leaf, count: u32) -> Vec<f64> {
        if leaf.terminal || self.config.rollouts_by != RolloutsBy::PolicyGrown {
            return Vec::new();
        }
        let passing = runs[leaf.run].passing(leaf.node);
        passing.take(count as usize).map(|rollout| rollout.outcome()).collect()
    }

    /// So many completions of every leaf as it lacks, with the leaf.
    fn roll_out(
        &self,
        runs: &[Run<'_>],
        leaves: &[Leaf],
        lacking: &[u32],
        memory: &mut Memory,
    ) -> Result<Vec<(usize, TextOption)>, Error> {
        let all = lacking.iter().enumerate();
        let count = self.config.mcts.rollouts;
        // The first are those that are at hand.
        let wanted: Vec<(usize, u32)> =
            all.flat_map(|(i, &lacks)| (count - lacks..count).map(move |n| (i, n))).collect();
        let grown = self.config.rollouts_by == RolloutsBy::PolicyGrown;
        let greedy_first = grown && self.config.mcts.greedy_first_child;
        let states: Vec<StateRequest<'_>> = wanted
            .iter()
            .map(|&(i, n)| {
                let (leaf, question) = (&leaves[i], runs[leaves[i].run].question);
                let greedy = greedy_first && n == 0 && runs[leaf.run].is_first(leaf.node);
                StateRequest {
                    question: question.text,
                    written: leaf.options.concat(),
                    sampling: if greedy { Sampling::Greedy } else { self.config.rollout_sampling },
                    to_end: true,
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
                self.policy.write(&states, &mut memory.policy)?
            }
        };
        Ok(wanted.into_iter().map(|(leaf, _)| leaf).zip(options).collect())
    }
}

impl Leaf {
    /// The options to the leaf and those written after it.
    pub(crate) fn continued(&self, rest: &TextOption) -> Vec<String> {
        self.options.iter().cloned().chain(rest.texts()).collect()
    }
}

/// What the critics say of a leaf itself: its last option, and the outcome of a terminal.
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

/// Hands the evaluations, in the order of the leaves, to the trees they belong to.
fn tell_evaluations(
    runs: &mut [Run<'_>],
    leaves: &[Leaf],
    evaluations: Vec<Evaluation>,
) -> Result<(), Error> {
    let mut evaluations = leaves.iter().zip(evaluations).peekable();
    while let Some((leaf, first)) = evaluations.next() {
        let mut told = vec![first];
        while let Some((_, next)) = evaluations.next_if(|(other, _)| other.run == leaf.run) {
            told.push(next);
        }
        let run = &mut runs[leaf.run];
        let answer = run.tree.tell_evaluations(told);
        answer.map_err(|source| refused(&run.question, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_was_cut_or_answers_nothing_is_worth_nothing_in_the_tree() {
        let scores = Scores { outcome: Some(0.75), ..Scores::default() };
        let orm = |text: &str, terminal, finished| {
            let options = vec![text.to_owned()];
            let leaf = Leaf { run: 0, node: NodeId::ROOT, options, terminal, finished };
            evaluation(&leaf, Some(&scores)).orm
        };
        assert_eq!(orm("#### 5", true, true), [0.75]);
        assert_eq!(orm("#### 5", true, false), [0.0]);
        assert_eq!(orm("It is 5.", true, true), [0.0]);
        assert!(orm("#### 5", false, false).is_empty());
    }
}
