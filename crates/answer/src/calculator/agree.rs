//! When a written number is the result: exactly, rounded, or as a double prints it.

use num_traits::ToPrimitive;

use crate::rational::Rational;

/// A number with at least this many digits after the point may be rounded.
const ROUNDED_FROM: u32 = 2;

/// Below this, every whole number fits a double exactly.
const DOUBLES_ARE_WHOLE: i128 = 1 << 53;

/// Results computed with doubles are equal if they differ by less than this share of either.
const RELATIVE: f64 = 1e-9;

/// Error of a sum of doubles, as a share of its largest term: `10.1 - 10` loses digits.
const LOST: f64 = 1e-15;

/// How precisely a number was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Number of digits after the point.
    pub(super) digits: u32,
    /// Place of the last digit: 2 for `3.33`, -4 for `3.33 million`.
    pub(super) place: i32,
}

impl Written {
    /// Returns the precision of a number with this many digits after the point.
    pub(super) fn decimal(digits: u32) -> Self {
        Self { digits, place: i32::try_from(digits).unwrap_or(i32::MAX) }
    }

    /// Returns the precision of the same digits times ten to the `exponent`.
    pub(super) fn scaled(self, exponent: i32) -> Self {
        Self { place: self.place.saturating_sub(exponent), ..self }
    }

    /// Returns the precision of a percentage read as a fraction. Its two extra digits mean that it may always be
    /// rounded.
    pub(super) fn percent(self) -> Self {
        Self { digits: self.digits.saturating_add(2), ..self.scaled(-2) }
    }

    /// Whether a machine wrote the number: nobody else writes so many digits.
    pub(super) fn is_long(self) -> bool {
        self.digits >= 10
    }
}

/// Whether `claimed` is `exact` as people or machines write it. `largest` is the largest number that was added or
/// subtracted on the way.
pub(super) fn agrees(exact: Rational, claimed: Rational, written: Written, largest: f64) -> bool {
    exact == claimed
        || (written.digits >= ROUNDED_FROM && rounds(exact, claimed, written.place))
        || same_double(exact, claimed, largest)
}

/// Whether `claimed` is `exact` rounded at its last place: up, down or to the nearest. False if `exact` needs no
/// rounding there.
pub(super) fn is_rounding(exact: Rational, claimed: Rational, place: i32) -> bool {
    let unit = unit(place);
    let whole = unit.and_then(|unit| exact.checked_div(unit)).is_none_or(|n| n.whole().is_some());
    let less = |gap: Rational| unit.is_some_and(|unit| gap < unit);
    !whole && gap(exact, claimed).is_some_and(less)
}

/// Returns the place of the last non-zero digit of a whole number: -2 for 1200. 0 for zero and for fractions.
pub(super) fn last_place(number: Rational) -> i32 {
    let Some(mut left) = number.whole().filter(|n| *n != 0) else { return 0 };
    let mut place = 0;
    while left % 10 == 0 {
        left /= 10;
        place -= 1;
    }
    place
}

/// Whether two numbers are at most half a unit of the last place apart.
fn rounds(exact: Rational, claimed: Rational, place: i32) -> bool {
    let half = unit(place).and_then(|unit| unit.checked_div(Rational::integer(2)));
    let within = |gap: Rational| half.is_some_and(|half| gap <= half);
    gap(exact, claimed).is_some_and(within)
}

/// Whether a program that computes with doubles may print one number for the other. Whole numbers are exact in doubles,
/// so two different ones never match.
fn same_double(exact: Rational, claimed: Rational, largest: f64) -> bool {
    let is_exact = |n: Rational| n.whole().is_some_and(|n| n.abs() < DOUBLES_ARE_WHOLE);
    if is_exact(exact) && is_exact(claimed) {
        return false;
    }
    let (Some(a), Some(b)) = (double(exact), double(claimed)) else { return false };
    // For close numbers the difference of their doubles is precise enough for a billionth, but to see the digits that a
    // subtraction has lost, the gap must be computed exactly.
    let apart = gap(exact, claimed).and_then(double).unwrap_or((a - b).abs());
    apart < RELATIVE * a.abs().max(b.abs()) || apart <= LOST * largest
}

/// Returns the nearest double.
pub(super) fn double(number: Rational) -> Option<f64> {
    Some(number.numer().to_f64()? / number.denom().to_f64()?)
}

fn gap(a: Rational, b: Rational) -> Option<Rational> {
    let gap = a.checked_sub(b)?;
    Some(if gap.is_negative() { gap.negated() } else { gap })
}

/// Returns one unit at a decimal place.
fn unit(place: i32) -> Option<Rational> {
    Rational::integer(10).power(-i128::from(place))
}
