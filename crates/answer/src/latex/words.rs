//! Answers that are words: names, choices, times, and anything that is not understood.

use super::function::FUNCTIONS;
use super::token::{NAMES, sets_words};

/// Returns the text of an answer without LaTeX markup around its words.
pub(crate) fn plain(answer: &str) -> String {
    let mut text = String::with_capacity(answer.len());
    let (mut rest, mut kept) = (answer, Vec::new());
    while let Some(first) = rest.chars().next() {
        if let Some(after) = words_open(rest) {
            kept.push(false);
            rest = after;
            continue;
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
        match first {
            '\\' => rest = spacing(&mut text, rest),
            '{' => {
                kept.push(true);
                text.push(first);
            }
            '}' if kept.pop() == Some(false) => {}
            '$' => {}
            '~' if is_fingerprint(rest) => text.push(first),
            '~' => text.push(' '),
            _ => text.push(first),
        }
    }
    text
}

/// Whether the 16 digits of a fingerprint follow, so that the key of a key is the key itself.
pub(super) fn is_fingerprint(after_tilde: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    after_tilde.get(..16).is_some_and(|digits| digits.bytes().all(digit))
}

/// Skips a LaTeX command for text and its opening brace.
fn words_open(text: &str) -> Option<&str> {
    let command = text.strip_prefix('\\')?;
    let len = command.bytes().take_while(u8::is_ascii_alphabetic).count();
    let known = sets_words(command.get(..len)?);
    command.get(len..)?.trim_start().strip_prefix('{').filter(|_| known)
}

/// Reads the sign after a backslash and returns the rest: spacing becomes a blank, any other command stays.
fn spacing<'a>(text: &mut String, rest: &'a str) -> &'a str {
    match rest.chars().next() {
        Some('!') => {}
        Some(',' | ';' | ':' | ' ') => text.push(' '),
        Some('$') => return rest,
        Some(sign) if !sign.is_alphabetic() => {
            text.push('\\');
            text.push(sign);
            return rest.get(sign.len_utf8()..).unwrap_or_default();
        }
        _ => {
            text.push('\\');
            return rest;
        }
    }
    rest.get(1..).unwrap_or_default()
}

/// Whether a word is the name of a symbol or a function.
pub(crate) fn is_name(word: &str) -> bool {
    NAMES.contains(&word) || FUNCTIONS.contains(&word)
}

/// Whether an answer made of letters contains two or three that are more likely a word than a product of variables.
pub(super) fn has_short_word(answer: &str) -> bool {
    let parts = |c: char| c.is_whitespace() || c == ',' || c == '.';
    let words = || answer.split(parts).filter(|word| !word.is_empty());
    let letters = words().all(|word| word.chars().all(|c| c.is_ascii_alphabetic()));
    letters && words().any(|word| !matches!(word, "and" | "or") && !is_product(word))
}

/// Short words made only of letters that are usual for variables.
const WORDS: [&str; 5] = ["add", "bad", "cab", "dab", "dad"];

/// Whether letters are more likely a product than a word: two or three letters that are all consonants, or all among
/// a, b, c and d. Any other number of letters counts as a product, too; callers judge those by other rules.
pub(super) fn is_product(word: &str) -> bool {
    let of = |letters: &str| word.chars().all(|c| letters.contains(c.to_ascii_lowercase()));
    let short = (2..=3).contains(&word.len()) && !NAMES.contains(&word);
    if WORDS.contains(&word.to_ascii_lowercase().as_str()) {
        return false;
    }
    !short || of("abcd") || of("bcdfghjklmnpqrstvwxyz")
}
