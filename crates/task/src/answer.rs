//! The final answer of a completion: where it stands, when two answers agree, when one is right.
//!
//! Grading is exact. Numbers are compared as rationals (`1/2` is `0.5`, `$1,200.00` is `1200`), anything else as
//! text without case and spacing. A completion without the mark has no answer and is never right.

use crate::rational::Rational;

/// What announces the final answer, as in GSM8K: the last line of a completion is `#### 42`.
pub const ANSWER_MARK: &str = "####";

/// The answer of a completion: the rest of the line after the last [`ANSWER_MARK`], trimmed.
///
/// `None` without a mark or with nothing behind it: no number elsewhere in the text is ever taken for an answer.
pub fn extract(completion: &str) -> Option<&str> {
    let (_, after) = completion.rsplit_once(ANSWER_MARK)?;
    let answer = after.lines().next()?.trim();
    (!answer.is_empty()).then_some(answer)
}

/// The text under which an answer votes: equal for answers that agree, and only for those.
///
/// Numbers become [`Rational`]s and are displayed; other text is lower-cased, its spacing collapsed and its final
/// period dropped. `None` for blank text.
pub fn canonical(answer: &str) -> Option<String> {
    if let Some(number) = Rational::parse(answer) {
        return Some(number.to_string());
    }
    let words: Vec<&str> = answer.split_whitespace().collect();
    let text = words.join(" ").to_lowercase();
    let text = text.trim_matches(|c: char| matches!(c, '.' | '*' | '`') || c.is_whitespace());
    (!text.is_empty()).then(|| text.to_owned())
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
