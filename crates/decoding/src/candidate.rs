//! Solutions found without a tree, and ways to pick one of them.

use critic::Scores;
use policy::FinishReason;
use schema::trajectories::can_be_right;

/// A finished solution of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The text.
    pub text: String,
    /// The answer in canonical form, if there is one.
    pub answer: Option<String>,
    /// The outcome reward, in `[0, 1]`; 0 if the solution was cut or has no answer.
    pub outcome: f64,
    /// Its score as a leaf of a tree, with the weights of the search. For step searches it is the outcome reward, since
    /// they only score finished solutions by the ORM.
    pub score: f64,
    /// Tokens generated for this solution.
    pub tokens: u32,
}

impl Candidate {
    /// A solution that ended for this reason.
    pub(crate) fn new(
        text: String,
        finish: FinishReason,
        outcome: Option<f32>,
        tokens: u32,
    ) -> Self {
        let answer = answer::final_answer(&text);
        let outcome = worth(finish.is_natural(), answer.as_deref(), outcome.map(f64::from));
        Self { text, answer, outcome, score: outcome, tokens }
    }

    /// Sets `score` to the leaf score under the settings of a tree search.
    pub(crate) fn scored(self, scores: &Scores, config: &mcts::Config) -> Self {
        let path: Vec<Option<f64>> = scores.process.iter().map(|p| Some(f64::from(*p))).collect();
        let value = scores.values.last().copied().map(f64::from);
        Self { score: config.leaf_score(value, &path, Some(self.outcome)), ..self }
    }
}

/// The effective outcome reward. The critic is overruled if the solution cannot be right.
pub(crate) fn worth(finished: bool, answer: Option<&str>, outcome: Option<f64>) -> f64 {
    outcome.filter(|_| can_be_right(finished, answer)).unwrap_or(0.0)
}

/// Index of the solution with the highest weight.
pub fn heaviest(solutions: &[(Option<&str>, f64)]) -> Option<usize> {
    let scored: Vec<(usize, f64)> =
        solutions.iter().map(|(_, weight)| *weight).enumerate().collect();
    mcts::rerank(&scored)
}

/// Index of the heaviest solution of the answer with the largest total weight.
pub fn elected(solutions: &[(Option<&str>, f64)]) -> Option<usize> {
    let votes: Vec<(&str, f64)> =
        solutions.iter().filter_map(|(answer, weight)| Some(((*answer)?, *weight))).collect();
    let winner = mcts::weighted_vote(&votes)?;
    let agreeing: Vec<(usize, f64)> = solutions
        .iter()
        .enumerate()
        .filter(|(_, (answer, _))| *answer == Some(winner))
        .map(|(i, (_, weight))| (i, *weight))
        .collect();
    mcts::rerank(&agreeing)
}

/// The first candidate with the most frequent answer (self-consistency).
pub fn majority(candidates: &[Candidate]) -> Option<usize> {
    let equal: Vec<_> = candidates.iter().map(|c| (c.answer.as_deref(), 1.0)).collect();
    elected(&equal)
}

/// The candidate with the highest outcome reward (best-of-n).
pub fn best(candidates: &[Candidate]) -> Option<usize> {
    heaviest(&by_outcome(candidates))
}

/// The candidate with the highest score: the counterpart of a tree search that picks its best leaf.
pub fn best_leaf(candidates: &[Candidate]) -> Option<usize> {
    let scored: Vec<_> = candidates.iter().map(|c| (c.answer.as_deref(), c.score)).collect();
    heaviest(&scored)
}

/// The best candidate of the answer with the largest sum of outcome rewards (weighted vote).
pub fn weighted(candidates: &[Candidate]) -> Option<usize> {
    elected(&by_outcome(candidates))
}

fn by_outcome(candidates: &[Candidate]) -> Vec<(Option<&str>, f64)> {
    candidates.iter().map(|c| (c.answer.as_deref(), c.outcome)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_picks_differ() {
        let candidate = |(answer, outcome): (&str, f32)| {
            Candidate::new(format!("So it is.\n#### {answer}"), FinishReason::End, Some(outcome), 9)
        };
        let all: Vec<Candidate> =
            [("3", 0.1), ("3", 0.2), ("3", 0.1), ("5", 0.4), ("5", 0.5), ("7", 0.8)]
                .map(candidate)
                .into();
        assert_eq!(majority(&all), Some(0));
        assert_eq!(best(&all), Some(5));
        assert_eq!(weighted(&all), Some(4));
        assert_eq!(majority(&[]), None);
    }

    /// A leaf score includes value and PRM: the first candidate scores 0.2 + 0.9 + 0.8, the second 0.5 + 0.1 + 0.1.
    #[test]
    fn the_best_leaf_is_by_value_process_and_outcome() {
        let weights = mcts::Weights { value: 1.0, prm: 1.0, orm: 1.0 };
        let config = mcts::Config { weights, ..crate::fixtures::config(2) };
        let all: Vec<Candidate> = [(0.2, [0.1, 0.8], 0.9), (0.5, [0.9, 0.1], 0.1)]
            .map(|(outcome, process, value): (f32, [f32; 2], f32)| {
                let scores = Scores {
                    values: vec![0.0, value],
                    process: process.into(),
                    ..Scores::default()
                };
                Candidate::new("#### 1".to_owned(), FinishReason::End, Some(outcome), 9)
                    .scored(&scores, &config)
            })
            .into();
        assert_eq!((best(&all), best_leaf(&all)), (Some(1), Some(0)));
        assert!((all[0].score - 1.9).abs() < 1e-6, "{}", all[0].score);
        let bare = Candidate::new("#### 1".to_owned(), FinishReason::End, Some(0.5), 9);
        assert!(
            (bare.scored(&Scores::default(), &config).score - 0.5).abs() < 1e-12,
            "what is missing adds nothing"
        );
    }

    #[test]
    fn what_does_not_end_or_answer_is_worth_nothing() {
        let cut = Candidate::new("#### 3".to_owned(), FinishReason::Length, Some(0.9), 9);
        let mute = Candidate::new("I do not know.".to_owned(), FinishReason::End, Some(0.9), 9);
        assert_eq!((cut.outcome, mute.outcome, mute.answer), (0.0, 0.0, None));
    }
}
