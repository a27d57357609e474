//! The prompts that were searched: how each was made, and which answer is expected of it.

use std::collections::BTreeMap;

use schema::{Question, Trajectory};
use stage::Failure;

/// A prompt, reduced to the columns that this stage needs.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The operator that made it, or its source if no operator did.
    pub(crate) operator: String,
    /// The masked number of a backward question; `None` for every other prompt.
    expected: Option<String>,
}

impl Asked {
    /// Whether the answer of a trajectory agrees with the expected one; always so if none is expected.
    pub(crate) fn agrees(&self, found: Option<&str>) -> bool {
        match (&self.expected, found) {
            (None, _) => true,
            // As answers and not as texts: `18.0` is `18`.
            (Some(expected), Some(found)) => answer::same(found, expected),
            (Some(_), None) => false,
        }
    }
}

/// All prompts, by id.
#[derive(Debug)]
pub(crate) struct Prompts(BTreeMap<String, Asked>);

impl Prompts {
    pub(crate) fn new(questions: Vec<Question>) -> Self {
        let asked = |one: Question| {
            let operator = one.operator.unwrap_or(one.source);
            (one.prompt_id, Asked { operator, expected: one.expected })
        };
        Self(questions.into_iter().map(asked).collect())
    }

    /// Returns the prompt of a trajectory. Refuses one that is not among the prompts.
    pub(crate) fn of(&self, trajectory: &Trajectory) -> Result<&Asked, Failure> {
        let (id, prompt) = (&trajectory.trajectory_id, &trajectory.prompt_id);
        self.0.get(prompt).ok_or_else(|| {
            let message =
                format!("trajectory {id} is of prompt {prompt}, which is not among the prompts");
            Failure::data(message).hint("give the prompts that were searched")
        })
    }
}
