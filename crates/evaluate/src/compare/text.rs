//! A comparison as text: a table and its conclusions for every test set, then notes on how to read them.

use stage::render_table;

use super::{Comparison, Paired, Row, Split};
use crate::format::{none, one, p_value, range, signed_range};
use crate::stats::Interval;

/// The notes on how to read the numbers.
const NOTES: [&str; 8] = [
    "intervals are 95 %: Wilson's, and Newcombe's paired one for differences",
    "differences are in percentage points, over the problems that both answered (paired)",
    "p is McNemar's exact two-sided test; significant means p < 0.05",
    "p is not corrected for the number of comparisons: expect 1 in 20 by chance",
    "tokens and nodes are means per problem; tokens are those generated, by rollouts too",
    "a rival picks from independent samples as the search picks from what it found:",
    "orm-vote for a vote, best-of-n for the best by the ORM, best-leaf for a leaf of a tree;",
    "it is the cheapest that generates as many tokens",
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

/// The table of a test set and its conclusions.
fn block(split: &Split, against: &str) -> String {
    let columns = Columns::of(&split.rows);
    let header = columns.header(against);
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> = split.rows.iter().map(|row| columns.cells(row)).collect();
    let mut text = render_table(&format!("{}: {}", split.task, split.split), &header, &rows);
    if !split.conclusion.is_empty() {
        text += "\n- ";
        text += &split.conclusion.join("\n- ");
        text.push('\n');
    }
    text
}

/// The groups of columns to show: those that are not empty.
struct Columns {
    paired: PairedWith,
    rival: bool,
    cost: bool,
}

/// The side that the rows are compared with in columns. With a control, the comparison with greedy is left to the
/// conclusions.
enum PairedWith {
    Control,
    Greedy,
    Nobody,
}

impl Columns {
    fn of(rows: &[Row]) -> Self {
        let paired = if rows.iter().any(|row| row.against_control.is_some()) {
            PairedWith::Control
        } else if rows.iter().any(|row| row.against_greedy.is_some()) {
            PairedWith::Greedy
        } else {
            PairedWith::Nobody
        };
        Self {
            paired,
            rival: rows.iter().any(|row| row.against_rival.is_some()),
            cost: rows.iter().any(|row| row.cost.is_some()),
        }
    }

    fn header(&self, against: &str) -> Vec<String> {
        let mut header = vec!["model", "decoder", "n", "right %", "interval"];
        let control = format!("vs {against}");
        match self.paired {
            PairedWith::Control => header.extend([control.as_str(), "interval", "p", "paired"]),
            PairedWith::Greedy => header.extend(["vs greedy", "p"]),
            PairedWith::Nobody => {}
        }
        if self.rival {
            header.extend(["rival", "its tokens", "vs rival", "p"]);
        }
        header.extend(["tokens", "nodes"]);
        if self.cost {
            header.extend(["through models", "GFLOP", "judged", "ms"]);
        }
        header.into_iter().map(str::to_owned).collect()
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let mut cells = vec![
            row.model.clone(),
            row.decoder.clone(),
            row.n.to_string(),
            format!("{:.1}", row.accuracy.estimate),
            range(row.accuracy.low, row.accuracy.high),
        ];
        match self.paired {
            PairedWith::Control => cells.extend(interval_of(row.against_control.as_ref())),
            PairedWith::Greedy => cells.extend(points_of(row.against_greedy.as_ref())),
            PairedWith::Nobody => {}
        }
        if self.rival {
            let rival = row.against_rival.as_ref();
            cells.push(rival.map_or_else(none, |rival| rival.decoder.clone()));
            cells.push(one(rival.map(|rival| rival.tokens)));
            cells.extend(points_of(rival.map(|rival| &rival.paired)));
        }
        cells.extend([one(row.tokens), one(row.nodes)]);
        if self.cost {
            let cost = row.cost.as_ref();
            cells.push(one(cost.map(|cost| cost.through_models)));
            // 0 means a server, whose operations are unknown.
            let known = cost.filter(|cost| cost.gflop > 0.0);
            cells.push(known.map_or_else(none, |cost| format!("{:.2}", cost.gflop)));
            cells.push(one(cost.map(|cost| cost.judged)));
            cells.push(one(cost.map(|cost| cost.milliseconds)));
        }
        cells
    }
}

fn interval_of(paired: Option<&Paired>) -> [String; 4] {
    let Some(paired) = paired else { return [(); 4].map(|()| none()) };
    let Interval { estimate, low, high } = paired.points;
    [format!("{estimate:+.1}"), signed_range(low, high), p_value(paired.p), paired.n.to_string()]
}

fn points_of(paired: Option<&Paired>) -> [String; 2] {
    let Some(paired) = paired else { return [(); 2].map(|()| none()) };
    [format!("{:+.1}", paired.points.estimate), p_value(paired.p)]
}
