//! The numbers in a text that stand for quantities of their own.

/// A number in a text that may be changed or masked.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    /// Its position among the words.
    pub(super) at: usize,
    pub(super) value: i64,
    pub(super) percent: bool,
    /// The smallest value it may become. It is 3 before "times", because for 2 people say "twice".
    pub(super) least: i64,
    /// The index of its sentence.
    pub(super) sentence: usize,
}

/// Returns the sentence index of every word.
pub(super) fn sentences(text: &[&str]) -> Vec<usize> {
    let mut sentence = 0;
    let number = |at: usize| {
        let current = sentence;
        // The point of `2.5` ends no sentence.
        let closes = matches!(text[at], "." | "?" | "!")
            && !text.get(at + 1).is_some_and(|next| is_number(next));
        sentence += usize::from(closes);
        current
    };
    (0..text.len()).map(number).collect()
}

pub(super) fn is_number(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_digit())
}

/// Returns the numbers that may change: whole numbers from 2 to 9999 that are not part of a decimal, a fraction, an
/// ordinal or a year.
pub(super) fn figures(text: &[&str], sentences: &[usize]) -> Vec<Figure> {
    let word = |at: Option<usize>| at.and_then(|at| text.get(at)).copied().unwrap_or(" ");
    let joined =
        |mark: &str, other: &str| matches!(mark, "." | "," | "/" | ":") && is_number(other);
    let figure = |at: usize| {
        // Not 1, whose noun is a singular: any other number needs the plural.
        let value: i64 = text[at].parse().ok().filter(|value| (2..10_000).contains(value))?;
        let (before, after) = (at.checked_sub(1), Some(at + 1));
        let part = joined(word(before), word(at.checked_sub(2)))
            || joined(word(after), word(Some(at + 2)));
        // `5th` and `x2` are not counts.
        let glued = [before, after].into_iter().any(|at| word(at).starts_with(char::is_alphabetic));
        // The blank is a word of its own here, so the next word is two places on.
        let percent = word(after) == "%" || word(Some(at + 2)) == "percent";
        // `in 1999` says when, not how many.
        let year = (1900..2100).contains(&value);
        let least = if word(Some(at + 2)) == "times" { 3 } else { 2 };
        (!part && !glued && !year).then_some(Figure {
            at,
            value,
            percent,
            least,
            sentence: sentences[at],
        })
    };
    (0..text.len()).filter_map(figure).collect()
}
