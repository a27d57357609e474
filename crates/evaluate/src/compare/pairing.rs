//! From rows to paired measurements.

use std::collections::{BTreeMap, BTreeSet};

use schema::Evaluation;

use super::{Comparison, Error, Paired, Rank, Rival, Row, Split, words};
use crate::decoder::{BEST_OF_N, GREEDY, STEPWISE};
use crate::stats::{Pairs, mean, wilson};

/// A test set: the task and the split.
type Place<'a> = (&'a str, Rank<'a>);

/// What one decoder answered, by problem.
type Answers<'a> = BTreeMap<&'a str, &'a Evaluation>;

/// All that is known of one model.
struct Model<'a> {
    label: &'a str,
    places: BTreeMap<Place<'a>, BTreeMap<Rank<'a>, Answers<'a>>>,
}

/// One measurement: a model with a decoder on a test set.
#[derive(Clone, Copy)]
struct Cell<'a> {
    label: &'a str,
    decoder: &'a str,
    answers: &'a Answers<'a>,
}

/// Compares models, each a label with the rows of its evaluation, with the one labelled `against`.
pub fn compare(models: &[(String, Vec<Evaluation>)], against: &str) -> Result<Comparison, Error> {
    check_labels(models, against)?;
    let models: Vec<Model<'_>> =
        models.iter().map(|(label, rows)| Model::of(label, rows)).collect::<Result<_, _>>()?;
    let places: BTreeSet<Place<'_>> =
        models.iter().flat_map(|model| model.places.keys().copied()).collect();
    let splits = places.into_iter().map(|place| split(&models, place, against));
    Ok(Comparison { against: against.to_owned(), splits: splits.collect::<Result<_, _>>()? })
}

fn check_labels(models: &[(String, Vec<Evaluation>)], against: &str) -> Result<(), Error> {
    if models.is_empty() {
        return Err(Error::NoModels);
    }
    let known: Vec<String> = models.iter().map(|(label, _)| label.clone()).collect();
    let mut seen = BTreeSet::new();
    if let Some(label) = known.iter().find(|label| !seen.insert(label.as_str())) {
        return Err(Error::SameLabel { label: label.clone() });
    }
    if !known.iter().any(|label| label == against) {
        return Err(Error::UnknownAgainst { label: against.to_owned(), known });
    }
    Ok(())
}

impl<'a> Model<'a> {
    fn of(label: &'a str, rows: &'a [Evaluation]) -> Result<Self, Error> {
        if rows.is_empty() {
            return Err(Error::NoRows { label: label.to_owned() });
        }
        let mut model = Self { label, places: BTreeMap::new() };
        for row in rows {
            let place = (row.task.as_str(), Rank::split(&row.split));
            let decoders = model.places.entry(place).or_default();
            let answers = decoders.entry(Rank::decoder(&row.decoder)).or_default();
            if answers.insert(&row.prompt_id, row).is_some() {
                return Err(Error::SeveralAnswers {
                    label: label.to_owned(),
                    place: format!("{} {}, {}", row.task, row.split, row.decoder),
                    prompt_id: row.prompt_id.clone(),
                });
            }
        }
        Ok(model)
    }

    fn decoders(&self, place: Place<'a>) -> impl Iterator<Item = &'a str> {
        self.places.get(&place).into_iter().flat_map(BTreeMap::keys).map(Rank::name)
    }

    fn cell(&'a self, place: Place<'a>, decoder: &'a str) -> Option<Cell<'a>> {
        let answers = self.places.get(&place)?.get(&Rank::decoder(decoder))?;
        Some(Cell { label: self.label, decoder, answers })
    }
}

fn split<'a>(models: &'a [Model<'a>], place: Place<'a>, against: &'a str) -> Result<Split, Error> {
    let control = models.iter().find(|model| model.label == against);
    let mut rows = Vec::new();
    for model in models {
        let control = control.filter(|control| control.label != model.label);
        for decoder in model.decoders(place) {
            let Some(this) = model.cell(place, decoder) else { continue };
            let control = control.and_then(|control| control.cell(place, decoder));
            let greedy = if decoder == GREEDY { None } else { model.cell(place, GREEDY) };
            rows.push(Row {
                against_control: control.map(|other| paired(place, this, other)).transpose()?,
                against_greedy: greedy.map(|other| paired(place, this, other)).transpose()?,
                against_best_of_n: rival(model, place, this)?,
                ..alone(this)
            });
        }
    }
    let (task, split) = (place.0.to_owned(), place.1.name().to_owned());
    let conclusion = words::conclusion(&rows, against);
    Ok(Split { task, split, rows, conclusion })
}

/// A search against the best-of-n of its model that generates as many tokens.
fn rival(model: &Model<'_>, place: Place<'_>, search: Cell<'_>) -> Result<Option<Rival>, Error> {
    let Some(tokens) = search.tokens() else { return Ok(None) };
    if !STEPWISE.iter().any(|name| search.decoder.starts_with(name)) {
        return Ok(None);
    }
    let samples = model.decoders(place).filter(|decoder| decoder.starts_with(BEST_OF_N));
    let priced = samples
        .filter_map(|decoder| model.cell(place, decoder))
        .filter_map(|cell| Some((cell, cell.tokens()?)))
        .filter(|(_, price)| *price >= tokens);
    let Some((cell, tokens)) = priced.min_by(|a, b| a.1.total_cmp(&b.1)) else { return Ok(None) };
    let paired = paired(place, search, cell)?;
    Ok(Some(Rival { decoder: cell.decoder.to_owned(), tokens, paired }))
}

/// What a measurement says without another.
fn alone(cell: Cell<'_>) -> Row {
    let answers = || cell.answers.values();
    let (n, correct) =
        (answers().count() as u64, answers().filter(|row| row.correct).count() as u64);
    Row {
        model: cell.label.to_owned(),
        decoder: cell.decoder.to_owned(),
        n,
        correct,
        accuracy: wilson(correct, n).scaled(100.0),
        against_control: None,
        against_greedy: None,
        against_best_of_n: None,
        tokens: cell.tokens(),
        nodes: cell.average(|row| row.nodes),
        cost: None,
    }
}

/// Two measurements on the problems that both have.
fn paired(place: Place<'_>, first: Cell<'_>, second: Cell<'_>) -> Result<Paired, Error> {
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
    if sizes.iter().all(|size| common < *size) {
        return Err(Error::OtherProblems {
            place: format!("{} {}", place.0, place.1.name()),
            first: (first.name(), sizes[0]),
            second: (second.name(), sizes[1]),
            common,
        });
    }
    let partial = sizes.iter().any(|size| common < *size);
    let (n, points, p) = (pairs.n(), pairs.difference(), pairs.p());
    Ok(Paired { n, partial, pairs, points, p })
}

impl Cell<'_> {
    /// The mean of a count where it is recorded.
    fn average(&self, count: impl Fn(&Evaluation) -> Option<i32>) -> Option<f64> {
        let counts = self.answers.values().filter_map(|row| count(row));
        mean(&counts.map(f64::from).collect::<Vec<_>>())
    }

    /// Mean generated tokens of a problem.
    fn tokens(&self) -> Option<f64> {
        self.average(|row| row.tokens)
    }

    fn name(&self) -> String {
        format!("`{}` ({})", self.label, self.decoder)
    }
}
