//! Exact numbers, used for grading answers and checking claims.
//!
//! A [`Rational`] is a fraction of two bounded integers. Nothing here rounds and nothing panics: a result that leaves
//! the bounds or divides by zero is `None`, and the caller decides what an unknown value means.

use std::fmt;

use num_rational::Ratio;
use num_traits::{CheckedAdd, CheckedMul, CheckedSub, Zero};

/// Largest numerator and denominator, `10^36`. It leaves two digits of headroom in an `i128`, so that no sign change or
/// reduction inside `num_rational` can overflow.
const LIMIT: u128 = 10u128.pow(36);

/// Longest decimal expansion that [`Rational`] displays, in digits; a longer one is displayed as a fraction.
const MAX_DECIMALS: usize = 40;

/// Currency signs, ignored before and after a number, because no exchange rate is ever meant.
pub(crate) const CURRENCY: [char; 12] =
    ['$', '€', '£', '¥', '₹', '₩', '₽', '₱', '₫', '₺', '₦', '₪'];

/// Single letters that are read as a unit after a number; any other single letter is a variable.
pub(crate) const UNIT_LETTERS: [char; 6] = ['m', 'g', 'h', 'l', 'L', 's'];

/// Single-character fractions: the character, its numerator and its denominator.
const VULGAR: [(char, i128, i128); 16] = [
    ('½', 1, 2),
    ('⅓', 1, 3),
    ('⅔', 2, 3),
    ('¼', 1, 4),
    ('¾', 3, 4),
    ('⅕', 1, 5),
    ('⅖', 2, 5),
    ('⅗', 3, 5),
    ('⅘', 4, 5),
    ('⅙', 1, 6),
    ('⅚', 5, 6),
    ('⅛', 1, 8),
    ('⅜', 3, 8),
    ('⅝', 5, 8),
    ('⅞', 7, 8),
    ('⅒', 1, 10),
];

/// An exact number in lowest terms, with numerator and denominator of at most `10^36`.
///
/// Displayed as an integer, else as a finite decimal (`0.125`), else as a fraction (`1/3`), so that equal numbers have
/// equal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rational(Ratio<i128>);

impl Rational {
    /// Returns `numerator / denominator`; `None` for a zero denominator and beyond the bounds.
    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        let fits = |n: i128| n.unsigned_abs() <= LIMIT;
        // `Ratio::new` panics if the denominator is zero.
        let valid = denominator != 0 && fits(numerator) && fits(denominator);
        valid.then(|| Self(Ratio::new(numerator, denominator)))
    }

    /// Returns a whole number.
    pub fn integer(value: i64) -> Self {
        Self(Ratio::from_integer(i128::from(value)))
    }

    /// Returns the sum, if it is within the bounds.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::bounded(self.0.checked_add(&other.0)?)
    }

    /// Returns the difference, if it is within the bounds.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Self::bounded(self.0.checked_sub(&other.0)?)
    }

    /// Returns the product, if it is within the bounds.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        Self::bounded(self.0.checked_mul(&other.0)?)
    }

    /// Returns the quotient, if it is within the bounds; `None` for a zero divisor.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        // `recip` panics for zero.
        if other.0.is_zero() {
            return None;
        }
        self.checked_mul(Self(other.0.recip()))
    }

    /// Returns the quotient rounded down, if it is within the bounds; `None` for a zero divisor.
    pub fn checked_floor_div(self, other: Self) -> Option<Self> {
        Some(Self(self.checked_div(other)?.0.floor()))
    }

    /// Returns the power for a whole exponent from -64 to 64, if it is within the bounds.
    pub fn checked_pow(self, exponent: Self) -> Option<Self> {
        let exponent = exponent.0.is_integer().then(|| exponent.0.to_integer())?;
        if exponent.unsigned_abs() > 64 {
            return None;
        }
        let mut power = Self::integer(1);
        for _ in 0..exponent.unsigned_abs() {
            power = power.checked_mul(self)?;
        }
        if exponent < 0 { Self::integer(1).checked_div(power) } else { Some(power) }
    }

    /// Returns the power for any whole exponent, if it is within the bounds. Takes time logarithmic in the exponent.
    pub(crate) fn power(self, exponent: i128) -> Option<Self> {
        let base = if exponent < 0 { Self::integer(1).checked_div(self)? } else { self };
        let (mut power, mut square, mut left) = (Self::integer(1), base, exponent.unsigned_abs());
        loop {
            if left & 1 == 1 {
                power = power.checked_mul(square)?;
            }
            left >>= 1;
            // Before squaring again: the last square is not needed, and may be out of bounds.
            if left == 0 {
                return Some(power);
            }
            square = square.checked_mul(square)?;
        }
    }

    /// Returns the numerator, which carries the sign.
    pub(crate) fn numer(self) -> i128 {
        *self.0.numer()
    }

    /// Returns the denominator, which is positive.
    pub(crate) fn denom(self) -> i128 {
        *self.0.denom()
    }

    /// Returns the value, if it is whole.
    pub(crate) fn whole(self) -> Option<i128> {
        self.0.is_integer().then(|| self.0.to_integer())
    }

    /// Returns the largest whole number that is not above this one.
    pub(crate) fn floor(self) -> Self {
        Self(self.0.floor())
    }

    /// Whether the number is zero.
    pub(crate) fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Whether the number is below zero.
    pub(crate) fn is_negative(self) -> bool {
        self.numer() < 0
    }

    /// Returns the negated number. It cannot leave the bounds, which are symmetric.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    /// Whether `self` may be `exact` rounded to `decimals` digits after the point: they differ by at most half a unit
    /// of the last digit.
    pub fn rounds(self, exact: Self, decimals: u32) -> bool {
        let half_unit = 10i128
            .checked_pow(decimals)
            .and_then(|d| d.checked_mul(2))
            .and_then(|d| Self::new(1, d));
        match (half_unit, self.checked_sub(exact)) {
            (Some(half), Some(gap)) => gap <= half && gap >= half.negated(),
            _ => self == exact,
        }
    }

    fn bounded(ratio: Ratio<i128>) -> Option<Self> {
        let fits = |n: &i128| n.unsigned_abs() <= LIMIT;
        (fits(ratio.numer()) && fits(ratio.denom())).then_some(Self(ratio))
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (numerator, denominator) = (*self.0.numer(), *self.0.denom());
        if denominator == 1 {
            return write!(f, "{numerator}");
        }
        let Some(digits) = decimal_digits(numerator.abs() % denominator, denominator) else {
            return write!(f, "{numerator}/{denominator}");
        };
        let sign = if numerator < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{digits}", numerator.abs() / denominator)
    }
}

