//! Selects trajectories, prompt by prompt.
//!
//! Criteria apply one after another, and the first that a trajectory fails is the one that removes it. A trajectory that may
//! not be used at all (another decoder, unfinished, a duplicate) is missing from every output. One that is merely not good
//! enough still gets step labels, and can be the rejected half of a pair.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use schema::Check;
use stage::Failure;

use crate::asked::Asked;
use crate::config::{FilterConfig, RankBy};
use crate::inputs::Searched;
use crate::judged::Judged;

/// A criterion that looks at a trajectory alone: its name in the summary, and whether the trajectory passes. One that the
/// preset turns off is passed by all.
type Criterion = (&'static str, fn(&Judged, Option<&Asked>, &FilterConfig) -> bool);

/// The criteria of a trajectory that may be used.
const USABLE: [Criterion; 2] = [
    ("decoders", |one, _, config| {
        config.decoders.is_empty() || config.decoders.contains(&one.trajectory.decoder)
    }),
    (FINISHED_ONLY, |one, _, config| !config.finished_only || one.trajectory.finished),
];

/// The criteria of a trajectory that is good enough to learn from. A missing agreement or confidence counts as 0, so a
/// threshold of 0 lets it pass.
const GOOD: [Criterion; 5] = [
    ("outcome_above", |one, _, config| one.critique.outcome_reward > config.outcome_above),
    (REQUIRE_CALCULATOR, |one, _, config| {
        !config.require_calculator || Check::all_hold(&one.critique.checks)
    }),
    (EXPECTED, |one, asked, _| {
        asked.is_none_or(|asked| asked.agrees(one.trajectory.answer.as_deref()))
    }),
    ("agreement_at_least", |one, _, config| {
        one.critique.agreement.unwrap_or_default() >= config.agreement_at_least
    }),
    ("confidence_at_least", |one, _, config| {
        one.critique.confidence.unwrap_or_default() >= config.confidence_at_least
    }),
];

const FINISHED_ONLY: &str = "finished_only";
const REQUIRE_CALCULATOR: &str = "require_calculator";
const EXPECTED: &str = "expected";
/// Removes a completion that a better trajectory of the prompt has, too.
const DISTINCT: &str = "distinct";
const PER_PROMPT: &str = "per_prompt";

/// Returns the names of the criteria, in the order in which they apply, without those that are off. `asked` says whether the
/// prompts were given, without which no answer is expected.
pub(crate) fn criteria(config: &FilterConfig, asked: bool) -> impl Iterator<Item = &'static str> {
    let (finished, calculator) = (config.finished_only, config.require_calculator);
    let on = move |name: &&str| match *name {
        FINISHED_ONLY => finished,
        REQUIRE_CALCULATOR => calculator,
        EXPECTED => asked,
        _ => true,
    };
    let name = |criterion: Criterion| criterion.0;
    let usable = USABLE.into_iter().map(name).chain([DISTINCT]);
    usable.chain(GOOD.into_iter().map(name)).chain([PER_PROMPT]).filter(on)
}

/// The selection for one prompt. Each list of trajectories is ranked best first, by the preset's `rank_by`.
#[derive(Debug, Default)]
pub(crate) struct Choice<'a> {
    /// Everything that may be used, good or not.
    pub(crate) usable: Vec<&'a Judged>,
    /// The trajectories to learn from, at most `per_prompt`.
    pub(crate) kept: Vec<&'a Judged>,
    /// The trajectories that fail a criterion of quality.
    pub(crate) rejected: Vec<&'a Judged>,
    /// The trajectories that are not kept, each with the criterion that removed it; in no particular order.
    pub(crate) removed: Vec<(&'a Judged, &'static str)>,
}

impl<'a> Choice<'a> {
    /// Selects among the trajectories of a prompt. Refuses a critique without a confidence if the preset needs it.
    pub(crate) fn new(searched: &Searched<'a>, config: &FilterConfig) -> Result<Self, Failure> {
        if config.asks_confidence() {
            searched.judged.iter().try_for_each(confident)?;
        }
        let failed = |criteria: &[Criterion], one: &Judged| {
            let fails = |(_, passes): &&Criterion| !passes(one, searched.asked, config);
            criteria.iter().find(fails).map(|(name, _)| *name)
        };
        let mut choice = Self::default();
        for one in searched.judged {
            match failed(&USABLE, one) {
                Some(criterion) => choice.removed.push((one, criterion)),
                None => choice.usable.push(one),
            }
        }
        choice.rank(config.rank_by);
        for one in &choice.usable {
            if let Some(criterion) = failed(&GOOD, one) {
                choice.removed.push((one, criterion));
                choice.rejected.push(one);
            } else if choice.kept.len() < config.per_prompt {
                choice.kept.push(one);
            } else {
                // In neither list: a solution good enough to learn from must not be the rejected half of a pair.
                choice.removed.push((one, PER_PROMPT));
            }
        }
        Ok(choice)
    }

    /// Sorts the usable trajectories best first, and removes duplicates.
    fn rank(&mut self, rank_by: RankBy) {
        self.usable.sort_by(|a, b| best_first(a, b, rank_by));
        // Sorted before duplicates go, so that the best of equal texts is the one that stays.
        let mut seen = BTreeSet::new();
        let usable = std::mem::take(&mut self.usable).into_iter();
        let (distinct, again): (Vec<&Judged>, Vec<&Judged>) =
            usable.partition(|one| seen.insert(one.trajectory.completion.as_str()));
        self.usable = distinct;
        self.removed.extend(again.into_iter().map(|one| (one, DISTINCT)));
    }
}

/// Orders two trajectories of a prompt, the better one first. Ties go by rank and finally by id, so the order never depends
/// on that of the input rows.
fn best_first(a: &Judged, b: &Judged, rank_by: RankBy) -> Ordering {
    let best = |one: &Judged| match rank_by {
        RankBy::Score => Some(one.critique.score),
        RankBy::Outcome => Some(one.critique.outcome_reward),
        RankBy::Confidence => one.critique.confidence,
        // `None` for trajectories that come from no tree: it is less than any number, so those rank last.
        RankBy::Q => one.trajectory.q,
    };
    // Every number of a table is finite, so two of them always compare.
    let order = best(b).partial_cmp(&best(a)).unwrap_or(Ordering::Equal);
    let (a, b) = (&a.trajectory, &b.trajectory);
    order.then(a.rank.cmp(&b.rank)).then_with(|| a.trajectory_id.cmp(&b.trajectory_id))
}

fn confident(one: &Judged) -> Result<(), Failure> {
    if one.critique.confidence.is_some() {
        return Ok(());
    }
    let id = &one.critique.trajectory_id;
    let failure = Failure::data(format!("the critique of {id} has no confidence"));
    Err(failure.hint(
        "run `critique score` with --confidence, or set confidence_at_least to 0 and rank by something else",
    ))
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
