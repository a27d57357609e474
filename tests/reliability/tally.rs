//! Counts of tries and failures.

use std::fmt::Write as _;
use std::sync::Mutex;

/// The tries of one kind of trouble.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tries: Mutex<usize>,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    /// Counts a try, and prints a failure with its place at once.
    pub(crate) fn tried(&self, place: &str, outcome: Result<(), String>) {
        *self.tries.lock().expect("no thread panics") += 1;
        if let Err(problem) = outcome {
            let short: String = problem.chars().take(600).collect();
            let line = format!("{place}: {short}");
            say(&format!("FAILED {line}"));
            self.failures.lock().expect("no thread panics").push(line);
        }
    }

    pub(crate) fn tries(&self) -> usize {
        *self.tries.lock().expect("no thread panics")
    }

    pub(crate) fn failed(&self) -> usize {
        self.failures.lock().expect("no thread panics").len()
    }
}

/// The table of all kinds, in Markdown.
pub(crate) fn table(rows: &[(&str, &Tally)]) -> String {
    let mut text = "| trouble | tries | failures |\n|---|--:|--:|\n".to_owned();
    for (name, tally) in rows {
        writeln!(text, "| {name} | {} | {} |", tally.tries(), tally.failed())
            .expect("a text takes all");
    }
    text
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "it is what this program is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
