//! The final answer of a completion: when two answers agree, when one is right. Where it stands is [`extract`]'s to say.
//!
//! Grading is exact. Numbers are compared as rationals (`1/2` is `0.5`, `$1,200.00` is `1200`), mathematics, in LaTeX
//! or as typed, by value (`\frac{\sqrt8}{2}` is `\sqrt{2}`), anything else as text without case and spacing. A
//! completion without a mark or a box has no answer and is never right.

use crate::latex;
use crate::rational::Rational;

pub use crate::extract::{end_of_answer, extract};

/// What announces the final answer, as in GSM8K: the last line of a solution is `#### 42`.
pub const ANSWER_MARK: &str = "####";

/// The text under which an answer votes: equal for answers that agree, and only for those.
///
/// Numbers become [`Rational`]s and are displayed; mathematics becomes its normal form, or the fingerprint of its
/// value where it has none; other text is lower-cased, its spacing collapsed and its final period dropped. `None`
/// for blank text. The canonical text of a canonical text is itself.
pub fn canonical(answer: &str) -> Option<String> {
    let number = Rational::parse(answer).filter(|_| !latex::is_symbolic(answer));
    if let Some(number) = number {
        return Some(number.to_string());
    }
    if let Some(key) = latex::key(answer) {
        return Some(key);
    }
    let text = latex::plain(answer);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_lowercase();
    let trimmed = text.trim_matches(|c: char| matches!(c, '.' | '*' | '`') || c.is_whitespace());
    if trimmed.is_empty() {
        None
    } else if text.contains("..") && text.contains(',') {
        // A list that goes on is not the one that ends there.
        Some(text)
    } else if trimmed == answer || answer.len() > latex::MAX_LENGTH {
        Some(trimmed.to_owned())
    } else {
        // What was not understood for its markup may be without. Every time it gets shorter, or lower.
        canonical(trimmed)
    }
}

/// True if two answers agree. Blank answers agree with nothing.
pub fn same(a: &str, b: &str) -> bool {
    canonical(a).is_some_and(|a| canonical(b).as_ref() == Some(&a))
}

/// True if the completion's answer is `target`, exactly.
///
/// `target` is a bare answer, without the mark.
pub fn grade(completion: &str, target: &str) -> bool {
    extract(completion).is_some_and(|answer| same(answer, target))
}
