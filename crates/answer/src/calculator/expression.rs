//! Reads and evaluates an expression in one recursive descent over its tokens. Values are exact; nothing is executed.

use super::agree::{Written, double};
use super::settle::word;
use super::token::{Kind, Op, Token};
use super::unit;
use crate::rational::Rational;

/// Deepest nesting of parentheses, signs and powers.
const MAX_DEPTH: usize = 16;

/// The result of reading an expression.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading<'a> {
    /// Its value, with percentages as fractions; `None` if it leaves the bounds or divides by zero.
    pub(super) value: Option<Rational>,
    /// Its value with `25%` read as 25, where that makes sense: sums of percentages, or a lone percentage.
    pub(super) percent_points: Option<Rational>,
    /// Number of tokens read.
    pub(super) len: usize,
    /// Number of operators read.
    pub(super) operators: usize,
    /// How precisely a lone number was written.
    pub(super) written: Option<Written>,
    /// The largest absolute value of its numbers.
    pub(super) largest: f64,
    /// The largest absolute value of the terms of its sums.
    pub(super) largest_term: f64,
    /// Whether it has a percent sign.
    pub(super) percent: bool,
    /// Whether it has a number with a scale word.
    pub(super) scaled: bool,
    /// How clear its meaning is, and so whether it can be wrong.
    pub(super) sense: Sense,
    /// The strongest kind of operator in it.
    pub(super) binding: Binding,
    /// Whether it may be a range: `10-12`.
    pub(super) range: Range,
    /// The words after its operands.
    pub(super) units: Vec<&'a str>,
}

/// How many meanings an expression has, from clear to ambiguous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sense {
    /// One meaning.
    #[default]
    Clear,
    /// One meaning, but the words after its last number may continue it: `2 + 3 times the apples`.
    Open,
    /// `8 packs of 5`: either a product, or just a description of the packs.
    Packed,
    /// More than one meaning is in use, so it is never wrong: a sum of a percentage and something else (`50 - 20%`),
    /// `* 100%`, a division by a bare fraction (`25 / 1/3`), a sum of millions and ones, `5(Minutes)`.
    Ambiguous,
}

/// The kinds of operators in an expression, weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    /// Sums and differences at most.
    #[default]
    Sums,
    /// Also quotients.
    Quotients,
    /// Also products and powers.
    Products,
}

/// Whether a difference may be a range of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Range {
    /// There is no difference whose second number is larger.
    #[default]
    None,
    /// `10 - 12`: a range only if there is another one nearby.
    Loose,
    /// `10-12`.
    Tight,
}

impl Reading<'_> {
    /// Whether some operand has a unit other than money.
    pub(super) fn has_units(&self) -> bool {
        self.units.iter().any(|&unit| unit != unit::MONEY)
    }
}

/// Reads the longest expression at the front of `tokens`; `None` if there is none, or if it breaks off after an
/// operator.
pub(super) fn read<'a>(text: &'a str, tokens: &[Token]) -> Option<Reading<'a>> {
    let mut reader = Reader { text, tokens, at: 0, found: Reading::default() };
    let whole = reader.sum(0)?;
    let Reader { at, found, .. } = reader;
    let points = whole.points.filter(|_| found.binding == Binding::Sums && found.percent);
    let written = whole.written.filter(|_| found.operators == 0);
    Some(Reading { value: whole.value, percent_points: points, len: at, written, ..found })
}

struct Reader<'a, 'b> {
    text: &'a str,
    tokens: &'b [Token],
    at: usize,
    /// Everything found on the way, except the values.
    found: Reading<'a>,
}

/// A part of an expression.
#[derive(Clone, Copy)]
struct Part {
    value: Option<Rational>,
    /// The value with percent signs ignored.
    points: Option<Rational>,
    written: Option<Written>,
    /// Whether it is one number with a percent sign.
    lone_percent: bool,
    /// Whether it is one number below a thousand without a scale: after `1.5 million + 500` it may be meant in
    /// thousands.
    small: bool,
    /// Whether it is one number with a scale.
    scaled: bool,
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> Option<Kind> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    /// Marks the expression as ambiguous if the condition holds.
    fn doubt(&mut self, ambiguous: bool) {
        self.senses(ambiguous, Sense::Ambiguous);
    }