/// Returns the digits after the point of `remainder / denominator`; `None` after [`MAX_DECIMALS`] digits without an
/// end.
fn decimal_digits(mut remainder: i128, denominator: i128) -> Option<String> {
    let mut digits = String::new();
    while remainder != 0 {
        if digits.len() == MAX_DECIMALS {
            return None;
        }
        let scaled = remainder.checked_mul(10)?;
        digits.push_str(&(scaled / denominator).to_string());
        remainder = scaled % denominator;
    }
    Some(digits)
}

/// A number as it stands in a text, without its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// The number; `None` if it has too many digits.
    pub(crate) value: Option<Rational>,
    /// Number of digits after the point.
    pub(crate) decimals: u32,
    /// Number of bytes read.
    pub(crate) len: usize,
}

/// Reads the unsigned decimal or mixed number at the start of `text`.
pub(crate) fn scan(text: &str) -> Option<Literal> {
    let whole = scan_decimal(text);
    let after = whole.map_or(0, |literal| literal.len);
    let rest = text.get(after..)?;
    let Some((part, len)) = scan_vulgar(rest).or_else(|| scan_proper(rest)) else {
        return whole;
    };
    match whole {
        None if rest.starts_with(' ') || !is_vulgar(rest) => None,
        None => Some(Literal { value: Some(part), decimals: 0, len }),
        Some(literal) if literal.decimals == 0 => {
            let value = literal.value.and_then(|value| value.checked_add(part));
            Some(Literal { value, decimals: 0, len: after + len })
        }
        Some(_) => whole,
    }
}

fn is_vulgar(text: &str) -> bool {
    text.chars().next().is_some_and(|c| VULGAR.iter().any(|&(sign, ..)| sign == c))
}

/// Reads a single-character fraction, with the blank that may stand before it, and its length in bytes.
fn scan_vulgar(text: &str) -> Option<(Rational, usize)> {
    let part = text.strip_prefix(' ').unwrap_or(text);
    let first = part.chars().next()?;
    let &(_, numerator, denominator) = VULGAR.iter().find(|&&(sign, ..)| sign == first)?;
    let value = Rational::new(numerator, denominator)?;
    Some((value, text.len() - part.len() + first.len_utf8()))
}

