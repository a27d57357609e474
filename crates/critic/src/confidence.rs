//! The probability that a solution is right, given its outcome reward and the share of its prompt's solutions that agree
//! on its answer.
//!
//! A critic reads one solution at a time, and errors it misses may show once several solutions are compared. Neither an
//! outcome reward nor a share of votes is a probability. A logistic model of the two is; it is fitted on problems with
//! known answers that nothing was trained on.

use serde::{Deserialize, Serialize};

/// Name of the file that stores a [`Confidence`].
pub const FILE: &str = "confidence.json";

/// The inputs of the model for one solution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The outcome reward, in `[0, 1]`.
    pub outcome: f64,
    /// The share of the prompt's solutions with the same answer, in `[0, 1]`.
    pub agreement: f64,
}

/// `P(right) = sigmoid(bias + outcome * logit(outcome reward) + agreement * share)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confidence {
    /// Log-odds for an outcome reward of 0.5 and an agreement of 0.
    pub bias: f64,
    /// Weight of the outcome reward's log-odds. It is 1 if the reward is calibrated and agreement adds nothing.
    pub outcome: f64,
    /// Weight of the agreement.
    pub agreement: f64,
}

/// Outcome rewards are clamped this far from 0 and 1, where the log-odds are infinite.
const LEAST: f64 = 1e-4;
/// Largest change of a parameter per step.
const LONGEST: f64 = 2.0;
/// Maximum number of Newton steps; three parameters converge long before.
const STEPS: usize = 50;

impl Confidence {
    /// Fits the three parameters by penalized maximum likelihood, with Newton's method. `ridge` is the weight of half the
    /// sum of their squares and must be above 0: it keeps them finite if all solutions are right, or none.
    pub fn fit(judged: &[(Evidence, bool)], ridge: f64) -> Self {
        let mut weights = [0.0; 3];
        for _ in 0..STEPS {
            // The ridge also keeps the curvature matrix positive definite, as `solve` requires.
            let mut gradient = weights.map(|w| ridge * w);
            let mut curvature = [[0.0; 3]; 3];
            for (i, row) in curvature.iter_mut().enumerate() {
                row[i] = ridge;
            }
            for (evidence, right) in judged {
                let x = evidence.features();
                let p = sigmoid(dot(weights, x));
                let off = p - f64::from(u8::from(*right));
                for i in 0..3 {
                    gradient[i] += off * x[i];
                    for j in 0..3 {
                        curvature[i][j] += p * (1.0 - p) * x[i] * x[j];
                    }
                }
            }
            // A full Newton step may overshoot where the curvature is small.
            let step = solve(curvature, gradient).map(|step| step.clamp(-LONGEST, LONGEST));
            for (weight, step) in weights.iter_mut().zip(step) {
                *weight -= step;
            }
            if step.iter().all(|step| step.abs() < 1e-10) {
                break;
            }
        }
        let [bias, outcome, agreement] = weights;
        Self { bias, outcome, agreement }
    }

    /// The probability that a solution is right, in `(0, 1)`.
    pub fn of(&self, evidence: Evidence) -> f64 {
        sigmoid(dot([self.bias, self.outcome, self.agreement], evidence.features()))
    }

    /// The probability for every solution, from a model fitted without the solution's fold. Figures about the confidence
    /// are measured on these. `folds[i]` is the fold of solution `i`.
    pub fn cross_fitted(judged: &[(Evidence, bool)], folds: &[usize], ridge: f64) -> Vec<f64> {
        let count = folds.iter().max().map_or(0, |last| last + 1);
        let without = |fold: usize| -> Self {
            let others = judged.iter().zip(folds).filter(|(_, at)| **at != fold);
            Self::fit(&others.map(|(one, _)| *one).collect::<Vec<_>>(), ridge)
        };
        let models: Vec<Self> = (0..count).map(without).collect();
        judged.iter().zip(folds).map(|((evidence, _), &fold)| models[fold].of(*evidence)).collect()
    }
}

