//! Pairs of sides around equals signs: which of them are claims, and whether those hold.

use std::ops::Range;

use super::Check;
use super::agree::{self, Written};
use super::annotation::strip_annotations;
use super::context;
use super::expression::{self, Binding, Range as Span, Reading, Sense};
use super::settle::{settle, word};
use super::token::{self, Kind, Op, Token};
use super::unit;
use crate::rational::Rational;

/// Most tokens of a side that are examined, before or after the equals sign; a longer expression is not read. This
/// bound keeps the effort linear in the text.
const MAX_SIDE: usize = 64;

/// Largest number in a fraction that may be a share of something left unsaid: `3/4 = 15 gallons`.
const MAX_SHARE: f64 = 12.0;

/// From this result on, a number without a scale word leaves none out: `25k * 2 = 60,000` is wrong, but `25k * 2 = 60`
/// may be in thousands.
const SCALED_FROM: i64 = 1000;

/// A claim as it was found.
pub(super) struct Claim {
    pub(super) check: Check,
    /// The claimed number, with percentages as written (`25%` is 25).
    pub(super) claimed: Option<Rational>,
    /// The number that the text after an annotation gives, if it has other digits.
    pub(super) shown: Option<Rational>,
    /// The value of the left side, even if the claim is in doubt.
    exact: Option<Rational>,
    written: Written,
    /// The bytes from the end of the left side to the end of the claim.
    rest: Range<usize>,
}

/// One way to read a side: its position and its value.
struct Candidate<'a> {
    span: Range<usize>,
    reading: Reading<'a>,
}

/// How a fraction is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fraction {
    /// `3/4`
    Tight,
    /// `3 / 4`
    Loose,
}

/// A side of a claim.
struct Side<'a> {
    main: Candidate<'a>,
    /// A shorter way to read it: `6` in `6 times $5`.
    other: Option<Candidate<'a>>,
    /// Set if the side is a fraction of two numbers and nothing else.
    fraction: Option<Fraction>,
    /// Whether it may be part of something larger.
    doubtful: bool,
}

/// The claims of one annotation, and its position.
struct Annotated {
    start: usize,
    claims: Vec<Claim>,
}

/// Returns all claims in a text, sorted by where they start.
pub(super) fn find(text: &str) -> Vec<Claim> {
    let (raw, annotations) = token::tokens(text);
    let tokens = settle(text, &raw);
    let mut annotated: Vec<Annotated> = annotations
        .iter()
        .map(|&(start, inner)| Annotated { start, claims: annotated(text, start + 2, inner) })
        .collect();
    let mut claims: Vec<Claim> = tokens
        .split(|token| token.kind == Kind::Break)
        .flat_map(|run| spoken(text, run))
        .filter(|claim| !repeats(claim, &mut annotated))
        .collect();
    claims.extend(annotated.into_iter().flat_map(|annotation| annotation.claims));
    claims.sort_by_key(|claim| claim.check.start);
    claims
}

/// Whether an annotation before the end of the right side makes the same claim: `12 + 5 = <<12+5=17>>17` is one claim,
/// and so is `56 / 6 = <<56/6=9.333333333333334>>9`, where the annotation holds the computed value.
fn repeats(claim: &Claim, annotated: &mut [Annotated]) -> bool {
    // A binary search, because a text may have many annotations and this runs for every claim.
    let from = annotated.partition_point(|annotation| annotation.start < claim.rest.start);
    let inside = annotated.iter_mut().skip(from).take_while(|a| a.start < claim.rest.end);
    for other in inside.flat_map(|annotation| &mut annotation.claims) {
        if other.exact.is_none() || other.exact != claim.exact {
            continue;
        }
        if other.claimed.is_some() && other.claimed == claim.claimed {
            return true;
        }
        if other.check.ok && !claim.check.ok && is_shown(other, claim) {
            other.shown = claim.claimed;
            return true;
        }
    }
    false
}

/// Whether a number in the text is the result of the annotation before it with fewer digits. If the annotation has the
/// many digits that only a machine writes, the text may have got its shorter number in any way, since nobody copies
/// those.
fn is_shown(annotation: &Claim, claim: &Claim) -> bool {
    let (Some(exact), Some(shown)) = (annotation.claimed, claim.claimed) else { return false };
    agree::is_rounding(exact, shown, claim.written.place)
        || (annotation.written.is_long() && !claim.written.is_long())
}

