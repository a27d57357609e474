//! How far a critic can be trusted (AlphaLLM Table 8), on labels it has not learned from.

use std::collections::BTreeMap;

use serde::Serialize;

/// A score and whether what it judged was right.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged<'a> {
    /// The group within which solutions compete: the prompt.
    pub group: &'a str,
    /// The critic's score, in `[0, 1]`.
    pub score: f32,
    /// Whether it was right.
    pub right: bool,
}

/// Figures of one critic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Judgements.
    pub count: usize,
    /// Share that was right.
    pub base_rate: f64,
    /// Area under the ROC curve over all pairs of a right and a wrong one; none without both.
    pub auc: Option<f64>,
    /// Share of pairs of a right and a wrong one of the same prompt that are ranked rightly, ties
    /// half: what search needs; none without such pairs.
    pub within_prompt: Option<f64>,
    /// Expected calibration error over ten bins of equal width.
    pub ece: f64,
    /// Of those scored above one half, the share that was right.
    pub precision: Option<f64>,
    /// Of the right ones, the share scored above one half.
    pub recall: Option<f64>,
}

/// Bins of the expected calibration error.
const BINS: usize = 10;

/// Measures a critic.
pub fn measure(judged: &[Judged<'_>]) -> Quality {
    let right = judged.iter().filter(|j| j.right).count();
    let above = judged.iter().filter(|j| j.score > 0.5).count();
    let both = judged.iter().filter(|j| j.right && j.score > 0.5).count();
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let all: Vec<&Judged<'_>> = judged.iter().collect();
    let mut groups = BTreeMap::<&str, Vec<&Judged<'_>>>::new();
    for one in judged {
        groups.entry(one.group).or_default().push(one);
    }
    let within =
        groups.values().map(|group| ordered(group)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    let ratio = |(won, pairs): (f64, f64)| (pairs > 0.0).then(|| won / pairs);
    Quality {
        count: judged.len(),
        base_rate: share(right, judged.len()).unwrap_or(0.0),
        auc: ratio(ordered(&all)),
        within_prompt: ratio(within),
        ece: ece(judged),
        precision: share(both, above),
        recall: share(both, right),
    }
}

/// Pairs of a right and a wrong one in which the right one scores higher (ties half), and all pairs.
fn ordered(judged: &[&Judged<'_>]) -> (f64, f64) {
    let mut sorted: Vec<(f32, bool)> = judged.iter().map(|j| (j.score, j.right)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut won, mut wrong_below, mut at) = (0.0, 0.0, 0);
    while at < sorted.len() {
        let tie = sorted[at..].partition_point(|s| s.0 <= sorted[at].0);
        let right = sorted[at..at + tie].iter().filter(|s| s.1).count() as f64;
        let wrong = tie as f64 - right;
        won += right * (wrong_below + wrong / 2.0);
        wrong_below += wrong;
        at += tie;
    }
    let right = judged.iter().filter(|j| j.right).count() as f64;
    (won, right * (judged.len() as f64 - right))
}

/// The mean gap between score and truth over bins, weighted by their size.
fn ece(judged: &[Judged<'_>]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for one in judged {
        let bin = ((f64::from(one.score) * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += f64::from(one.score);
        bins[bin].1 += f64::from(u8::from(one.right));
    }
    let gap: f64 = bins.iter().map(|(score, right)| (score - right).abs()).sum();
    gap / judged.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged<'a>(rows: &[(&'a str, f32, bool)]) -> Vec<Judged<'a>> {
        rows.iter().map(|&(group, score, right)| Judged { group, score, right }).collect()
    }

    #[test]
    fn hand_computed_figures() {
        // Right: .9 .4; wrong: .6 .4 .1. Pairs won: .9 beats 3, .4 beats .1 and ties .4: 4.5 of 6.
        let rows = [
            ("a", 0.9, true),
            ("a", 0.6, false),
            ("b", 0.4, true),
            ("b", 0.4, false),
            ("c", 0.1, false),
        ];
        let quality = measure(&judged(&rows));
        assert_eq!(quality.auc, Some(0.75));
        // Within a: won; within b: a tie.
        assert_eq!(quality.within_prompt, Some(0.75));
        assert_eq!(quality.precision, Some(0.5));
        assert_eq!(quality.recall, Some(0.5));
        // Bins: .9 vs 1 (.1), .6 vs 0 (.6), two .4 vs one (.2), .1 vs 0 (.1).
        assert!((quality.ece - 1.0 / 5.0).abs() < 1e-6, "{}", quality.ece);
        assert!((quality.base_rate - 0.4).abs() < 1e-12);
    }

    #[test]
    fn a_critic_that_only_knows_hard_prompts_ranks_no_solution() {
        let rows =
            [("easy", 0.9, true), ("easy", 0.9, false), ("hard", 0.1, true), ("hard", 0.1, false)];
        let rows: Vec<_> =
            rows.into_iter().chain([("easy", 0.9, true), ("hard", 0.1, false)]).collect();
        let quality = measure(&judged(&rows));
        assert!(quality.auc.unwrap() > 0.6);
        assert_eq!(quality.within_prompt, Some(0.5));
    }

    #[test]
    fn nothing_to_rank_is_no_figure() {
        let quality = measure(&judged(&[("a", 0.7, true)]));
        assert_eq!((quality.auc, quality.within_prompt), (None, None));
        assert_eq!(measure(&[]).count, 0);
    }
}
