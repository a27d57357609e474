//! The end of a text, for messages that show what a model wrote.

/// Characters of a text that a message shows.
const SHOWN: usize = 160;

/// The last characters of a text, quoted and without anything that a terminal obeys.
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
