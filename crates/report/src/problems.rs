//! The greedy answers of several models to the same problems.

use std::collections::BTreeMap;
use std::path::Path;

use dataset::{Dataset, Manifest};
use schema::{Evaluation, Prompt, Question};
use serde::Serialize;
use stage::Failure;

use crate::outputs::Outputs;

/// A model and the folder of its evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) model: &'a str,
    pub(crate) dir: &'a Path,
}

/// A problem and what the models answered.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    id: String,
    split: String,
    question: String,
    target: String,
    /// In the order of the models.
    outcomes: serde_json::Map<String, serde_json::Value>,
}

/// The answer of a model.
#[derive(Debug, Serialize)]
struct Outcome {
    answer: Option<String>,
    correct: bool,
    text: Option<String>,
    decoder: &'static str,
}

const GREEDY: &str = "greedy";

/// Reads the answers to at most `most` problems, as many of each split as there are in proportion, evenly chosen among those that
/// the first model answered, and how many those were. Ids are hashes, so the choice is as good as a random one.
pub(crate) fn read(
    answered: &[Answered<'_>],
    outputs: &Outputs,
    most: usize,
) -> Result<(Vec<Problem>, usize), Failure> {
    let (mut problems, mut total) = (Vec::<Problem>::new(), 0);
    let mut places = BTreeMap::<(String, String), usize>::new();
    for (at, Answered { model, dir }) in answered.iter().enumerate() {
        let greedy = Dataset::<Evaluation>::open(dir)?.rows()?.into_iter();
        let mut greedy: Vec<Evaluation> = greedy.filter(|row| row.decoder == GREEDY).collect();
        if at == 0 {
            greedy.sort_by(|a, b| (&a.split, &a.prompt_id).cmp(&(&b.split, &b.prompt_id)));
            total = greedy.len();
            for row in evenly(total, most).map(|place| &greedy[place]) {
                places.insert((row.split.clone(), row.prompt_id.clone()), problems.len());
                problems.push(Problem {
                    id: row.prompt_id.clone(),
                    split: row.split.clone(),
                    question: String::new(),
                    target: row.target.clone(),
                    outcomes: serde_json::Map::new(),
                });
            }
        }
        for row in greedy {
            let place = places.get(&(row.split, row.prompt_id));
            let Some(problem) = place.map(|&place| &mut problems[place]) else { continue };
            let (answer, correct, text) = (row.prediction, row.correct, row.completion);
            let outcome = Outcome { answer, correct, text, decoder: GREEDY };
            let outcome = serde_json::to_value(outcome).map_err(Failure::bug)?;
            problem.outcomes.insert((*model).to_owned(), outcome);
        }
    }
    let texts = answered.first().map(|first| questions(first.dir, outputs)).transpose()?;
    for problem in &mut problems {
        let text = texts.as_ref().and_then(|texts| texts.get(&problem.id));
        problem.question = text.cloned().unwrap_or_else(|| format!("Problem {}", problem.id));
    }
    Ok((problems, total))
}

/// The texts of the problems of an evaluation, by their ids, from the datasets that it names as its inputs.
fn questions(dir: &Path, outputs: &Outputs) -> Result<BTreeMap<String, String>, Failure> {
    let Some(manifest) = Manifest::find(dir)? else { return Ok(BTreeMap::new()) };
    let mut texts = BTreeMap::new();
    for problems in outputs.inputs(&manifest, "problems-") {
        let all: Vec<Question> = Dataset::<Prompt>::open(&problems)?.view()?;
        texts.extend(all.into_iter().map(|one| (one.prompt_id, one.prompt)));
    }
    Ok(texts)
}

/// At most `most` places among `all`, evenly spread.
pub(crate) fn evenly(all: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = all.min(most);
    (0..count).map(move |i| i * all / count)
}

#[cfg(test)]
mod tests {
    use super::evenly;

    #[test]
    fn places_are_spread_over_all() {
        assert_eq!(evenly(10, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(evenly(3, 9).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(evenly(0, 9).count() + evenly(9, 0).count(), 0);
    }
}
