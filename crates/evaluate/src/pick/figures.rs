//! How much each rule finds, and how well each judge ranks.

use std::collections::BTreeMap;

use critic::CriticConfig;
use critic::quality::{Judged, Quality, measure, shown};
use serde::Serialize;
use stage::Failure;

use super::judges::Judge;
use super::rules::Rule;
use super::solutions::Solutions;
use crate::compare::Paired;
use crate::format::{none, p_value, signed_range};
use crate::stats::{Interval, Pairs, wilson};

/// Into how many equal steps the tokens of the largest tree are cut.
const BUDGETS: u64 = 4;

/// All figures of the bench.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// Problems.
    problems: usize,
    /// Solutions with an end and an answer.
    solutions: usize,
    /// Problems with a right one among them: no rule can find more.
    covered: usize,
    /// The rule that the others are compared with.
    against: String,
    rules: Vec<Found>,
    judges: BTreeMap<String, Quality>,
}

/// The right solutions that a rule picks.
#[derive(Debug, Serialize)]
struct Found {
    rule: String,
    /// Problems where it picks a right solution.
    right: usize,
    /// Their share of all problems in percent, with the Wilson interval.
    accuracy: Interval,
    /// Their share of the problems with a right solution, in percent; null if there are none.
    of_covered: Option<f64>,
    /// The same problems by the rule compared with; null for that rule itself.
    paired: Option<Paired>,
    /// The same with smaller trees; empty without the nodes.
    by_budget: Vec<AtBudget>,
}

/// The right solutions that a rule picks from smaller trees: those that every tree had at this size.
#[derive(Debug, Clone, Serialize)]
struct AtBudget {
    /// Tokens of a tree's options, at most.
    tokens: u64,
    /// Problems where a right solution is picked.
    right: usize,
    /// Problems with a right solution.
    covered: usize,
}

impl Figures {
    /// Picks by every rule.
    ///
    /// # Errors
    /// No rule is called `against`.
    pub(super) fn of(
        solutions: &Solutions,
        judges: &[Judge],
        rules: &[Rule<'_>],
        against: &str,
    ) -> Result<Self, Failure> {
        let reference = rules.iter().find(|rule| rule.name() == against).ok_or_else(|| {
            let known: Vec<String> = rules.iter().map(Rule::name).collect();
            Failure::usage(format!("--against {against}: the rules are {}", known.join(", ")))
        })?;
        let other = right_at(solutions, Some(*reference), u64::MAX);
        let covered = count(&right_at(solutions, None, u64::MAX));
        let steps = 1..=if solutions.most_tokens > 0 { BUDGETS } else { 0 };
        let found = |rule: &Rule<'_>| {
            let right = right_at(solutions, Some(*rule), u64::MAX);
            let mut pairs = Pairs::default();
            right.iter().zip(&other).for_each(|(one, two)| pairs.add(*one, *two));
            let budget = |step| {
                let tokens = solutions.most_tokens * step / BUDGETS;
                let right = count(&right_at(solutions, Some(*rule), tokens));
                AtBudget { tokens, right, covered: count(&right_at(solutions, None, tokens)) }
            };
            let right = count(&right);
            Found {
                rule: rule.name(),
                right,
                accuracy: wilson(right as u64, solutions.problems.len() as u64).scaled(100.0),
                of_covered: percent(right, covered),
                paired: (rule != reference).then(|| Paired::of(pairs, false)),
                by_budget: steps.clone().map(budget).collect(),
            }
        };
        Ok(Self {
            problems: solutions.problems.len(),
            solutions: solutions.all.len(),
            covered,
            against: against.to_owned(),
            rules: rules.iter().map(found).collect(),
            judges: judges.iter().map(|one| (one.name.clone(), quality(solutions, one))).collect(),
        })
    }

