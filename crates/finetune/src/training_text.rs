//! The training data of a policy as text: problems and kept trajectories as rows, preferences as pairs.

use std::collections::BTreeMap;
use std::path::Path;

use dataset::Dataset;
use schema::labels::TRAIN;
use schema::{Label, Message, Preference, Prompt, SftExample};
use stage::Failure;

/// A question with the solution to learn.
pub(crate) struct SolutionText {
    /// Folder and id, for messages.
    pub(crate) name: String,
    pub(crate) question: String,
    pub(crate) solution: String,
    pub(crate) weight: f32,
}

/// A question with a better and a worse solution.
pub(crate) struct PairText {
    /// Folder and ids, for messages.
    pub(crate) name: String,
    pub(crate) question: String,
    pub(crate) chosen: String,
    pub(crate) rejected: String,
}

/// Everything to learn from and to validate on, as text.
pub(crate) struct TrainingText {
    pub(crate) rows: Vec<SolutionText>,
    pub(crate) pairs: Vec<PairText>,
    pub(crate) validation: Vec<SolutionText>,
}

impl TrainingText {
    /// Whether there is nothing to learn from.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.pairs.is_empty()
    }
}

impl PairText {
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

/// The contents of the messages, joined by newlines.
pub(crate) fn text(messages: &[Message]) -> String {
    messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n")
}

impl SolutionText {
    /// The row of a problem; an error with its id if it has no solution.
    pub(crate) fn of(problem: Prompt, dir: &Path) -> Result<Self, String> {
        let name = format!("{}: problem {}", dir.display(), problem.prompt_id);
        let solution = problem.solution.ok_or(problem.prompt_id)?;
        Ok(Self { name, question: problem.prompt, solution, weight: 1.0 })
    }
}

/// Rows from a share of labelled problems, chosen by hash of the id.
pub(crate) fn labelled(
    problems: &Dataset<Prompt>,
    share: f64,
) -> Result<Vec<SolutionText>, Failure> {
    let row = |row: Prompt| {
        SolutionText::of(row, problems.dir()).map_err(|id| {
            let place = problems.dir().display();
            Failure::data(format!("{place}: problem {id} has no solution to learn from or to judge by")).hint(
                "with answers alone, set `seed_share` and `train.validate_every` to 0 in the preset",
            )
        })
    };
    // By hash rather than by position: with a `skip_share` equal to this share, `critique label` gets exactly the seeds
    // left out here.
    let rows = problems.rows()?.into_iter();
    rows.filter(|row| dataset::place_of(&row.prompt_id) < share).map(row).collect()
}

/// Rows from right solutions of seeds that a policy wrote itself: at most `most` of a seed, all of them different.
///
/// # Errors
/// If none is right: there is nothing to learn from, and a preset that says so expects something.
pub(crate) fn own(labels: &[Dataset<Label>], most: usize) -> Result<Vec<SolutionText>, Failure> {
    let mut of_seed = BTreeMap::<String, BTreeMap<String, Label>>::new();
    for dataset in labels {
        for label in dataset.rows()? {
            if label.split == TRAIN && label.outcome > 0.5 {
                let solutions = of_seed.entry(label.prompt_id.clone()).or_default();
                solutions.entry(label.options.concat()).or_insert(label);
            }
        }
    }
    if of_seed.is_empty() {
        let folders: Vec<String> =
            labels.iter().map(|dataset| dataset.dir().display().to_string()).collect();
        let problem = format!("{}: no solution of a seed is right", folders.join(", "));
        return Err(Failure::data(problem).hint(
            "sample more of each seed (`samples` of label.toml), or leave `solutions_per_seed` out",
        ));
    }
    let row = |(solution, label): (String, Label)| SolutionText {
        name: format!("labels: solution {}", label.trajectory_id),
        question: label.prompt,
        solution,
        weight: 1.0,
    };
    let few = |solutions: BTreeMap<String, Label>| {
        // By hash, so that which are taken depends neither on their texts nor on the order in which they were drawn.
        let mut solutions: Vec<_> = solutions.into_iter().collect();
        solutions.sort_by(|a, b| a.1.trajectory_id.cmp(&b.1.trajectory_id));
        solutions.into_iter().take(most)
    };
    Ok(of_seed.into_values().flat_map(few).map(row).collect())
}

/// Rows from kept trajectories.
pub(crate) fn kept(examples: &Dataset<SftExample>) -> Result<Vec<SolutionText>, Failure> {
    let row = |row: SftExample| SolutionText {
        name: format!("{}: example {}", examples.dir().display(), row.example_id),
        question: text(&row.prompt),
        solution: text(&row.completion),
        weight: row.weight,
    };
    Ok(examples.rows()?.into_iter().map(row).collect())
}
