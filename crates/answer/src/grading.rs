//! The final answer of a completion: when two answers agree, and when an answer is correct. Finding it is the job of
//! [`mod@crate::extract`].
//!
//! Grading is exact. Numbers are compared as rationals (`1/2` is `0.5`, `$1,200.00` is `1200`). Mathematics, in LaTeX
//! or as typed, is compared by value (`\frac{\sqrt8}{2}` is `\sqrt{2}`). Anything else is compared as text, ignoring
//! case and spacing. A completion without a mark or a box has no answer and is never correct.

use crate::extract::extract;
use crate::latex::{self, Reading};
use crate::rational::Rational;
use crate::spelled;
use crate::tidy::tidied;
use crate::unit::{Meaning, meaning};

/// Returns the key under which an answer votes: equal for answers that agree, and only for those.
///
/// Numbers become [`Rational`]s and are displayed. Mathematics becomes its normal form, or a fingerprint of its value
/// if it has no normal form. Other text is lower-cased, its spacing collapsed and its final period dropped. `None` for
/// blank text. The function is idempotent: the key of a key is the key itself.
pub fn canonical(answer: &str) -> Option<String> {
    let key = normal_form(answer)?;
    // A few normal forms are not read as what they say, such as unions of statements in several variables.
    let own = key == answer || normal_form(&key).as_deref() == Some(&*key);
    Some(if own { key } else { latex::fingerprint_of_key(&key) })
}

fn normal_form(answer: &str) -> Option<String> {
    let long = answer.len() > latex::MAX_LENGTH;
    // Texts that are too long are never parsed, which bounds the time per answer.
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
    // `1, 2, ...` must not equal `1, 2`, so a list that continues keeps its dots.
    let open = goes_on(&text) || (text.contains("..") && text.contains(','));
    let text = if open { text.as_str() } else { trimmed };
    if text == answer || (long && text.len() > latex::MAX_LENGTH) {
        return Some(text.to_owned());
    }
    // A text that was not understood because of its markup may be understood without it. This terminates: each call
    // gets a text that is shorter or has fewer capitals.
    normal_form(text)
}

/// Returns the key of the answer in a solution: [`extract`], then [`canonical`]. `None` if the solution has no answer.
pub fn final_answer(solution: &str) -> Option<String> {
    extract(solution).and_then(canonical)
}

/// Whether the digits go on: `0.333...` is neither 0.333 nor known to be 1/3.
fn goes_on(text: &str) -> bool {
    let digits = text
        .strip_suffix('…')
        .or_else(|| text.strip_suffix(".."))
        .map(|text| text.trim_end_matches('.'));
    digits.is_some_and(|digits| digits.ends_with(char::is_numeric))
}

/// Returns the key of an answer that is a number or mathematics; `None` if it is only text.
fn known(text: &str) -> Option<String> {
    if let Some(number) = Rational::parse(text).or_else(|| spelled::number(text)) {
        return Some(number.to_string());
    }
    if let Some(key) = spelled::ordinal(text).or_else(|| spelled::ratio(text)) {
        return Some(key);
    }
    match measured(text).filter(|(number, _)| number.len() < text.len()) {
        Some((number, unit)) if unit.factor == Rational::integer(1) => normal_form(number),
        Some((number, unit)) => mathematics(&format!("({number})*({})", unit.factor)),
        None => mathematics(text),
    }
}

/// The key of an answer in LaTeX or typed mathematics.
fn mathematics(text: &str) -> Option<String> {
    match latex::read(text)? {
        Reading::Key(key) => Some(key),
        Reading::Words(words) => normal_form(&words),
    }
}

/// Splits an answer into a number, in any notation, and the meaning of its unit.
fn measured(text: &str) -> Option<(&str, Meaning)> {
    let len = latex::numeral(text)?;
    let (number, unit) = (text.get(..len)?, text.get(len..)?);
    // A number that is not a plain rational counts as plural, hence 2: only whether it is at most 1 matters here.
    let one = Rational::parse(number).unwrap_or(Rational::integer(2));
    let exponent = number.contains(['e', 'E', '^']) || !number.is_ascii();
    Some((number.trim_end(), meaning(unit, one.place(unit, exponent))?))
}

/// Whether two answers agree. Blank answers agree with nothing.
///
/// They agree if their keys are equal, or if one is in small coins (`50 cents`) and the other is the same number
/// without a unit (`50`): a question asked in cents has a gold answer of `50`.
pub fn same(a: &str, b: &str) -> bool {
    let (Some(left), Some(right)) = (canonical(a), canonical(b)) else { return false };
    left == right
        || coins(a).is_some_and(|coins| coins == right && is_bare(b))
        || coins(b).is_some_and(|coins| coins == left && is_bare(a))
}

/// Returns the number of cents, pence or other small coins in an answer, as a key.
fn coins(answer: &str) -> Option<String> {
    let text = short(answer)?;
    let (number, unit) = measured(&text)?;
    (unit.minor && is_bare(number)).then(|| canonical(number))?
}

/// Whether an answer is a number without any unit.
fn is_bare(answer: &str) -> bool {
    let Some(text) = short(answer) else { return false };
    let digits =
        ["\\dfrac", "\\tfrac", "\\frac"].iter().fold(text, |text, name| text.replace(name, ""));
    digits.chars().all(|c| c.is_ascii_digit() || " .,/{}+-−".contains(c))
}

fn short(answer: &str) -> Option<String> {
    (answer.len() <= latex::MAX_LENGTH).then(|| tidied(answer))
}

/// Whether the answer of the completion is exactly `target`.
///
/// `target` is a bare answer, without the mark.
pub fn grade(completion: &str, target: &str) -> bool {
    extract(completion).is_some_and(|answer| same(answer, target))
}
