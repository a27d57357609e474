//! Quotients of polynomials: the value of an expression.

use std::collections::BTreeMap;

use super::field::fingerprint;
use super::number::{self, inverse, primes, unnested_root};
use super::poly::{Atom, Monomial, Poly, joined, raised};
use crate::rational::Rational;

/// Most steps of a polynomial division.
const MAX_STEPS: usize = 100;

/// Largest power of a sum that is multiplied out.
const MAX_POWER: u32 = 64;

/// `num / den`. The denominator is 1 if it divides the numerator; otherwise its leading coefficient is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quotient {
    num: Poly,
    den: Poly,
}

impl Quotient {
    /// Returns a value without a denominator.
    pub(super) fn whole(num: Poly) -> Self {
        Self { num, den: Poly::integer(1) }
    }

    /// Returns a whole number.
    pub(super) fn integer(value: i64) -> Self {
        Self::whole(Poly::integer(value))
    }

    fn reduced(num: &Poly, den: &Poly) -> Option<Self> {
        if num.is_zero() && !den.is_zero() {
            return Some(Self::whole(num.clone()));
        }
        // Divide both parts by the common symbols of the denominator and by its leading coefficient, so that equal
        // quotients are more often equal term by term.
        let clearing = raised(&content(den), Rational::integer(-1))?;
        let clearing = Poly::term(Rational::integer(1), clearing)?;
        let (mut num, mut den) = (num.times(&clearing)?, den.times(&clearing)?);
        let (_, leading) = leading(&den)?;
        if let Some(inverse) = inverse(&leading) {
            num = num.times(&inverse)?;
            den = den.times(&inverse)?;
        }
        if den == Poly::integer(1) {
            return Some(Self::whole(num));
        }
        Some(divided(&num, &den).map_or(Self { num, den }, Self::whole))
    }

    /// Returns the value, if it has no denominator.
    pub(super) fn poly(&self) -> Option<&Poly> {
        (self.den == Poly::integer(1)).then_some(&self.num)
    }

    /// Returns the atoms of numerator and denominator.
    pub(super) fn atoms(&self) -> Vec<&Atom> {
        self.num.atoms().into_iter().chain(self.den.atoms()).collect()
    }

    /// Returns the value, if it is rational.
    pub(super) fn rational(&self) -> Option<Rational> {
        self.poly()?.rational()
    }

    /// Returns the numerator, which is zero exactly when the value is.
    pub(super) fn numerator(&self) -> &Poly {
        &self.num
    }

    /// Returns the sum.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        if self.den == other.den {
            return Self::reduced(&self.num.plus(&other.num)?, &self.den);
        }
        let num = self.num.times(&other.den)?.plus(&other.num.times(&self.den)?)?;
        Self::reduced(&num, &self.den.times(&other.den)?)
    }

    /// Returns the product.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let num = self.num.times(&other.num)?;
        match (self.poly(), other.poly()) {
            (Some(_), Some(_)) => Some(Self::whole(num)),
            _ => Self::reduced(&num, &self.den.times(&other.den)?),
        }
    }

    /// Returns the quotient; `None` for a zero divisor.
    pub(super) fn over(&self, other: &Self) -> Option<Self> {
        Self::reduced(&self.num.times(&other.den)?, &self.den.times(&other.num)?)
    }

    /// Returns the negated value.
    pub(super) fn negated(&self) -> Self {
        Self { num: self.num.negated(), den: self.den.clone() }
    }

    /// Returns the power; of several values, the principal one. `None` for zero to the power of zero.
    pub(super) fn power(&self, exponent: &Self) -> Option<Self> {
        let exponent = exponent.poly()?;
        let constant = Monomial::new();
        let mut power = Self::integer(1);
        // `a^(b+c)` is `a^b a^c`, so every term of the exponent gives a factor.
        for (monomial, value) in exponent.terms() {
            let factor = if *monomial == constant {
                let over = Self::whole(constant_power(&self.den, value)?);
                Self::whole(constant_power(&self.num, value)?).over(&over)?
            } else {
                let over = Self::whole(tower(&self.den, monomial, value)?);
                Self::whole(tower(&self.num, monomial, value)?).over(&over)?
            };
            power = power.times(&factor)?;
        }
        (!exponent.is_zero() || !self.num.is_zero()).then_some(power)
    }

    /// Returns the key: the displayed polynomial, or a fingerprint if the value is not a polynomial in normal form.
    pub(super) fn key(&self) -> Option<String> {
        match self.poly().filter(|poly| poly.is_settled()) {
            Some(poly) => Some(poly.to_string()),
            None => fingerprint(&self.num, &self.den),
        }
    }
}

