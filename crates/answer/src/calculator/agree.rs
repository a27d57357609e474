//! When a written number is the result: exactly, rounded, or as a double has it.

use num_traits::ToPrimitive;

use crate::rational::Rational;

/// A number with at least this many digits after the point may be rounded.
const ROUNDED_FROM: u32 = 2;

/// From here on a whole number need not fit a double.
const DOUBLES_ARE_WHOLE: i128 = 1 << 53;

/// Sums of doubles that differ by less than this share of either are equal.
const RELATIVE: f64 = 1e-9;

/// What a sum of doubles may be off, as a share of its largest term: `10.1 - 10` loses digits.
const LOST: f64 = 1e-15;

/// How precisely a number was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Digits after the point.
    pub(super) digits: u32,
    /// The place of the last digit: 2 for `3.33`, -4 for `3.33 million`.
    pub(super) place: i32,
}

impl Written {
    /// The precision of a number with so many digits after the point.
    pub(super) fn decimal(digits: u32) -> Self {
        Self { digits, place: i32::try_from(digits).unwrap_or(i32::MAX) }
    }

    /// The precision of the same digits, times ten to the `exponent`.
    pub(super) fn scaled(self, exponent: i32) -> Self {
        Self { place: self.place.saturating_sub(exponent), ..self }
    }

    /// The precision of a percentage that is read as a fraction, which may always be rounded.
    pub(super) fn percent(self) -> Self {
        Self { digits: self.digits.saturating_add(2), ..self.scaled(-2) }
    }

    /// True if a machine wrote it: nobody else writes so many digits.
    pub(super) fn is_long(self) -> bool {
        self.digits >= 10
    }
}

/// True if `claimed` is `exact` as people or machines write it. `largest` is the largest number that was added or
/// subtracted on the way.
pub(super) fn agrees(exact: Rational, claimed: Rational, written: Written, largest: f64) -> bool {
    exact == claimed
        || (written.digits >= ROUNDED_FROM && rounds(exact, claimed, written.place))
        || same_double(exact, claimed, largest)
}

/// True if `claimed` is `exact` rounded at its last place, whichever way: up, down, or to the nearest. What needs no
/// rounding is not rounded.
pub(super) fn is_rounding(exact: Rational, claimed: Rational, place: i32) -> bool {
    let unit = unit(place);
    let whole = unit.and_then(|unit| exact.checked_div(unit)).is_none_or(|n| n.whole().is_some());
    let less = |gap: Rational| unit.is_some_and(|unit| gap < unit);
    !whole && gap(exact, claimed).is_some_and(less)
}

/// The place of the last digit of a whole number that is not zero: -2 for 1200.
pub(super) fn last_place(number: Rational) -> i32 {
    let Some(mut left) = number.whole().filter(|n| *n != 0) else { return 0 };
    let mut place = 0;
    while left % 10 == 0 {
        left /= 10;
        place -= 1;
    }
    place
}

/// Half a unit of the last place apart, or less.
fn rounds(exact: Rational, claimed: Rational, place: i32) -> bool {
    let half = unit(place).and_then(|unit| unit.checked_div(Rational::integer(2)));
    let within = |gap: Rational| half.is_some_and(|half| gap <= half);
    gap(exact, claimed).is_some_and(within)
}

/// True if a program that computes with doubles may print one number for the other. Whole numbers are exact there.
fn same_double(exact: Rational, claimed: Rational, largest: f64) -> bool {
    let is_exact = |n: Rational| n.whole().is_some_and(|n| n.abs() < DOUBLES_ARE_WHOLE);
    if is_exact(exact) && is_exact(claimed) {
        return false;
    }
    let (Some(a), Some(b)) = (double(exact), double(claimed)) else { return false };
    // The doubles of two numbers that are close say how far apart they are well enough for a billionth; what a
    // difference has lost has to be computed exactly.
    let apart = gap(exact, claimed).and_then(double).unwrap_or((a - b).abs());
    apart < RELATIVE * a.abs().max(b.abs()) || apart <= LOST * largest
}

/// The nearest double.
pub(super) fn double(number: Rational) -> Option<f64> {
    Some(number.numer().to_f64()? / number.denom().to_f64()?)
}

fn gap(a: Rational, b: Rational) -> Option<Rational> {
    let gap = a.checked_sub(b)?;
    Some(if gap.is_negative() { gap.negated() } else { gap })
}

/// One of the digits at a place.
fn unit(place: i32) -> Option<Rational> {
    Rational::integer(10).power(-i128::from(place))
}
