//! The text around a calculation: whether it is one at all, and whether it may be part of something larger. A
//! calculation in doubt is never wrong: either it holds, or it is left undecided.

use std::ops::Range;

use super::agree;
use super::expression::{Binding, Range as Span, Reading};
use super::settle::word;
use super::token::{Kind, Op, Token};
use super::unit;
use crate::rational::Rational;

/// Most words between two numbers that may belong together: `24 eggs in 1 tray`.
const MAX_LINK: usize = 4;

/// Bytes before and after a calculation in which words about rounding are looked for.
const NEARBY: usize = 80;

/// Words, or beginnings of words, that say that a result was rounded.
const ROUNDED: [&str; 10] = [
    "rounded", "rounding", "approx", "nearest", "about", "around", "roughly", "almost", "nearly",
    "estimat",
];

/// Words that make `round` mean rounding when they follow it. Without one of them, as in `the fourth round`, it means
/// nothing.
const ROUND: [&str; 7] = ["up", "down", "off", "to", "it", "this", "that"];

/// Words that say that only whole units count.
const WHOLE: [&str; 5] = ["full", "whole", "complete", "entire", "fully"];

/// Words, or beginnings of words, that say that something was left over.
const REMAINDER: [&str; 4] = ["remain", "leftover", "extra", "spare"];

/// Words, or beginnings of words, for a scale that a calculation may leave out, and their factors.
const SCALES: [(&str, i64); 3] =
    [("thousand", 1000), ("million", 1_000_000), ("billion", 1_000_000_000)];

/// Most words between the ends of a range: `10 people to 12`.
const MAX_RANGE_WORDS: usize = 2;

/// Whether an expression stands alone, rather than being part of something larger before it that was not understood.
pub(super) fn stands_alone(text: &str, before: &[Token], expression: &[Token]) -> bool {
    let (rest, words) = trailing_words(before);
    let kind = rest.last().map(|token| token.kind);
    let mut back = words.iter().rev().map(|&token| word(text, token));
    let modified = match back.next() {
        Some("of") => back.next().is_none_or(unit::is_part),
        // `12 x 1 and 1/4`
        Some("and") if words.len() == 1 => {
            is_fraction(expression) && matches!(kind, Some(Kind::Number { .. }))
        }
        Some(last) => unit::is_modifier(last),
        None => false,
    };
    let cut_off = match kind {
        // `100 + (100 * (10/100) = 110`: the number before the open parenthesis belongs to the expression. Only the
        // closing parenthesis was forgotten.
        Some(Kind::Open) => matches!(rest.iter().nth_back(1).map(|t| t.kind), Some(Kind::Op(_))),
        Some(Kind::Op(_)) => true,
        Some(Kind::Junk | Kind::Number { .. }) => words.is_empty(),
        // `(1/2) 278 + 11`, but not `1) 278 + 11`, where the parenthesis closes a list number.
        Some(Kind::Close) => words.is_empty() && rest.iter().any(|t| t.kind == Kind::Open),
        _ => false,
    };
    !modified && !cut_off
}

/// Whether the words before an expression may belong to it. `chained` if it follows an equals sign.
pub(super) fn is_doubtful(
    text: &str,
    before: &[Token],
    expression: &[Token],
    reading: &Reading<'_>,
    chained: bool,
) -> bool {
    let (rest, words) = trailing_words(before);
    let mut back = words.iter().rev().map(|&token| word(text, token));
    let (last, before_last) = (back.next().unwrap_or_default(), back.next().unwrap_or_default());
    let applied = match last {
        "of" => {
            unit::is_function(before_last)
                || (unit::is_average(before_last) && reading.binding == Binding::Sums)
        }
        "by" => {
            words.iter().any(|&w| ["multipl", "divid"].iter().any(|v| word(text, w).starts_with(v)))
        }
        // `x over 2 + 3`, but not `over 3 days`.
        "over" => words.len() == 1 && !rest.is_empty(),
        _ => unit::is_doubtful(last) && !unit::is_a_half(before_last, last),
    };
    // `floor(10/3)`
    let called =
        !words.is_empty() && expression.first().is_some_and(|t| t.kind == Kind::Open && t.glued);
    // `#1 = 5 + 3`
    let label = reading.operators == 0 && !chained && !starts_line(text, expression);
    let linked = rest.last().is_some_and(|number| {
        is_linked(text, *number, words, expression)
            || (last == "and" && words.len() == 1 && is_number(number) && !chained)
            || (is_number(number) && is_measured(text, words, expression))
            || (is_number(number) && is_counted(text, words, expression, reading))
    });
    // `years 2020 - 2023`
    let years = reading.range > Span::None
        && !rest.last().is_some_and(is_number)
        && last.strip_suffix('s').is_some_and(unit::is_label);
    applied
        || called
        || linked
        || years
        || label
        || shares(expression)
        || is_split(text, expression)
}