/// Returns a sum to a rational power.
fn constant_power(sum: &Poly, exponent: Rational) -> Option<Poly> {
    if sum.is_zero() {
        return (exponent > Rational::integer(0)).then(Poly::default);
    }
    let known = match exponent.whole() {
        Some(whole) => whole_power(sum, whole),
        None => known_root(sum, exponent),
    };
    if known.is_some() {
        return known;
    }
    // Pull the absolute value of the first coefficient out of the power, so that equal sums are equal groups.
    let size = sum.terms().last().map(|(_, value)| value)?;
    let size = if size.is_negative() { size.negated() } else { size };
    let scale = Poly::constant(Rational::integer(1).checked_div(size)?);
    let group = Atom::Group(Box::new(sum.times(&scale)?));
    let root = Poly::term(Rational::integer(1), Monomial::from([(group, exponent)]))?;
    number::power(size, exponent)?.times(&root)
}

/// Returns a sum to a whole power, if it is a single term, or short when multiplied out.
fn whole_power(sum: &Poly, exponent: i128) -> Option<Poly> {
    if let Some((monomial, value)) = sum.single() {
        let exponent = Rational::new(exponent, 1)?;
        let power = Poly::term(Rational::integer(1), raised(monomial, exponent)?)?;
        return number::power(value, exponent)?.times(&power);
    }
    let count = u32::try_from(exponent.unsigned_abs()).ok().filter(|count| *count <= MAX_POWER)?;
    if exponent < 0 {
        return inverse(sum).filter(|_| sum.is_number())?.power(count);
    }
    sum.power(count)
}

/// Returns a sum to a fractional power, if it is a single term or a nested root that can be unnested.
fn known_root(sum: &Poly, exponent: Rational) -> Option<Poly> {
    match sum.single() {
        Some((monomial, value)) if monomial.contains_key(&Atom::Imaginary) => {
            (exponent.denom() == 2).then(|| turned_root(monomial, value, exponent.numer()))?
        }
        Some((monomial, value)) => {
            let root = Poly::term(Rational::integer(1), rooted(monomial, exponent)?)?;
            number::power(value, exponent)?.times(&root)
        }
        None if exponent.denom() == 2 => whole_power(&unnested_root(sum)?, exponent.numer()),
        None => None,
    }
}

/// Returns a multiple of `i` to a power of halves: the root of `i` is `(1+i)/sqrt(2)`, that of `-i` is `(1-i)/sqrt(2)`.
fn turned_root(monomial: &Monomial, value: Rational, halves: i128) -> Option<Poly> {
    let mut rest = monomial.clone();
    rest.remove(&Atom::Imaginary);
    let size = if value.is_negative() { value.negated() } else { value };
    let halved = Poly::term(size.checked_div(Rational::integer(2))?, rest)?;
    let i = Poly::atom(Atom::Imaginary);
    let turn = Poly::integer(1).plus(&if value.is_negative() { i.negated() } else { i })?;
    whole_power(&constant_power(&halved, Rational::new(1, 2)?)?.times(&turn)?, halves)
}

/// Returns the root of a monomial. If the sign of a variable would be lost, as in the square root of `x^2`, its
/// absolute value is used.
fn rooted(monomial: &Monomial, exponent: Rational) -> Option<Monomial> {
    let mut rooted = Monomial::new();
    for (atom, before) in monomial {
        let after = before.checked_mul(exponent)?;
        let even = |value: Rational| value.whole().is_some_and(|whole| whole % 2 == 0);
        let loses = even(*before) && !even(after) && exponent.denom() % 2 == 0;
        let atom = match atom {
            Atom::Symbol(name) if loses && !matches!(name.as_str(), "pi" | "e") => {
                Atom::Symbol(if name.starts_with("abs(") {
                    name.clone()
                } else {
                    format!("abs({name})")
                })
            }
            atom => atom.clone(),
        };
        rooted = joined(&rooted, &Monomial::from([(atom, after)]))?;
    }
    Some(rooted)
}

