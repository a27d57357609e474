//! Solutions with a label per step, in the format that trainers of process reward models read.

table! {
    /// A trajectory with a label for each of its options.
    pub struct Steps = "steps" version 1, key (trajectory_id), check paired;

    /// The question as the policy saw it.
    pub prompt: String,
    /// The solution option by option.
    pub completions: Vec<String>,
    /// Whether each option is good.
    pub labels: Vec<bool>,
    /// The scores the labels were made from.
    pub scores: Option<Vec<f32>>,
    /// The trajectory.
    pub trajectory_id: String,
    /// The round of the search.
    pub round: i32,
}

fn paired(row: &Steps) -> Result<(), String> {
    let steps = row.completions.len();
    let scores = row.scores.as_ref().map_or(steps, Vec::len);
    if row.labels.len() != steps || scores != steps {
        return Err(format!("{steps} steps, {} labels, {scores} scores", row.labels.len()));
    }
    Ok(())
}
