//! Drafts of new prompts: the texts that models wrote, and the verdicts of their rollouts.

table! {
    /// An attempt at a new prompt that models were asked about. Imagination takes the answer from here and need not ask again.
    pub struct DraftRow = "drafts" version 1, key (draft_id), check tried_or_written;

    /// The seed of the attempt, in hexadecimal. It is that of an operator, a place among its prompts, and an attempt.
    pub draft_id: String,
    /// Whether a model was asked to write the text.
    pub written: bool,
    /// The text that it wrote; null if that did not come to an end, and where no model wrote.
    pub text: Option<String>,
    /// The verdict of the rollouts on the text: `fits`, `easy` or `inconsistent`; null if it was not tried.
    pub verdict: Option<String>,
    /// The difficulty of a text that fits, 0 to 1; null for others.
    pub difficulty: Option<f32>,
    /// The round that it is for.
    pub round: i32,
}

fn tried_or_written(row: &DraftRow) -> Result<(), String> {
    match row {
        DraftRow { written: false, text: Some(_), .. } => {
            Err("a text that nobody wrote".to_owned())
        }
        DraftRow { written: false, verdict: None, .. } => {
            Err("neither written nor tried".to_owned())
        }
        DraftRow { verdict: Some(verdict), .. }
            if !["fits", "easy", "inconsistent"].contains(&verdict.as_str()) =>
        {
            Err(format!("`{verdict}` is no verdict"))
        }
        _ => Ok(()),
    }
}
