//! Shortening of model output for messages, which show only its end.

/// The number of characters that are shown.
const SHOWN: usize = 160;

/// Returns the last 160 characters of a text, quoted and with control characters escaped.
pub fn tail(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(SHOWN);
    let end: String = text.chars().skip(skipped).collect();
    format!("{}{end:?}", if skipped > 0 { "..." } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_what_is_shown() {
        assert_eq!(tail("2 + 3 = 5\n#### 5"), r#""2 + 3 = 5\n#### 5""#);
        assert_eq!(tail("\u{1b}[2J"), r#""\u{1b}[2J""#);
        let long = ["begun", &"é".repeat(200)].concat();
        assert_eq!(tail(&long), format!("...\"{}\"", "é".repeat(160)));
    }
}