/// Returns a sum to the power of `factor * exponent`, where `exponent` contains symbols.
fn tower(base: &Poly, exponent: &Monomial, factor: Rational) -> Option<Poly> {
    let one = Rational::integer(1);
    let mut atoms = Monomial::new();
    match base.single() {
        Some((monomial, value)) => {
            atoms = joined(monomial, &primes(value))?;
            if value.is_negative() {
                atoms.insert(Atom::Group(Box::new(Poly::integer(-1))), one);
            }
        }
        None if base.is_zero() => return None,
        None => {
            atoms.insert(Atom::Group(Box::new(base.clone())), one);
        }
    }
    let mut power = Poly::integer(1);
    for (atom, times) in atoms {
        let times = times.checked_mul(factor)?;
        let turn = Monomial::from([(Atom::Symbol("pi".to_owned()), one), (Atom::Imaginary, one)]);
        let factor = match &atom {
            Atom::Symbol(name) if name == "e" && *exponent == turn => {
                super::function::turned(times)?
            }
            _ => {
                let tower = Atom::Tower(Box::new(atom), exponent.clone());
                Poly::term(one, Monomial::from([(tower, times)]))?
            }
        };
        power = power.times(&factor)?;
    }
    Some(power)
}

/// Returns the largest monomial of symbols that divides every term.
fn content(sum: &Poly) -> Monomial {
    let mut content = Monomial::new();
    for atom in sum.atoms().into_iter().filter(|atom| !atom.is_number()) {
        let of = |(monomial, _): (&Monomial, Rational)| {
            monomial.get(atom).copied().unwrap_or(Rational::integer(0))
        };
        let least = sum.terms().map(of).min().unwrap_or(Rational::integer(0));
        if !least.is_zero() {
            content.insert(atom.clone(), least);
        }
    }
    content
}

/// Groups the terms by their symbols, and returns the numeric coefficient of each product of symbols.
fn coefficients(sum: &Poly) -> Option<BTreeMap<Vec<(Atom, Rational)>, Poly>> {
    let mut coefficients = BTreeMap::<_, Poly>::new();
    for (monomial, value) in sum.terms() {
        let (numbers, symbols): (Monomial, Monomial) =
            monomial.clone().into_iter().partition(|(atom, _)| atom.is_number());
        let coefficient = coefficients.entry(symbols.into_iter().collect::<Vec<_>>()).or_default();
        *coefficient = coefficient.plus(&Poly::term(value, numbers)?)?;
    }
    Some(coefficients)
}

/// Returns the leading product of symbols and its coefficient. Terms are ordered by the exponent of the first symbol,
/// then of the next, and so on.
fn leading(sum: &Poly) -> Option<(Monomial, Poly)> {
    let mut coefficients = coefficients(sum)?;
    let atoms: Vec<Atom> =
        sum.atoms().into_iter().filter(|atom| !atom.is_number()).cloned().collect();
    for atom in atoms {
        let of = |symbols: &[(Atom, Rational)]| {
            let found = symbols.iter().find(|(other, _)| *other == atom);
            found.map_or(Rational::integer(0), |(_, exponent)| *exponent)
        };
        let most = coefficients.keys().map(|symbols| of(symbols)).max()?;
        coefficients.retain(|symbols, _| of(symbols) == most);
    }
    let (symbols, coefficient) = coefficients.into_iter().next()?;
    Some((symbols.into_iter().collect(), coefficient))
}

/// Returns the quotient if there is no remainder. The leading coefficient of the divisor must be 1.
fn divided(num: &Poly, den: &Poly) -> Option<Poly> {
    let (symbols, one) = leading(den)?;
    let common = content(num);
    let less = raised(&symbols, Rational::integer(-1))?;
    let clearing = Poly::term(Rational::integer(1), raised(&common, Rational::integer(-1))?)?;
    let (mut left, mut quotient) = (num.times(&clearing)?, Poly::default());
    for _ in 0..MAX_STEPS {
        if left.is_zero() {
            return quotient.times(&Poly::term(Rational::integer(1), common)?);
        }
        let (symbols, coefficient) = leading(&left)?;
        let step = joined(&symbols, &less)?;
        if one != Poly::integer(1) || step.values().any(|exponent| exponent.is_negative()) {
            return None;
        }
        let step = coefficient.times(&Poly::term(Rational::integer(1), step)?)?;
        left = left.plus(&step.times(den)?.negated())?;
        quotient = quotient.plus(&step)?;
    }
    None
}
