//! The final answer of a completion: when two answers agree, when one is right. [`mod@crate::extract`] finds where it stands.
//!
//! Grading is exact. Numbers are compared as rationals (`1/2` is `0.5`, `$1,200.00` is `1200`), mathematics, in LaTeX
//! or as typed, by value (`\frac{\sqrt8}{2}` is `\sqrt{2}`), anything else as text without case and spacing. A
//! completion without a mark or a box has no answer and is never right.

use crate::extract::extract;
use crate::latex::{self, Reading};
use crate::rational::Rational;
use crate::spelled;
use crate::tidy::tidied;
use crate::unit::{Meaning, meaning};

/// The text under which an answer votes: equal for answers that agree, and only for those.
///
/// Numbers become [`Rational`]s and are displayed; mathematics becomes its normal form, or the fingerprint of its
/// value where it has none; other text is lower-cased, its spacing collapsed and its final period dropped. `None`
/// for blank text. The canonical text of a canonical text is itself.
pub fn canonical(answer: &str) -> Option<String> {
    let long = answer.len() > latex::MAX_LENGTH;
    let text = if long {
        answer.to_owned()
    } else {
        let text = tidied(answer);
        if let Some(key) = known(&text).filter(|_| !goes_on(&text)) {
            return Some(key);
        }
        latex::plain(&text)
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_lowercase();
    let trimmed = text.trim_matches(|c: char| matches!(c, '.' | '*' | '`') || c.is_whitespace());
    if trimmed.is_empty() {
        return None;
    }
    // A list that goes on is not the one that ends there.
    let open = goes_on(&text) || (text.contains("..") && text.contains(','));
    let text = if open { text.as_str() } else { trimmed };
    if text == answer || (long && text.len() > latex::MAX_LENGTH) {
        return Some(text.to_owned());
    }
    // What was not understood for its markup may be without. Every time it gets shorter, or lower.
    canonical(text)
}

/// The answer of a solution in the form under which it votes: [`extract`], then [`canonical`]. `None` without an answer.
pub fn final_answer(solution: &str) -> Option<String> {
    extract(solution).and_then(canonical)
}

/// True for digits that go on: `0.333...` is neither 0.333 nor known to be 1/3.
fn goes_on(text: &str) -> bool {
    let digits = text
        .strip_suffix('…')
        .or_else(|| text.strip_suffix(".."))
        .map(|text| text.trim_end_matches('.'));
    digits.is_some_and(|digits| digits.ends_with(char::is_numeric))
}

/// The key of an answer that is more than text.
fn known(text: &str) -> Option<String> {
    if let Some(number) = Rational::parse(text).or_else(|| spelled::number(text)) {
        return Some(number.to_string());
    }
    if let Some(key) = spelled::ordinal(text).or_else(|| spelled::ratio(text)) {
        return Some(key);
    }
    match measured(text).filter(|(number, _)| number.len() < text.len()) {
        Some((number, unit)) if unit.factor == Rational::integer(1) => canonical(number),
        Some((number, unit)) => mathematics(&format!("({number})*({})", unit.factor)),
        None => mathematics(text),
    }
}

/// The key of an answer in LaTeX or typed mathematics.
fn mathematics(text: &str) -> Option<String> {
    match latex::read(text)? {
        Reading::Key(key) => Some(key),
        Reading::Words(words) => canonical(&words),
    }
}

/// A number, in whatever notation, and what its unit means.
fn measured(text: &str) -> Option<(&str, Meaning)> {
    let len = latex::numeral(text)?;
    let (number, unit) = (text.get(..len)?, text.get(len..)?);
    let one = Rational::parse(number).unwrap_or(Rational::integer(2));
    let exponent = number.contains(['e', 'E', '^']) || !number.is_ascii();
    Some((number.trim_end(), meaning(unit, one.place(unit, exponent))?))
}

/// True if two answers agree. Blank answers agree with nothing.
///
/// Their keys are equal; or one is in small coins (`50 cents`) and the other the same number and no more (`50`), for
/// then the question has said what is counted.
pub fn same(a: &str, b: &str) -> bool {
    let (Some(left), Some(right)) = (canonical(a), canonical(b)) else { return false };
    left == right
        || coins(a).is_some_and(|coins| coins == right && is_bare(b))
        || coins(b).is_some_and(|coins| coins == left && is_bare(a))
}

/// How many cents, pence and the like an answer says.
fn coins(answer: &str) -> Option<String> {
    let text = short(answer)?;
    let (number, unit) = measured(&text)?;
    (unit.minor && is_bare(number)).then(|| canonical(number))?
}

/// True for a number that says nothing of what it counts.
fn is_bare(answer: &str) -> bool {
    let Some(text) = short(answer) else { return false };
    let digits =
        ["\\dfrac", "\\tfrac", "\\frac"].iter().fold(text, |text, name| text.replace(name, ""));
    digits.chars().all(|c| c.is_ascii_digit() || " .,/{}+-−".contains(c))
}

fn short(answer: &str) -> Option<String> {
    (answer.len() <= latex::MAX_LENGTH).then(|| tidied(answer))
}

/// True if the completion's answer is `target`, exactly.
///
/// `target` is a bare answer, without the mark.
pub fn grade(completion: &str, target: &str) -> bool {
    extract(completion).is_some_and(|answer| same(answer, target))
}
