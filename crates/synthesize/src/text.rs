//! What makes two texts the same text.

use std::collections::BTreeSet;

/// Lower case, spaces collapsed: texts that agree in this are one prompt.
pub(crate) fn normalise(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The id of a prompt: a hash of its normalised text, so that the same question has the same id wherever it comes from.
pub(crate) fn prompt_id(text: &str) -> String {
    dataset::row_id(&[&normalise(text)])
}

/// The words and numbers of a text in lower case, without what stands between them.
pub(crate) fn words(text: &str) -> Vec<String> {
    let pieces = text.split(|letter: char| !letter.is_alphanumeric());
    pieces.filter(|piece| !piece.is_empty()).map(str::to_lowercase).collect()
}

/// The distinct runs of `n` words; the whole text if it has fewer, nothing if it has none.
pub(crate) fn ngrams(text: &str, n: usize) -> BTreeSet<String> {
    let words = words(text);
    match words.len() {
        0 => BTreeSet::new(),
        length => words.windows(n.min(length)).map(|gram| gram.join(" ")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_and_case_make_no_other_prompt() {
        let id = prompt_id("Tom has 3 apples. How many?");
        assert_eq!(id, prompt_id("  tom has 3\tapples.\n\nHow many?"));
        assert_ne!(id, prompt_id("Tom has 4 apples. How many?"));
        assert_eq!(id.len(), 32);
    }

    #[test]
    fn words_are_without_their_marks() {
        assert_eq!(words("Zoë's $1,000 (3/4)?"), ["zoë", "s", "1", "000", "3", "4"]);
        assert!(words(" .?! ").is_empty());
    }
}
