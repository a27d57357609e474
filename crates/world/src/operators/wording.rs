//! Splits texts into words and sentences, and replaces words.

use std::collections::BTreeMap;

/// New words by position.
pub(super) type Changes = BTreeMap<usize, String>;

/// Applies the changes and joins the words into one text.
pub(super) fn rewritten(text: &[&str], changes: &Changes) -> String {
    let word = |(at, word): (usize, &&str)| {
        changes.get(&at).cloned().unwrap_or_else(|| (*word).to_owned())
    };
    text.iter().enumerate().map(word).collect()
}

/// Adjusts the article before a noun, if there is one.
pub(super) fn article(text: &[&str], noun: usize, article: &str, changes: &mut Changes) {
    // The blank before the noun is a word of its own.
    if let Some(at) = noun.checked_sub(2)
        && text[noun - 1] == " "
        && matches!(text[at], "a" | "an" | "A" | "An")
    {
        changes.insert(at, like(text[at], article));
    }
}

/// Capitalises the word if the model is capitalised.
pub(super) fn like(model: &str, word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) if model.starts_with(char::is_uppercase) => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => word.to_owned(),
    }
}

/// Abbreviations whose period does not end a sentence.
const ABBREVIATIONS: &[&str] = &["Mr", "Mrs", "Ms", "Dr", "St", "vs"];

/// Splits a text into sentences, each with its closing mark.
pub(super) fn sentences_in(text: &str) -> Vec<&str> {
    let (mut found, mut rest, mut from) = (Vec::new(), text, 0);
    while let Some((at, _)) =
        rest.char_indices().find(|(at, mark)| *at >= from && matches!(mark, '.' | '?' | '!'))
    {
        let (sentence, after) = rest.split_at(at + 1);
        let word = sentence.trim_end_matches('.').rsplit(char::is_whitespace).next();
        // A sentence does not begin with a lower-case letter, so "5 p.m." and the like do not end one here.
        let begins = !after.trim_start().starts_with(char::is_lowercase);
        let apart = after.starts_with(char::is_whitespace);
        if apart && begins && !word.is_some_and(is_abbreviation) {
            found.push(sentence.trim());
            (rest, from) = (after, 0);
        } else {
            from = at + 1;
        }
    }
    found.push(rest.trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

fn is_abbreviation(word: &str) -> bool {
    ABBREVIATIONS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_marks_and_not_in_numbers_or_titles() {
        let text = "Mr. Bean has $2.50.  He pays 1.5 times that! Why?\nAnd then";
        assert_eq!(
            sentences_in(text),
            ["Mr. Bean has $2.50.", "He pays 1.5 times that!", "Why?", "And then"]
        );
        assert!(sentences_in(" \n").is_empty());
        assert_eq!(sentences_in("It is 5 p.m. and late. Why?"), ["It is 5 p.m. and late.", "Why?"]);
        assert_eq!(sentences_in("¿Qué? ¡Sí!"), ["¿Qué?", "¡Sí!"]);
    }
}
