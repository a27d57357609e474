//! Statistics of right and wrong answers: intervals, paired tests, a paired difference, and a mean over runs.
//!
//! All intervals are 95 % intervals. All functions are pure and total: impossible counts (more right answers than
//! answers) are clamped, an empty sample gives the widest possible interval, and no result is NaN.

use serde::Serialize;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

/// The 97.5 % quantile of the standard normal distribution, for two-sided 95 % intervals.
const Z: f64 = 1.959_963_984_540_054;

/// Differences with a p-value below this count as significant.
pub const SIGNIFICANT: f64 = 0.05;

/// An estimate with its 95 % interval, all in the same unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The point estimate.
    pub estimate: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Interval {
    /// The same interval multiplied by `factor`, e.g. 100 to turn a share into percent.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let Self { estimate, low, high } = self;
        Self { estimate: estimate * factor, low: low * factor, high: high * factor }
    }
}

/// The share of `correct` among `n` answers with its Wilson score interval, 0 to 1.
///
/// `(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`, where `p = correct/n`. Unlike the textbook `p ± z √(p(1-p)/n)`,
/// it stays within 0 and 1 and keeps its coverage near both ends. For `n = 0` the estimate is 0 and the interval 0 to
/// 1.
pub fn wilson(correct: u64, n: u64) -> Interval {
    if n == 0 {
        return Interval { estimate: 0.0, low: 0.0, high: 1.0 };
    }
    let correct = correct.min(n);
    let (share, size) = (correct as f64 / n as f64, n as f64);
    let center = share + Z * Z / (2.0 * size);
    let half = Z * (share * (1.0 - share) / size + Z * Z / (4.0 * size * size)).sqrt();
    let scale = 1.0 + Z * Z / size;
    // At both ends the formula gives 0 and 1 only up to rounding.
    let low = if correct == 0 { 0.0 } else { (center - half) / scale };
    let high = if correct == n { 1.0 } else { (center + half) / scale };
    Interval { estimate: share, low, high }
}

/// The p-value of `McNemar`'s exact two-sided test: the probability of a split of the discordant pairs at least as
/// uneven as this one if each side were equally likely to win a pair.
///
/// `min(1, 2 P(X ≤ min(b, c)))` with `X ~ Binomial(b + c, 1/2)`, where `b` problems are answered correctly by the first
/// side only and `c` by the second only. 1 if there are no discordant pairs; values below the smallest double are
/// returned as 0.
pub fn mcnemar(b: u64, c: u64) -> f64 {
    // No split is more even: exactly 1, which the incomplete beta function only has up to rounding.
    if b.abs_diff(c) <= 1 {
        return 1.0;
    }
    let wins = Binomial::new(0.5, b + c);
    wins.map_or(1.0, |wins| (2.0 * wins.cdf(b.min(c))).min(1.0))
}

/// The p-value of the exact two-sided sign-flip test: the probability of a sum of differences at least as far from 0 as
/// the observed one if the sign of each difference were flipped with probability 1/2.
///
/// Each difference belongs to one problem: how many more of its answers are right on one side than on the other. With
/// one answer per side this equals [`mcnemar`]; unlike `mcnemar`, it stays exact when the answers to a problem depend
/// on one another, as they do across seeds. 1 if there are no differences. Runs in time proportional to the number of
/// differences times the sum of their absolute values.
pub fn random_signs(differences: &[i64]) -> f64 {
    let size = |difference: &i64| difference.unsigned_abs() as usize;
    let total: usize = differences.iter().map(size).sum();
    let positive: usize = differences.iter().filter(|it| **it > 0).map(size).sum();
    // `chances[s]`: the probability that the positive differences sum to `s`, added up one difference at a time.
    let mut chances = vec![0.0; total + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for size in differences.iter().map(size) {
        reached += size;
        // Downwards, so that `chances[sum - size]` is still that of the differences before this one.
        for sum in (0..=reached).rev() {
            let with = if sum < size { 0.0 } else { chances[sum - size] };
            chances[sum] = 0.5 * (chances[sum] + with);
        }
    }
    // Flipping all signs mirrors the sum, so both tails are equally likely.
    let tail: f64 = chances[..=positive.min(total - positive)].iter().sum();
    (2.0 * tail).min(1.0)
}

/// Counts of the problems that both sides answered, by who was right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pairs {
    /// Both are right.
    pub both: u64,
    /// Only the first is right.
    pub first: u64,
    /// Only the second is right.
    pub second: u64,
    /// Neither is right.
    pub neither: u64,
}

