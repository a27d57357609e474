//! Judges: everything that scores solutions.

use schema::{Critique, Trajectory};

use super::solutions::{Solution, Solutions};

/// A score of every solution; larger is better.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) name: String,
    /// By the place of the solution.
    pub(super) scores: Vec<f64>,
}

/// The score that a judge reads from the tables; `None` where they do not have it.
type Read = fn(&Trajectory, &Critique) -> Option<f64>;

/// The judges that the tables have.
const OF_TABLES: [(&str, Read); 8] = [
    ("orm", |_, critique| Some(f64::from(critique.outcome_reward))),
    // After the last option, which is the value of the whole solution.
    ("value", |_, critique| critique.values.last().copied().map(f64::from)),
    // A solution is as good as its weakest step.
    ("prm", |_, critique| critique.process_rewards.iter().copied().map(f64::from).reduce(f64::min)),
    ("confidence", |_, critique| critique.confidence.map(f64::from)),
    ("calculator", |_, critique| Some(holding(critique))),
    // Mean return of its leaf.
    ("q", |trajectory, _| trajectory.q.map(f64::from)),
    ("likelihood", |trajectory, _| per_token(trajectory.logprob, trajectory.tokens)),
    ("weakest", |trajectory, _| weakest(trajectory)),
];

impl Judge {
    /// The judges of the tables that score every solution.
    pub(super) fn of_tables(solutions: &Solutions) -> Vec<Self> {
        let judge = |(name, read): (&str, Read)| {
            let score = |one: &Solution| read(&one.trajectory, &one.critique);
            let scores: Option<Vec<f64>> = solutions.all.iter().map(score).collect();
            Some(Self { name: name.to_owned(), scores: scores? })
        };
        OF_TABLES.into_iter().filter_map(judge).collect()
    }

    /// Whether its scores can be weights of votes.
    pub(super) fn weighs(&self) -> bool {
        self.scores.iter().all(|score| *score >= 0.0)
    }
}

/// The share of the equations that hold, of those that the calculator could evaluate; a half if there are none.
fn holding(critique: &Critique) -> f64 {
    let decided: Vec<bool> =
        critique.checks.iter().filter(|one| one.computed.is_some()).map(|one| one.ok).collect();
    let hold = decided.iter().filter(|ok| **ok).count();
    if decided.is_empty() { 0.5 } else { hold as f64 / decided.len() as f64 }
}

/// The policy's probability of a token, as the geometric mean.
fn per_token(logprob: Option<f32>, tokens: i32) -> Option<f64> {
    Some((f64::from(logprob?) / f64::from(tokens.max(1))).exp())
}

/// The same in the option that the policy was least sure of.
fn weakest(trajectory: &Trajectory) -> Option<f64> {
    let each = trajectory.options.iter().map(|option| per_token(option.logprob, option.tokens));
    let each: Option<Vec<f64>> = each.collect();
    each?.into_iter().reduce(f64::min)
}
