//! Reads and evaluates an expression in one descent over its tokens. Values are exact; nothing is executed.

use super::settle::word;
use super::token::{Kind, Op, Token};
use super::unit;
use crate::rational::Rational;

/// Deepest nesting of parentheses, signs and powers.
const MAX_DEPTH: usize = 16;

/// What is known of an expression after reading it.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading<'a> {
    /// Its value, percentages as fractions; `None` if it leaves the bounds or divides by zero.
    pub(super) value: Option<Rational>,
    /// Its value with `25%` read as 25, where that makes sense: sums of percentages, a lone percentage.
    pub(super) percent_points: Option<Rational>,
    /// Tokens read.
    pub(super) len: usize,
    /// Operators read.
    pub(super) operators: usize,
    /// Digits after the point, of a lone number.
    pub(super) decimals: Option<u32>,
    /// Has a percent sign.
    pub(super) percent: bool,
    /// Has a number with a scale word.
    pub(super) scaled: bool,
    /// More than one reading is in use, so it is never wrong: a sum of a percentage with something else
    /// (`50 - 20%`), `* 100%`, a division by a bare fraction (`25 / 1/3`).
    pub(super) ambiguous: bool,
    /// The words after its operands.
    pub(super) units: Vec<&'a str>,
}

impl Reading<'_> {
    /// True if some operand has a unit other than money.
    pub(super) fn has_units(&self) -> bool {
        self.units.iter().any(|&unit| unit != unit::MONEY)
    }
}

/// Reads the longest expression at the front of `tokens`; `None` if there is none, or if it breaks off after an
/// operator.
pub(super) fn read<'a>(text: &'a str, tokens: &[Token]) -> Option<Reading<'a>> {
    let mut reader = Reader { text, tokens, at: 0, sums_only: true, found: Reading::default() };
    let whole = reader.sum(0)?;
    let Reader { at, sums_only, found, .. } = reader;
    let points = if sums_only && found.percent { whole.points } else { None };
    let decimals = whole.decimals.filter(|_| found.operators == 0);
    Some(Reading { value: whole.value, percent_points: points, len: at, decimals, ..found })
}

struct Reader<'a, 'b> {
    text: &'a str,
    tokens: &'b [Token],
    at: usize,
    /// No multiplication, division or power so far.
    sums_only: bool,
    /// What was found on the way: everything but the values.
    found: Reading<'a>,
}

/// A part of an expression.
#[derive(Clone, Copy)]
struct Part {
    value: Option<Rational>,
    /// The value with percent signs ignored.
    points: Option<Rational>,
    decimals: Option<u32>,
    /// Is one number with a percent sign.
    lone_percent: bool,
}

impl Reader<'_, '_> {
    fn peek(&self) -> Option<Kind> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    fn sum(&mut self, depth: usize) -> Option<Part> {
        let mut left = self.product(depth)?;
        while let Some(Kind::Op(op @ (Op::Add | Op::Sub))) = self.peek() {
            self.at += 1;
            self.found.operators += 1;
            let right = self.product(depth)?;
            self.found.ambiguous |= left.lone_percent != right.lone_percent;
            left = Part { lone_percent: left.lone_percent, ..combine(op, left, right) };
        }
        Some(left)
    }

    fn product(&mut self, depth: usize) -> Option<Part> {
        let mut left = self.signed(depth)?;
        loop {
            let op = match self.peek() {
                Some(Kind::Op(op @ (Op::Mul | Op::Div | Op::Floor | Op::Of))) => {
                    self.found.ambiguous |= op == Op::Div && self.divides_by_fraction();
                    self.at += 1;
                    op
                }
                Some(Kind::Open) if self.multiplies_silently() => Op::Mul,
                _ => return Some(left),
            };
            self.found.operators += 1;
            self.sums_only = false;
            let right = self.signed(depth)?;
            left = combine(op, left, right);
        }
    }