    /// Titles, headers and rows of what is printed.
    pub(super) fn tables(&self) -> Vec<(String, Vec<String>, Vec<Vec<String>>)> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let covered = percent(self.covered, self.problems).unwrap_or(0.0);
        let title = format!(
            "{} problems, a right solution found for {covered:.1} % of them",
            self.problems
        );
        let against = format!("vs {}", self.against);
        let header = ["pick", "right %", "of those %", against.as_str(), "p"];
        let mut tables = vec![(title, words(&header), self.rules.iter().map(Found::row).collect())];
        if let Some(first) = self.rules.first().filter(|rule| !rule.by_budget.is_empty()) {
            let mut header = vec!["pick".to_owned()];
            header.extend(first.by_budget.iter().map(|it| it.tokens.to_string()));
            let share = |part: usize| format!("{:.1}", percent(part, self.problems).unwrap_or(0.0));
            let row = |name: &str, parts: Vec<usize>| {
                [vec![name.to_owned()], parts.into_iter().map(share).collect()].concat()
            };
            let of =
                |rule: &Found| row(&rule.rule, rule.by_budget.iter().map(|it| it.right).collect());
            let mut rows: Vec<Vec<String>> = self.rules.iter().map(of).collect();
            let most = first.by_budget.iter().map(|it| it.covered).collect();
            rows.insert(0, row("any right one", most));
            tables.push((
                "right %, of trees with so many tokens of options".to_owned(),
                header,
                rows,
            ));
        }
        let judge = |(name, quality): (&String, &Quality)| {
            let Quality { auc, within_prompt, within_tool, .. } = *quality;
            [vec![name.clone()], [auc, within_prompt, within_tool].map(shown).to_vec()].concat()
        };
        let header = ["judge", "AUC", "within prompt", "tool says equal"];
        let rows = self.judges.iter().map(judge).collect();
        tables.push((
            "pairs of a right and a wrong solution, ranked rightly".to_owned(),
            words(&header),
            rows,
        ));
        tables
    }
}

impl Found {
    fn row(&self) -> Vec<String> {
        let Interval { estimate, low, high } = self.accuracy;
        let [points, p] = match &self.paired {
            None => [none(), none()],
            Some(paired) => {
                let Interval { estimate, low, high } = paired.points;
                [format!("{estimate:+.1} ({})", signed_range(low, high)), p_value(paired.p)]
            }
        };
        let found = self.of_covered.map_or_else(none, |share| format!("{share:.1}"));
        vec![self.rule.clone(), format!("{estimate:.1} ({low:.0}-{high:.0})"), found, points, p]
    }
}

/// For every problem, whether a rule picks a right one of the solutions that were there after so many tokens; without a rule,
/// whether there is a right one.
fn right_at(solutions: &Solutions, rule: Option<Rule<'_>>, tokens: u64) -> Vec<bool> {
    let there = |at: &usize| solutions.all[*at].born <= tokens;
    let right = |places: Vec<usize>| match rule {
        Some(rule) => rule.pick(solutions, &places).is_some_and(|at| solutions.all[at].right),
        None => places.iter().any(|&at| solutions.all[at].right),
    };
    solutions.problems.iter().map(|range| right(range.clone().filter(there).collect())).collect()
}

fn count(right: &[bool]) -> usize {
    right.iter().filter(|right| **right).count()
}

fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// How well a judge ranks the distinct texts of each problem.
fn quality(solutions: &Solutions, judge: &Judge) -> Quality {
    let marks = CriticConfig::plain();
    let options: Vec<Vec<String>> = solutions
        .all
        .iter()
        .map(|one| one.trajectory.options.iter().map(|option| option.text.clone()).collect())
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    let mut judged = Vec::new();
    for (at, one) in solutions.all.iter().enumerate() {
        let group = one.trajectory.prompt_id.as_str();
        // `search` writes a text twice if both the tree and a rollout have it.
        if seen.insert((group, one.trajectory.completion.as_str())) {
            let (score, right) = (judge.scores[at] as f32, one.right);
            let shown = marks.shown(&options[at]).pop().unwrap_or_default();
            judged.push(Judged { group, shown, score, right });
        }
    }
    measure(&judged)
}