/// Returns the claims in a run of tokens without a break.
fn spoken(text: &str, run: &[Token]) -> Vec<Claim> {
    let sides: Vec<&[Token]> = run.split(|token| token.kind == Kind::Equals).collect();
    let pair = |(at, pair): (usize, &[&[Token]])| {
        let &[left, right] = pair else { return None };
        let left = left_side(text, left, at > 0)?;
        let right = right_side(text, right, at + 2 < sides.len())?;
        is_claim(&left.main.reading, &right.main.reading, at > 0)
            .then(|| judge(text, 0, &left, &right))
    };
    sides.windows(2).enumerate().filter_map(pair).collect()
}

/// Whether two expressions around an equals sign make a claim. `chained` if the left one is itself a result.
fn is_claim(left: &Reading<'_>, right: &Reading<'_>, chained: bool) -> bool {
    match (left.operators, right.operators) {
        // `60 minutes = 1 hour` is a conversion and not a calculation, but the end of `2 + 3 = 5 = 6` is a wrong
        // result.
        (0, 0) => {
            let bare = |side: &Reading<'_>| !side.has_units() && !side.percent;
            chained && bare(left) && bare(right)
        }
        // `1 box = 3 * 4 apples` and `48 = 100% + 20%` relate two things.
        (0, _) => !left.has_units() && !right.percent,
        _ => true,
    }
}

/// Returns the claims of an annotation, in which every side is an expression. If a side cannot be read, the result is
/// one undecidable claim: the annotation shows that there is a claim.
fn annotated(text: &str, start: usize, inner: &str) -> Vec<Claim> {
    let (raw, _) = token::tokens(inner);
    let tokens = settle(inner, &raw);
    let sides: Vec<&[Token]> = tokens.split(|token| token.kind == Kind::Equals).collect();
    let last = sides.len().saturating_sub(1);
    let mut claims = Vec::new();
    for (at, pair) in sides.windows(2).enumerate() {
        let &[left, right] = pair else { continue };
        let left = whole_side(inner, left, false);
        let right = whole_side(inner, right, at + 1 < last);
        let (Some(left), Some(right)) = (left, right) else { return vec![unread(inner, start)] };
        claims.push(judge(text, start, &left, &right));
    }
    claims
}

fn unread(inner: &str, start: usize) -> Claim {
    let (expression, claimed) = inner.split_once('=').unwrap_or((inner, ""));
    let (expression, claimed) = (expression.trim().to_owned(), claimed.trim().to_owned());
    let check = Check { expression, claimed, computed: None, ok: false, start };
    let written = Written::decimal(0);
    Claim { check, claimed: None, shown: None, exact: None, written, rest: start..start }
}

/// Reads a side of an annotation. `continues` if it is a right side and another equals sign follows.
fn whole_side<'a>(text: &'a str, tokens: &[Token], continues: bool) -> Option<Side<'a>> {
    let mut main = candidate(text, tokens).filter(|_| tokens.len() <= MAX_SIDE)?;
    main.reading.range = Span::None; // Nobody annotates ranges.
    let other = if continues { first_operand(text, tokens, true) } else { None };
    Some(Side { main, other, fraction: None, doubtful: false })
}

/// Reads all the tokens as one expression; `None` if some are left over.
fn candidate<'a>(text: &'a str, tokens: &[Token]) -> Option<Candidate<'a>> {
    let reading = expression::read(text, tokens.get(..tokens.len().min(MAX_SIDE + 1))?)?;
    if reading.len != tokens.len() {
        return None;
    }
    Some(Candidate { span: tokens.first()?.start..tokens.last()?.end, reading })
}

/// Reads the longest expression that ends at the equals sign; `None` if it is not a statement of its own.
fn left_side<'a>(text: &'a str, tokens: &[Token], chained: bool) -> Option<Side<'a>> {
    // Starts are tried from the left, so the longest expression is found first.
    let first = tokens.len().saturating_sub(MAX_SIDE);
    for start in first..tokens.len() {
        let (before, rest) = tokens.split_at(start);
        if !starts_expression(before, rest) {
            continue;
        }
        if let Some(main) = candidate(text, rest) {
            let alone = before.is_empty() || main.reading.operators > 0;
            if !alone || !context::stands_alone(text, before, rest) {
                return None;
            }
            return Some(Side {
                other: without_pack(text, rest),
                fraction: quotient(rest).filter(|_| main.reading.operators == 1),
                doubtful: context::is_doubtful(text, before, rest, &main.reading, chained),
                main,
            });
        }
    }
    None
}

