//! Answers: each is checked as a whole before any of it is believed.

use crate::config::Merge;
use crate::formula::{mean, variance};
use crate::machine::Pending;
use crate::merge::Similarity;
use crate::node::{Action, Evaluation, Node, NodeId};
use crate::request::TellError;
use crate::tree::Tree;

/// Largest score believed. Weights are at most 1e6 and visits below 2^32, so sums stay finite.
const LARGEST_SCORE: f64 = 1e9;

impl Tree {
    /// Answers [`crate::Request::ScoreRoot`] with `v(s_0)`.
    pub fn tell_root(&mut self, value: f64) -> Result<(), TellError> {
        if !matches!(self.pending, Pending::Root) {
            return Err(TellError::NotAsked { told: "the root's value" });
        }
        check_score("the root's value", value)?;
        self.node_mut(NodeId::ROOT).value = Some(value);
        self.pending = self.advance();
        Ok(())
    }

    /// Answers [`crate::Request::Sample`] with as many options as were asked for, node after
    /// node and in order of attempt. A sample that could not be had is told as an action without text that is not terminal.
    ///
    /// With [`Merge::Similarity`] the samples are refused: use [`Tree::tell_compared`].
    pub fn tell_samples(&mut self, actions: Vec<Action>) -> Result<(), TellError> {
        if matches!(self.config.merge, Merge::Similarity { .. }) {
            return Err(TellError::NotAsked { told: "samples without their similarity" });
        }
        self.place(actions, &|_, _, _| f64::NEG_INFINITY)
    }

    /// As [`Tree::tell_samples`]; `similarity` says how similar a new option of a node is to a sibling's, which may be
    /// one that was told with it. A similarity that is NaN is none.
    pub fn tell_compared(
        &mut self,
        actions: Vec<Action>,
        similarity: impl Fn(NodeId, &Action, &Action) -> f64,
    ) -> Result<(), TellError> {
        self.place(actions, &similarity)
    }

    fn place(
        &mut self,
        actions: Vec<Action>,
        similarity: &Similarity<'_>,
    ) -> Result<(), TellError> {
        let Pending::Sample(wave) = &self.pending else {
            return Err(TellError::NotAsked { told: "samples" });
        };
        check_count("samples", wave.lacking(), actions.len())?;
        for action in &actions {
            check_score("a log-probability", f64::from(action.logprob))?;
        }
        let mut wave = wave.clone();
        let mut actions = actions.into_iter();
        for sampling in &mut wave.samplings {
            for action in actions.by_ref().take(sampling.lacking as usize) {
                if let Some(child) = self.expand(sampling.node, action, similarity) {
                    wave.fresh.push(child);
                    sampling.lacking -= 1;
                }
            }
        }
        self.pending = self.after_samples(wave);
        Ok(())
    }

    /// Answers [`crate::Request::Evaluate`], one evaluation for each node, in the order asked.
    pub fn tell_evaluations(&mut self, evaluations: Vec<Evaluation>) -> Result<(), TellError> {
        let Pending::Evaluate(nodes) = &self.pending else {
            return Err(TellError::NotAsked { told: "evaluations" });
        };
        check_count("evaluations", nodes.len(), evaluations.len())?;
        for (&id, evaluation) in nodes.iter().zip(&evaluations) {
            self.check_evaluation(self.node(id), evaluation)?;
        }
        let nodes = nodes.clone();
        self.land();
        for (id, evaluation) in nodes.into_iter().zip(evaluations) {
            let score = self.record(id, &evaluation);
            self.backup(id, score);
        }
        self.pending = self.advance();
        Ok(())
    }

    fn check_evaluation(&self, node: &Node, evaluation: &Evaluation) -> Result<(), TellError> {
        evaluation.value.map_or(Ok(()), |value| check_score("a value", value))?;
        evaluation.prm.map_or(Ok(()), |prm| check_score("a PRM score", prm))?;
        evaluation.orm.iter().try_for_each(|&orm| check_score("an ORM score", orm))?;
        let asked = if node.terminal { 1 } else { self.rollouts() as usize };
        // Fewer is fine: a rollout may have failed.
        check_count("ORM scores", asked, evaluation.orm.len().max(asked))
    }

    /// Writes down what the critics said of a leaf, and returns its score.
    fn record(&mut self, id: NodeId, evaluation: &Evaluation) -> f64 {
        let terminal = self.node(id).terminal;
        let rollouts = if terminal { 0 } else { evaluation.orm.len() as u32 };
        self.tally.rollouts += rollouts;
        self.tally.tokens = self.tally.tokens.saturating_add(evaluation.tokens);
        let settled = self.config.settled_variance.is_some_and(|limit| {
            rollouts > 0 && variance(&evaluation.orm).is_some_and(|variance| variance < limit)
        });
        let node = self.node_mut(id);
        if settled {
            node.most = 1;
        }
        node.value = evaluation.value;
        node.prm = evaluation.prm;
        node.orm = mean(&evaluation.orm);
        node.rollouts = rollouts;
        let score = self.leaf_score(id);
        self.node_mut(id).score = Some(score);
        score
    }

    fn leaf_score(&self, id: NodeId) -> f64 {
        let path: Vec<_> = self.path(id).into_iter().map(|id| self.node(id).prm).collect();
        let Node { value, orm, .. } = *self.node(id);
        self.config.leaf_score(value, &path, orm)
    }
}

fn check_score(what: &'static str, score: f64) -> Result<(), TellError> {
    // NaN is in no range.
    if (-LARGEST_SCORE..=LARGEST_SCORE).contains(&score) {
        Ok(())
    } else {
        Err(TellError::Score { what, score })
    }
}

fn check_count(what: &'static str, asked: usize, told: usize) -> Result<(), TellError> {
    if asked == told { Ok(()) } else { Err(TellError::Count { what, asked, told }) }
}
