//! Pairs of sides around equals signs: which are claims, and whether they hold.

use std::ops::Range;

use super::Check;
use super::expression::{self, Reading};
use super::settle::{settle, word};
use super::token::{self, Kind, Op, Token};
use super::unit;
use crate::answer::same;
use crate::import::strip_annotations;
use crate::rational::Rational;

/// Tokens of a side that are looked at, before or behind the equals sign; an expression that long is not read.
const MAX_SIDE: usize = 64;

/// A claimed decimal with at least this many digits may be rounded.
const ROUNDED_FROM: u32 = 2;

/// A side of a claim: where it stands and what it says.
struct Side<'a> {
    span: Range<usize>,
    reading: Reading<'a>,
}

/// A claim in running text, and the bytes behind its left side.
struct Spoken {
    check: Check,
    rest: Range<usize>,
}

/// The claims of one annotation, and where it stands.
struct Annotated {
    start: usize,
    checks: Vec<Check>,
}

/// All claims of a text, sorted by where they start.
pub(super) fn find(text: &str) -> Vec<Check> {
    let (raw, annotations) = token::tokens(text);
    let tokens = settle(text, &raw);
    let annotated: Vec<Annotated> = annotations
        .iter()
        .map(|&(start, inner)| Annotated { start, checks: annotated(start + 2, inner) })
        .collect();
    let mut checks: Vec<Check> = tokens
        .split(|token| token.kind == Kind::Break)
        .flat_map(|run| spoken(text, run))
        .filter(|claim| !repeats(claim, &annotated))
        .map(|claim| claim.check)
        .collect();
    checks.extend(annotated.into_iter().flat_map(|annotation| annotation.checks));
    checks.sort_by_key(|check| check.start);
    checks
}

/// True if an annotation before the right side ends says the same: `12 + 5 = <<12+5=17>>17` is one claim.
fn repeats(claim: &Spoken, annotated: &[Annotated]) -> bool {
    let from = annotated.partition_point(|annotation| annotation.start < claim.rest.start);
    let inside = annotated.iter().skip(from).take_while(|a| a.start < claim.rest.end);
    inside.flat_map(|annotation| &annotation.checks).any(|check| {
        check.computed == claim.check.computed && same(&check.claimed, &claim.check.claimed)
    })
}

/// The claims of a run of tokens without a break.
fn spoken(text: &str, run: &[Token]) -> Vec<Spoken> {
    let sides: Vec<&[Token]> = run.split(|token| token.kind == Kind::Equals).collect();
    let pair = |(at, pair): (usize, &[&[Token]])| {
        let &[left, right] = pair else { return None };
        let (left, right) = (left_side(text, left)?, right_side(text, right)?);
        is_claim(&left.reading, &right.reading, at > 0).then(|| Spoken {
            rest: left.span.end..right.span.end,
            check: judge(text, 0, &left, &right),
        })
    };
    sides.windows(2).enumerate().filter_map(pair).collect()
}

/// True if two expressions with an equals sign between them are a sum; `chained` if the left one is a result too.
fn is_claim(left: &Reading<'_>, right: &Reading<'_>, chained: bool) -> bool {
    match (left.operators, right.operators) {
        // `60 minutes = 1 hour` is no sum; the end of `2 + 3 = 5 = 6` is a wrong one.
        (0, 0) => {
            let bare = |side: &Reading<'_>| !side.has_units() && !side.percent;
            chained && bare(left) && bare(right)
        }
        // `1 box = 3 * 4 apples` and `48 = 100% + 20%` relate two things.
        (0, _) => !left.has_units() && !right.percent,
        _ => true,
    }
}

/// The claims of an annotation, every side of which is an expression. What cannot be read is a claim that cannot be
/// decided: the annotation says that there is one.
fn annotated(start: usize, inner: &str) -> Vec<Check> {
    let (raw, _) = token::tokens(inner);
    let tokens = settle(inner, &raw);
    let sides: Vec<&[Token]> = tokens.split(|token| token.kind == Kind::Equals).collect();
    let readings: Vec<Option<Side<'_>>> =
        sides.iter().map(|side| whole_side(inner, side)).collect();
    let mut checks = Vec::new();
    for pair in readings.windows(2) {
        if let [Some(left), Some(right)] = pair {
            checks.push(judge(inner, start, left, right));
        } else {
            let (expression, claimed) = inner.split_once('=').unwrap_or((inner, ""));
            let (expression, claimed) = (expression.trim().to_owned(), claimed.trim().to_owned());
            return vec![Check { expression, claimed, computed: None, ok: false, start }];
        }
    }
    checks
}

fn whole_side<'a>(text: &'a str, tokens: &[Token]) -> Option<Side<'a>> {
    let reading = (tokens.len() <= MAX_SIDE).then(|| expression::read(text, tokens)).flatten()?;
    (reading.len == tokens.len()).then(|| side(tokens, reading)).flatten()
}

/// The longest expression that ends at the equals sign, if it is a statement of its own.
fn left_side<'a>(text: &'a str, tokens: &[Token]) -> Option<Side<'a>> {
    let first = tokens.len().saturating_sub(MAX_SIDE);
    for start in first..tokens.len() {
        let (before, rest) = tokens.split_at(start);
        if !starts_expression(before, rest) {
            continue;
        }
        if let Some(reading) = expression::read(text, rest).filter(|r| r.len == rest.len()) {
            let alone = before.is_empty() || reading.operators > 0;
            return (alone && stands_alone(text, before, rest))
                .then(|| side(rest, reading))
                .flatten();
        }
    }
    None
}