impl Pairs {
    /// Counts one problem.
    pub fn add(&mut self, first: bool, second: bool) {
        *match (first, second) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.first,
            (false, true) => &mut self.second,
            (false, false) => &mut self.neither,
        } += 1;
    }

    /// Adds up the counts of several runs.
    #[must_use]
    pub fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, one| Self {
            both: sum.both + one.both,
            first: sum.first + one.first,
            second: sum.second + one.second,
            neither: sum.neither + one.neither,
        })
    }

    /// The share of the second side's errors that the first side does not make, in percent; `None` if the second makes
    /// no errors. Negative if the first makes more.
    pub fn error_removed(&self) -> Option<f64> {
        let (errors, others) = (self.second + self.neither, self.first + self.neither);
        (others > 0).then(|| (others as f64 - errors as f64) / others as f64 * 100.0)
    }

    /// The number of problems.
    pub fn n(&self) -> u64 {
        self.both + self.first + self.second + self.neither
    }

    /// The p-value of [`mcnemar`] for these counts.
    pub fn p(&self) -> f64 {
        mcnemar(self.first, self.second)
    }

    /// The first side's accuracy minus the second's, in percentage points, with Newcombe's interval for paired data
    /// (Statistics in Medicine 17, 1998, p. 2635, method 10).
    ///
    /// It combines the [`wilson`] intervals of both accuracies and accounts for the correlation between the two sides.
    /// The usual interval `d ± z √((b + c - (b-c)²/n)) / n` can be empty or leave -100 to 100; this one cannot. It
    /// inverts a different test from [`mcnemar`], so it can exclude 0 while p is slightly above 0.05, and vice versa.
    /// Without problems the difference is 0, from -100 to 100.
    pub fn difference(&self) -> Interval {
        let n = self.n();
        if n == 0 {
            return Interval { estimate: 0.0, low: -100.0, high: 100.0 };
        }
        let first = wilson(self.both + self.first, n);
        let second = wilson(self.both + self.second, n);
        let estimate = (self.first as f64 - self.second as f64) / n as f64;
        let phi = self.phi();
        let low = estimate - joined(first.estimate - first.low, second.high - second.estimate, phi);
        let high =
            estimate + joined(second.estimate - second.low, first.high - first.estimate, phi);
        Interval { estimate, low: low.max(-1.0), high: high.min(1.0) }.scaled(100.0)
    }

    /// The correlation between the two sides being right, with the continuity correction of method 10; 0 if either side
    /// is always right or always wrong.
    fn phi(&self) -> f64 {
        let [both, first, second, neither] =
            [self.both, self.first, self.second, self.neither].map(|count| count as f64);
        let margins = (both + first) * (second + neither) * (both + second) * (first + neither);
        let cross = both * neither - first * second;
        let corrected = if cross > 0.0 { (cross - self.n() as f64 / 2.0).max(0.0) } else { cross };
        if margins == 0.0 { 0.0 } else { corrected / margins.sqrt() }
    }
}

/// The length of the difference of two vectors of lengths `a` and `b` at an angle with cosine `phi`.
fn joined(a: f64, b: f64, phi: f64) -> f64 {
    // Rounding can push a squared length of 0 slightly below 0.
    (a * a - 2.0 * phi * a * b + b * b).max(0.0).sqrt()
}

/// The standard error of a mean as lm-evaluation-harness computes it: the sample standard deviation (with `n - 1`) over
/// `√n`. `None` for fewer than two values.
pub fn standard_error(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let n = values.len() as f64;
    Some((squares / (n - 1.0)).sqrt() / n.sqrt())
}

/// A mean over independent runs, such as seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Both ends of the 95 % interval; null for a single run.
    pub interval: Option<[f64; 2]>,
}

impl Spread {
    /// The mean over runs with Student's interval `mean ± t s/√n`, where `t` has `n - 1` degrees of freedom. `None` if
    /// there are no values.
    ///
    /// Student's rather than the normal quantile, because there are only a few seeds: with three, `t` is 4.30 instead
    /// of 1.96.
    pub fn over(values: &[f64]) -> Option<Self> {
        let mean = mean(values)?;
        // `standard_error` is `None` below two values, so there is at least one degree of freedom.
        let half = standard_error(values).map(|error| student(values.len() - 1) * error);
        Some(Self { mean, interval: half.map(|half| [mean - half, mean + half]) })
    }
}

