//! Questions: the labelled seeds, the test problems, and the prompts synthesized from the seeds.

table! {
    /// A question. Seeds and test problems carry their gold answer; synthesized prompts never do.
    pub struct Prompt = "prompts" version 2, key (prompt_id), check own_parent;

    /// Hash of the prompt's content.
    pub prompt_id: String,
    /// The question as the policy sees it.
    pub prompt: String,
    /// The gold answer; null for a synthesized prompt.
    pub answer: Option<String>,
    /// A worked solution, one step a line; null for a synthesized prompt.
    pub solution: Option<String>,
    /// Where the prompt comes from: a data set's name, or the stage that made it.
    pub source: String,
    /// What the prompt may be used for, for example `train` or `test`.
    pub split: String,
    /// The prompts it was made from; empty for a seed.
    pub parent_ids: Vec<String>,
    /// How it was made from them; null for a seed.
    pub operator: Option<String>,
    /// What its answer is if what was found for its parent is right: the masked number of a backward question. It stands
    /// in the parent's text and is no label; null otherwise.
    pub expected: Option<String>,
    /// How hard it is, in units of its source; larger is harder.
    pub difficulty: Option<f32>,
    /// The random seed it was made with; null for what was not sampled.
    pub seed: Option<i64>,
    /// The round that made it; 0 for seeds.
    pub round: i32,
}

view! {
    /// A prompt without answer and solution, which only the labelled seeds and the test problems have. Stages that must
    /// not see labels read prompts as this.
    // Lists what is in, not what is out: a column that `Prompt` gets later may hold a label, and must not get in by itself.
    pub struct Question of Prompt {
        /// Hash of the prompt's content.
        pub prompt_id: String,
        /// The question as the policy sees it.
        pub prompt: String,
        /// The data set or the stage that the prompt comes from.
        pub source: String,
        /// The use that the prompt is meant for, for example `train` or `test`.
        pub split: String,
        /// The prompts it was made from; empty for a seed.
        pub parent_ids: Vec<String>,
        /// How it was made from them; null for a seed.
        pub operator: Option<String>,
        /// Its answer, provided that the answer found for its parent is right. It is not a label.
        pub expected: Option<String>,
        /// The round that made it; 0 for seeds.
        pub round: i32,
    }
}

fn own_parent(row: &Prompt) -> Result<(), String> {
    if row.parent_ids.contains(&row.prompt_id) {
        return Err("a prompt is its own parent".to_owned());
    }
    Ok(())
}