/// True if an expression can start at the front of `rest`: an operand, or a minus that is a sign.
fn starts_expression(before: &[Token], rest: &[Token]) -> bool {
    let Some(&first) = rest.first() else { return false };
    let is_sign = || {
        let next_glued = rest.get(1).is_some_and(|next| next.glued && next.opens_operand());
        match before.last().map(|token| token.kind) {
            None => true,
            Some(Kind::Word) => !first.glued && next_glued,
            Some(_) => false,
        }
    };
    first.opens_operand() || (first.kind == Kind::Op(Op::Sub) && is_sign())
}

/// True unless what precedes an expression makes it a part of something larger that was not understood.
fn stands_alone(text: &str, before: &[Token], expression: &[Token]) -> bool {
    let words = before.iter().rev().take_while(|token| token.kind == Kind::Word).count();
    let (rest, words) = before.split_at(before.len() - words);
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

/// The longest expression that starts at the equals sign, if nothing after it changes its value.
fn right_side<'a>(text: &'a str, tokens: &[Token]) -> Option<Side<'a>> {
    let seen = tokens.get(..tokens.len().min(MAX_SIDE))?;
    let reading = expression::read(text, seen)?;
    if reading.len == MAX_SIDE {
        return None; // It may go on.
    }
    let (read, rest) = tokens.split_at(reading.len);
    let next = rest.first();
    let goes_on = next.is_some_and(|&next| match next.kind {
        Kind::Op(_) | Kind::Junk | Kind::Number { .. } => true,
        Kind::Word => changes_number(text, next, rest.get(1..).unwrap_or_default()),
        Kind::Open => next.glued,
        _ => false,
    });
    let operator_later = rest.iter().find(|t| t.kind != Kind::Word);
    let dangling = operator_later.is_some_and(|t| matches!(t.kind, Kind::Op(_)));
    (!goes_on && !dangling).then(|| side(read, reading)).flatten()
}

/// `10/3 = 3 remainder 1` and `4/3 = 1 and 1/3`: the number goes on.
fn changes_number(text: &str, after: Token, then: &[Token]) -> bool {
    match word(text, after).to_lowercase().as_str() {
        "remainder" => true,
        "and" => is_fraction(then),
        _ => false,
    }
}

/// True if the tokens begin with a fraction, as in `1 and 1/3` and `16 and (2/3)`.
fn is_fraction(tokens: &[Token]) -> bool {
    let ([Token { kind: Kind::Open, .. }, top, slash, bottom, ..] | [top, slash, bottom, ..]) =
        tokens
    else {
        return false;
    };
    let numbers = [top, bottom].iter().all(|t| matches!(t.kind, Kind::Number { .. }));
    numbers && slash.kind == Kind::Op(Op::Div) && slash.glued && bottom.glued
}

fn side<'a>(tokens: &[Token], reading: Reading<'a>) -> Option<Side<'a>> {
    let span = tokens.first()?.start..tokens.last()?.end;
    Some(Side { span, reading })
}

/// Checks one claim of `text`, which itself starts at `offset`.
fn judge(text: &str, offset: usize, left: &Side<'_>, right: &Side<'_>) -> Check {
    let ok = holds(&left.reading, &right.reading);
    let decided =
        right.reading.value.is_some() && (ok || !may_be_meant(&left.reading, &right.reading));
    let computed = left.reading.value.filter(|_| decided).map(|value| value.to_string());
    // An annotation may stand between a currency sign and its number.
    let written =
        |side: &Side<'_>| strip_annotations(text.get(side.span.clone()).unwrap_or_default());
    Check {
        expression: written(left),
        claimed: written(right),
        ok: ok && computed.is_some(),
        computed,
        start: offset + left.span.start,
    }
}

/// True if the sides are equal in one of the readings of their percent signs.
fn holds(left: &Reading<'_>, right: &Reading<'_>) -> bool {
    let decimals = right.decimals.unwrap_or(0);
    let equal = |left: Option<Rational>, right: Option<Rational>, decimals: u32| match (left, right)
    {
        (Some(exact), Some(claimed)) if decimals >= ROUNDED_FROM => claimed.rounds(exact, decimals),
        (Some(exact), Some(claimed)) => exact == claimed,
        _ => false,
    };
    if !right.percent {
        return equal(left.value, right.value, decimals);
    }
    // As a fraction, `33%` has two digits after the point.
    let as_fraction = right.decimals.map_or(0, |decimals| decimals + 2);
    equal(left.value, right.value, as_fraction)
        || equal(left.value, right.percent_points, decimals)
        || equal(left.percent_points, right.percent_points, decimals)
}

/// True if the sides, although unequal, may be meant to be equal in a way the calculator does not know.
fn may_be_meant(left: &Reading<'_>, right: &Reading<'_>) -> bool {
    let loose = left.ambiguous || right.ambiguous || left.scaled != right.scaled;
    loose
        || unit::is_letter(&left.units)
        || unit::is_letter(&right.units)
        || unit::may_convert(&left.units, &right.units)
}