/// The 97.5 % quantile of Student's distribution with `degrees` degrees of freedom, at least 1.
fn student(degrees: usize) -> f64 {
    let distribution = StudentsT::new(0.0, 1.0, degrees as f64);
    distribution.map_or(f64::NAN, |distribution| distribution.inverse_cdf(0.975))
}

/// The mean; `None` if there are no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }

    fn pairs([both, first, second, neither]: [u64; 4]) -> Pairs {
        Pairs { both, first, second, neither }
    }

    #[test]
    fn wilson_gives_the_known_intervals() {
        let cases = [
            (57, 100, 0.472_153_895_492_123, 0.662_667_014_758_899),
            (171, 300, 0.513_441_160_762_328, 0.624_788_823_266_235),
            (0, 10, 0.0, 0.277_532_799_862_889),
            (1, 10, 0.017_876_213_095_073, 0.404_150_026_795_239),
            (10, 10, 0.722_467_200_137_111, 1.0),
        ];
        for (correct, n, low, high) in cases {
            let found = wilson(correct, n);
            close(found.estimate, correct as f64 / n as f64, 0.0);
            close(found.low, low, 1e-14);
            close(found.high, high, 1e-14);
        }
    }

    #[test]
    fn wilson_of_nothing_says_nothing_and_of_too_much_is_all() {
        assert_eq!(wilson(0, 0), Interval { estimate: 0.0, low: 0.0, high: 1.0 });
        assert_eq!(wilson(7, 5), wilson(5, 5));
        assert!((wilson(0, 5).low, wilson(5, 5).high) == (0.0, 1.0));
    }

    #[test]
    fn mcnemar_is_exact_for_small_counts() {
        // Binomial tails worked out by hand, e.g. 2 (1 + 12 + 66) / 2¹².
        let cases = [
            (10, 2, 158.0 / 4096.0),
            (0, 5, 2.0 / 32.0),
            (1, 9, 22.0 / 1024.0),
            (6, 16, 0.052_478_790_283_203_125),
            (1, 0, 1.0),
            (0, 0, 1.0),
            (7, 7, 1.0),
        ];
        for (b, c, p) in cases {
            close(mcnemar(b, c), p, 1e-14);
            close(mcnemar(c, b), p, 1e-14);
        }
    }

    #[test]
    fn mcnemar_is_stable_for_large_counts() {
        // Computed with arbitrary-precision integers.
        let cases = [
            (40, 10, 2.386_133_167_675_552_6e-5),
            (10_200, 9_800, 0.004_780_889_455_902_644),
            (12_000, 12_500, 0.001_432_142_504_802_657),
            (50, 350, 1.537_684_027_920_990_3e-56),
        ];
        for (b, c, p) in cases {
            close(mcnemar(b, c) / p, 1.0, 1e-10);
        }
        for n in [1_000, 50_000] {
            close(mcnemar(n, n), 1.0, 0.0);
        }
        assert!(mcnemar(0, 1_000) > 0.0 && mcnemar(0, 1_000) < 1e-300);
        close(mcnemar(0, 100_000), 0.0, 0.0);
        close(mcnemar(30_000, 70_000), 0.0, 0.0);
    }

    #[test]
    fn mcnemar_agrees_with_the_normal_law_at_a_hundred_thousand() {
        // z = (|b - c| - 1) / √n = 1.96 has the two-sided tail 0.05.
        let (n, gap) = (100_000_u64, 620_u64);
        let p = mcnemar(n.midpoint(gap), (n - gap) / 2);
        close((gap as f64 - 1.0) / (n as f64).sqrt(), 1.957_45, 1e-4);
        close(p, 0.050_3, 1e-4);
    }

    #[test]
    fn the_difference_has_the_published_intervals() {
        // Newcombe 1998, method 10. The last one is the worked example of Altman et al., "Statistics with confidence",
        // 2000, table 6.2.
        let cases = [
            ([36, 12, 2, 0], 20.0, 5.69, 34.04),
            ([18, 12, 2, 18], 20.0, 5.62, 32.90),
            ([53, 0, 0, 1], 0.0, -7.29, 7.29),
            ([14, 5, 0, 22], 12.195, 1.15, 22.65),
        ];
        for (counts, estimate, low, high) in cases {
            let found = pairs(counts).difference();
            close(found.estimate, estimate, 0.005);
            close(found.low, low, 0.015);
            close(found.high, high, 0.015);
        }
    }

    #[test]
    fn the_difference_turns_with_the_order() {
        let one = pairs([150, 40, 10, 100]).difference();
        let other = pairs([150, 10, 40, 100]).difference();
        close(one.estimate, -other.estimate, 0.0);
        close(one.low, -other.high, 1e-12);
        close(one.high, -other.low, 1e-12);
    }

    #[test]
    fn the_difference_stays_possible() {
        for counts in [[0, 9, 0, 0], [0, 0, 9, 0], [0, 1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0]] {
            let Interval { estimate, low, high } = pairs(counts).difference();
            let ordered = -100.0 <= low && low <= estimate && estimate <= high && high <= 100.0;
            assert!(ordered && low < high, "{counts:?}: {low} {estimate} {high}");
        }
    }

    #[test]
    fn pairs_count_by_who_is_right() {
        let mut found = Pairs::default();
        for (first, second) in [(true, true), (true, false), (true, false), (false, true)] {
            found.add(first, second);
        }
        found.add(false, false);
        assert_eq!(found, pairs([1, 2, 1, 1]));
        assert_eq!((found.n(), found.p()), (5, 1.0));
    }

    #[test]
    fn the_standard_error_is_the_harness_one() {
        // √(p (1-p) / (n - 1)) for right and wrong: 57 of 100.
        let values: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i < 57))).collect();
        close(standard_error(&values).unwrap(), (0.57 * 0.43 / 99.0_f64).sqrt(), 1e-15);
        close(mean(&values).unwrap(), 0.57, 0.0);
        assert_eq!((standard_error(&[1.0]), standard_error(&[]), mean(&[])), (None, None, None));
    }

    #[test]
    fn random_signs_are_mcnemars_test_for_single_answers() {
        for (b, c) in [(10, 2), (0, 5), (7, 7), (40, 10)] {
            let signs = [vec![1; b], vec![-1; c], vec![0; 9]].concat();
            close(random_signs(&signs) / mcnemar(b as u64, c as u64), 1.0, 1e-12);
        }
    }

    #[test]
    fn random_signs_count_by_hand() {
        // The positive part of 2, 1 and -1 can sum to 0 1 1 2 2 3 3 4; three of these eight sums are at most 1.
        close(random_signs(&[2, 1, -1]), 0.75, 1e-15);
        close(random_signs(&[3, 3]), 0.5, 1e-15);
        assert_eq!(
            (random_signs(&[]), random_signs(&[0, 0]), random_signs(&[1, -1])),
            (1.0, 1.0, 1.0)
        );
    }

    #[test]
    fn student_has_the_known_quantiles() {
        // From tables, and from the incomplete beta function with thirty digits.
        let cases =
            [(1, 12.706_204_736), (2, 4.302_652_730), (11, 2.200_985_160), (30, 2.042_272_456)];
        for (degrees, quantile) in cases {
            close(student(degrees), quantile, 6e-6);
        }
        close(student(100), 1.983_971_519, 1e-8);
    }

    #[test]
    fn the_mean_over_runs_has_students_interval() {
        // The standard deviation of 50, 60 and 70 is 10: 60 ± 4.3027 · 10 / √3.
        let found = Spread::over(&[50.0, 60.0, 70.0]).unwrap();
        let [low, high] = found.interval.unwrap();
        close(found.mean, 60.0, 1e-12);
        close(low, 35.158_622_9, 1e-6);
        close(high, 84.841_377_1, 1e-6);
        assert_eq!(Spread::over(&[7.0]), Some(Spread { mean: 7.0, interval: None }));
        assert_eq!(Spread::over(&[]), None);
    }

    #[test]
    fn pairs_add_up_and_say_how_many_errors_are_gone() {
        let sum = Pairs::sum([pairs([1, 2, 3, 4]), pairs([5, 6, 7, 8])]);
        assert_eq!(sum, pairs([6, 8, 10, 12]));
        // 22 errors instead of 20 are 10 % more.
        close(sum.error_removed().unwrap(), -10.0, 1e-12);
        close(pairs([0, 3, 1, 1]).error_removed().unwrap(), 50.0, 1e-12);
        assert_eq!(pairs([4, 0, 1, 0]).error_removed(), None);
    }
}