    fn senses(&mut self, applies: bool, sense: Sense) {
        if applies {
            self.found.sense = self.found.sense.max(sense);
        }
    }

    fn binds(&mut self, binding: Binding) {
        self.found.binding = self.found.binding.max(binding);
    }

    fn sum(&mut self, depth: usize) -> Option<Part> {
        let mut left = self.product(depth)?;
        while let Some(Kind::Op(op @ (Op::Add | Op::Sub))) = self.peek() {
            self.found.range = self.found.range.max(self.range());
            self.at += 1;
            self.found.operators += 1;
            let right = self.product(depth)?;
            self.doubt(
                left.lone_percent != right.lone_percent
                    || (left.scaled && right.small)
                    || (left.small && right.scaled),
            );
            let size = |part: Part| part.value.and_then(double).map_or(0.0, f64::abs);
            let term = size(left).max(size(right));
            self.found.largest_term = self.found.largest_term.max(term);
            left = Part { lone_percent: left.lone_percent, ..combine(op, left, right) };
        }
        Some(left)
    }

    fn product(&mut self, depth: usize) -> Option<Part> {
        let mut left = self.signed(depth)?;
        loop {
            let op = match self.peek() {
                Some(Kind::Op(op)) if !matches!(op, Op::Add | Op::Sub | Op::Pow) => {
                    self.senses(matches!(op, Op::Each | Op::OutOf), Sense::Packed);
                    self.doubt(op == Op::Div && self.divides_by_fraction());
                    self.at += 1;
                    op
                }
                Some(Kind::Open) if self.multiplies_silently() => Op::Mul,
                _ => return Some(left),
            };
            self.found.operators += 1;
            let divides = matches!(op, Op::Div | Op::Floor | Op::OutOf);
            self.binds(if divides { Binding::Quotients } else { Binding::Products });
            let right = self.signed(depth)?;
            left = combine(op, left, right);
        }
    }

    /// Whether this is `25 / 1/3`, a loose slash and a tight one. By precedence it means `25 / 1 / 3`, but that is
    /// rarely what the writer means. `25 / 1 / 3` counts too, because nobody divides by one on purpose.
    fn divides_by_fraction(&self) -> bool {
        let Some([slash, number, inner, below, ..]) = self.tokens.get(self.at..) else {
            return false;
        };
        let loose = !slash.glued || !number.glued;
        let one = Some(Rational::integer(1));
        let by_one = matches!(number.kind, Kind::Number { value, .. } if value == one);
        let tight = inner.glued && below.glued;
        let numbers = [number, below].iter().all(|t| matches!(t.kind, Kind::Number { .. }));
        numbers && inner.kind == Kind::Op(Op::Div) && loose && (by_one || tight)
    }