/// Whether the share in `10% of 400 + 1580` may be of all that follows, rather than of its first term.
fn shares(expression: &[Token]) -> bool {
    let mut operators = expression.iter().filter(|t| matches!(t.kind, Kind::Op(_)));
    operators.next().is_some_and(|t| t.kind == Kind::Op(Op::Of))
        && operators.any(|t| matches!(t.kind, Kind::Op(Op::Add | Op::Sub)))
}

fn is_number(token: &Token) -> bool {
    matches!(token.kind, Kind::Number { .. })
}

/// Whether a number, a word or two, and another number may be a range or a sum: `10 people to 12`, `add 20 to the 30`.
fn is_linked(text: &str, number: Token, words: &[Token], then: &[Token]) -> bool {
    let value = |token: Token| match token.kind {
        Kind::Number { value: Some(value), percent, .. } => Some((value, percent)),
        _ => None,
    };
    let ends = value(number).zip(then.first().copied().and_then(value));
    let grows = ends.is_some_and(|((a, percent), (b, other))| a < b && percent == other);
    let names = words.iter().map(|&w| word(text, w)).filter(|name| !unit::is_determiner(name));
    let names: Vec<&str> = names.take(MAX_RANGE_WORDS + 1).collect();
    let verb = names.iter().any(|name| ["amount", "amounts", "comes", "come"].contains(name));
    names.len() <= MAX_RANGE_WORDS && grows && !verb && matches!(names.last(), Some(&("to" | "or")))
}

/// Whether the first number of a product may belong to a number before it: `24 eggs in 1 tray x 2`,
/// `10 pages on day 1 * 2`.
fn is_counted(text: &str, words: &[Token], expression: &[Token], reading: &Reading<'_>) -> bool {
    let last = words.last().map_or("", |&last| word(text, last));
    let near = (1..=MAX_LINK).contains(&words.len());
    let one = unit::is_label(last)
        && words.iter().any(|&w| unit::is_rate(word(text, w)))
        && expression.first().is_some_and(|first| !first.money);
    reading.binding > Binding::Sums
        && (one || (near && unit::is_rate(last) && is_amount(expression)))
}

/// Whether the first number may be the end of a longer one that was split by a blank: `14, 400 / 80`.
fn is_split(text: &str, expression: &[Token]) -> bool {
    expression.first().is_some_and(|first| {
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let three = word(text, *first).len() == 3 && digits(word(text, *first));
        let before = text.get(..first.start).unwrap_or_default().strip_suffix(", ");
        three && before.is_some_and(|text| text.ends_with(|c: char| c.is_ascii_digit()))
    })
}

/// Whether the first number continues a measure: `5 ft 10 in`.
fn is_measured(text: &str, words: &[Token], expression: &[Token]) -> bool {
    let measure = |t: &Token| t.kind == Kind::Word && unit::is_measure(word(text, *t));
    words.len() == 1 && words.iter().all(measure) && expression.get(1).is_some_and(measure)
}

/// Whether the first number has a unit: `1 tray x 2 trays`.
fn is_amount(expression: &[Token]) -> bool {
    expression.get(1).is_some_and(|t| t.kind == Kind::Word)
}

/// Whether only markup and blanks precede the expression in its line.
fn starts_line(text: &str, expression: &[Token]) -> bool {
    let start = expression.first().map_or(0, |token| token.start);
    let before = text.get(..start).unwrap_or_default();
    let mut back = before.chars().rev().take_while(|c| *c != '\n').take(NEARBY);
    back.all(|c| c.is_whitespace() || matches!(c, '*' | '-' | '•' | ':' | '`'))
}

/// Splits off the words at the end of the tokens.
fn trailing_words(tokens: &[Token]) -> (&[Token], &[Token]) {
    let words = tokens.iter().rev().take_while(|token| token.kind == Kind::Word).count();
    tokens.split_at(tokens.len() - words)
}

/// Whether the text after the right side of a claim changes its value: `3 remainder 1`, `1 and 1/3`, an operator.
pub(super) fn goes_on(text: &str, rest: &[Token]) -> bool {
    let changed = rest.first().is_some_and(|&next| match next.kind {
        Kind::Op(_) | Kind::Junk | Kind::Number { .. } => true,
        Kind::Word => changes_number(text, next, rest.get(1..).unwrap_or_default()),
        Kind::Open => next.glued,
        _ => false,
    });
    let operator_later = rest.iter().find(|t| t.kind != Kind::Word);
    changed || operator_later.is_some_and(|t| matches!(t.kind, Kind::Op(_)))
}

