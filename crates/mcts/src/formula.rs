//! The formulas of the paper (§3.2 and §4.3), one function each. They take plain numbers rather than nodes so that
//! each can be tested against values worked out by hand.

use crate::config::{Config, Growth, PrmAggregation, Weights, Width};

/// UCT, `Q/n + c sqrt(ln N / n)`, where `Q` is the sum of the `n` scores backed up through a child
/// and `N` is its parent's visits; `n` and `N` are at least 1.
pub(crate) fn uct(mean: f64, visits: u32, parent_visits: u32, exploration: f64) -> f64 {
    mean + exploration * (f64::from(parent_visits).ln() / f64::from(visits)).sqrt()
}

/// PUCT, `Q/n + c P sqrt(N) / (1 + n)`; `weighed_prior` is `c P`, with the prior `P` in [0, 1].
pub(crate) fn puct(mean: f64, visits: u32, parent_visits: u32, weighed_prior: f64) -> f64 {
    mean + weighed_prior * f64::from(parent_visits).sqrt() / (1.0 + f64::from(visits))
}

/// Softmax: `exp(x_i) / sum_j exp(x_j)`. The largest log-probability is subtracted first, because that of a
/// long option is so low that its `exp` would underflow to 0.
pub(crate) fn shares(logprobs: &[f64]) -> Vec<f64> {
    let largest = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logprobs.iter().map(|x| (x - largest).exp()).collect();
    let sum: f64 = raised.iter().sum();
    raised.into_iter().map(|x| x / sum).collect()
}

/// Returns the visits that a child must have to be a candidate for simulation `at` (from 0), when sequential halving
/// shares out `simulations` over `children`. Within a round, the remaining children are visited in turn.
pub(crate) fn halving_visits(children: u32, simulations: u32, at: u32) -> u32 {
    let rounds = children.next_power_of_two().trailing_zeros().max(1);
    let (mut left, mut done, mut visits) = (children.max(1), 0, 0);
    loop {
        let each = (simulations / (rounds * left)).max(1);
        // The last two children are compared for as long as there are simulations.
        if at < done + each * left || left == 1 {
            return visits + (at - done) / left;
        }
        done += each * left;
        visits += each;
        left = (left / 2).max(2).min(left);
    }
}

/// Returns the children allowed, `max(c_min, min(floor(alpha I) + 1, c_max))`. The released code lacks the `+ 1`.
pub(crate) fn allowed_children(alpha: f64, importance: f64, growth: Growth, width: Width) -> u32 {
    // The cast saturates, and would turn NaN (0 * inf, excluded by validation) into 0.
    let earned = (alpha * importance).floor() as u32;
    let wanted = earned.saturating_add(u32::from(growth.plus_one));
    wanted.min(width.max).max(width.min)
}

/// Returns `max_i |x_i - center|`, or 0 without points. Both definitions of importance have this form.
pub(crate) fn largest_deviation(center: f64, points: impl Iterator<Item = f64>) -> f64 {
    points.map(|x| (x - center).abs()).fold(0.0, f64::max)
}

/// Returns the population variance (divided by n, not n - 1); `None` for an empty slice.
pub(crate) fn variance(numbers: &[f64]) -> Option<f64> {
    let center = mean(numbers)?;
    mean(&numbers.iter().map(|x| (x - center) * (x - center)).collect::<Vec<_>>())
}

/// Returns the arithmetic mean; `None` for an empty slice.
pub(crate) fn mean(numbers: &[f64]) -> Option<f64> {
    // Not `sum()`, which starts from -0.0: a list of negative zeros would then print as -0.
    let sum = numbers.iter().fold(0.0, |sum, x| sum + x);
    (!numbers.is_empty()).then(|| sum / numbers.len() as f64)
}

impl Config {
    /// Returns the leaf score of a solution outside any tree: `s = beta_v v + beta_PRM PRM + beta_ORM ORM`. `path` holds
    /// the PRM scores of its options, first option first. A missing part adds nothing.
    pub fn leaf_score(&self, value: Option<f64>, path: &[Option<f64>], orm: Option<f64>) -> f64 {
        leaf_score(self.weights, value, aggregate(self.released.prm_aggregation, path), orm)
    }
}

/// Combines the PRM scores on the path to `s`, first option first, into `PRM(s)`. `None` if there is no
/// score; for `Latest`, if the last option has none.
pub(crate) fn aggregate(how: PrmAggregation, path: &[Option<f64>]) -> Option<f64> {
    let scores: Vec<f64> = path.iter().copied().flatten().collect();
    match how {
        PrmAggregation::Latest => path.last().copied().flatten(),
        PrmAggregation::Mean => mean(&scores),
        PrmAggregation::Max => scores.into_iter().reduce(f64::max),
        PrmAggregation::Min => scores.into_iter().reduce(f64::min),
    }
}

/// Leaf score, `s = beta_v v + beta_PRM PRM + beta_ORM mean(ORM)`. A missing part adds nothing.
pub(crate) fn leaf_score(
    weights: Weights,
    value: Option<f64>,
    prm: Option<f64>,
    orm: Option<f64>,
) -> f64 {
    [(weights.value, value), (weights.prm, prm), (weights.orm, orm)]
        .into_iter()
        .filter_map(|(weight, part)| part.map(|part| weight * part))
        .fold(0.0, |sum, part| sum + part)
}