    /// Whether the minus here may be that of a range: it is between two numbers of which the second is larger, and no
    /// operator precedes the first.
    fn range(&self) -> Range {
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.tokens.get(at));
        let (Some(first), Some([minus, last, ..])) = (before(1), self.tokens.get(self.at..)) else {
            return Range::None;
        };
        let number = |token: &Token| match token.kind {
            Kind::Number { value, .. } => value,
            _ => None,
        };
        let grows = number(first).zip(number(last)).is_some_and(|(first, last)| first < last);
        let continues = matches!(before(2).map(|t| t.kind), Some(Kind::Op(_)));
        match (minus.kind == Kind::Op(Op::Sub) && grows && !continues, minus.glued && last.glued) {
            (true, true) => Range::Tight,
            (true, false) => Range::Loose,
            _ => Range::None,
        }
    }

    /// Whether a parenthesis multiplies without a sign: `2(3+4)` and `(1+2)(3+4)`, but not `day 2 (3 + 4 ...)`.
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
        // `--10800` and `3*+1` are typing slips, so they are not held against the text.
        let is_product =
            |t: Option<&Token>| t.is_some_and(|t| matches!(t.kind, Kind::Op(Op::Mul | Op::Div)));
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let plus = sign == Op::Add && is_product(before);
        let glued = self.tokens.get(self.at).is_some_and(|t| t.glued);
        self.at += 1;
        let next = self.tokens.get(self.at);
        self.doubt((plus && glued) || next.is_some_and(|t| t.glued && t.kind == Kind::Op(Op::Sub)));
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
        self.binds(Binding::Products);
        let exponent = self.signed(depth + 1)?;
        Some(combine(Op::Pow, base, exponent))
    }

    fn operand(&mut self, depth: usize) -> Option<Part> {
        let &Token { kind, money, .. } = self.tokens.get(self.at)?;
        self.at += 1;
        self.found.units.extend(money.then_some(unit::MONEY));
        let part = match kind {
            Kind::Number { value, written, percent, scaled } => {
                self.found.scaled |= scaled;
                Part {
                    scaled,
                    small: is_small(value, scaled),
                    ..self.number(value, written, percent)
                }
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

    fn number(&mut self, value: Option<Rational>, written: Written, percent: bool) -> Part {
        self.found.percent |= percent;
        self.found.largest = value.and_then(double).map_or(0.0, f64::abs).max(self.found.largest);
        let hundred = value == Some(Rational::integer(100));
        self.doubt(percent && hundred && self.found.operators > 0);
        let hundredth = value.and_then(|value| value.checked_div(Rational::integer(100)));
        Part {
            value: if percent { hundredth } else { value },
            points: value,
            written: Some(written),
            lone_percent: percent,
            small: false,
            scaled: false,
        }
    }

    /// Reads the words of a unit, if the expression can continue or end after them.
    fn unit(&mut self) {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let words: Vec<&str> = self.unit_words(rest);
        let next = rest.get(words.len());
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        if next.is_none_or(|t| matches!(t.kind, Kind::Op(_) | Kind::Close)) {
            self.at += words.len();
            // `5(Minutes)` multiplies by a name, whereas `5 (apples)` means that many apples.
            let between = before.zip(rest.first()).and_then(|(a, b)| self.text.get(a.end..b.start));
            let named = !words.is_empty() && between == Some("(");
            self.doubt(named || unit::changes(&words));
            self.senses(unit::multiplies(&words), Sense::Open);
        }
        self.found.units.extend(words);
    }

    /// Returns the words after a number that may be its unit. An `of` is part of it only between words:
    /// `pieces of candy`.
    fn unit_words(&self, rest: &[Token]) -> Vec<&'a str> {
        let words = rest.iter().take_while(|t| t.kind == Kind::Word).take(unit::MAX_WORDS + 1);
        let words: Vec<&str> = words.map(|&t| word(self.text, t)).collect();
        let ends = |(at, name): (usize, &&str)| {
            let inside = *name == "of" && at > 0 && at + 1 < words.len();
            unit::is_connective(name) && !inside
        };
        let len = words.iter().enumerate().position(ends).unwrap_or(words.len());
        words.get(..len.min(unit::MAX_WORDS)).unwrap_or_default().to_vec()
    }
}

fn is_small(value: Option<Rational>, scaled: bool) -> bool {
    !scaled && value.is_some_and(|value| value < Rational::integer(1000))
}

fn combine(op: Op, left: Part, right: Part) -> Part {
    let apply = |left: Option<Rational>, right: Option<Rational>| {
        let (left, right) = (left?, right?);
        match op {
            Op::Add => left.checked_add(right),
            Op::Sub => left.checked_sub(right),
            Op::Mul | Op::Of | Op::Each => left.checked_mul(right),
            Op::Div | Op::OutOf => left.checked_div(right),
            Op::Floor => left.checked_floor_div(right),
            Op::Pow => left.checked_pow(right),
        }
    };
    Part {
        value: apply(left.value, right.value),
        points: apply(left.points, right.points),
        written: None,
        lone_percent: false,
        small: false,
        scaled: false,
    }
}
