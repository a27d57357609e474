//! Compares answers, one pair per line of tab-separated values, so that the results can be set against another checker.
//!
//! `printf '1/2\t\\frac{2}{4}\n' | same` prints `same` or `different`, and both keys.

use std::io::{self, BufRead, Write};

use answer::{canonical, same};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (a, b) = line.split_once('\t').unwrap_or((line.as_str(), ""));
        let verdict = if same(a, b) { "same" } else { "different" };
        let [a, b] = [a, b].map(|answer| canonical(answer).unwrap_or_default());
        writeln!(out, "{verdict}\t{a}\t{b}")?;
    }
    Ok(())
}
