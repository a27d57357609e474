//! Selects trajectories, and counts how many each criterion removes.
//!
//! Criteria apply one after another, and each counts only what it is the first to remove. A trajectory that may not be used
//! at all (another decoder, unfinished, a duplicate) is missing from every output. One that is merely not good enough still
//! gets step labels, and can be the rejected half of a pair.

use polars::prelude::*;
use schema::{critiques, trajectories};
use serde::Serialize;
use stage::Failure;

use crate::config::{FilterConfig, RankBy};
use crate::frame::{CALCULATED, CRITIQUE, FORETOLD, TRAJECTORY};
use crate::judged::{Judged, bug};

/// How many trajectories one criterion removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Cut {
    pub(crate) criterion: &'static str,
    pub(crate) removed: usize,
    /// Trajectories left after it.
    pub(crate) left: usize,
}

/// A trajectory and its critique, by row position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pick {
    pub(crate) trajectory: usize,
    pub(crate) critique: usize,
    /// The critics' combined score.
    pub(crate) score: f32,
}

/// The selection for one prompt. Each list is ranked best first, by the preset's `rank_by`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Choice {
    /// Everything that may be used, good or not.
    pub(crate) usable: Vec<Pick>,
    /// The trajectories to learn from, at most `per_prompt`.
    pub(crate) kept: Vec<Pick>,
    /// The trajectories that fail a quality criterion.
    pub(crate) rejected: Vec<Pick>,
}

/// The selection for all prompts, ordered by prompt id.
pub(crate) struct Selection {
    /// Prompts that have a trajectory.
    pub(crate) prompts: usize,
    /// One choice per prompt that has a usable trajectory.
    pub(crate) choices: Vec<Choice>,
    pub(crate) removed: Vec<Cut>,
}

impl Selection {
    pub(crate) fn new(judged: &Judged, config: &FilterConfig) -> Result<Self, Failure> {
        if config.asks_confidence()
            && let Some(lacking) = judged.critiques.iter().find(|one| one.confidence.is_none())
        {
            let id = &lacking.trajectory_id;
            let failure = Failure::data(format!("the critique of {id} has no confidence"));
            return Err(failure.hint(
                "run `critique score` with --confidence, or set confidence_at_least to 0 and rank by something else",
            ));
        }
        select(&judged.frame, config).map_err(bug)
    }
}

/// Column: whether a trajectory passes all quality criteria.
const PASSES: &str = "passes";

fn select(all: &DataFrame, config: &FilterConfig) -> PolarsResult<Selection> {
    // Counted before any criterion applies, because the yield is a share of these.
    let prompt = [trajectories::col::prompt_id.to_owned()];
    let first = UniqueKeepStrategy::Any;
    let prompts = all.unique_stable(Some(&prompt), first, None)?.height();
    let mut removed = Vec::new();
    let usable = usable(all, config, &mut removed)?;
    let passes = quality(&usable, config, &mut removed)?;
    let mut flagged = usable;
    flagged.with_column(passes.with_name(PASSES.into()).into_column())?;
    let groups = flagged.partition_by_stable([trajectories::col::prompt_id], true)?;
    // Partitioning a frame without rows gives one group without rows.
    let groups = groups.iter().filter(|group| group.height() > 0);
    let choices: Vec<Choice> =
        groups.map(|group| choose(group, config.per_prompt)).collect::<PolarsResult<_>>()?;
    let kept: usize = choices.iter().map(|choice| choice.kept.len()).sum();
    let passed = removed.last().map_or(0, |last| last.left);
    removed.push(Cut { criterion: "per_prompt", removed: passed - kept, left: kept });
    Ok(Selection { prompts, choices, removed })
}

