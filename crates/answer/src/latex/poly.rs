//! Polynomials in atoms: the normal form of everything without a denominator.
//!
//! A term is a rational times atoms to rational powers. Powers of primes with exponents between 0 and 1, the imaginary
//! unit and symbols (variables, `pi`, `e`) are independent, so equal values have equal terms: `sqrt(8)` is `2*sqrt(2)`,
//! and `(1+sqrt(2))*(1-sqrt(2))` is -1. Anything that leaves the bounds is `None`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::number::{inverse, primes};
use crate::rational::Rational;

/// Most terms of a polynomial. Products of longer ones are not worth the time.
const MAX_TERMS: usize = 100;

/// Most symbols in the display of one atom, counting nested ones.
const MAX_WEIGHT: usize = 200;

/// The factors that terms are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Atom {
    /// A variable, a constant other than a root (`pi`, `e`), or a function value that has no simpler form.
    Symbol(String),
    /// A sum to a power that is not whole, or too large to be multiplied out.
    Group(Box<Poly>),
    /// A power with symbols in its exponent: the base, and the monomial that the exponent is a multiple of.
    Tower(Box<Self>, Monomial),
    /// A prime, or a factor too large to be factored.
    Prime(u128),
    /// The imaginary unit `i`.
    Imaginary,
}

/// Atoms and their exponents, none of which is zero.
pub(super) type Monomial = BTreeMap<Atom, Rational>;

/// A sum of terms, none of which is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Poly(BTreeMap<Monomial, Rational>);

impl Atom {
    /// Whether the atom is a root of a number or `i`, so that it belongs to the coefficient of a polynomial.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Prime(_) | Self::Imaginary)
    }

    fn weight(&self) -> usize {
        match self {
            Self::Group(sum) => sum.weight(),
            Self::Tower(base, exponent) => base.weight() + weight(exponent),
            _ => 1,
        }
    }
}

fn weight(monomial: &Monomial) -> usize {
    1 + monomial.keys().map(Atom::weight).sum::<usize>()
}

impl Poly {
    /// Returns a number.
    pub(super) fn constant(value: Rational) -> Self {
        Self::raw(value, Monomial::new())
    }

    /// Returns a whole number.
    pub(super) fn integer(value: i64) -> Self {
        Self::constant(Rational::integer(value))
    }

    /// Returns a variable, `pi` or `e`.
    pub(super) fn symbol(name: &str) -> Self {
        Self::atom(Atom::Symbol(name.to_owned()))
    }

    /// Returns an atom to the power of one.
    pub(super) fn atom(atom: Atom) -> Self {
        Self::raw(Rational::integer(1), Monomial::from([(atom, Rational::integer(1))]))
    }

    /// Returns one term, in normal form.
    pub(super) fn term(value: Rational, monomial: Monomial) -> Option<Self> {
        if weight(&monomial) > MAX_WEIGHT {
            return None;
        }
        let (mut value, mut kept, mut sums) = (value, Monomial::new(), Vec::new());
        for (atom, exponent) in monomial {
            let rest = match &atom {
                Atom::Imaginary => settle_imaginary(&mut value, exponent)?,
                Atom::Prime(prime) => settle_prime(&mut value, *prime, exponent)?,
                Atom::Group(sum) => settle_group(&mut sums, sum, exponent)?,
                Atom::Symbol(_) | Atom::Tower(..) => exponent,
            };
            if !rest.is_zero() {
                kept.insert(atom, rest);
            }
        }
        sums.iter().try_fold(Self::raw(value, kept), |product, sum| product.times(sum))
    }

    /// Returns a term whose coefficient has too many digits, by turning the coefficient's primes into atoms.
    fn large_term(values: &[Rational], monomial: Monomial) -> Option<Self> {
        let (mut sign, mut monomial) = (Rational::integer(1), monomial);
        for value in values {
            sign = if value.is_negative() { sign.negated() } else { sign };
            monomial = joined(&monomial, &primes(*value))?;
        }
        Self::term(sign, monomial)
    }

    fn raw(value: Rational, monomial: Monomial) -> Self {
        if value.is_zero() {
            return Self::default();
        }
        Self(BTreeMap::from([(monomial, value)]))
    }

