//! Turns the rows of evaluations into paired measurements.

use std::collections::BTreeSet;

use schema::Outcome;

use super::measured::{Cell, Model, TestSet, paired};
use super::{Comparison, Error, Lacking, Rival, Row, Split, conclusion};
use crate::decoder::Decoder;
use crate::rivals::{Priced, rival};
use crate::stats::wilson;

/// Compares models, each a label with the rows of its evaluation, with the model labelled `against`.
///
/// # Errors
/// No models, repeated or unknown labels, and measurements that cannot be paired.
pub fn compare(models: &[(String, Vec<Outcome>)], against: &str) -> Result<Comparison, Error> {
    check_labels(models, against)?;
    let models: Vec<Model<'_>> = models
        .iter()
        .map(|(label, rows)| Model::of(label.clone(), rows))
        .collect::<Result<_, _>>()?;
    let test_sets: BTreeSet<TestSet<'_>> =
        models.iter().flat_map(|model| model.test_sets.keys().copied()).collect();
    let splits = test_sets.into_iter().map(|test_set| split(&models, test_set, against));
    Ok(Comparison { against: against.to_owned(), splits: splits.collect::<Result<_, _>>()? })
}

fn check_labels(models: &[(String, Vec<Outcome>)], against: &str) -> Result<(), Error> {
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

fn split<'a>(
    models: &'a [Model<'a>],
    test_set: TestSet<'a>,
    against: &str,
) -> Result<Split, Error> {
    let control = models.iter().find(|model| model.label == against);
    let mut rows = Vec::new();
    for model in models {
        // The control is not paired with itself.
        let control = control.filter(|control| control.label != model.label);
        for decoder in model.decoders(test_set) {
            let Some(this) = model.cell(test_set, decoder) else { continue };
            let control = control.and_then(|control| control.cell(test_set, decoder));
            let greedy = model.cell(test_set, Decoder::Greedy.name());
            let greedy = greedy.filter(|greedy| greedy.decoder != decoder);
            let (against_rival, lacking) = at_equal_tokens(model, test_set, this)?;
            rows.push(Row {
                against_control: control.map(|other| paired(test_set, this, other)).transpose()?,
                against_greedy: greedy.map(|other| paired(test_set, this, other)).transpose()?,
                against_rival,
                lacking,
                ..alone(&model.label, this)
            });
        }
    }
    let (task, split) = (test_set.0.to_owned(), test_set.1.name().to_owned());
    let conclusion = conclusion::conclusion(&rows, against);
    Ok(Split { task, split, rows, conclusion })
}

/// Pairs a search with its rival at equal tokens, or returns the reason why it has none.
fn at_equal_tokens(
    model: &Model<'_>,
    test_set: TestSet<'_>,
    this: Cell<'_>,
) -> Result<(Option<Rival>, Option<Lacking>), Error> {
    let cells = model.decoders(test_set).filter_map(|decoder| model.cell(test_set, decoder));
    let cells: Vec<Cell<'_>> = cells.collect();
    let priced: Vec<Priced<'_>> = cells.iter().map(Cell::priced).collect();
    match rival(this.priced(), 1.0, &priced) {
        None => Ok((None, None)),
        Some(Err(lacking)) => Ok((None, Some(lacking))),
        Some(Ok((at, tokens))) => {
            let paired = paired(test_set, this, cells[at])?;
            let decoder = cells[at].decoder.to_owned();
            Ok((Some(Rival { decoder, tokens, paired }), None))
        }
    }
}

/// The results of a measurement on its own.
fn alone(model: &str, cell: Cell<'_>) -> Row {
    let (n, correct) = (cell.n(), cell.correct());
    Row {
        model: model.to_owned(),
        decoder: cell.decoder.to_owned(),
        n,
        correct,
        accuracy: wilson(correct, n).scaled(100.0),
        against_control: None,
        against_greedy: None,
        against_rival: None,
        lacking: None,
        tokens: cell.tokens(),
        nodes: cell.nodes(),
        cost: None,
    }
}
