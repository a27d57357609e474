//! A stage's summary on standard output: aligned text for people, JSON for programs.
//!
//! A closed pipe (`| head`) is not a failure: the reader has what it wanted, and the data is on disk.
//! Any other failed write is one, since a script would go on with half a summary.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::error::{Failure, ResultExt};
use crate::{plain, terminal};

/// Prints a table as text. See [`render_table`].
pub fn print_table(title: &str, header: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    emit(&plain::lines(&render_table(title, header, rows)))
}

/// Prints a value as indented JSON. A number that is not finite becomes `null`.
pub fn print_json(value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).or_bug("cannot write the summary as JSON")?;
    emit(&(plain::json(&text).into_owned() + "\n"))
}

/// Prints a text that is for people; on standard error where the output is `json`, for programs.
pub(crate) fn print_text(text: &str, json: bool) -> Result<(), Failure> {
    let text = plain::lines(text);
    if json {
        // A failed write is ignored: standard error may be closed, and the JSON on standard output is what counts.
        drop(terminal::bars().suspend(|| io::stderr().write_all(text.as_bytes())));
        return Ok(());
    }
    emit(&text)
}

/// The width that a table should fit into, in characters: that of a terminal which nobody has made wider.
const WIDTH: usize = 80;

/// The title, a header, a rule and the rows. Columns are as wide as their widest cell, two spaces
/// apart; a column of numbers is aligned to the right. A short row ends in empty cells, and cells
/// past the header are shown too. An empty title takes no line. Control characters in a cell are escaped.
///
/// A table wider than 80 columns is turned on its side, header first, if that makes it fit.
pub fn render_table(title: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    let safe = |cell: &String| plain::one_line(cell).into_owned();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(safe).collect()).collect();
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let is_narrow = |text: &String| text.lines().all(|line| line.chars().count() <= WIDTH);
    let upright = render(title, &header, &rows);
    if is_narrow(&upright) || rows.is_empty() {
        return upright;
    }
    let turned = turned(&header, &rows);
    let on_its_side = turned.split_first().map(|(header, rows)| render(title, header, rows));
    on_its_side.filter(is_narrow).unwrap_or(upright)
}

fn render(title: &str, header: &[String], rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).chain([header.len()]).max().unwrap_or(0);
    let columns: Vec<Column> = (0..count).map(|i| Column::of(i, header, rows)).collect();
    let rule: Vec<String> = columns.iter().map(|column| "-".repeat(column.width)).collect();
    let mut text = if title.is_empty() { String::new() } else { format!("{title}\n") };
    for row in [header, &rule].into_iter().chain(rows.iter().map(Vec::as_slice)) {
        let cells = columns.iter().enumerate();
        let cells: Vec<String> =
            cells.map(|(i, column)| column.pad(row.get(i).map_or("", String::as_str))).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// A line for each column: its name, and its cell in each row.
fn turned(header: &[String], rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let lines = [header].into_iter().chain(rows.iter().map(Vec::as_slice));
    let cell = |line: &[String], column: usize| line.get(column).cloned().unwrap_or_default();
    (0..header.len()).map(|column| lines.clone().map(|line| cell(line, column)).collect()).collect()
}

struct Column {
    width: usize,
    numeric: bool,
}

impl Column {
    fn of(index: usize, header: &[String], rows: &[Vec<String>]) -> Self {
        let cells = || rows.iter().filter_map(|row| row.get(index));
        let width = cells().chain(header.get(index)).map(|cell| cell.chars().count()).max();
        // Empty cells and dashes do not turn a column of numbers into one of words.
        let filled = || cells().filter(|cell| !matches!(cell.as_str(), "" | "-"));
        let numeric = filled().next().is_some() && filled().all(|cell| is_number(cell));
        Self { width: width.unwrap_or(0), numeric }
    }

    fn pad(&self, cell: &str) -> String {
        let width = self.width;
        if self.numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    }
}

/// Whether a cell is a number, such as `12`, `0.5`, `61.2 %` or `0.61 ± 0.02`.
fn is_number(cell: &str) -> bool {
    cell.split('±').all(|part| part.trim_end_matches('%').trim().parse::<f64>().is_ok())
}

fn emit(text: &str) -> Result<(), Failure> {
    let written = terminal::bars().suspend(|| {
        let mut out = io::stdout().lock();
        // Flushed here: an error of the flush at exit would be lost, and the summary with it.
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.or_io("cannot write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn numbers_go_right_and_words_left() {
        let rows = rows(&[&["greedy", "61.2 %", "9"], &["η-MCTS", "7.5 %", "-"]]);
        let expected = "\
Accuracy
decoding  correct  nodes
--------  -------  -----
greedy     61.2 %      9
η-MCTS      7.5 %      -
";
        assert_eq!(render_table("Accuracy", &["decoding", "correct", "nodes"], &rows), expected);
    }

    #[test]
    fn no_rows_and_uneven_rows() {
        assert_eq!(render_table("", &["a", "b"], &[]), "a  b\n-  -\n");
        let uneven = rows(&[&["x"], &["y", "1", "extra"]]);
        assert_eq!(render_table("", &["a", "b"], &uneven), "a  b\n-  -  -----\nx\ny  1  extra\n");
    }

    #[test]
    fn a_table_that_is_too_wide_is_turned_on_its_side() {
        let header: Vec<String> = (0..12).map(|i| format!("column {i}")).collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let row: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        let text = render_table("Wide", &header, &[row.clone(), row.clone()]);
        assert!(
            text.starts_with("Wide\ncolumn 0    0   0\n---------  --  --\ncolumn 1    1   1\n"),
            "{text}"
        );
        // Thirty rows do not fit on their side either.
        let text = render_table("Wide", &header, &vec![row; 30]);
        assert!(text.starts_with("Wide\ncolumn 0  column 1"), "{text}");
    }

    #[test]
    fn a_cell_cannot_break_out_of_its_line() {
        let hostile = rows(&[&["x\u{1b}[1A\ny", "1"]]);
        let text = render_table("", &["split", "n"], &hostile);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains(r"x\u{1b}[1A\ny  1"), "{text}");
    }

    #[test]
    fn an_uncertain_number_is_a_number() {
        for cell in ["1", "-0.5", "3e-4", "12 %", "0.61 ± 0.02"] {
            assert!(is_number(cell), "{cell}");
        }
        for cell in ["a", "1 of 2", "±", "%"] {
            assert!(!is_number(cell), "{cell}");
        }
    }
}