    /// Returns the terms, in order.
    pub(super) fn terms(&self) -> impl Iterator<Item = (&Monomial, Rational)> {
        self.0.iter().map(|(monomial, value)| (monomial, *value))
    }

    /// Returns the distinct atoms.
    pub(super) fn atoms(&self) -> BTreeSet<&Atom> {
        self.0.keys().flat_map(Monomial::keys).collect()
    }

    /// Whether this is zero.
    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has no symbols.
    pub(super) fn is_number(&self) -> bool {
        self.0.keys().flat_map(Monomial::keys).all(Atom::is_number)
    }

    /// Returns the value, if it is rational.
    pub(super) fn rational(&self) -> Option<Rational> {
        if self.is_zero() {
            return Some(Rational::integer(0));
        }
        self.single().filter(|(monomial, _)| monomial.is_empty()).map(|(_, value)| value)
    }

    /// Returns the only term, if there is just one.
    pub(super) fn single(&self) -> Option<(&Monomial, Rational)> {
        let mut terms = self.terms();
        let first = terms.next()?;
        terms.next().is_none().then_some(first)
    }

    fn weight(&self) -> usize {
        self.0.keys().map(weight).sum()
    }

    /// Returns the sum.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let mut sum = self.clone();
        for (monomial, value) in other.terms() {
            sum.include(monomial.clone(), value)?;
        }
        Some(sum)
    }

    fn include(&mut self, monomial: Monomial, value: Rational) -> Option<()> {
        let before = self.0.remove(&monomial).unwrap_or(Rational::integer(0));
        let value = before.checked_add(value)?;
        if !value.is_zero() {
            self.0.insert(monomial, value);
        }
        (self.0.len() <= MAX_TERMS).then_some(())
    }

    /// Returns the product.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let mut product = Self::default();
        for (left, value) in self.terms() {
            for (right, factor) in other.terms() {
                let monomial = joined(left, right)?;
                let term = match value.checked_mul(factor) {
                    Some(value) => Self::term(value, monomial)?,
                    None if self.0.len() * other.0.len() > 1 => return None,
                    None => Self::large_term(&[value, factor], monomial)?,
                };
                product = if product.is_zero() { term } else { product.plus_owned(term)? };
            }
        }
        Some(product)
    }

    fn plus_owned(mut self, other: Self) -> Option<Self> {
        // Takes both sums by value, because `times` would otherwise clone the growing product for every pair of terms.
        for (monomial, value) in other.0 {
            self.include(monomial, value)?;
        }
        Some(self)
    }

    /// Returns the negated sum.
    pub(super) fn negated(&self) -> Self {
        let turned = |(monomial, value): (&Monomial, Rational)| (monomial.clone(), value.negated());
        Self(self.terms().map(turned).collect())
    }

    /// Returns the power, multiplied out by repeated squaring.
    pub(super) fn power(&self, exponent: u32) -> Option<Self> {
        let (mut power, mut square, mut left) = (Self::integer(1), self.clone(), exponent);
        loop {
            if left & 1 == 1 {
                power = power.times(&square)?;
            }
            left >>= 1;
            if left == 0 {
                return Some(power);
            }
            square = square.times(&square)?;
        }
    }

    /// Whether the display is the normal form: no power in it was left unexpanded.
    pub(super) fn is_settled(&self) -> bool {
        self.0.keys().all(is_settled)
    }
}

fn is_settled(monomial: &Monomial) -> bool {
    let one = Rational::integer(1);
    monomial.iter().all(|(atom, exponent)| match atom {
        Atom::Group(_) | Atom::Prime(_) => !exponent.is_negative() && *exponent < one,
        Atom::Tower(_, exponent) => is_settled(exponent),
        Atom::Symbol(_) | Atom::Imaginary => true,
    })
}

/// Returns the product of two monomials.
pub(super) fn joined(left: &Monomial, right: &Monomial) -> Option<Monomial> {
    let mut product = left.clone();
    for (atom, exponent) in right {
        let before = product.remove(atom).unwrap_or(Rational::integer(0));
        let exponent = before.checked_add(*exponent)?;
        if !exponent.is_zero() {
            product.insert(atom.clone(), exponent);
        }
    }
    Some(product)
}

