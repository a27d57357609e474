//! The polars frames of trajectories and critiques, and the joins between them.
//!
//! A frame has only the columns that decide, and the positions of the rows it was built from. Texts and lists stay in those
//! rows, so sorting and joining do not copy them.

use polars::prelude::*;
use schema::{Check, Critique, Trajectory, critiques, trajectories};

/// Column: position among the trajectories.
pub(crate) const TRAJECTORY: &str = "trajectory position";
/// Column: position among the critiques.
pub(crate) const CRITIQUE: &str = "critique position";
/// Column: whether the calculator could decide at least one equation, and all that it could decide hold.
pub(crate) const CALCULATED: &str = "calculated";

/// Column: whether the answer is the one expected of the prompt, or none was expected.
pub(crate) const FORETOLD: &str = "foretold";

/// One row per trajectory.
pub(crate) fn of_trajectories(rows: &[Trajectory]) -> PolarsResult<DataFrame> {
    use trajectories::col;
    let texts = |of: fn(&Trajectory) -> &str| rows.iter().map(of).collect::<Vec<_>>();
    DataFrame::new(
        rows.len(),
        vec![
            column(col::trajectory_id, texts(|row| &row.trajectory_id)),
            column(col::prompt_id, texts(|row| &row.prompt_id)),
            column(col::completion, texts(|row| &row.completion)),
            column(col::decoder, texts(|row| &row.decoder)),
            column(col::finished, rows.iter().map(|row| row.finished).collect::<Vec<_>>()),
            column(col::q, rows.iter().map(|row| row.q).collect::<Vec<_>>()),
            column(col::rank, rows.iter().map(|row| row.rank).collect::<Vec<_>>()),
            column(TRAJECTORY, positions(rows.len())),
        ],
    )
}

/// One row per critique.
pub(crate) fn of_critiques(rows: &[Critique]) -> PolarsResult<DataFrame> {
    use critiques::col;
    let ids: Vec<&str> = rows.iter().map(|row| row.trajectory_id.as_str()).collect();
    // A missing agreement or confidence counts as 0, so a threshold of 0 lets it pass. Where a confidence is needed,
    // `Selection::new` refuses critiques that have none.
    let agreement = |row: &Critique| row.agreement.unwrap_or_default();
    let confidence = |row: &Critique| row.confidence.unwrap_or_default();
    DataFrame::new(
        rows.len(),
        vec![
            column(col::trajectory_id, ids),
            column(
                col::outcome_reward,
                rows.iter().map(|row| row.outcome_reward).collect::<Vec<_>>(),
            ),
            column(col::score, rows.iter().map(|row| row.score).collect::<Vec<_>>()),
            column(col::agreement, rows.iter().map(agreement).collect::<Vec<_>>()),
            column(col::confidence, rows.iter().map(confidence).collect::<Vec<_>>()),
            column(
                CALCULATED,
                rows.iter().map(|row| Check::all_hold(&row.checks)).collect::<Vec<_>>(),
            ),
            column(CRITIQUE, positions(rows.len())),
        ],
    )
}

fn column<T, P: ?Sized>(name: &str, values: T) -> Column
where
    T: AsRef<P>,
    Series: NamedFrom<T, P>,
{
    Column::new(name.into(), values)
}

/// Row positions. They fit `u32`: a polars frame has at most 2^32 rows.
fn positions(count: usize) -> Vec<u32> {
    (0..count).map(|position| position as u32).collect()
}

/// Inner join on the trajectory id, in the order of the left frame.
pub(crate) fn paired(left: &DataFrame, right: &DataFrame) -> PolarsResult<DataFrame> {
    let order =
        JoinArgs { maintain_order: MaintainOrderJoin::Left, ..JoinArgs::new(JoinType::Inner) };
    on_trajectory(left, right, order)
}

/// The smallest trajectory id in `left` that is missing from `right`.
pub(crate) fn unpaired(left: &DataFrame, right: &DataFrame) -> PolarsResult<Option<String>> {
    let only = on_trajectory(left, right, JoinArgs::new(JoinType::Anti))?;
    let ids = only.column(trajectories::col::trajectory_id)?.str()?;
    Ok(ids.iter().flatten().min().map(str::to_owned))
}

fn on_trajectory(left: &DataFrame, right: &DataFrame, how: JoinArgs) -> PolarsResult<DataFrame> {
    let (left_on, right_on) = (trajectories::col::trajectory_id, critiques::col::trajectory_id);
    left.join(right, [left_on], [right_on], how, None)
}
