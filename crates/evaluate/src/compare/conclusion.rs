//! Conclusions about a test set, as sentences: models against the control, searches against greedy and against their
//! rivals.
//!
//! Greedy against the control and missing rivals are always stated. Other comparisons are stated if significant, and
//! otherwise only counted.

use super::{Paired, Row};
use crate::decoder::Decoder;
use crate::format::{p_value, signed_range};
use crate::rank::Rank;
use crate::rivals::{self, WithoutRival};

/// The sentences about one test set, without the final full stop.
pub(super) fn conclusion(rows: &[Row], against: &str) -> Vec<String> {
    let mut controlled: Vec<&Row> = rows.iter().filter(|row| row.model != against).collect();
    controlled.sort_by_key(|row| Rank::decoder(&row.decoder));
    let statements = controlled.into_iter().map(|row| against_control(row, against));
    let statements =
        statements.chain(rows.iter().map(against_greedy)).chain(rows.iter().map(against_rival));
    let (mut sentences, mut insignificant) = (Vec::new(), 0);
    for statement in statements {
        match statement {
            Statement::Sentence(sentence) => sentences.push(sentence),
            Statement::Insignificant => insignificant += 1,
            Statement::Nothing => {}
        }
    }
    if insignificant > 0 {
        let noun = if insignificant == 1 { "comparison" } else { "comparisons" };
        sentences.push(format!("no significant difference in {insignificant} other {noun}"));
    }
    let alone = |row| {
        let Row { model, decoder, lacking, .. }: &Row = row;
        WithoutRival { model, decoder, lacking: *lacking }
    };
    let alone: Vec<WithoutRival<'_>> = rows.iter().map(alone).collect();
    let lacking = rivals::lacking(&alone);
    sentences.extend(lacking.map(|who| format!("no rival at equal tokens: {who}")));
    sentences.extend(verdict(rows, Decoder::Greedy.name(), |row| row.against_greedy.as_ref()));
    sentences.extend(verdict(rows, "its rival at equal tokens", |row| {
        row.against_rival.as_ref().map(|rival| &rival.paired)
    }));
    sentences
}

/// The outcome of a comparison.
enum Statement {
    Sentence(String),
    Insignificant,
    Nothing,
}

fn against_control(row: &Row, against: &str) -> Statement {
    let Row { model, decoder, .. } = row;
    let greedy = Decoder::Greedy.is(decoder);
    let Some(paired) = &row.against_control else {
        let lacking =
            format!("{decoder}: {model} is not compared, {against} was not measured with it");
        return if greedy { Statement::Sentence(lacking) } else { Statement::Nothing };
    };
    let (points, details) = (paired.points.estimate, details(paired));
    if !paired.is_significant() {
        let signed = points_of(points, true);
        let none = format!("{decoder}: no significant difference between {model} and {against}");
        let sentence = format!("{none} ({signed}, {details})");
        return if greedy { Statement::Sentence(sentence) } else { Statement::Insignificant };
    }
    let (size, verb) = (points_of(points.abs(), false), won(points, "gains", "loses"));
    let to = won(points, "over", "to");
    Statement::Sentence(format!("{decoder}: {model} {verb} {size} {to} {against} ({details})"))
}

fn against_greedy(row: &Row) -> Statement {
    match &row.against_greedy {
        Some(paired) => against_decoder(row, Decoder::Greedy.name(), paired),
        None => Statement::Nothing,
    }
}

fn against_rival(row: &Row) -> Statement {
    match &row.against_rival {
        Some(rival) => {
            let name = format!("{} ({:.0} tokens)", rival.decoder, rival.tokens);
            against_decoder(row, &name, &rival.paired)
        }
        None => Statement::Nothing,
    }
}

fn against_decoder(row: &Row, other: &str, paired: &Paired) -> Statement {
    if !paired.is_significant() {
        return Statement::Insignificant;
    }
    let (points, details) = (paired.points.estimate, details(paired));
    let (verb, size) = (won(points, "beats", "is worse than"), points_of(points.abs(), false));
    Statement::Sentence(format!(
        "{}: {} {verb} {other} by {size} ({details})",
        row.model, row.decoder
    ))
}

/// The summary of all searches against `other`; `None` if there are no searches.
fn verdict<'a>(
    rows: &'a [Row],
    other: &str,
    pair: impl Fn(&'a Row) -> Option<&'a Paired>,
) -> Option<String> {
    let searches: Vec<(&Row, &Paired)> = rows
        .iter()
        .filter(|row| matches!(Decoder::of(&row.decoder), Some(Decoder::Tree(_))))
        .filter_map(|row| Some((row, pair(row)?)))
        .collect();
    if searches.is_empty() {
        return None;
    }
    let significant = |sign: f64| -> Vec<String> {
        searches
            .iter()
            .filter(|(_, paired)| paired.is_significant() && paired.points.estimate * sign > 0.0)
            .map(|(row, _)| format!("{} ({})", row.model, row.decoder))
            .collect()
    };
    let (wins, losses) = (significant(1.0), significant(-1.0));
    let part = |verb: &str, names: &[String]| {
        format!("{verb} {other} in {} of {}: {}", names.len(), searches.len(), names.join(", "))
    };
    Some(match (wins.is_empty(), losses.is_empty()) {
        (true, true) => format!("in short: search does not beat {other}, nor lose to it"),
        (true, false) => format!("in short: search {}", part("loses to", &losses)),
        (false, true) => format!("in short: search {}", part("beats", &wins)),
        (false, false) => {
            format!("in short: search {}; {}", part("beats", &wins), part("loses to", &losses))
        }
    })
}

/// The interval and the p-value; also the number of problems, if one side answered more than those.
fn details(paired: &Paired) -> String {
    let interval = signed_range(paired.points.low, paired.points.high);
    let only = if paired.partial {
        format!(", on the {} common problems", paired.n)
    } else {
        String::new()
    };
    let value = p_value(paired.p);
    let equals = if value.starts_with('<') { "" } else { "= " };
    format!("{interval}, p {equals}{value}{only}")
}

fn points_of(points: f64, signed: bool) -> String {
    if signed { format!("{points:+.1} points") } else { format!("{points:.1} points") }
}

fn won<'a>(points: f64, yes: &'a str, no: &'a str) -> &'a str {
    if points > 0.0 { yes } else { no }
}
