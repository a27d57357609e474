//! What a policy learns from, as text: rows of problems and kept trajectories, and pairs.

use std::path::Path;

use dataset::Dataset;
use schema::{Message, Preference, Prompt, SftExample};
use stage::Failure;

/// A question and its solution to learn from.
pub(crate) struct Row {
    /// Its folder and its id.
    pub(crate) name: String,
    pub(crate) question: String,
    pub(crate) solution: String,
    pub(crate) weight: f32,
}

/// A question, a better solution and a worse one.
pub(crate) struct Couple {
    /// Its folder and its ids.
    pub(crate) name: String,
    pub(crate) question: String,
    pub(crate) chosen: String,
    pub(crate) rejected: String,
}

/// What there is to learn and what to judge by, as text.
pub(crate) struct Lesson {
    pub(crate) rows: Vec<Row>,
    pub(crate) couples: Vec<Couple>,
    pub(crate) validation: Vec<Row>,
}

impl Lesson {
    /// Whether there is nothing to learn.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.couples.is_empty()
    }
}

impl Couple {
    pub(crate) fn of(row: &Preference, dir: &Path) -> Self {
        let name = format!("{}: pair {} and {}", dir.display(), row.chosen_id, row.rejected_id);
        Self {
            name,
            question: text(&row.prompt),
            chosen: text(&row.chosen),
            rejected: text(&row.rejected),
        }
    }
}

/// What messages say.
pub(crate) fn text(messages: &[Message]) -> String {
    messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n")
}

impl Row {
    /// A problem with its solution; the id of one that has none.
    pub(crate) fn of(problem: Prompt, dir: &Path) -> Result<Self, String> {
        let name = format!("{}: problem {}", dir.display(), problem.prompt_id);
        let solution = problem.solution.ok_or(problem.prompt_id)?;
        Ok(Self { name, question: problem.prompt, solution, weight: 1.0 })
    }
}

/// Rows from a share of some labelled problems.
pub(crate) fn labelled(problems: &Dataset<Prompt>, share: f64) -> Result<Vec<Row>, Failure> {
    let row = |row: Prompt| {
        Row::of(row, problems.dir()).map_err(|id| {
            let place = problems.dir().display();
            Failure::data(format!("{place}: problem {id} has no solution to learn from or to judge by")).hint(
                "with answers alone, set `seed_share` and `train.validate_every` to 0 in the preset",
            )
        })
    };
    let rows = problems.rows()?.into_iter();
    rows.filter(|row| dataset::place_of(&row.prompt_id) < share).map(row).collect()
}

/// Rows from kept trajectories.
pub(crate) fn kept(examples: &Dataset<SftExample>) -> Result<Vec<Row>, Failure> {
    let row = |row: SftExample| Row {
        name: format!("{}: example {}", examples.dir().display(), row.example_id),
        question: text(&row.prompt),
        solution: text(&row.completion),
        weight: row.weight,
    };
    Ok(examples.rows()?.into_iter().map(row).collect())
}
