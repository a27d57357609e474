//! What a test set's rows say, in sentences: first models against the control, then search against greedy.

use std::collections::BTreeSet;

use super::{GREEDY, Paired, Rank, Row, SEARCH, SIGNIFICANT};

/// The sentences about one test set, without a final full stop.
pub(super) fn conclusion(rows: &[Row], against: &str) -> Vec<String> {
    let decoders: BTreeSet<Rank<'_>> = rows.iter().map(|row| Rank::decoder(&row.decoder)).collect();
    let mut sentences = Vec::new();
    for decoder in decoders {
        let others =
            rows.iter().filter(|row| row.decoder == decoder.name() && row.model != against);
        sentences.extend(others.map(|row| against_control(row, against)));
    }
    sentences.extend(rows.iter().filter(|row| row.decoder != GREEDY).map(against_greedy));
    sentences.extend(verdict(rows));
    sentences
}

fn against_control(row: &Row, against: &str) -> String {
    let Row { model, decoder, .. } = row;
    let Some(paired) = &row.against_control else {
        return format!("{decoder}: {model} is not compared, {against} was not measured with it");
    };
    let (points, details) = (paired.points.estimate, details(paired));
    if !paired.is_significant() {
        let signed = points_of(points, true);
        return format!(
            "{decoder}: no significant difference between {model} and {against} ({signed}, {details})"
        );
    }
    let (size, verb) = (points_of(points.abs(), false), won(points, "gains", "loses"));
    format!("{decoder}: {model} {verb} {size} {} {against} ({details})", won(points, "over", "to"))
}

fn against_greedy(row: &Row) -> String {
    let Row { model, decoder, .. } = row;
    let Some(paired) = &row.against_greedy else {
        return format!("{model}: {decoder} is not compared, greedy was not measured");
    };
    let (points, details) = (paired.points.estimate, details(paired));
    if !paired.is_significant() {
        let signed = points_of(points, true);
        return format!(
            "{model}: {decoder} does not beat greedy, no significant difference ({signed}, {details})"
        );
    }
    let verb = won(points, "beats", "is worse than");
    format!("{model}: {decoder} {verb} greedy by {} ({details})", points_of(points.abs(), false))
}

/// The last word on search, where there is any.
fn verdict(rows: &[Row]) -> Option<String> {
    let searches: Vec<(&Row, &Paired)> = rows
        .iter()
        .filter(|row| row.decoder.starts_with(SEARCH))
        .filter_map(|row| Some((row, row.against_greedy.as_ref()?)))
        .collect();
    let (first, ..) = searches.first()?;
    let several = searches.iter().any(|(row, _)| row.model != first.model);
    let wins: Vec<String> = searches
        .iter()
        .filter(|(_, paired)| paired.is_significant() && paired.points.estimate > 0.0)
        .map(|(row, _)| format!("{} ({})", row.model, row.decoder))
        .collect();
    Some(match (wins.is_empty(), several) {
        (true, false) => "in short: search does not beat greedy".to_owned(),
        (true, true) => "in short: search does not beat greedy for any model".to_owned(),
        (false, _) => format!(
            "in short: search beats greedy in {} of {} comparisons: {}",
            wins.len(),
            searches.len(),
            wins.join(", ")
        ),
    })
}

/// The interval, the p-value, and the number of problems where it is not that of both sides.
fn details(paired: &Paired) -> String {
    let interval = format!("{:+.1} to {:+.1}", paired.points.low, paired.points.high);
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

/// A p-value with as many digits as it takes to see on which side of [`SIGNIFICANT`] it is.
pub(super) fn p_value(p: f64) -> String {
    let rounded = format!("{p:.3}");
    match p {
        _ if p < 1e-9 => "<1e-9".to_owned(),
        _ if p < 1e-3 => format!("{p:.0e}"),
        _ if rounded == format!("{SIGNIFICANT:.3}") => format!("{p:.4}"),
        _ => rounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p_value_is_short_and_says_whether_it_is_significant() {
        let cases = [
            (1.0, "1.000"),
            (0.453_1, "0.453"),
            (0.050_4, "0.0504"),
            (0.049_6, "0.0496"),
            (0.003, "0.003"),
            (0.000_31, "3e-4"),
            (0.0, "<1e-9"),
        ];
        for (p, text) in cases {
            assert_eq!(p_value(p), text);
        }
    }
}