/// Reads the expression after `8 packs of` or `15 out of`.
fn without_pack<'a>(text: &'a str, tokens: &[Token]) -> Option<Candidate<'a>> {
    let first = tokens.iter().position(|t| matches!(t.kind, Kind::Op(_)))?;
    let (pack, rest) = tokens.split_at(first + 1);
    let is_pack = matches!(pack.last()?.kind, Kind::Op(Op::Each | Op::OutOf));
    is_pack.then(|| candidate(text, rest)).flatten().filter(|found| found.reading.operators > 0)
}

/// Returns how a fraction of two numbers is written, perhaps with a unit: `3/4 tank`.
fn quotient(tokens: &[Token]) -> Option<Fraction> {
    let number = |t: &Token| matches!(t.kind, Kind::Number { .. });
    match tokens {
        [top, slash, bottom, ..]
            if number(top) && slash.kind == Kind::Op(Op::Div) && number(bottom) =>
        {
            Some(if slash.glued && bottom.glued { Fraction::Tight } else { Fraction::Loose })
        }
        _ => None,
    }
}

/// Whether an expression can start at the front of `rest`: at an operand, or at a minus that is a sign.
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

/// Reads the longest expression that starts at the equals sign; `None` if the text after it changes its value.
/// `continues` if another equals sign follows.
fn right_side<'a>(text: &'a str, tokens: &[Token], continues: bool) -> Option<Side<'a>> {
    let seen = tokens.get(..tokens.len().min(MAX_SIDE))?;
    let reading = expression::read(text, seen)?;
    if reading.len == MAX_SIDE {
        return None; // It may go on past the tokens examined.
    }
    let (read, rest) = tokens.split_at(reading.len);
    if context::goes_on(text, rest) {
        return None;
    }
    let span = read.first()?.start..read.last()?.end;
    Some(Side {
        main: Candidate { span, reading },
        other: first_operand(text, read, continues),
        fraction: None,
        doubtful: context::is_begun(text, read, rest),
    })
}

/// Reads only the first part of a side that continues with a word as its operator, as in `5 + 1 = 6 times $5` and
/// `1 - 2/3 = 1/3 of $150`, or with the next calculation, as in `2 + 3 = 5 * 4 = 20`.
fn first_operand<'a>(text: &'a str, tokens: &[Token], continues: bool) -> Option<Candidate<'a>> {
    let spelled = |name: &str| name.chars().all(char::is_alphabetic) && !matches!(name, "x" | "X");
    let ends = |t: &Token| matches!(t.kind, Kind::Op(_)) && (continues || spelled(word(text, *t)));
    let at = 1 + tokens.get(1..)?.iter().position(ends)?;
    candidate(text, tokens.get(..at)?)
}

/// Checks one claim. The sides lie in a part of `text` that starts at `offset`.
fn judge(text: &str, offset: usize, left: &Side<'_>, right: &Side<'_>) -> Claim {
    let ways = [
        Some((&left.main, &right.main)),
        right.other.as_ref().map(|other| (&left.main, other)),
        left.other.as_ref().map(|other| (other, &right.main)),
    ];
    let held = ways.into_iter().flatten().find(|(l, r)| holds(&l.reading, &r.reading));
    let (l, r) = held.unwrap_or((&left.main, &right.main));
    let absolute = |span: &Range<usize>| span.start + offset..span.end + offset;
    let (from, to) = (absolute(&l.span), absolute(&r.span));
    // Only asked if the claim does not hold: whatever holds in one of its readings needs no benefit of the doubt.
    let unsure = || {
        may_be_meant(left, right)
            || l.reading.value.zip(shown(&r.reading)).is_some_and(|(exact, claimed)| {
                let line = context::nearby(text, from.start..to.end);
                let digits = r.reading.written.map_or(0, |written| written.digits);
                context::is_rounded(line, exact, claimed, digits)
                    || context::is_scaled(line, exact, claimed)
            })
    };
    let decided = r.reading.value.is_some() && (held.is_some() || !unsure());
    let computed = l.reading.value.filter(|_| decided).map(|value| value.to_string());
    // An annotation may stand between a currency sign and its number.
    let quoted =
        |span: &Range<usize>| strip_annotations(text.get(span.clone()).unwrap_or_default());
    Claim {
        claimed: shown(&r.reading),
        shown: None,
        exact: l.reading.value,
        written: r.reading.written.unwrap_or(Written::decimal(0)),
        rest: from.end..to.end,
        check: Check {
            expression: quoted(&from),
            claimed: quoted(&to),
            ok: held.is_some() && computed.is_some(),
            computed,
            start: from.start,
        },
    }
}

