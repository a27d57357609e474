//! What stands around a sum: whether it is one at all, and whether it may be a part of something larger. A sum in
//! doubt is never wrong: it holds, or nothing can be said.

use std::ops::Range;

use super::agree;
use super::expression::{Binding, Reading};
use super::settle::word;
use super::token::{Kind, Op, Token};
use super::unit;
use crate::rational::Rational;

/// Most words between two numbers that may belong together: `24 eggs in 1 tray`.
const MAX_LINK: usize = 4;

/// Bytes before and behind a sum in which a word of rounding is looked for.
const NEARBY: usize = 80;

/// Words that say that a result was rounded, or their beginnings.
const ROUNDED: [&str; 9] =
    ["round", "approx", "nearest", "about", "around", "roughly", "almost", "nearly", "estimat"];

/// Words that say that only the whole counts, or their beginnings.
const WHOLE: [&str; 3] = ["full", "whole", "complete"];

/// Words that say that something was left over, or their beginnings.
const REMAINDER: [&str; 5] = ["remain", "left", "over", "extra", "spare"];

/// True unless what precedes an expression makes it a part of something larger that was not understood.
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
        // `100 + (100 * (10/100) = 110`: the parenthesis was forgotten, not the number before it.
        Some(Kind::Open) => matches!(rest.iter().nth_back(1).map(|t| t.kind), Some(Kind::Op(_))),
        Some(Kind::Op(_)) => true,
        Some(Kind::Junk | Kind::Number { .. }) => words.is_empty(),
        // `(1/2) 278 + 11`, but not `1) 278 + 11`.
        Some(Kind::Close) => words.is_empty() && rest.iter().any(|t| t.kind == Kind::Open),
        _ => false,
    };
    !modified && !cut_off
}

/// True if what precedes an expression may belong to it. `chained` if it stands behind an equals sign.
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
        "of" => unit::is_function(before_last),
        "by" => {
            words.iter().any(|&w| ["multipl", "divid"].iter().any(|v| word(text, w).starts_with(v)))
        }
        _ => unit::is_doubtful(last),
    };
    // `floor(10/3)`
    let called =
        !words.is_empty() && expression.first().is_some_and(|t| t.kind == Kind::Open && t.glued);
    let after_number = matches!(rest.last().map(|t| t.kind), Some(Kind::Number { .. }));
    let linked = after_number
        && (1..=MAX_LINK).contains(&words.len())
        && match last {
            "to" | "or" => true,
            "and" => !chained,
            last => unit::is_rate(last) && is_amount(expression, reading),
        };
    // `#1 = 5 + 3`
    let label = reading.operators == 0 && !chained && !starts_line(text, expression);
    applied || called || linked || label
}

/// `1 tray x 2 trays`: a product whose first number has a unit.
fn is_amount(expression: &[Token], reading: &Reading<'_>) -> bool {
    let unit = expression.get(1).is_some_and(|t| t.kind == Kind::Word);
    unit && reading.binding > Binding::Sums
}

/// True if nothing but markup and blanks stands before the expression in its line.
fn starts_line(text: &str, expression: &[Token]) -> bool {
    let start = expression.first().map_or(0, |token| token.start);
    let before = text.get(..start).unwrap_or_default();
    let mut back = before.chars().rev().take_while(|c| *c != '\n').take(NEARBY);
    back.all(|c| c.is_whitespace() || matches!(c, '*' | '-' | '•' | ':' | '`'))
}

/// The tokens without the words at their end, and those.
fn trailing_words(tokens: &[Token]) -> (&[Token], &[Token]) {
    let words = tokens.iter().rev().take_while(|token| token.kind == Kind::Word).count();
    tokens.split_at(tokens.len() - words)
}

/// True if what follows the right side of a claim changes its value: `3 remainder 1`, `1 and 1/3`, an operator.
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

/// `10/3 = 3 remainder 1`, `4/3 = 1 and 1/3` and `9/2 = 4 and a half`: the number goes on.
fn changes_number(text: &str, after: Token, then: &[Token]) -> bool {
    match word(text, after).to_lowercase().as_str() {
        "remainder" => true,
        "and" => {
            let mut words = then.iter().take(2).filter(|t| t.kind == Kind::Word);
            is_fraction(then) || words.any(|&t| unit::is_part(word(text, t)))
        }
        _ => false,
    }
}

/// True if a number follows that is the other end of a range: `20 to 24`.
pub(super) fn is_range(text: &str, rest: &[Token]) -> bool {
    let words = rest.iter().take(MAX_LINK).take_while(|t| t.kind == Kind::Word).count();
    let link = words.checked_sub(1).and_then(|at| rest.get(at));
    let number = matches!(rest.get(words).map(|t| t.kind), Some(Kind::Number { .. }));
    number && link.is_some_and(|&link| matches!(word(text, link), "to" | "or"))
}

/// True if the tokens begin with a fraction, as in `1 and 1/3` and `16 and (2/3)`.
pub(super) fn is_fraction(tokens: &[Token]) -> bool {
    let ([Token { kind: Kind::Open, .. }, top, slash, bottom, ..] | [top, slash, bottom, ..]) =
        tokens
    else {
        return false;
    };
    let numbers = [top, bottom].iter().all(|t| matches!(t.kind, Kind::Number { .. }));
    numbers && slash.kind == Kind::Op(Op::Div) && slash.glued && bottom.glued
}

/// True if a result was rounded and the line says so: `10 / 3 = 3 with 1 left over`, `20/3 = 7 (rounded up)`.
pub(super) fn is_rounded(
    text: &str,
    sum: Range<usize>,
    exact: Rational,
    claimed: Rational,
) -> bool {
    let whole = agree::is_rounding(exact, claimed, 0);
    let rough = whole || agree::is_rounding(exact, claimed, agree::last_place(claimed));
    rough && {
        let line = nearby(text, sum).to_lowercase();
        let mut words = line.split(|c: char| !c.is_alphabetic());
        words.any(|word| {
            let is = |stems: &[&str]| stems.iter().any(|stem| word.starts_with(stem));
            is(&ROUNDED) || (whole && (is(&WHOLE) || (claimed < exact && is(&REMAINDER))))
        })
    }
}

/// The line around a sum, as far as it is near.
fn nearby(text: &str, sum: Range<usize>) -> &str {
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
    let start = before.rfind('\n').map_or(start, |at| start + at + 1);
    let end = after.find('\n').map_or(end, |at| sum.end + at);
    text.get(start..end).unwrap_or_default()
}
