//! Fine-tuning examples in the prompt-completion shape that trainers of language models read.

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
    /// A message of the one who asks.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: "user".to_owned(), content: content.into() }
    }

    /// A message of the one who answers.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: "assistant".to_owned(), content: content.into() }
    }
}

table! {
    /// One example to fine-tune the policy on.
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
    /// How likely the policy that found it would have said something else, `1 - p(y | x)`: 0 to 1. What a policy says anyway
    /// teaches it nothing; a solution of unknown probability counts as 1.
    pub fn news(&self) -> f64 {
        self.logprob.map_or(1.0, |logprob| -f64::from(logprob).min(0.0).exp_m1())
    }
}

fn weighted(row: &SftExample) -> Result<(), String> {
    if row.weight < 0.0 {
        return Err(format!("weight is {}, below 0", row.weight));
    }
    Ok(())
}