/// Returns the value of a side as written, so that `25%` is 25.
fn shown(reading: &Reading<'_>) -> Option<Rational> {
    if reading.percent { reading.percent_points.or(reading.value) } else { reading.value }
}

/// Whether the sides are equal in one of the readings of their percent signs.
fn holds(left: &Reading<'_>, right: &Reading<'_>) -> bool {
    let largest = left.largest_term.max(right.largest_term);
    let written = right.written.unwrap_or(Written::decimal(0));
    let equal = |left: Option<Rational>, right: Option<Rational>, written: Written| {
        left.zip(right).is_some_and(|(l, r)| agree::agrees(l, r, written, largest))
    };
    if !right.percent {
        return equal(left.value, right.value, written)
            || equal(left.percent_points, right.value, written);
    }
    equal(left.value, right.value, written.percent())
        || equal(left.value, right.percent_points, written)
        || equal(left.percent_points, right.percent_points, written)
}

/// Whether the sides, although unequal, may be meant to be equal in a way that the calculator does not know.
fn may_be_meant(left: &Side<'_>, right: &Side<'_>) -> bool {
    let (l, r) = (&left.main.reading, &right.main.reading);
    left.doubtful
        || right.doubtful
        || l.sense > Sense::Clear
        || r.sense == Sense::Ambiguous
        || unit::is_letter(&l.units)
        || unit::is_letter(stated(r))
        || unit::may_convert(&l.units, stated(r))
        || is_scaled_apart(l, r)
        || is_range(l, r)
        || is_percentage(l, r)
        || is_relation(left, r)
}

/// Returns the units of a result, up to an `of`: `40 hours of work a week` are hours.
fn stated<'a, 'b>(right: &'b Reading<'a>) -> &'b [&'a str] {
    let of = right.units.iter().position(|unit| *unit == "of");
    let len = of.filter(|_| right.operators == 0).unwrap_or(right.units.len());
    right.units.get(..len).unwrap_or_default()
}

/// Whether the scale of one side may be left out in the other: `2 * 10 = $20 million`, `25k * 2 = 50`.
fn is_scaled_apart(left: &Reading<'_>, right: &Reading<'_>) -> bool {
    let large = || right.value.is_some_and(|value| value >= Rational::integer(SCALED_FROM));
    match (left.scaled, right.scaled) {
        (false, true) => true,
        (true, false) => !large(),
        _ => false,
    }
}

/// Whether a difference may be a range: `10-12 people x 2 = 20-24`, `pages 10-15 = 6`. Ranges are not negative.
fn is_range(left: &Reading<'_>, right: &Reading<'_>) -> bool {
    let negative = right.operators == 0 && right.value.is_some_and(Rational::is_negative);
    let tight = left.range.max(right.range) == Span::Tight;
    !negative && (tight || left.range.min(right.range) == Span::Loose)
}

/// Whether a percent sign may have been left out: `100% / 4 = 25` and `every 1% is $7500/75% = $100`, but not
/// `20% * 50 = 1000`.
fn is_percentage(left: &Reading<'_>, right: &Reading<'_>) -> bool {
    let hundredfold = |n: Option<Rational>| n?.checked_mul(Rational::integer(100));
    let off = hundredfold(left.value) == right.value || left.value == hundredfold(right.value);
    left.percent && !right.percent && left.binding < Binding::Products && off
}

/// Whether the left side may be a share of something that the right side gives: `3/4 tank = 15 gallons`, `25% = 60/4`.
fn is_relation(left: &Side<'_>, right: &Reading<'_>) -> bool {
    let reading = &left.main.reading;
    let Some((value, claimed)) = reading.value.zip(right.value) else { return false };
    if reading.operators == 0 {
        return reading.percent;
    }
    let whole = value.whole().is_some() || value.is_negative();
    let money = reading.units.contains(&unit::MONEY);
    let Some(fraction) = left.fraction.filter(|_| !whole && !money) else { return false };
    if unit::is_shared(&reading.units, &right.units) {
        return false;
    }
    let one = Rational::integer(1);
    let small = reading.largest <= MAX_SHARE;
    let of_another = reading.has_units() && (value < one || (small && !right.units.is_empty()));
    // `3 / 4 = 15 gallons`, with blanks around the slash, is a wrong result and not a share.
    let told = !right.units.is_empty() || right.operators > 0;
    of_another || (fraction == Fraction::Tight && small && value < one && told && claimed >= one)
}
