//! The critics' scores of trajectories, and the calculator's findings in them.

record! {
    /// An equation found in a solution, recomputed exactly.
    pub struct Check {
        /// The left side, as written.
        pub expression: String,
        /// The result the solution claims; null if it could not be read.
        pub claimed: Option<String>,
        /// The result of the calculator; null if the expression has none.
        pub computed: Option<String>,
        /// Whether the two agree.
        pub ok: bool,
    }
}

impl Check {
    /// Whether the calculator could evaluate at least one of these equations, and all of those that it could evaluate
    /// hold. An equation that it could not evaluate counts neither for nor against a solution.
    pub fn all_hold(checks: &[Self]) -> bool {
        let mut decided = checks.iter().filter(|check| check.computed.is_some()).peekable();
        decided.peek().is_some() && decided.all(|check| check.ok)
    }
}

record! {
    /// The critics asked, each by its checkpoint; null for one that was not asked.
    pub struct CriticModels {
        /// The value function.
        pub value: Option<String>,
        /// The process reward model.
        pub prm: Option<String>,
        /// The outcome reward model.
        pub orm: Option<String>,
    }
}

table! {
    /// The judgement of one trajectory.
    // Version 2 has `confidence`, the f of the filter of `tiny`: f(x, y) > gamma is then a threshold on a probability.
    pub struct Critique = "critiques" version 2, key (trajectory_id), check paired;

    /// The trajectory judged.
    pub trajectory_id: String,
    /// Its prompt.
    pub prompt_id: String,
    /// The value function's estimate after each option.
    pub values: Vec<f32>,
    /// The process reward of each option.
    pub process_rewards: Vec<f32>,
    /// The outcome reward of the whole.
    pub outcome_reward: f32,
    /// The calculator's findings, in the order of the text.
    pub checks: Vec<Check>,
    /// The critics combined; larger is better.
    pub score: f32,
    /// What the prompt's trajectories with the same answer weigh among all with an answer, 0 to 1; null without one.
    /// The preset says whether one weighs by its outcome reward and its probability.
    pub agreement: Option<f32>,
    /// The calibrated chance that the answer is right, from outcome reward and agreement, 0 to 1; null if no calibration
    /// was given.
    pub confidence: Option<f32>,
    /// The critics that were asked.
    pub critic_models: CriticModels,
    /// The round of the search.
    pub round: i32,
}

fn paired(row: &Critique) -> Result<(), String> {
    let (values, rewards) = (row.values.len(), row.process_rewards.len());
    if values != rewards {
        return Err(format!("{values} values but {rewards} process rewards"));
    }
    Ok(())
}
