//! How far a critic can be trusted (AlphaLLM Table 8), on labels it has not learned from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of a critic's figures in its checkpoint: a map from head to [`Quality`].
pub const FILE: &str = "quality.json";

/// A score and whether what it judged was right.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged<'a> {
    /// The group within which solutions compete: the prompt.
    pub group: &'a str,
    /// All that the critic was told by the calculator when it judged: the marks that it had read, in their order.
    pub shown: Vec<&'a str>,
    /// The critic's score, in `[0, 1]`.
    pub score: f32,
    /// Whether it was right.
    pub right: bool,
}

/// Figures of one critic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The same over the pairs of which the critic was told the same by the calculator, up to its judgement: what it knows
    /// beyond its tool.
    #[serde(default)]
    pub within_tool: Option<f64>,
    /// Expected calibration error over ten bins of equal width.
    pub ece: f64,
    /// Of those scored above one half, the share that was right.
    pub precision: Option<f64>,
    /// Of the right ones, the share scored above one half.
    pub recall: Option<f64>,
    /// The reliability curve: the bins that are not empty, from low scores to high.
    #[serde(default)]
    pub reliability: Vec<Bin>,
}

/// The columns of a table of figures.
pub const COLUMNS: [&str; 9] = [
    "head",
    "judged",
    "right",
    "AUC",
    "within prompt",
    "tool says equal",
    "ECE",
    "precision",
    "recall",
];

impl Quality {
    /// The row of a table with [`COLUMNS`].
    pub fn cells(&self, name: &str) -> Vec<String> {
        [vec![name.to_owned()], self.figures()].concat()
    }

    /// The same without the name.
    pub fn figures(&self) -> Vec<String> {
        vec![
            self.count.to_string(),
            shown(Some(self.base_rate)),
            shown(self.auc),
            shown(self.within_prompt),
            shown(self.within_tool),
            shown(Some(self.ece)),
            shown(self.precision),
            shown(self.recall),
        ]
    }
}

/// A figure in a table.
pub fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"))
}

/// Scores of about the same height, and how often what they judged was right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Judgements.
    pub count: usize,
    /// Their mean score.
    pub score: f64,
    /// Share that was right.
    pub right: f64,
}

/// The least that is asked of a head before its scores are used; what is absent is not asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// Least area under the ROC curve, in `[0, 1]`.
    pub auc: Option<f64>,
    /// Least share of pairs within a prompt that are ranked rightly, in `[0, 1]`.
    pub within_prompt: Option<f64>,
    /// The same of those pairs of which the critic was told the same by the calculator.
    pub within_tool: Option<f64>,
    /// Largest expected calibration error, in `[0, 1]`.
    pub ece: Option<f64>,
}

impl Bar {
    /// What a head falls short of, in words; none if it is good enough.
    pub fn missed(&self, quality: &Quality) -> Option<String> {
        let least = |name: &str, bar: Option<f64>, found: Option<f64>| {
            let bar = bar?;
            let found = found.filter(|found| found.is_finite());
            let text = found.map_or_else(|| "unknown".to_owned(), |found| format!("{found:.3}"));
            (found.is_none_or(|found| found < bar)).then(|| format!("{name} {text}, below {bar}"))
        };
        let ece = self.ece.filter(|most| quality.ece > *most);
        let missed = [
            least("AUC", self.auc, quality.auc),
            least("within prompts", self.within_prompt, quality.within_prompt),
            least("where the tool says equal", self.within_tool, quality.within_tool),
            ece.map(|most| format!("ECE {:.3}, above {most}", quality.ece)),
        ];
        let missed: Vec<String> = missed.into_iter().flatten().collect();
        (!missed.is_empty()).then(|| missed.join("; "))
    }
}

/// Bins of the expected calibration error.
const BINS: usize = 10;

/// Measures a critic. Scores that are not numbers have no order that means anything: see to it that there are none.
pub fn measure(judged: &[Judged<'_>]) -> Quality {
    let right = judged.iter().filter(|j| j.right).count();
    let above = judged.iter().filter(|j| j.score > 0.5).count();
    let both = judged.iter().filter(|j| j.right && j.score > 0.5).count();
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let all: Vec<&Judged<'_>> = judged.iter().collect();
    let ratio = |(won, pairs): (f64, f64)| (pairs > 0.0).then(|| won / pairs);
    let reliability = reliability(judged);
    Quality {
        count: judged.len(),
        base_rate: share(right, judged.len()).unwrap_or(0.0),
        auc: ratio(ordered(&all)),
        within_prompt: ratio(within(judged, |one| one.group)),
        within_tool: ratio(within(judged, |one| (one.group, one.shown.as_slice()))),
        ece: ece(&reliability),
        precision: share(both, above),
        recall: share(both, right),
        reliability,
    }
}

/// As [`ordered`], over the pairs that have the same key.
fn within<'a, K: Ord>(judged: &'a [Judged<'a>], key: impl Fn(&'a Judged<'a>) -> K) -> (f64, f64) {
    let mut groups = BTreeMap::<K, Vec<&Judged<'_>>>::new();
    for one in judged {
        groups.entry(key(one)).or_default().push(one);
    }
    groups.values().map(|group| ordered(group)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1))
}