/// The usable trajectories, without duplicates, ranked within each prompt.
fn usable(
    all: &DataFrame,
    config: &FilterConfig,
    removed: &mut Vec<Cut>,
) -> PolarsResult<DataFrame> {
    let allowed = |decoder: Option<&str>| {
        config.decoders.is_empty()
            || config.decoders.iter().any(|one| Some(one.as_str()) == decoder)
    };
    let decoders: BooleanChunked =
        all.column(trajectories::col::decoder)?.str()?.iter().map(allowed).collect();
    let mut left = step(all, all.filter(&decoders)?, "decoders", removed);
    if config.finished_only {
        let finished = left.column(trajectories::col::finished)?.bool()?.clone();
        left = step(&left, left.filter(&finished)?, "finished_only", removed);
    }
    // Sorted before duplicates go, so that the best of equal texts is the one that stays.
    let ranked = ranked(&left, config.rank_by)?;
    let same = [trajectories::col::prompt_id, trajectories::col::completion].map(str::to_owned);
    let distinct = ranked.unique_stable(Some(&same), UniqueKeepStrategy::First, None)?;
    Ok(step(&left, distinct, "distinct", removed))
}

/// Records how many trajectories a criterion removed.
fn step(
    before: &DataFrame,
    after: DataFrame,
    criterion: &'static str,
    removed: &mut Vec<Cut>,
) -> DataFrame {
    let left = after.height();
    removed.push(Cut { criterion, removed: before.height() - left, left });
    after
}

/// Sorts by prompt and then best first. Ties go by rank and finally by id, so the order never depends on that of the input
/// rows.
fn ranked(frame: &DataFrame, rank_by: RankBy) -> PolarsResult<DataFrame> {
    let best = match rank_by {
        RankBy::Score => critiques::col::score,
        RankBy::Outcome => critiques::col::outcome_reward,
        RankBy::Confidence => critiques::col::confidence,
        RankBy::Q => trajectories::col::q,
    };
    let (prompt, rank) = (trajectories::col::prompt_id, trajectories::col::rank);
    let by = [prompt, best, rank, trajectories::col::trajectory_id];
    let options = SortMultipleOptions::default()
        .with_order_descending_multi([false, true, false, false])
        // `q` is null for trajectories that come from no tree: those rank last.
        .with_nulls_last(true);
    frame.sort(by, options)
}

/// Whether each trajectory passes the quality criteria.
fn quality(
    frame: &DataFrame,
    config: &FilterConfig,
    removed: &mut Vec<Cut>,
) -> PolarsResult<BooleanChunked> {
    let outcome = frame.column(critiques::col::outcome_reward)?.f32()?.gt(config.outcome_above);
    let agreement =
        frame.column(critiques::col::agreement)?.f32()?.gt_eq(config.agreement_at_least);
    let confidence =
        frame.column(critiques::col::confidence)?.f32()?.gt_eq(config.confidence_at_least);
    let calculated = frame.column(CALCULATED)?.bool()?.clone();
    let mut criteria = vec![("outcome_above", outcome)];
    if config.require_calculator {
        criteria.push(("require_calculator", calculated));
    }
    if let Ok(foretold) = frame.column(FORETOLD) {
        criteria.push(("expected", foretold.bool()?.clone()));
    }
    criteria.push(("agreement_at_least", agreement));
    criteria.push(("confidence_at_least", confidence));
    let mut passes = BooleanChunked::full(PASSES.into(), true, frame.height());
    let mut before = frame.height();
    for (criterion, mask) in criteria {
        passes = &passes & &mask;
        let left = passes.sum().unwrap_or_default() as usize;
        removed.push(Cut { criterion, removed: before - left, left });
        before = left;
    }
    Ok(passes)
}

/// Splits the ranked trajectories of one prompt.
fn choose(group: &DataFrame, per_prompt: usize) -> PolarsResult<Choice> {
    let (trajectory, critique) = (group.column(TRAJECTORY)?.u32()?, group.column(CRITIQUE)?.u32()?);
    let score = group.column(critiques::col::score)?.f32()?;
    let rows = trajectory.iter().zip(critique.iter()).zip(score.iter());
    let passes = group.column(PASSES)?.bool()?;
    let mut choice = Choice::default();
    for (row, passes) in rows.zip(passes.iter()) {
        let ((Some(trajectory), Some(critique)), Some(score)) = row else { continue };
        let pick = Pick { trajectory: trajectory as usize, critique: critique as usize, score };
        choice.usable.push(pick);
        if passes != Some(true) {
            choice.rejected.push(pick);
        } else if choice.kept.len() < per_prompt {
            // One that passes but is over `per_prompt` is in neither list: a solution good enough to learn from must not be
            // the rejected half of a pair.
            choice.kept.push(pick);
        }
    }
    Ok(choice)
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
