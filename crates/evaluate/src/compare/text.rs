//! A comparison as text: a table and its conclusions for every test set, then notes on how to read them.

use stage::render_table;

use super::{Comparison, Paired, Row, Split};
use crate::format::{none, one, p_value, signed_range};
use crate::stats::Interval;

/// The notes on how to read the numbers.
const NOTES: [&str; 9] = [
    "right % has its 95 % interval by Wilson, differences have Newcombe's paired one",
    "differences are in percentage points, over the problems that both answered",
    "p is McNemar's exact two-sided test; significant means p < 0.05",
    "p is not corrected for the number of comparisons: expect 1 in 20 by chance",
    "tokens are means per problem, of those generated, by rollouts too",
    "a rival picks from independent samples as the search picks from what it found:",
    "orm-vote for a vote, best-of-n for the best by the ORM, best-leaf for a leaf of",
    "a tree; it is the cheapest that generates as many tokens",
    "--out and the report have more digits, and the number of nodes",
];

/// Renders the whole comparison as text.
pub fn render(comparison: &Comparison) -> String {
    let page = Page::of(comparison);
    render_table(&page.text, &Page::HEADER, &page.notes)
}

/// The text without its last table, which `print_table` takes as header and rows.
pub(super) struct Page {
    /// Everything before the notes.
    pub(super) text: String,
    /// The notes, one per row.
    pub(super) notes: Vec<Vec<String>>,
}

impl Page {
    /// The header of the notes.
    pub(super) const HEADER: [&str; 1] = ["how to read this"];

    pub(super) fn of(comparison: &Comparison) -> Self {
        let splits = comparison.splits.iter().map(|split| block(split, &comparison.against));
        let notes = NOTES.iter().map(|note| vec![(*note).to_owned()]).collect();
        Self { text: splits.collect::<Vec<_>>().join("\n"), notes }
    }
}

/// The tables of a test set and its conclusions.
fn block(split: &Split, against: &str) -> String {
    let title = format!("{}: {}", split.task, split.split);
    let mut text = accuracies(&title, &split.rows, against);
    text.extend(rivals(&split.rows).into_iter().chain(costs(&split.rows)));
    if !split.conclusion.is_empty() {
        text += "\n- ";
        text += &split.conclusion.join("\n- ");
        text.push('\n');
    }
    text
}

/// The table of accuracies. With a control, the comparison with greedy is left to the conclusions.
fn accuracies(title: &str, rows: &[Row], against: &str) -> String {
    let any = |paired: fn(&Row) -> Option<&Paired>| rows.iter().any(|row| paired(row).is_some());
    let control: fn(&Row) -> Option<&Paired> = |row| row.against_control.as_ref();
    let greedy: fn(&Row) -> Option<&Paired> = |row| row.against_greedy.as_ref();
    let shown = if any(control) {
        Some((format!("vs {against}"), control))
    } else {
        any(greedy).then(|| ("vs greedy".to_owned(), greedy))
    };
    let mut header = vec!["model", "decoder", "n", "right %"];
    header.extend(shown.iter().flat_map(|(name, _)| [name.as_str(), "p"]));
    header.push("tokens");
    let cells = |row: &Row| {
        let mut cells = vec![row.n.to_string(), share(row.accuracy)];
        cells.extend(shown.iter().flat_map(|(_, paired)| points(paired(row))));
        cells.push(one(row.tokens));
        named(row, cells)
    };
    render_table(title, &header, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// Each search beside its rival at equal tokens, if any has one.
fn rivals(rows: &[Row]) -> Option<String> {
    let header = ["model", "decoder", "rival", "its tokens", "vs rival", "p"];
    let cells = |row: &Row| {
        let rival = row.against_rival.as_ref()?;
        let [points, p] = points(Some(&rival.paired));
        Some(named(row, vec![rival.decoder.clone(), one(Some(rival.tokens)), points, p]))
    };
    table("at equal tokens", &header, rows, cells)
}

/// The costs per problem, if they were measured.
fn costs(rows: &[Row]) -> Option<String> {
    let header = ["model", "decoder", "tokens", "nodes", "through models", "GFLOP", "judged", "ms"];
    let cells = |row: &Row| {
        let cost = row.cost.as_ref()?;
        // 0 means a server, whose operations are unknown.
        let gflop = if cost.gflop > 0.0 { format!("{:.2}", cost.gflop) } else { none() };
        let [judged, milliseconds] = [cost.judged, cost.milliseconds].map(|it| one(Some(it)));
        let through = one(Some(cost.through_models));
        Some(named(
            row,
            vec![one(row.tokens), one(row.nodes), through, gflop, judged, milliseconds],
        ))
    };
    table("cost per problem", &header, rows, cells)
}

/// A table of those rows that have cells, if any has.
fn table(
    title: &str,
    header: &[&str],
    rows: &[Row],
    cells: impl Fn(&Row) -> Option<Vec<String>>,
) -> Option<String> {
    let rows: Vec<Vec<String>> = rows.iter().filter_map(cells).collect();
    (!rows.is_empty()).then(|| format!("\n{}", render_table(title, header, &rows)))
}

/// The cells of a row after those that say whose they are.
fn named(row: &Row, cells: Vec<String>) -> Vec<String> {
    [vec![row.model.clone(), row.decoder.clone()], cells].concat()
}

/// An accuracy with its interval in whole percent, `80.0 (71-87)`.
fn share(accuracy: Interval) -> String {
    format!("{:>5.1} ({:.0}-{:.0})", accuracy.estimate, accuracy.low, accuracy.high)
}

/// A difference with its interval, `+8.0 (+1.1 to +15.1)`, and its p-value.
fn points(paired: Option<&Paired>) -> [String; 2] {
    let Some(paired) = paired else { return [(); 2].map(|()| none()) };
    let Interval { estimate, low, high } = paired.points;
    [format!("{:>5} ({})", format!("{estimate:+.1}"), signed_range(low, high)), p_value(paired.p)]
}