/// Pairs of a right and a wrong one in which the right one scores higher (ties half), and all pairs.
fn ordered(judged: &[&Judged<'_>]) -> (f64, f64) {
    let mut sorted: Vec<(f32, bool)> = judged.iter().map(|j| (j.score, j.right)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut won, mut wrong_below, mut at) = (0.0, 0.0, 0);
    while at < sorted.len() {
        let tie = sorted[at..].partition_point(|s| s.0.total_cmp(&sorted[at].0).is_le());
        let right = sorted[at..at + tie].iter().filter(|s| s.1).count() as f64;
        let wrong = tie as f64 - right;
        won += right * (wrong_below + wrong / 2.0);
        wrong_below += wrong;
        at += tie;
    }
    let right = judged.iter().filter(|j| j.right).count() as f64;
    (won, right * (judged.len() as f64 - right))
}

/// The bins of equal width that are not empty.
fn reliability(judged: &[Judged<'_>]) -> Vec<Bin> {
    let mut bins = [Bin::default(); BINS];
    for one in judged {
        let bin = &mut bins[((f64::from(one.score) * BINS as f64) as usize).min(BINS - 1)];
        bin.count += 1;
        bin.score += f64::from(one.score);
        bin.right += f64::from(u8::from(one.right));
    }
    let mean = |bin: Bin| {
        let count = bin.count as f64;
        Bin { score: bin.score / count, right: bin.right / count, ..bin }
    };
    bins.into_iter().filter(|bin| bin.count > 0).map(mean).collect()
}

/// The mean gap between score and truth over bins, weighted by their size.
fn ece(bins: &[Bin]) -> f64 {
    let count: usize = bins.iter().map(|bin| bin.count).sum();
    let gap: f64 = bins.iter().map(|bin| (bin.score - bin.right).abs() * bin.count as f64).sum();
    gap / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged<'a>(rows: &[(&'a str, f32, bool)]) -> Vec<Judged<'a>> {
        let one = |&(group, score, right)| Judged { group, shown: vec!["holds"], score, right };
        rows.iter().map(one).collect()
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
        let counts: Vec<usize> = quality.reliability.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [1, 2, 1, 1]);
        assert!((quality.reliability[1].right - 0.5).abs() < 1e-12);
        assert!((quality.reliability[1].score - 0.4).abs() < 1e-6);
    }

    /// A critic that only repeats the calculator tells nothing apart of which it says the same.
    #[test]
    fn what_is_known_beyond_the_tool_is_measured_among_equals() {
        let judged = |mark, score, right| Judged { group: "a", shown: vec![mark], score, right };
        let (holds, fails) = ("holds", "fails");
        let rows = [
            judged(holds, 0.9, true),
            judged(holds, 0.9, false),
            judged(fails, 0.1, false),
            judged(fails, 0.1, true),
        ];
        let quality = measure(&rows);
        assert_eq!((quality.within_prompt, quality.within_tool), (Some(0.5), Some(0.5)));
        let rows = [judged(holds, 0.9, true), judged(holds, 0.8, false), judged(fails, 0.1, false)];
        assert_eq!(measure(&rows).within_tool, Some(1.0));
    }

    /// It repeats an earlier finding that it was told, so it knows nothing of its own, though what it judges itself has the
    /// same finding in both.
    #[test]
    fn what_an_earlier_mark_tells_is_no_knowledge_of_the_critics() {
        let judged = |shown: [&'static str; 2], score, right| Judged {
            group: "a",
            shown: shown.into(),
            score,
            right,
        };
        let told = [judged(["holds", "holds"], 0.9, true), judged(["fails", "holds"], 0.1, false)];
        let quality = measure(&told);
        assert_eq!((quality.within_prompt, quality.within_tool), (Some(1.0), None));
        let by_itself =
            [judged(["holds", "holds"], 0.05, true), judged(["holds", "holds"], 0.1, false)];
        assert_eq!(measure(&[&told[..], &by_itself].concat()).within_tool, Some(0.5));
    }

    #[test]
    fn a_bar_says_what_is_missed() {
        let quality = measure(&judged(&[("a", 0.9, true), ("a", 0.6, false)]));
        let bar = Bar {
            within_tool: Some(0.5),
            auc: Some(0.8),
            within_prompt: Some(1.0),
            ece: Some(0.5),
        };
        assert_eq!(bar.missed(&quality), None);
        let bar = Bar { ece: Some(0.2), ..Bar::default() };
        assert_eq!(bar.missed(&quality).unwrap(), "ECE 0.350, above 0.2");
        let half = measure(&judged(&[("a", 0.5, true), ("a", 0.5, false)]));
        let bar = Bar { within_tool: Some(0.6), ..Bar::default() };
        assert_eq!(bar.missed(&half).unwrap(), "where the tool says equal 0.500, below 0.6");
        let unknown = measure(&[]);
        let bar = Bar { auc: Some(0.8), ..Bar::default() };
        assert_eq!(bar.missed(&unknown).unwrap(), "AUC unknown, below 0.8");
        assert_eq!(Bar::default().missed(&unknown), None);
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
