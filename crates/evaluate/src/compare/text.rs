//! A comparison as text: a table and its conclusion for every test set, then how to read them.

use stage::render_table;

use super::words::p_value;
use super::{Comparison, Paired, Row, Split};
use crate::stats::Interval;

/// How the numbers were computed.
const NOTES: [&str; 5] = [
    "intervals are 95 %: Wilson's, and Newcombe's paired one for differences",
    "differences are in percentage points, over the problems that both answered (paired)",
    "p is McNemar's exact two-sided test; significant means p < 0.05",
    "p is not corrected for the number of comparisons: expect 1 in 20 by chance",
    "tokens and nodes are means per problem",
];

/// The whole comparison as text.
pub fn render(comparison: &Comparison) -> String {
    let page = Page::of(comparison);
    render_table(&page.text, &Page::HEADER, &page.notes)
}

/// The text cut before its last table, which the printer of tables takes apart.
pub(super) struct Page {
    /// Everything before the notes.
    pub(super) text: String,
    /// The notes, a row each.
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

/// The table and the sentences.
fn block(split: &Split, against: &str) -> String {
    let against = format!("vs {against}");
    let header = [
        "model", "decoder", "n", "right %", "interval", &against, "interval", "p", "paired",
        "tokens", "nodes",
    ];
    let rows: Vec<Vec<String>> = split.rows.iter().map(cells).collect();
    let mut text = render_table(&format!("{}: {}", split.task, split.split), &header, &rows);
    if !split.conclusion.is_empty() {
        text += "\n- ";
        text += &split.conclusion.join("\n- ");
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let average = |value: Option<f64>| value.map_or_else(none, |value| format!("{value:.1}"));
    let mut cells = vec![
        row.model.clone(),
        row.decoder.clone(),
        row.n.to_string(),
        format!("{:.1}", row.accuracy.estimate),
        format!("{:.1} to {:.1}", row.accuracy.low, row.accuracy.high),
    ];
    cells.extend(row.against_control.as_ref().map_or_else(|| [(); 4].map(|()| none()), difference));
    cells.extend([average(row.tokens), average(row.nodes)]);
    cells
}

fn difference(paired: &Paired) -> [String; 4] {
    let Interval { estimate, low, high } = paired.points;
    [
        format!("{estimate:+.1}"),
        format!("{low:+.1} to {high:+.1}"),
        p_value(paired.p),
        paired.n.to_string(),
    ]
}

fn none() -> String {
    "-".to_owned()
}