/// Multiplies every exponent by `factor`.
pub(super) fn raised(monomial: &Monomial, factor: Rational) -> Option<Monomial> {
    if factor.is_zero() {
        return Some(Monomial::new());
    }
    let raise =
        |(atom, exponent): (&Atom, &Rational)| Some((atom.clone(), exponent.checked_mul(factor)?));
    monomial.iter().map(raise).collect()
}

/// Moves whole powers of `i` into the sign, except for a single factor of `i`. Returns the exponent that is left.
fn settle_imaginary(value: &mut Rational, exponent: Rational) -> Option<Rational> {
    let turns = exponent.whole()?.rem_euclid(4);
    if turns >= 2 {
        *value = value.negated();
    }
    Some(Rational::integer((turns % 2) as i64))
}

/// Moves whole powers of a prime into the coefficient, if they fit. Returns the exponent that is left.
fn settle_prime(value: &mut Rational, prime: u128, exponent: Rational) -> Option<Rational> {
    let whole = exponent.floor();
    let power = i128::try_from(prime).ok().and_then(|prime| Rational::new(prime, 1));
    let power = power.and_then(|prime| prime.power(whole.numer()));
    let Some(product) = power.and_then(|power| value.checked_mul(power)) else {
        return Some(exponent);
    };
    *value = product;
    exponent.checked_sub(whole)
}

/// Multiplies out whole powers of a sum, if that is not too much work; negative ones only for sums of numbers. Returns
/// the exponent that is left.
fn settle_group(sums: &mut Vec<Poly>, sum: &Poly, exponent: Rational) -> Option<Rational> {
    let whole = exponent.floor();
    let count = u32::try_from(whole.numer().unsigned_abs()).ok();
    let count = count.filter(|count| (1..=64).contains(count));
    let power = match count {
        Some(count) if !whole.is_negative() => sum.power(count),
        Some(count) if whole == exponent && sum.is_number() => {
            inverse(sum).and_then(|inverse| inverse.power(count))
        }
        _ => None,
    };
    let Some(power) = power else { return Some(exponent) };
    sums.push(power);
    exponent.checked_sub(whole)
}

impl fmt::Display for Poly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        // Backwards: `is_turned` takes the last term for the one that is displayed first.
        for (at, (monomial, value)) in self.0.iter().rev().enumerate() {
            if at > 0 && !value.is_negative() {
                f.write_str("+")?;
            }
            write_term(f, monomial, *value)?;
        }
        Ok(())
    }
}

fn write_term(f: &mut fmt::Formatter<'_>, monomial: &Monomial, value: Rational) -> fmt::Result {
    let one = Rational::integer(1);
    if monomial.is_empty() {
        return write!(f, "{value}");
    }
    if value == one.negated() {
        f.write_str("-")?;
    } else if value != one {
        write!(f, "{value}*")?;
    }
    for (at, (atom, exponent)) in monomial.iter().enumerate() {
        if at > 0 {
            f.write_str("*")?;
        }
        write_power(f, atom, *exponent)?;
    }
    Ok(())
}

fn write_power(f: &mut fmt::Formatter<'_>, atom: &Atom, exponent: Rational) -> fmt::Result {
    let (top, bottom) = (exponent.numer(), exponent.denom());
    match (top, bottom) {
        (1, 1) => write!(f, "{atom}"),
        (1, 2) if matches!(atom, Atom::Prime(_)) => write!(f, "sqrt({atom})"),
        (_, 1) if top >= 0 => write!(f, "{atom}^{top}"),
        (_, 1) => write!(f, "{atom}^({top})"),
        _ => write!(f, "{atom}^({top}/{bottom})"),
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(name) => f.write_str(name),
            Self::Group(sum) => write!(f, "({sum})"),
            Self::Tower(base, exponent) => {
                write!(f, "({base}^(")?;
                write_term(f, exponent, Rational::integer(1))?;
                f.write_str("))")
            }
            Self::Prime(prime) => write!(f, "{prime}"),
            Self::Imaginary => f.write_str("i"),
        }
    }
}
