//! Training data of the critics: sampled solutions of labelled seeds, with targets estimated by Monte Carlo.

/// The split that critics learn from.
pub const TRAIN: &str = "train";
/// The split that critics are judged on.
pub const HELD_OUT: &str = "held_out";

table! {
    /// A sampled solution of a labelled seed, with the critics' targets.
    // Version 2 has `root_target`: the bare question is a state too, which all samples continue.
    pub struct Label = "labels" version 2, key (trajectory_id), check in_range;

    /// Hash of what decides the solution.
    pub trajectory_id: String,
    /// The seed it answers.
    pub prompt_id: String,
    /// The question as the policy saw it.
    pub prompt: String,
    /// The solution option by option.
    pub options: Vec<String>,
    /// The value function's target before the first option: the share of all samples of the seed that are correct, 0 to 1.
    pub root_target: f32,
    /// The value function's target after each option: the share of correct continuations, 0 to 1.
    pub value_targets: Vec<f32>,
    /// The process reward model's target for each option, 0 to 1.
    pub process_targets: Vec<f32>,
    /// Whether the answer is correct: 0 or 1.
    pub outcome: f32,
    /// The weight in the loss, 0 or more; 1 is ordinary.
    pub weight: f32,
    /// `train` or `held_out`; the prompts of the two differ.
    pub split: String,
    /// The round that sampled it.
    pub round: i32,
}

fn in_range(row: &Label) -> Result<(), String> {
    let options = row.options.len();
    for (name, targets) in
        [(col::value_targets, &row.value_targets), (col::process_targets, &row.process_targets)]
    {
        if targets.len() != options {
            return Err(format!("{options} options but {} {name}", targets.len()));
        }
        if let Some(target) = targets.iter().find(|target| !(0.0..=1.0).contains(*target)) {
            return Err(format!("{name} holds {target}, which is not between 0 and 1"));
        }
    }
    if !(0.0..=1.0).contains(&row.root_target) {
        return Err(format!("root_target is {}, which is not between 0 and 1", row.root_target));
    }
    if ![0.0, 1.0].contains(&row.outcome) {
        return Err(format!("outcome is {}, neither 0 nor 1", row.outcome));
    }
    // NaN does not get here: `to_batch` and `from_batch` refuse it in every column before they check rows.
    if row.weight < 0.0 {
        return Err(format!("weight is {}, below 0", row.weight));
    }
    Ok(())
}
