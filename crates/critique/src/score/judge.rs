//! Critiques: the critics' scores of a trajectory, what the calculator finds in it, and how far its siblings agree with it.

use critic::{Confidence, Critic, Evidence, Head, Memory, Scores, Solution};
use decoding::Cost;
use schema::critiques::{Check, CriticModels};
use schema::trajectories::TextOption;
use schema::{Critique, Trajectory};
use stage::Failure;

use super::{Config, Totals};

/// The critics, and all that a critique is made of besides a trajectory.
pub(super) struct Judge {
    pub(super) critic: Critic,
    pub(super) config: Config,
    pub(super) confidence: Option<Confidence>,
    /// The hash of critics and prompt texts that a search writes next to its scores.
    pub(super) id: String,
    pub(super) models: CriticModels,
    pub(super) round: i32,
}

impl Judge {
    /// The critiques of the trajectories of one part, counted in `totals`.
    pub(super) fn part(
        &self,
        rows: &[Trajectory],
        totals: &mut Totals,
    ) -> Result<Vec<Critique>, Failure> {
        let mut memory = self.critic.memory();
        let known: Vec<Option<Scores>> = rows.iter().map(|row| self.known(row)).collect();
        totals.judged_before += known.iter().flatten().count();
        let critiques = self.all(rows, known, &mut memory)?;
        totals.add(rows, &critiques);
        totals.cost += Cost::of_critic(memory.counts());
        totals.unread += memory.cut();
        Ok(critiques)
    }

    /// The scores that these critics gave during the search; `None` if the critics were others or some scores are missing.
    fn known(&self, row: &Trajectory) -> Option<Scores> {
        let heads: Vec<Head> = self.critic.heads().collect();
        (row.critics.as_ref() == Some(&self.id)).then(|| stored_scores(row, &heads)).flatten()
    }

    /// Judges the trajectories of a part, reusing the scores in `known`. A part must hold all trajectories of each of its
    /// prompts, or `agreement` would count only some of the votes.
    fn all(
        &self,
        rows: &[Trajectory],
        known: Vec<Option<Scores>>,
        memory: &mut Memory,
    ) -> Result<Vec<Critique>, Failure> {
        let unknown = rows.iter().zip(&known).filter(|(_, scores)| scores.is_none());
        let solutions: Vec<Solution<'_>> = unknown
            .map(|(row, _)| Solution {
                question: &row.prompt,
                options: row.options.iter().map(|option| option.text.clone()).collect(),
                finished: true,
                branch: 0,
            })
            .collect();
        let read = self.critic.score(&solutions, memory).map_err(decoding::Error::from)?;
        let mut read = read.into_iter();
        // `read` has the scores of the unknown rows in order, so taking the next one for each gap puts them in their
        // places.
        let scores: Vec<Scores> =
            known.into_iter().filter_map(|scores| scores.or_else(|| read.next())).collect();
        let outcomes: Vec<f32> = rows.iter().zip(&scores).map(|(row, s)| outcome(row, s)).collect();
        // The outcomes of all rows come first: a solution's agreement depends on those of its siblings.
        let agreement = self.config.agreement.shares(rows, &outcomes)?;
        let all = rows.iter().zip(scores).zip(outcomes.into_iter().zip(agreement));
        Ok(all
            .map(|((row, s), (outcome, agreement))| self.one(row, s, outcome, agreement))
            .collect())
    }

    fn one(
        &self,
        row: &Trajectory,
        scores: Scores,
        outcome: f32,
        agreement: Option<f32>,
    ) -> Critique {
        let weights = &self.config.weights;
        let worst = scores.process.iter().copied().reduce(f32::min).unwrap_or(0.0);
        let value = scores.values.last().copied().unwrap_or(0.0);
        let sum = weights.value * f64::from(value)
            + weights.prm * f64::from(worst)
            + weights.orm * f64::from(outcome);
        let score = sum / (weights.value + weights.prm + weights.orm);
        let checks = answer::check(&row.completion).into_iter().map(|check| Check {
            expression: check.expression,
            claimed: Some(check.claimed),
            computed: check.computed,
            ok: check.ok,
        });
        let chance = |confidence: Confidence| match evidence(row, outcome, agreement) {
            Some(evidence) => confidence.of(evidence) as f32,
            // Not null: `filter` refuses critiques without a confidence.
            None => 0.0,
        };
        Critique {
            trajectory_id: row.trajectory_id.clone(),
            prompt_id: row.prompt_id.clone(),
            values: scores.values,
            process_rewards: scores.process,
            outcome_reward: outcome,
            checks: checks.collect(),
            score: score as f32,
            agreement,
            confidence: self.confidence.map(chance),
            critic_models: self.models.clone(),
            round: self.round,
        }
    }
}

/// The critic scores stored in a trajectory, for `heads`; `None` unless they are complete.
fn stored_scores(row: &Trajectory, heads: &[Head]) -> Option<Scores> {
    let has = |head| heads.contains(&head);
    let options = |head, score: fn(&TextOption) -> Option<f32>| {
        let scores = row.options.iter().map(score);
        if has(head) { scores.collect::<Option<Vec<f32>>>() } else { Some(Vec::new()) }
    };
    Some(Scores {
        // Neither table has a column for it, and no critique needs it.
        root: 0.0,
        values: options(Head::Value, |option| option.value)?,
        process: options(Head::Prm, |option| option.prm)?,
        outcome: if has(Head::Orm) { Some(row.reward?) } else { None },
    })
}

/// The outcome reward that counts: 0 for a solution that cannot be right.
fn outcome(row: &Trajectory, scores: &Scores) -> f32 {
    scores.outcome.filter(|_| row.can_be_right()).unwrap_or(0.0)
}

/// The evidence for a solution; `None` if it cannot be right.
pub(crate) fn evidence(row: &Trajectory, outcome: f32, agreement: Option<f32>) -> Option<Evidence> {
    let agreement = agreement.filter(|_| row.can_be_right())?;
    Some(Evidence { outcome: f64::from(outcome), agreement: f64::from(agreement) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_search_wrote_is_taken_where_it_is_whole() {
        let option =
            |value, prm| TextOption { value: Some(value), prm: Some(prm), ..TextOption::default() };
        let options = vec![option(0.25, 0.5), option(0.75, 1.0)];
        let row = Trajectory { options, reward: Some(0.125), ..Trajectory::default() };
        let scores = stored_scores(&row, &Head::ALL).unwrap();
        assert_eq!((scores.values, scores.process), (vec![0.25, 0.75], vec![0.5, 1.0]));
        assert_eq!(scores.outcome, Some(0.125));
        let mut unread = row.clone();
        unread.options[1].value = None;
        assert_eq!(stored_scores(&unread, &Head::ALL), None);
        let scores = stored_scores(&unread, &[Head::Orm]).unwrap();
        assert_eq!((scores.values.len(), scores.outcome), (0, Some(0.125)));
        assert_eq!(stored_scores(&Trajectory { reward: None, ..row }, &Head::ALL), None);
    }
}
