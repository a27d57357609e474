//! Fine-tuning examples in the prompt-completion format that trainers of language models read.

record! {
    /// A message of a conversation.
    pub struct Message {
        /// Who speaks, for example `user` or `assistant`.
        pub role: String,
        /// What is said.
        pub content: String,
    }
}

impl Message {
    /// Makes a message with the role `user`.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: "user".to_owned(), content: content.into() }
    }

    /// Makes a message with the role `assistant`.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: "assistant".to_owned(), content: content.into() }
    }
}

table! {
    /// One example to fine-tune the policy on.
    // Version 2 has `logprob`, from which `news` follows.
    pub struct SftExample = "sft" version 2, key (example_id), check weighted;

    /// What is given.
    pub prompt: Vec<Message>,
    /// What is learned.
    pub completion: Vec<Message>,
    /// Hash of what decides the example.
    pub example_id: String,
    /// The prompt it answers.
    pub prompt_id: String,
    /// The trajectory it was made from.
    pub trajectory_id: String,
    /// The weight in the loss, 0 or more; 1 is ordinary.
    pub weight: f32,
    /// The critic's score of the trajectory.
    pub score: Option<f32>,
    /// Sum of the natural log-probabilities of the completion's tokens, each of the policy that drew it (what a rollout adds,
    /// of the rollouts' policy); null if unknown.
    pub logprob: Option<f32>,
    /// The round of the search.
    pub round: i32,
}

impl SftExample {
    /// Returns the probability that the policy that drew the solution would have written something else, `1 - p(y | x)`, 0 to
    /// 1. A solution that the policy writes anyway teaches it nothing. It is 1 if the probability is unknown.
    pub fn news(&self) -> f64 {
        // `exp_m1` keeps the digits where the probability is close to 1. A sum of log-probabilities may round to above 0.
        self.logprob.map_or(1.0, |logprob| -f64::from(logprob).min(0.0).exp_m1())
    }
}

fn weighted(row: &SftExample) -> Result<(), String> {
    if row.weight < 0.0 {
        return Err(format!("weight is {}, below 0", row.weight));
    }
    Ok(())
}
