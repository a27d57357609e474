//! The answers to requests. Each is checked as a whole before any of it is used, so an error leaves the tree unchanged.

use crate::config::Merge;
use crate::formula::{mean, variance};
use crate::merge::Similarity;
use crate::node::{Action, Evaluation, Node, NodeId};
use crate::pending::Pending;
use crate::request::TellError;
use crate::tree::Tree;

/// Largest score accepted. Weights are at most 1e6 and visits below 2^32, so sums stay finite.
const LARGEST_SCORE: f64 = 1e9;

impl Tree {
    /// Answers [`crate::Request::ScoreRoot`] with `v(s_0)`, in [-1e9, 1e9].
    pub fn tell_root(&mut self, value: f64) -> Result<(), TellError> {
        if !matches!(self.pending, Pending::Root) {
            return Err(TellError::NotAsked { told: "the root's value" });
        }
        check_score("the root's value", value)?;
        self.node_mut(NodeId::ROOT).value = Some(value);
        self.pending = self.advance();
        Ok(())
    }

    /// Answers [`crate::Request::Sample`] with as many options as were requested, node by
    /// node and in order of attempt. A sample that failed is passed as an action with empty text that is not terminal.
    ///
    /// With [`Merge::Similarity`] samples are refused, because the tree could not compare them: use
    /// [`Tree::tell_compared`].
    pub fn tell_samples(&mut self, actions: Vec<Action>) -> Result<(), TellError> {
        if matches!(self.config.merge, Merge::Similarity { .. }) {
            return Err(TellError::NotAsked { told: "samples without their similarity" });
        }
        // No other mode measures similarity, so this is never called.
        self.place(actions, &|_, _, _| f64::NEG_INFINITY)
    }

    /// Like [`Tree::tell_samples`], but `similarity` measures how similar a new option of a node is to that of a sibling,
    /// which may be from the same answer. NaN counts as not similar.
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
        // All options are checked before the first is placed, so that an error leaves the tree unchanged.
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

    /// Answers [`crate::Request::Evaluate`] with one evaluation for each node, in the order of the request.
    pub fn tell_evaluations(&mut self, evaluations: Vec<Evaluation>) -> Result<(), TellError> {
        let Pending::Evaluate(nodes) = &self.pending else {
            return Err(TellError::NotAsked { told: "evaluations" });
        };
        check_count("evaluations", nodes.len(), evaluations.len())?;
        for (&id, evaluation) in nodes.iter().zip(&evaluations) {
            self.check_evaluation(self.node(id), evaluation)?;
        }
        let nodes = nodes.clone();
        // The virtual loss goes first, so that the real scores replace it.
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
        // Fewer is fine, since a rollout may have failed; only more than requested is an error.
        check_count("ORM scores", asked, evaluation.orm.len().max(asked))
    }

    /// Records the critics' scores of a leaf, and returns its leaf score.
    fn record(&mut self, id: NodeId, evaluation: &Evaluation) -> f64 {
        let terminal = self.node(id).terminal;
        // The score of a terminal is final: no rollouts are counted there.
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
    // A range contains no NaN.
    if (-LARGEST_SCORE..=LARGEST_SCORE).contains(&score) {
        Ok(())
    } else {
        Err(TellError::Score { what, score })
    }
}

fn check_count(what: &'static str, asked: usize, told: usize) -> Result<(), TellError> {
    if asked == told { Ok(()) } else { Err(TellError::Count { what, asked, told }) }
}
