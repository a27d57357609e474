//! Fingerprints: the value of a quotient at fixed points of two finite fields.
//!
//! The fields have `p^2` elements for two primes `p` of 61 bits. Both primes are 3 modulo 4, so `i` is not in the prime
//! field, and every element of the prime field has a square root in the larger one. No small odd number divides
//! `p - 1`, so odd roots exist and are unique. Roots of primes are then values that keep their relations. Symbols get
//! pseudo-random values. Two different quotients agree in both fields with a probability of about 1 in 10^19.

use super::poly::{Atom, Monomial, Poly};
use crate::rational::Rational;

const PRIMES: [u64; 2] = [2_305_843_009_213_693_487, 2_305_843_009_213_692_527];

/// A number `a + b i` modulo a prime.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Value(u64, u64);

/// Arithmetic modulo one of the primes.
#[derive(Clone, Copy)]
struct Field(u64);

/// Returns the fingerprint of `num / den`; `None` if it has no value at one of the points.
pub(super) fn fingerprint(num: &Poly, den: &Poly) -> Option<String> {
    let mut hash = 0;
    for prime in PRIMES {
        let field = Field(prime);
        let Value(real, imaginary) = field.divided(field.poly(num)?, field.poly(den)?)?;
        hash = mixed(mixed(hash ^ real) ^ imaginary);
    }
    Some(format!("~{hash:016x}"))
}

/// Returns the fingerprint of a key that is not its own normal form.
pub(crate) fn fingerprint_of_key(key: &str) -> String {
    format!("~{:016x}", hashed(0, key))
}

fn hashed(start: u64, text: &str) -> u64 {
    text.bytes().fold(start, |hash, byte| mixed(hash ^ u64::from(byte)))
}

/// Spreads the bits of a number (the finalizer of `SplitMix64`).
fn mixed(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

impl Field {
    fn poly(self, sum: &Poly) -> Option<Value> {
        sum.terms().try_fold(Value(0, 0), |total, (monomial, value)| {
            let term = self.times(self.monomial(monomial)?, self.rational(value)?);
            Some(Value(self.add(total.0, term.0), self.add(total.1, term.1)))
        })
    }

    fn monomial(self, monomial: &Monomial) -> Option<Value> {
        monomial.iter().try_fold(Value(1, 0), |product, (atom, exponent)| {
            Some(self.times(product, self.power(atom, *exponent)?))
        })
    }

    fn rational(self, value: Rational) -> Option<Value> {
        let modulus = i128::from(self.0);
        let of = |part: i128| Value(part.rem_euclid(modulus) as u64, 0);
        self.divided(of(value.numer()), of(value.denom()))
    }

    /// Returns an atom to a power. A root that does not exist in the field gets a pseudo-random value.
    fn power(self, atom: &Atom, exponent: Rational) -> Option<Value> {
        let base = match atom {
            Atom::Prime(prime) => Value((prime % u128::from(self.0)) as u64, 0),
            Atom::Group(sum) => self.poly(sum)?,
            Atom::Imaginary => Value(0, 1),
            Atom::Symbol(_) | Atom::Tower(..) => self.drawn(&atom.to_string()),
        };
        match exponent.whole() {
            Some(whole) => self.raised(base, whole),
            None => self
                .root(base, exponent)
                .or_else(|| Some(self.drawn(&format!("{atom}^({exponent})")))),
        }
    }

    /// Returns a value that depends only on the name. It is a square, so that each of its roots is in the field.
    fn drawn(self, name: &str) -> Value {
        let hash = hashed(self.0, name);
        // The square is at least 1, so that it can be a divisor.
        let value = hash % self.0;
        Value(self.product(value, value).max(1), 0)
    }

    /// Returns `base` to a fractional power. For a square it is the root that is itself a square; for other numbers the
    /// root is computed from `(-1) * square`.
    fn root(self, base: Value, exponent: Rational) -> Option<Value> {
        let Value(real, 0) = base else { return None };
        if real == 0 {
            return Some(Value(0, 0));
        }
        let half = i128::from(self.0 / 2);
        let square = self.raised(base, half)? == Value(1, 0);
        let root = |real: u64, exponent: Rational| {
            let inverse = inverse(exponent.denom(), half)?;
            let exponent = exponent.numer().rem_euclid(half).checked_mul(inverse)?;
            self.raised(Value(real, 0), exponent % half)
        };
        if square {
            return root(real, exponent);
        }
        let doubled = exponent.checked_mul(Rational::integer(2))?;
        let turns = doubled.numer().rem_euclid(4) * inverse(doubled.denom(), 4)?;
        Some(self.times(self.raised(Value(0, 1), turns)?, root(self.0 - real, exponent)?))
    }

    fn raised(self, base: Value, exponent: i128) -> Option<Value> {
        let base = if exponent < 0 { self.divided(Value(1, 0), base)? } else { base };
        let (mut power, mut square, mut left) = (Value(1, 0), base, exponent.unsigned_abs());
        while left > 0 {
            if left & 1 == 1 {
                power = self.times(power, square);
            }
            square = self.times(square, square);
            left >>= 1;
        }
        Some(power)
    }

    fn divided(self, top: Value, bottom: Value) -> Option<Value> {
        let Value(a, b) = bottom;
        let norm = self.add(self.product(a, a), self.product(b, b));
        let inverse = inverse(i128::from(norm), i128::from(self.0))? as u64;
        let turned = if b == 0 { 0 } else { self.0 - b };
        let scaled = Value(self.product(a, inverse), self.product(turned, inverse));
        Some(self.times(top, scaled))
    }

    fn times(self, Value(a, b): Value, Value(c, d): Value) -> Value {
        let real = self.add(self.product(a, c), self.0 - self.product(b, d));
        Value(real, self.add(self.product(a, d), self.product(b, c)))
    }

    fn add(self, a: u64, b: u64) -> u64 {
        // No overflow: both are below 2^61.
        (a + b) % self.0
    }

    fn product(self, a: u64, b: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(self.0)) as u64
    }
}

/// Returns the inverse of a number modulo another, by Euclid's algorithm; `None` if they have a common factor.
fn inverse(value: i128, modulus: i128) -> Option<i128> {
    let (mut old, mut new) = (value.rem_euclid(modulus), modulus);
    let (mut of_old, mut of_new) = (1, 0);
    while new != 0 {
        let quotient = old / new;
        (old, new) = (new, old - quotient * new);
        (of_old, of_new) = (of_new, of_old - quotient * of_new);
    }
    (old == 1).then(|| of_old.rem_euclid(modulus))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_keep_their_relations_in_both_fields() {
        for field in PRIMES.map(Field) {
            for prime in [2, 3, 5, 7, 11, 13, 10_007] {
                let atom = Atom::Prime(prime);
                let power = |n, d| field.power(&atom, Rational::new(n, d).unwrap()).unwrap();
                let third = power(1, 3);
                assert!(field.times(field.times(third, third), third) == power(1, 1));
                assert!(field.times(power(1, 2), power(1, 2)) == power(1, 1));
                assert!(field.times(power(1, 2), third) == power(5, 6));
                assert!(field.times(power(-1, 6), third) == power(1, 6));
            }
        }
    }
}
