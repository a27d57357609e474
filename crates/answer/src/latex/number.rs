//! Roots and powers of numbers: prime factors, nested roots, and reciprocals of sums of roots.

use super::poly::{Atom, Monomial, Poly, raised};
use crate::rational::Rational;

/// Largest divisor that is tried, which bounds the effort. The remaining factor is taken for a prime, or for the square
/// of one if it is a square.
const MAX_DIVISOR: u128 = 10_000;

/// Returns the prime factors of the absolute value and their exponents; those of the denominator are negative.
pub(super) fn primes(value: Rational) -> Monomial {
    let mut factors = Monomial::new();
    for (part, sign) in [(value.numer(), 1), (value.denom(), -1)] {
        for (prime, count) in factored(part.unsigned_abs()) {
            factors.insert(Atom::Prime(prime), Rational::integer(sign * count));
        }
    }
    factors
}

fn factored(mut number: u128) -> Vec<(u128, i64)> {
    let mut factors = Vec::new();
    let mut divisor = 2;
    while divisor <= MAX_DIVISOR && divisor * divisor <= number {
        let mut count = 0;
        while number.is_multiple_of(divisor) {
            number /= divisor;
            count += 1;
        }
        if count > 0 {
            factors.push((divisor, count));
        }
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    let root = number.isqrt();
    if number > 1 && root * root == number {
        factors.push((root, 2));
    } else if number > 1 {
        factors.push((number, 1));
    }
    factors
}

/// Returns a rational to a rational power; of several values, the principal one.
pub(super) fn power(value: Rational, exponent: Rational) -> Option<Poly> {
    if let Some(power) = exponent.whole().and_then(|whole| value.power(whole)) {
        return Some(Poly::constant(power));
    }
    if value.is_zero() {
        return (!exponent.is_negative()).then(Poly::default);
    }
    let size = Poly::term(Rational::integer(1), raised(&primes(value), exponent)?)?;
    if !value.is_negative() {
        return Some(size);
    }
    let turns = match exponent.denom() {
        1 => exponent.numer().rem_euclid(2) * 2,
        2 => exponent.numer(),
        // As taught in school: the cube root of -8 is -2, and not the complex principal root.
        odd if odd % 2 == 1 => exponent.numer().rem_euclid(2) * 2,
        _ => return None,
    };
    let turn = Monomial::from([(Atom::Imaginary, Rational::new(turns, 1)?)]);
    size.times(&Poly::term(Rational::integer(1), turn)?)
}

/// Returns the square root of `a + b sqrt(c)` as a sum of two roots, if it is one.
pub(super) fn unnested_root(sum: &Poly) -> Option<Poly> {
    let mut terms = sum.terms();
    let (Some(first), Some(second), None) = (terms.next(), terms.next(), terms.next()) else {
        return None;
    };
    let ((one, a), (root, b)) = if first.0.is_empty() { (first, second) } else { (second, first) };
    let unit = Poly::term(Rational::integer(1), root.clone())?;
    let square = unit.times(&unit)?.rational().filter(|_| one.is_empty())?;
    if a.is_negative() && !square.is_negative() {
        return None;
    }
    let (half, two) = (Rational::new(1, 2)?, Rational::integer(2));
    // `sqrt(a + b sqrt(c))` is `sqrt((a + n) / 2) ± sqrt((a - n) / 2)` with `n = sqrt(a^2 - b^2 c)`, if `n` is
    // rational.
    let norm = a.checked_mul(a)?.checked_sub(b.checked_mul(b)?.checked_mul(square)?)?;
    let norm = power(norm, half)?.rational()?;
    let larger = power(a.checked_add(norm)?.checked_div(two)?, half)?;
    let smaller = power(a.checked_sub(norm)?.checked_div(two)?, half)?;
    larger.plus(&if b.is_negative() { smaller.negated() } else { smaller })
}

/// Returns the reciprocal of a number. `None` if it has roots other than square and cube roots.
pub(super) fn inverse(number: &Poly) -> Option<Poly> {
    if let Some((monomial, value)) = number.single() {
        let one = Rational::integer(1);
        return Poly::term(one.checked_div(value)?, raised(monomial, one.negated())?);
    }
    // Eliminate one root after another from the denominator.
    let atom = number.atoms().into_iter().next()?.clone();
    let (cofactor, norm) = conjugated(number, &atom)?;
    // A root that is still there would make the recursion endless.
    if norm.is_zero() || norm.atoms().contains(&atom) {
        return None;
    }
    cofactor.times(&inverse(&norm)?)
}

/// Returns a cofactor such that multiplying by it eliminates the atom, and the product.
fn conjugated(number: &Poly, atom: &Atom) -> Option<(Poly, Poly)> {
    if *atom == Atom::Imaginary {
        let [a, b] = parts(number, atom, [(0, 1), (1, 1)])?;
        let i = Poly::atom(Atom::Imaginary);
        let cofactor = a.plus(&b.times(&i)?.negated())?;
        return Some((cofactor.clone(), number.times(&cofactor)?));
    }
    let root = |n, d| {
        let power = Monomial::from([(atom.clone(), Rational::new(n, d)?)]);
        Poly::term(Rational::integer(1), power)
    };
    let cofactor = if let Some([a, b]) = parts(number, atom, [(0, 1), (1, 2)]) {
        a.plus(&b.times(&root(1, 2)?)?.negated())?
    } else {
        // The cofactor of `a + b r + c r^2` with `r^3 = q` is `(a^2 - q b c) + (q c^2 - a b) r + (b^2 - a c) r^2`.
        let [a, b, c] = parts(number, atom, [(0, 1), (1, 3), (2, 3)])?;
        let q = root(1, 1)?;
        let less = |x: &Poly, y: &Poly| x.plus(&y.negated());
        let first = less(&a.times(&a)?, &q.times(&b)?.times(&c)?)?;
        let second = less(&q.times(&c)?.times(&c)?, &a.times(&b)?)?.times(&root(1, 3)?)?;
        let third = less(&b.times(&b)?, &a.times(&c)?)?.times(&root(2, 3)?)?;
        first.plus(&second)?.plus(&third)?
    };
    Some((cofactor.clone(), number.times(&cofactor)?))
}

/// Returns the coefficients of these powers of the atom; `None` if there are other powers.
fn parts<const N: usize>(
    number: &Poly,
    atom: &Atom,
    powers: [(i128, i128); N],
) -> Option<[Poly; N]> {
    let mut parts = [const { None }; N].map(|_: Option<()>| Poly::default());
    for (monomial, value) in number.terms() {
        let mut rest = monomial.clone();
        let exponent = rest.remove(atom).unwrap_or(Rational::integer(0));
        let found = powers.iter().position(|&(n, d)| Rational::new(n, d) == Some(exponent))?;
        let part = parts.get_mut(found)?;
        *part = part.plus(&Poly::term(value, rest)?)?;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(of: i64, n: i128) -> Poly {
        power(Rational::integer(of), Rational::new(1, n).unwrap()).unwrap()
    }

    #[test]
    fn sums_of_roots_have_inverses() {
        let one = Poly::integer(1);
        let sums = [
            one.plus(&root(2, 2)).unwrap(),
            root(2, 2).plus(&root(3, 2)).unwrap().plus(&root(-5, 2)).unwrap(),
            root(2, 3).plus(&one.negated()).unwrap(),
            root(4, 3).plus(&root(2, 3)).unwrap().plus(&root(3, 2)).unwrap(),
        ];
        for sum in sums {
            assert_eq!(inverse(&sum).unwrap().times(&sum).unwrap(), one, "{sum}");
        }
    }

    #[test]
    fn nested_roots_are_the_principal_ones() {
        let nested = |a: i64, b: i64, c: i64| {
            let sum = Poly::integer(a).plus(&root(c, 2).times(&Poly::integer(b)).unwrap()).unwrap();
            unnested_root(&sum).map(|root| root.to_string())
        };
        assert_eq!(nested(3, 2, 2).as_deref(), Some("sqrt(2)+1"));
        assert_eq!(nested(3, -2, 2).as_deref(), Some("sqrt(2)-1"));
        assert_eq!(nested(3, 4, -1).as_deref(), Some("i+2"));
        assert_eq!(nested(3, -4, -1).as_deref(), Some("-i+2"));
        assert_eq!(nested(1, 1, 2), None);
    }
}