impl Evidence {
    fn features(self) -> [f64; 3] {
        let outcome = self.outcome.clamp(LEAST, 1.0 - LEAST);
        [1.0, (outcome / (1.0 - outcome)).ln(), self.agreement]
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves `a x = b` by Gaussian elimination. `a` must be positive definite, so no pivoting is needed.
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> [f64; 3] {
    for i in 0..3 {
        let (pivot, known) = (a[i], b[i]);
        for (row, right) in a.iter_mut().zip(&mut b).skip(i + 1) {
            let factor = row[i] / pivot[i];
            for (x, p) in row.iter_mut().zip(pivot) {
                *x -= factor * p;
            }
            *right -= factor * known;
        }
    }
    let mut x = [0.0; 3];
    for i in (0..3).rev() {
        x[i] = (b[i] - dot(a[i], x)) / a[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid of outcome rewards and agreements, `each` solutions per point, right as often as `truth` says.
    fn drawn_from(truth: Confidence, each: usize) -> Vec<(Evidence, bool)> {
        let grid = [0.05, 0.2, 0.4, 0.6, 0.8, 0.95];
        let pairs = grid.iter().flat_map(|&outcome| {
            grid.iter().map(move |&agreement| Evidence { outcome, agreement })
        });
        pairs
            .flat_map(|evidence| {
                let right = (truth.of(evidence) * each as f64).round() as usize;
                (0..each).map(move |n| (evidence, n < right))
            })
            .collect()
    }

    #[test]
    fn the_model_behind_the_labels_is_found_again() {
        let truth = Confidence { bias: -2.0, outcome: 0.6, agreement: 3.0 };
        let found = Confidence::fit(&drawn_from(truth, 10_000), 0.1);
        for (found, truth) in [
            (found.bias, truth.bias),
            (found.outcome, truth.outcome),
            (found.agreement, truth.agreement),
        ] {
            assert!((found - truth).abs() < 0.01, "{found} is not {truth}");
        }
    }

    /// At the maximum of the likelihood, the mean predicted probability equals the share that is right.
    #[test]
    fn chances_add_up_to_what_is_right() {
        let judged = drawn_from(Confidence { bias: -1.0, outcome: 1.5, agreement: 0.5 }, 40);
        let found = Confidence::fit(&judged, 1e-9);
        let expected: f64 = judged.iter().map(|(evidence, _)| found.of(*evidence)).sum();
        let right = judged.iter().filter(|(_, right)| *right).count();
        assert!((expected - right as f64).abs() < 1e-3, "{expected} of {right}");
    }

    #[test]
    fn nothing_right_or_nothing_at_all_is_no_infinity() {
        let wrong = [(Evidence { outcome: 0.0, agreement: 1.0 }, false); 30];
        let found = Confidence::fit(&wrong, 0.1);
        let chance = found.of(wrong[0].0);
        assert!(chance > 0.0 && chance < 0.1, "{chance}");
        assert_eq!(Confidence::fit(&[], 0.1), Confidence::default());
    }

    /// A fold with flipped labels is predicted by the other folds, which the flip does not affect.
    #[test]
    fn a_fold_does_not_see_its_own_labels() {
        let judged = drawn_from(Confidence { bias: -2.0, outcome: 0.6, agreement: 3.0 }, 40);
        let folds: Vec<usize> = (0..judged.len()).map(|i| i % 4).collect();
        let before = Confidence::cross_fitted(&judged, &folds, 0.1);
        let turned: Vec<(Evidence, bool)> = judged
            .iter()
            .zip(&folds)
            .map(|(&(evidence, right), &fold)| (evidence, right ^ (fold == 2)))
            .collect();
        let after = Confidence::cross_fitted(&turned, &folds, 0.1);
        for ((before, after), fold) in before.iter().zip(&after).zip(&folds) {
            let same = before.to_bits() == after.to_bits();
            assert_eq!(same, *fold == 2, "{before} and {after} in fold {fold}");
        }
    }
}
