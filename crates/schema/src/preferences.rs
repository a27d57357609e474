//! Pairs of solutions of one prompt, for preference optimization.

use crate::Message;

table! {
    /// A better and a worse solution of one prompt.
    pub struct Preference = "preferences" version 1, key (chosen_id, rejected_id), check two;

    /// What is given.
    pub prompt: Vec<Message>,
    /// The better solution.
    pub chosen: Vec<Message>,
    /// The worse solution.
    pub rejected: Vec<Message>,
    /// The critic's score of the better one.
    pub score_chosen: Option<f32>,
    /// The critic's score of the worse one.
    pub score_rejected: Option<f32>,
    /// The difference of the scores.
    pub margin: Option<f32>,
    /// The better trajectory.
    pub chosen_id: String,
    /// The worse trajectory.
    pub rejected_id: String,
    /// The round of the search.
    pub round: i32,
}

fn two(row: &Preference) -> Result<(), String> {
    if row.chosen_id == row.rejected_id {
        return Err("a trajectory is preferred to itself".to_owned());
    }
    Ok(())
}
