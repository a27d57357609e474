//! The answers of models by test set, decoder and problem, and pairs of such measurements.

use std::collections::BTreeMap;

use schema::Outcome;

use super::{Error, Paired};
use crate::rank::Rank;
use crate::rivals::Priced;
use crate::stats::{Pairs, mean};

/// A test set: task and split.
pub(crate) type TestSet<'a> = (&'a str, Rank<'a>);

/// The answers of one decoder, by problem id.
type Answers<'a> = BTreeMap<&'a str, &'a Outcome>;

/// All measurements of one model.
pub(crate) struct Model<'a> {
    /// The name of the model in messages.
    pub(crate) label: String,
    /// Its answers, by test set and decoder.
    pub(crate) test_sets: BTreeMap<TestSet<'a>, BTreeMap<Rank<'a>, Answers<'a>>>,
}

/// One measurement: a model with a decoder on a test set.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    label: &'a str,
    /// The decoder.
    pub(crate) decoder: &'a str,
    answers: &'a Answers<'a>,
}

impl<'a> Model<'a> {
    /// Sorts the rows of an evaluation by test set, decoder and problem.
    ///
    /// # Errors
    /// No rows, or several answers of a decoder to one problem.
    pub(crate) fn of(label: String, rows: &'a [Outcome]) -> Result<Self, Error> {
        if rows.is_empty() {
            return Err(Error::NoRows { label });
        }
        let mut model = Self { label, test_sets: BTreeMap::new() };
        for row in rows {
            let test_set = (row.task.as_str(), Rank::split(&row.split));
            let decoders = model.test_sets.entry(test_set).or_default();
            let answers = decoders.entry(Rank::decoder(&row.decoder)).or_default();
            if answers.insert(&row.prompt_id, row).is_some() {
                return Err(Error::SeveralAnswers {
                    label: model.label,
                    place: format!("{} {}, {}", row.task, row.split, row.decoder),
                    prompt_id: row.prompt_id.clone(),
                });
            }
        }
        Ok(model)
    }

    /// The decoders measured on a test set, in display order.
    pub(crate) fn decoders(&self, test_set: TestSet<'a>) -> impl Iterator<Item = &'a str> {
        self.test_sets.get(&test_set).into_iter().flat_map(BTreeMap::keys).map(Rank::name)
    }

    /// The measurement with a decoder, if there is one.
    pub(crate) fn cell(&'a self, test_set: TestSet<'a>, decoder: &'a str) -> Option<Cell<'a>> {
        let answers = self.test_sets.get(&test_set)?.get(&Rank::decoder(decoder))?;
        Some(Cell { label: &self.label, decoder, answers })
    }
}

/// Pairs two measurements on the problems that both have.
///
/// # Errors
/// Different gold answers to one problem, or two sets of problems of which neither contains the other.
pub(crate) fn paired(
    test_set: TestSet<'_>,
    first: Cell<'_>,
    second: Cell<'_>,
) -> Result<Paired, Error> {
    let mut pairs = Pairs::default();
    for (id, one) in first.answers {
        let Some(other) = second.answers.get(id) else { continue };
        if one.target != other.target {
            return Err(Error::OtherTarget {
                prompt_id: (*id).to_owned(),
                first: (first.name(), one.target.clone()),
                second: (second.name(), other.target.clone()),
            });
        }
        pairs.add(one.correct, other.correct);
    }
    let sizes = [first.answers.len(), second.answers.len()];
    let common = pairs.n() as usize;
    // One set may contain the other: greedy answers every problem of a split, a search only the first ones.
    if sizes.iter().all(|size| common < *size) {
        return Err(Error::OtherProblems {
            place: format!("{} {}", test_set.0, test_set.1.name()),
            first: (first.name(), sizes[0]),
            second: (second.name(), sizes[1]),
            common,
        });
    }
    let partial = sizes.iter().any(|size| common < *size);
    Ok(Paired::of(pairs, partial))
}

impl<'a> Cell<'a> {
    /// The number of problems.
    pub(crate) fn n(&self) -> u64 {
        self.answers.len() as u64
    }

    /// The number of problems answered correctly.
    pub(crate) fn correct(&self) -> u64 {
        self.answers.values().filter(|row| row.correct).count() as u64
    }

    /// For each problem that both answered, how many more right answers this one has: 1, 0 or -1.
    pub(crate) fn differences(self, other: Self) -> impl Iterator<Item = (&'a str, i64)> {
        let both = self
            .answers
            .iter()
            .filter_map(move |(id, one)| Some((*id, one.correct, other.answers.get(id)?.correct)));
        both.map(|(id, one, other)| (id, i64::from(one) - i64::from(other)))
    }

    /// The mean of a count over the problems where it is recorded.
    fn average(&self, count: impl Fn(&Outcome) -> Option<i32>) -> Option<f64> {
        let counts = self.answers.values().filter_map(|row| count(row));
        mean(&counts.map(f64::from).collect::<Vec<_>>())
    }

    /// Generated tokens per problem, mean.
    pub(crate) fn tokens(&self) -> Option<f64> {
        self.average(|row| row.tokens)
    }

    /// The decoder with its tokens.
    pub(crate) fn priced(&self) -> Priced<'a> {
        Priced { decoder: self.decoder, tokens: self.tokens() }
    }

    /// Nodes of the search tree per problem, mean; `None` for decoders without a tree.
    pub(crate) fn nodes(&self) -> Option<f64> {
        self.average(|row| row.nodes)
    }

    fn name(&self) -> String {
        format!("`{}` ({})", self.label, self.decoder)
    }
}
