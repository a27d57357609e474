//! Quality of a critic (AlphaLLM Table 8), measured on labels it was not trained on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// File with a critic's figures, beside its checkpoint: a map from head to [`Quality`].
pub const FILE: &str = "quality.json";

/// A score with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged<'a> {
    /// The group within which solutions compete: the prompt.
    pub group: &'a str,
    /// The calculator's marks that the critic had read when it scored, in order.
    pub shown: Vec<&'a str>,
    /// The critic's score, in `[0, 1]`.
    pub score: f32,
    /// Whether the solution or option was right.
    pub right: bool,
}

/// Quality figures of one head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Number of labelled scores.
    pub count: usize,
    /// Share that was right, 0 to 1.
    pub base_rate: f64,
    /// Area under the ROC curve; `None` without both right and wrong ones.
    pub auc: Option<f64>,
    /// Share of pairs (one right, one wrong, same prompt) in which the right one scores higher; ties count half. Search
    /// only compares solutions of one prompt, so this is the figure that matters there. `None` without such pairs.
    pub within_prompt: Option<f64>,
    /// The same for pairs in which the calculator's marks are equal too: what the critic knows beyond its tool.
    // Not in files from before it was measured, like `reliability` below.
    #[serde(default)]
    pub within_tool: Option<f64>,
    /// Expected calibration error over ten bins of equal width.
    pub ece: f64,
    /// Of those scored above 0.5, the share that was right.
    pub precision: Option<f64>,
    /// Of the right ones, the share scored above 0.5.
    pub recall: Option<f64>,
    /// The reliability curve: the non-empty bins in order of score.
    #[serde(default)]
    pub reliability: Vec<Bin>,
    /// The ROC curve, of which `auc` is the area: shares of the wrong and of the right ones above ever lower scores, from
    /// `[0, 0]` to `[1, 1]`, at most [`ROC_POINTS`] points. Empty without both right and wrong ones.
    #[serde(default)]
    pub roc: Vec<[f64; 2]>,
}

/// The most points of a ROC curve that are kept.
pub const ROC_POINTS: usize = 50;

/// Column headers of the figures.
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
    /// A table row for [`COLUMNS`]; `name` is the first cell.
    pub fn cells(&self, name: &str) -> Vec<String> {
        [vec![name.to_owned()], self.figures()].concat()
    }

    /// The row without the name.
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

/// Formats a figure for a table.
pub fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"))
}

/// A bin of the reliability curve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Number of scores.
    pub count: usize,
    /// Mean score.
    pub score: f64,
    /// Share that was right, 0 to 1.
    pub right: f64,
}

/// Minimum quality of a head before its scores are used. Absent figures are not checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// Minimum area under the ROC curve, in `[0, 1]`.
    pub auc: Option<f64>,
    /// Minimum share of correctly ranked pairs within a prompt, in `[0, 1]`.
    pub within_prompt: Option<f64>,
    /// The same for pairs with equal marks.
    pub within_tool: Option<f64>,
    /// Maximum expected calibration error, in `[0, 1]`.
    pub ece: Option<f64>,
}

impl Bar {
    /// Describes the figures that miss the bar; `None` if all meet it. A figure that could not be measured misses it.
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

/// Number of bins of the calibration error.
const BINS: usize = 10;

/// Measures a critic. Scores must not be NaN, which has no meaningful order.
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
        roc: roc(judged),
    }
}

/// The points of the ROC curve, evenly thinned out.
fn roc(judged: &[Judged<'_>]) -> Vec<[f64; 2]> {
    let rights = judged.iter().filter(|one| one.right).count() as f64;
    let wrongs = judged.len() as f64 - rights;
    if rights == 0.0 || wrongs == 0.0 {
        return Vec::new();
    }
    let mut sorted: Vec<(f32, bool)> = judged.iter().map(|one| (one.score, one.right)).collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut points, mut wrong, mut right) = (vec![[0.0, 0.0]], 0.0, 0.0);
    // Equal scores are above a threshold together.
    for tie in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let of_tie = tie.iter().filter(|one| one.1).count() as f64;
        (wrong, right) = (wrong + tie.len() as f64 - of_tie, right + of_tie);
        points.push([wrong / wrongs, right / rights]);
    }
    let last = points.len() - 1;
    let kept = last.min(ROC_POINTS - 1);
    (0..=kept).map(|at| points[at * last / kept]).collect()
}

/// Like `ordered`, over pairs with the same key.
fn within<'a, K: Ord>(judged: &'a [Judged<'a>], key: impl Fn(&'a Judged<'a>) -> K) -> (f64, f64) {
    let mut groups = BTreeMap::<K, Vec<&Judged<'_>>>::new();
    for one in judged {
        groups.entry(key(one)).or_default().push(one);
    }
    groups.values().map(|group| ordered(group)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1))
}

/// Number of pairs in which the right one scores higher (ties count half), and number of all pairs of a right and a wrong
/// one.
fn ordered(judged: &[&Judged<'_>]) -> (f64, f64) {
    let mut sorted: Vec<(f32, bool)> = judged.iter().map(|j| (j.score, j.right)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut won, mut wrong_below, mut at) = (0.0, 0.0, 0);
    while at < sorted.len() {
        // One pass over the sorted scores, a run of ties at a time: counting the pairs one by one would be quadratic.
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

/// The non-empty bins.
fn reliability(judged: &[Judged<'_>]) -> Vec<Bin> {
    let mut bins = [Bin::default(); BINS];
    for one in judged {
        // A score of exactly 1 belongs to the last bin.
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

/// Mean gap between score and accuracy per bin, weighted by bin size.
fn ece(bins: &[Bin]) -> f64 {
    let count: usize = bins.iter().map(|bin| bin.count).sum();
    let gap: f64 = bins.iter().map(|bin| (bin.score - bin.right).abs() * bin.count as f64).sum();
    // 0 and not NaN without scores: JSON writes NaN as null, which could not be read back as a number.
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
        // Pair in a: won; pair in b: a tie.
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
        let (third, two_thirds) = (1.0 / 3.0, 2.0 / 3.0);
        let points = [[0.0, 0.0], [0.0, 0.5], [third, 0.5], [two_thirds, 1.0], [1.0, 1.0]];
        assert_eq!(quality.roc, points);
    }

    /// A critic that only repeats the calculator cannot rank solutions with the same mark.
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

    /// The critic repeats an earlier mark, so it knows nothing itself, even though the last mark is the same in both
    /// solutions.
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
    fn a_long_curve_is_thinned_out_and_keeps_its_ends() {
        let rows: Vec<_> = (0..999).map(|i| ("a", i as f32 / 999.0, i % 3 == 0)).collect();
        let curve = measure(&judged(&rows)).roc;
        assert_eq!(
            (curve.len(), curve[0], curve[ROC_POINTS - 1]),
            (ROC_POINTS, [0.0, 0.0], [1.0, 1.0])
        );
        assert!(curve.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1]));
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
        assert!(quality.roc.is_empty());
        assert_eq!(measure(&[]).count, 0);
    }
}