    /// `25 / 1/3`: a loose slash and a tight one. By precedence this is `25 / 1 / 3`, but it is rarely meant.
    fn divides_by_fraction(&self) -> bool {
        let Some([slash, number, inner, below, ..]) = self.tokens.get(self.at..) else {
            return false;
        };
        let loose = !slash.glued || !number.glued;
        let tight = inner.kind == Kind::Op(Op::Div) && inner.glued && below.glued;
        loose && tight && [number, below].iter().all(|t| matches!(t.kind, Kind::Number { .. }))
    }

    /// `2(3+4)` and `(1+2)(3+4)`, but not `day 2 (3 + 4 ...)`.
    fn multiplies_silently(&self) -> bool {
        let previous = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let operand = previous.is_some_and(|t| matches!(t.kind, Kind::Number { .. } | Kind::Close));
        operand && self.tokens.get(self.at).is_some_and(|token| token.glued)
    }

    fn signed(&mut self, depth: usize) -> Option<Part> {
        if depth > MAX_DEPTH {
            return None;
        }
        let Some(Kind::Op(sign @ (Op::Add | Op::Sub))) = self.peek() else {
            return self.power(depth);
        };
        self.at += 1;
        if sign == Op::Add {
            return self.signed(depth + 1);
        }
        let part = self.signed(depth + 1)?;
        let negated = |value: Option<Rational>| value.map(Rational::negated);
        Some(Part { value: negated(part.value), points: negated(part.points), ..part })
    }

    fn power(&mut self, depth: usize) -> Option<Part> {
        let base = self.operand(depth)?;
        if self.peek() != Some(Kind::Op(Op::Pow)) {
            return Some(base);
        }
        self.at += 1;
        self.found.operators += 1;
        self.sums_only = false;
        let exponent = self.signed(depth + 1)?;
        Some(combine(Op::Pow, base, exponent))
    }

    fn operand(&mut self, depth: usize) -> Option<Part> {
        let &Token { kind, money, .. } = self.tokens.get(self.at)?;
        self.at += 1;
        self.found.units.extend(money.then_some(unit::MONEY));
        let part = match kind {
            Kind::Number { value, decimals, percent, scaled } => {
                self.found.scaled |= scaled;
                self.number(value, decimals, percent)
            }
            Kind::Open => {
                let inner = self.sum(depth + 1)?;
                if self.peek() != Some(Kind::Close) {
                    return None;
                }
                self.at += 1;
                inner
            }
            _ => return None,
        };
        self.unit();
        Some(part)
    }

    fn number(&mut self, value: Option<Rational>, decimals: u32, percent: bool) -> Part {
        self.found.percent |= percent;
        self.found.ambiguous |=
            percent && self.found.operators > 0 && value == Some(Rational::integer(100));
        let hundredth = value.and_then(|value| value.checked_div(Rational::integer(100)));
        Part {
            value: if percent { hundredth } else { value },
            points: value,
            decimals: Some(decimals),
            lone_percent: percent,
        }
    }

    /// Reads the words of a unit, if the expression can go on or end after them.
    fn unit(&mut self) {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let is_unit =
            |t: &&Token| t.kind == Kind::Word && !unit::is_connective(word(self.text, **t));
        let words = rest.iter().take(unit::MAX_WORDS).take_while(is_unit).count();
        let goes_on = rest.get(words).is_none_or(|t| matches!(t.kind, Kind::Op(_) | Kind::Close));
        let read = if goes_on { words } else { 0 };
        self.found.units.extend(rest.iter().take(words).map(|&t| word(self.text, t)));
        self.at += read;
    }
}

fn combine(op: Op, left: Part, right: Part) -> Part {
    let apply = |left: Option<Rational>, right: Option<Rational>| {
        let (left, right) = (left?, right?);
        match op {
            Op::Add => left.checked_add(right),
            Op::Sub => left.checked_sub(right),
            Op::Mul | Op::Of => left.checked_mul(right),
            Op::Div => left.checked_div(right),
            Op::Floor => left.checked_floor_div(right),
            Op::Pow => left.checked_pow(right),
        }
    };
    Part {
        value: apply(left.value, right.value),
        points: apply(left.points, right.points),
        decimals: None,
        lone_percent: false,
    }
}