/// Returns the item with the largest number, the first in a tie. Items whose number is NaN are skipped.
pub(crate) fn argmax<T>(scored: impl Iterator<Item = (T, f64)>) -> Option<T> {
    let numbers = scored.filter(|(_, score)| !score.is_nan());
    numbers.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(item, _)| item)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE_5_INNER: Width = Width { min: 2, max: 10 };
    const PAPER: Growth = Growth { plus_one: true, may_shrink: true };

    #[test]
    fn uct_by_hand() {
        // ln 10 = 2.302585; / 4 = 0.575646; sqrt = 0.758714; + 3/4.
        assert!((uct(0.75, 4, 10, 1.0) - 1.508_714).abs() < 1e-6);
        // c = 1.5 of the large GSM8K setting: 0.75 + 1.138071.
        assert!((uct(0.75, 4, 10, 1.5) - 1.888_071).abs() < 1e-6);
        assert!((uct(0.75, 4, 10, 0.0) - 0.75).abs() < 1e-12);
        // The only visit of an only child: ln 1 = 0, so the mean alone remains.
        assert!((uct(-0.5, 1, 1, 9.0) + 0.5).abs() < 1e-12);
    }

    #[test]
    fn puct_by_hand() {
        // c = 2, P = 0.25, N = 9, n = 2: 0.5 + 0.5 * 3 / 3.
        assert!((puct(0.5, 2, 9, 2.0 * 0.25) - 1.0).abs() < 1e-12);
        let shares = shares(&[1000.0, 1000.0 + 3.0_f64.ln()]);
        assert!((shares[0] - 0.25).abs() < 1e-12 && (shares[1] - 0.75).abs() < 1e-12);
    }

    #[test]
    fn halving_by_hand() {
        let schedule = |children, simulations| -> Vec<u32> {
            (0..simulations).map(|at| halving_visits(children, simulations, at)).collect()
        };
        // Two rounds of 8 simulations: two visits to each of four children, then four to each of two.
        assert_eq!(schedule(4, 16), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
        // Too few for two full rounds: one visit each, and the rest go to the better two.
        assert_eq!(schedule(4, 7), [0, 0, 0, 0, 1, 1, 2]);
        assert_eq!(schedule(1, 3), [0, 1, 2], "an only child");
        assert_eq!(schedule(5, 10), [0, 0, 0, 0, 0, 1, 1, 2, 2, 3], "an odd number");
    }

    #[test]
    fn width_by_hand() {
        // alpha = 1: floor(I) + 1 exceeds c_min(t) = 2 only from I = 2 on.
        let cases = [(0.0, 2), (0.99, 2), (1.0, 2), (1.99, 2), (2.0, 3), (3.5, 4), (4.0, 5)];
        for (importance, children) in cases {
            assert_eq!(
                allowed_children(1.0, importance, PAPER, TABLE_5_INNER),
                children,
                "{importance}"
            );
        }
        assert_eq!(allowed_children(10.0, 0.55, PAPER, TABLE_5_INNER), 6, "floor(5.5) + 1");
        let released = Growth { plus_one: false, may_shrink: false };
        assert_eq!(allowed_children(10.0, 0.55, released, TABLE_5_INNER), 5, "floor(5.5)");
        assert_eq!(allowed_children(10.0, 4.0, PAPER, TABLE_5_INNER), 10, "c_max holds");
        assert_eq!(allowed_children(0.0, 4.0, PAPER, TABLE_5_INNER), 2, "alpha 0 is c_min");
        assert_eq!(
            allowed_children(1.0, 4.0, PAPER, Width { min: 40, max: 60 }),
            40,
            "the root of Table 5"
        );
        assert_eq!(allowed_children(1e6, 1e9, PAPER, TABLE_5_INNER), 10, "no overflow");
    }

    #[test]
    fn importance_by_hand() {
        // v(s) = 0.25, children 0.5, -1, 1: the second is 1.25 away.
        assert!((largest_deviation(0.25, [0.5, -1.0, 1.0].into_iter()) - 1.25).abs() < 1e-12);
        assert!(largest_deviation(0.25, std::iter::empty()).abs() < 1e-12);
    }

    #[test]
    fn leaf_score_skips_what_is_missing() {
        let weights = Weights { value: 1.0, prm: 0.5, orm: 2.0 };
        let close = |x: f64, y: f64| assert!((x - y).abs() < 1e-12, "{x} is not {y}");
        close(leaf_score(weights, Some(-0.5), Some(0.8), Some(0.75)), 1.4);
        close(leaf_score(weights, Some(-0.5), None, Some(0.75)), 1.0);
        close(leaf_score(weights, None, Some(0.8), None), 0.4);
        assert!(leaf_score(weights, None, None, None).is_sign_positive(), "0, not -0");
    }

    #[test]
    fn prm_aggregation_by_hand() {
        let path = [Some(0.9), None, Some(0.3), Some(0.6)];
        let expect = |how, x: f64| assert!((aggregate(how, &path).unwrap() - x).abs() < 1e-12);
        expect(PrmAggregation::Latest, 0.6);
        expect(PrmAggregation::Mean, 0.6);
        expect(PrmAggregation::Max, 0.9);
        expect(PrmAggregation::Min, 0.3);
        assert_eq!(aggregate(PrmAggregation::Latest, &[Some(0.9), None]), None);
        assert_eq!(aggregate(PrmAggregation::Mean, &[None]), None);
    }
}