/// Whether a word continues the number: `10/3 = 3 remainder 1`, `4/3 = 1 and 1/3` and `9/2 = 4 and a half`.
fn changes_number(text: &str, after: Token, then: &[Token]) -> bool {
    match word(text, after).to_lowercase().as_str() {
        "remainder" | "rem" => true,
        "and" => {
            let mut words = then.iter().take(2).filter(|t| t.kind == Kind::Word);
            is_fraction(then) || words.any(|&t| unit::is_part(word(text, t)))
        }
        _ => false,
    }
}

/// Whether a number follows that may belong to the result: the other end of a range, as in `20 to 24`, or a smaller
/// measure, as in `1 hour 30 minutes`.
pub(super) fn is_begun(text: &str, read: &[Token], rest: &[Token]) -> bool {
    let words = rest.iter().take(MAX_LINK).take_while(|t| t.kind == Kind::Word).count();
    let (words, then) = rest.split_at(words);
    let number = read.iter().find(|token| is_number(token));
    let names: Vec<&str> = words.iter().map(|&w| word(text, w)).collect();
    let measured = matches!(names.as_slice(), [unit] | [unit, "and"] if unit::is_measure(unit));
    (measured && then.first().is_some_and(is_number))
        || number.is_some_and(|&number| is_linked(text, number, words, then))
}

/// Whether the tokens begin with a fraction, as in `1 and 1/3` and `16 and (2/3)`.
pub(super) fn is_fraction(tokens: &[Token]) -> bool {
    let ([Token { kind: Kind::Open, .. }, top, slash, bottom, ..] | [top, slash, bottom, ..]) =
        tokens
    else {
        return false;
    };
    let numbers = [top, bottom].iter().all(|t| matches!(t.kind, Kind::Number { .. }));
    numbers && slash.kind == Kind::Op(Op::Div) && slash.glued && bottom.glued
}

/// Whether a result was rounded and the line says so: `10 / 3 = 3 with 1 left over`, `20/3 = 7 (rounded up)`. `digits`
/// is the number of digits after the point of the claimed number.
pub(super) fn is_rounded(line: &str, exact: Rational, claimed: Rational, digits: u32) -> bool {
    let whole = digits == 0 && agree::is_rounding(exact, claimed, 0);
    let place = if digits == 0 { agree::last_place(claimed) } else { digits.cast_signed() };
    // 100 does not round to 1000.
    let near = exact.checked_mul(Rational::integer(2)).is_some_and(|twice| claimed <= twice);
    let rough = near && agree::is_rounding(exact, claimed, place);
    if !whole && !rough {
        return false;
    }
    let line = line.to_lowercase();
    let words = line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    words.iter().enumerate().any(|(at, &word)| {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let is = |stems: &[&str]| stems.iter().any(|stem| word.starts_with(stem));
        let rounds = matches!(word, "round" | "rounds") && ROUND.contains(&next);
        let left = || word == "left" && (next == "over" || is_remainder(words.get(..at), claimed));
        is(&ROUNDED)
            || rounds
            || (whole && (WHOLE.contains(&word) || (claimed < exact && (is(&REMAINDER) || left()))))
    })
}

/// Whether the words end in a number other than the result, perhaps with its unit: `3 with 1 apple`.
fn is_remainder(words: Option<&[&str]>, claimed: Rational) -> bool {
    let mut back = words.unwrap_or_default().iter().rev().take(2);
    let number =
        back.find(|word| unit::is_number(word) || word.starts_with(|c: char| c.is_ascii_digit()));
    number.is_some_and(|number| *number != claimed.to_string())
}

/// Whether the calculation leaves out a scale that the line names: `5 thousand a day, 5 * 3 = 15,000`.
pub(super) fn is_scaled(line: &str, exact: Rational, claimed: Rational) -> bool {
    SCALES.iter().any(|&(name, factor)| {
        exact.checked_mul(Rational::integer(factor)) == Some(claimed) && line.contains(name)
    })
}

/// Returns the line around a calculation, limited to [`NEARBY`] bytes on either side and cut at whole words.
pub(super) fn nearby(text: &str, sum: Range<usize>) -> &str {
    let (mut start, mut end) =
        (sum.start.saturating_sub(NEARBY), (sum.end + NEARBY).min(text.len()));
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let before = text.get(start..sum.start).unwrap_or_default();
    let after = text.get(sum.end..end).unwrap_or_default();
    let cut = before.find(char::is_whitespace).filter(|_| start > 0).unwrap_or(0);
    let start = start + before.rfind('\n').map_or(cut, |at| at + 1);
    let cut = after.rfind(char::is_whitespace).filter(|_| end < text.len());
    let end = after.find('\n').or(cut).map_or(end, |at| sum.end + at);
    text.get(start..end).unwrap_or_default()
}