/// Reads the ` 1/2` of `1 1/2`: one blank, then a fraction below one with no blanks inside. Also returns its length in
/// bytes.
fn scan_proper(text: &str) -> Option<(Rational, usize)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let fraction = text.strip_prefix(' ')?;
    let top = digits(fraction);
    let below = fraction.get(top..)?.strip_prefix('/')?;
    let bottom = digits(below);
    let numerator: i128 = fraction.get(..top)?.parse().ok()?;
    let denominator: i128 = below.get(..bottom)?.parse().ok()?;
    let continues = below.get(bottom..)?.starts_with(['.', '/', '(']);
    let ends_sentence = below.get(bottom..)?.strip_prefix('.').is_some_and(|r| digits(r) == 0);
    // `1 1/2.5` and `1 1/2(x)` are not mixed numbers, but `1 1/2.` is one at the end of a sentence.
    if numerator == 0 || numerator >= denominator || (continues && !ends_sentence) {
        return None;
    }
    Some((Rational::new(numerator, denominator)?, 1 + top + 1 + bottom))
}

/// Reads digits with thousands separators and a fractional part.
fn scan_decimal(text: &str) -> Option<Literal> {
    let bytes = text.as_bytes();
    let whole = grouped_digits(bytes);
    let mut len = whole;
    let mut decimals = 0;
    if bytes.get(len) == Some(&b'.') {
        decimals = digits_at(bytes, len + 1);
        len += if decimals > 0 { 1 + decimals } else { 0 };
    }
    if len == 0 {
        return None;
    }
    let digits = bytes.get(..len)?.iter().copied().filter(u8::is_ascii_digit);
    let value = read_digits(digits).and_then(|numerator| {
        Rational::new(numerator, 10i128.checked_pow(u32::try_from(decimals).ok()?)?)
    });
    Some(Literal { value, decimals: u32::try_from(decimals).unwrap_or(u32::MAX), len })
}

fn read_digits(digits: impl Iterator<Item = u8>) -> Option<i128> {
    let mut number: i128 = 0;
    for digit in digits {
        number = number.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    Some(number)
}

/// Returns the length of the whole part: one to three digits and groups of `,ddd`, or digits alone.
fn grouped_digits(bytes: &[u8]) -> usize {
    let mut len = digits_at(bytes, 0);
    if !(1..=3).contains(&len) || bytes.first() == Some(&b'0') {
        return len;
    }
    while bytes.get(len) == Some(&b',') && digits_at(bytes, len + 1) == 3 {
        len += 4;
    }
    len
}

fn digits_at(bytes: &[u8], at: usize) -> usize {
    bytes.iter().skip(at).take_while(|b| b.is_ascii_digit()).count()
}

/// Strips sign and currency sign, in either order. Returns whether the sign is negative, and the rest.
pub(crate) fn strip_prefixes(text: &str) -> Option<(bool, &str)> {
    let mut rest = text;
    let (mut sign, mut currency) = (None, false);
    while let Some(first) = rest.chars().next() {
        match first {
            '+' | '-' | '−' if sign.is_none() => sign = Some(first != '+'),
            '\\' => {}
            c if CURRENCY.contains(&c) && !currency => currency = true,
            c if c.is_whitespace() => {}
            _ => break,
        }
        rest = rest.get(first.len_utf8()..)?;
    }
    Some((sign.unwrap_or(false), rest))
}

/// Reads the `/ b` of a fraction `a / b`. `b` is a whole number, and never has a currency sign.
pub(crate) fn denominator(text: &str) -> Option<(Rational, &str)> {
    let below = text.strip_prefix('/')?.trim_start();
    let literal = scan_decimal(below).filter(|literal| literal.decimals == 0)?;
    Some((literal.value?, below.get(literal.len..)?))
}

/// Reads the exponent of scientific notation after a number, the `e-19` of `1.6e-19`, and its length in bytes.
pub(crate) fn exponent(text: &str) -> Option<(i32, usize)> {
    let after = text.strip_prefix(['e', 'E'])?;
    let (negative, digits) = match after.strip_prefix(['-', '−', '+']) {
        Some(digits) => (!after.starts_with('+'), digits),
        None => (false, after),
    };
    let len = digits_at(digits.as_bytes(), 0);
    let exponent: i32 = digits.get(..len).filter(|_| (1..=4).contains(&len))?.parse().ok()?;
    let rest = digits.get(len..)?;
    let broken = rest.strip_prefix('.').is_some_and(|rest| digits_at(rest.as_bytes(), 0) > 0);
    // `1e3.5` and `1e3^2` are expressions, not one number.
    let continues = broken || rest.starts_with(['^', '_']);
    let exponent = if negative { -exponent } else { exponent };
    (!continues).then_some((exponent, text.len() - rest.len()))
}

/// Returns the factor of a scale word.
pub(crate) fn scale(word: &str) -> Option<Rational> {
    let factor = match word.to_ascii_lowercase().as_str() {
        "hundred" => 100,
        "thousand" => 1_000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => return None,
    };
    Some(Rational::integer(factor))
}
