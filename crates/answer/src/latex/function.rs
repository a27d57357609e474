//! Functions: exact where there is an exact value, otherwise a symbol named after the function and its argument.

use super::number::power;
use super::poly::{Atom, Monomial, Poly, raised};
use super::quotient::Quotient;
use crate::rational::Rational;

/// Largest number whose factorial is computed.
const MAX_FACTORIAL: i128 = 1000;

/// Most factors of a binomial coefficient that is multiplied out.
const MAX_FACTORS: i128 = 8;

/// Names of functions.
pub(super) const FUNCTIONS: [&str; 33] = [
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "log", "ln", "lg", "exp", "sqrt", "cbrt", "abs", "floor", "ceil",
    "binom", "min", "max", "gcd", "lcm", "arg", "det", "Re", "Im",
];

/// Whether the function takes an angle.
pub(super) fn takes_angle(name: &str) -> bool {
    matches!(name, "sin" | "cos" | "tan" | "cot" | "sec" | "csc")
}

/// Returns the value of a function.
pub(super) fn apply(name: &str, arguments: &[Quotient]) -> Option<Quotient> {
    let [argument] = arguments else {
        return match arguments {
            [n, k] if name == "binom" => binomial(n, k).or_else(|| named(name, arguments)),
            [base, of] if name == "log" => logarithm(of)?.over(&logarithm(base)?),
            _ => named(name, arguments),
        };
    };
    let one = Quotient::integer(1);
    match name {
        "sin" => sine(argument),
        "cos" => cosine(argument),
        "tan" => sine(argument)?.over(&cosine(argument)?),
        "cot" => cosine(argument)?.over(&sine(argument)?),
        "sec" => one.over(&cosine(argument)?),
        "csc" => one.over(&sine(argument)?),
        "arcsin" | "asin" => arcsine(argument),
        "arccos" | "acos" => turn(90)?.plus(&arcsine(argument)?.negated()),
        "arctan" | "atan" => arctangent(argument),
        "ln" => logarithm(argument),
        "log" | "lg" => logarithm(argument)?.over(&logarithm(&Quotient::integer(10))?),
        "exp" => Quotient::whole(Poly::symbol("e")).power(argument),
        "sqrt" => root(argument, 2),
        "cbrt" => root(argument, 3),
        "abs" => absolute(argument),
        "floor" | "ceil" => rounded(name, argument),
        _ => named(name, arguments),
    }
}

/// Returns the nth root.
pub(super) fn root(of: &Quotient, n: i64) -> Option<Quotient> {
    of.power(&Quotient::integer(1).over(&Quotient::integer(n))?)
}

/// Returns a symbol for a value that has no simpler form.
fn named(name: &str, arguments: &[Quotient]) -> Option<Quotient> {
    let keys: Vec<String> = arguments.iter().map(Quotient::key).collect::<Option<_>>()?;
    Some(Quotient::whole(Poly::symbol(&format!("{name}({})", keys.join(",")))))
}

/// Returns an angle in radians.
fn turn(degrees: i64) -> Option<Quotient> {
    let part = Poly::constant(Rational::new(i128::from(degrees), 180)?);
    Some(Quotient::whole(Poly::symbol("pi").times(&part)?))
}

/// Returns `e^(i pi t)` for `t` half turns.
pub(super) fn turned(half_turns: Rational) -> Option<Poly> {
    let degrees = half_turns.checked_mul(Rational::integer(180))?;
    let sine = sine_of(degrees)?.times(&Poly::atom(Atom::Imaginary))?;
    sine_of(degrees.checked_add(Rational::integer(90))?)?.plus(&sine)
}

/// Returns the angle in degrees, if it is a rational multiple of pi.
fn degrees(angle: &Quotient) -> Option<Rational> {
    let angle = angle.poly()?;
    if angle.is_zero() {
        return Some(Rational::integer(0));
    }
    let (monomial, value) = angle.single()?;
    let pi = Monomial::from([(Atom::Symbol("pi".to_owned()), Rational::integer(1))]);
    (*monomial == pi).then(|| value.checked_mul(Rational::integer(180)))?
}

fn sine(angle: &Quotient) -> Option<Quotient> {
    if let Some(degrees) = degrees(angle) {
        return sine_of(degrees).map(Quotient::whole);
    }
    if is_turned(angle) {
        return Some(named("sin", &[angle.negated()])?.negated());
    }
    named("sin", std::slice::from_ref(angle))
}

fn cosine(angle: &Quotient) -> Option<Quotient> {
    if let Some(degrees) = degrees(angle) {
        return sine_of(degrees.checked_add(Rational::integer(90))?).map(Quotient::whole);
    }
    named("cos", &[if is_turned(angle) { angle.negated() } else { angle.clone() }])
}

/// Whether the first displayed term has a minus sign. That is so for exactly one of a value and its negative, so odd
/// and even functions can pick one of the two.
fn is_turned(value: &Quotient) -> bool {
    value.numerator().terms().last().is_some_and(|(_, value)| value.is_negative())
}

/// Returns the sine of an angle in degrees. The angle is reduced to 0 to 90, and the sine is a symbol if it has no
/// value in square roots.
fn sine_of(degrees: Rational) -> Option<Poly> {
    let (half, whole) = (Rational::integer(180), Rational::integer(360));
    let turns = degrees.checked_floor_div(whole)?.checked_mul(whole)?;
    let degrees = degrees.checked_sub(turns)?;
    if degrees >= half {
        return Some(sine_of(degrees.checked_sub(half)?)?.negated());
    }
    let other = half.checked_sub(degrees)?;
    let degrees = degrees.min(other);
    if let Some(value) = degrees.whole().and_then(exact_sine) {
        return Some(value);
    }
    let part = Poly::constant(degrees.checked_div(half)?).times(&Poly::symbol("pi"))?;
    Some(Poly::symbol(&format!("sin({part})")))
}

/// Returns the sine of whole degrees that is simple in square roots: `(a sqrt(m) + b sqrt(n)) / 4`.
fn exact_sine(degrees: i128) -> Option<Poly> {
    let (a, m, b, n) = match degrees {
        0 => (0, 1, 0, 1),
        15 => (1, 6, -1, 2),
        18 => (1, 5, -1, 1),
        30 => (2, 1, 0, 1),
        45 => (2, 2, 0, 1),
        54 => (1, 5, 1, 1),
        60 => (2, 3, 0, 1),
        75 => (1, 6, 1, 2),
        90 => (4, 1, 0, 1),
        _ => return None,
    };
    let part = |a: i128, m: i64| {
        let root = power(Rational::integer(m), Rational::new(1, 2)?)?;
        root.times(&Poly::constant(Rational::new(a, 4)?))
    };
    part(a, m)?.plus(&part(b, n)?)
}

fn arcsine(value: &Quotient) -> Option<Quotient> {
    let is = |degrees: &i64| {
        let sine = sine_of(Rational::integer(*degrees));
        value.poly().is_some_and(|value| sine.as_ref() == Some(value))
    };
    // All angles of `exact_sine` are multiples of 3.
    odd("arcsin", value, (0..=90).step_by(3).find(is))
}

fn arctangent(value: &Quotient) -> Option<Quotient> {
    let is = |degrees: &i64| {
        let angle = turn(*degrees);
        let tangent = angle.and_then(|angle| sine(&angle)?.over(&cosine(&angle)?));
        tangent.as_ref() == Some(value)
    };
    // Only multiples of 15 have both an exact sine and an exact cosine. At 90 the cosine is zero.
    odd("arctan", value, (0..90).step_by(15).find(is))
}

/// Returns the value of an odd function: the known angle in degrees, or a symbol.
fn odd(name: &str, value: &Quotient, degrees: Option<i64>) -> Option<Quotient> {
    if let Some(degrees) = degrees {
        return turn(degrees);
    }
    if is_turned(value) {
        return Some(apply(name, &[value.negated()])?.negated());
    }
    named(name, std::slice::from_ref(value))
}

/// Returns the natural logarithm: for roots of rationals and powers of `e`, a sum over primes.
fn logarithm(value: &Quotient) -> Option<Quotient> {
    let single = value.poly().and_then(Poly::single);
    let Some((monomial, number)) = single.filter(|(_, number)| !number.is_negative()) else {
        return named("ln", std::slice::from_ref(value));
    };
    let mut sum = Poly::default();
    // Splitting into primes gives `ln 8` and `3 ln 2` the same key.
    let factors = super::poly::joined(monomial, &super::number::primes(number))?;
    for (atom, exponent) in factors {
        let part = match &atom {
            Atom::Prime(prime) => Poly::symbol(&format!("ln({prime})")),
            Atom::Symbol(name) if name == "e" => Poly::integer(1),
            _ => return named("ln", std::slice::from_ref(value)),
        };
        sum = sum.plus(&part.times(&Poly::constant(exponent))?)?;
    }
    Some(Quotient::whole(sum))
}

fn absolute(value: &Quotient) -> Option<Quotient> {
    match value.poly().and_then(Poly::single) {
        Some((monomial, number)) if !is_signed(monomial) => {
            let size = if number.is_negative() { number.negated() } else { number };
            Poly::term(size, raised(monomial, Rational::integer(1))?).map(Quotient::whole)
        }
        _ => {
            if let Some(size) = value.poly().and_then(modulus) {
                return Some(Quotient::whole(size));
            }
            named("abs", &[if is_turned(value) { value.negated() } else { value.clone() }])
        }
    }
}

/// Whether the sign of the product is unknown: some factor is not known to be positive.
fn is_signed(monomial: &Monomial) -> bool {
    !monomial.keys().all(|atom| match atom {
        Atom::Prime(_) => true,
        Atom::Symbol(name) => matches!(name.as_str(), "pi" | "e"),
        _ => false,
    })
}

/// Returns the absolute value of `a + b i` with rational `a` and `b`.
fn modulus(value: &Poly) -> Option<Poly> {
    let one = Rational::integer(1);
    let mut square = Rational::integer(0);
    for (monomial, part) in value.terms() {
        let imaginary = *monomial == Monomial::from([(Atom::Imaginary, one)]);
        if !imaginary && !monomial.is_empty() {
            return None;
        }
        square = square.checked_add(part.checked_mul(part)?)?;
    }
    power(square, Rational::new(1, 2)?)
}

fn rounded(name: &str, value: &Quotient) -> Option<Quotient> {
    let Some(number) = value.rational() else {
        return named(name, std::slice::from_ref(value));
    };
    let rounded = match name {
        "floor" => number.floor(),
        _ => number.negated().floor().negated(),
    };
    Some(Quotient::whole(Poly::constant(rounded)))
}

/// Returns the factorial, as prime factors, because its digits would exceed the bounds.
pub(super) fn factorial(of: &Quotient) -> Option<Quotient> {
    let whole = of.rational().and_then(Rational::whole);
    let Some(n) = whole.filter(|n| (0..=MAX_FACTORIAL).contains(n)) else {
        // The outer parentheses keep the mark from being read as part of a `!=` that follows.
        return Some(Quotient::whole(Poly::symbol(&format!("(({})!)", of.key()?))));
    };
    let mut exponents = Monomial::new();
    for prime in (2..=n).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)) {
        // Legendre's formula for the exponent of each prime in `n!`.
        let mut quotient = n / prime;
        let mut count = 0;
        while quotient > 0 {
            count += quotient;
            quotient /= prime;
        }
        exponents.insert(Atom::Prime(prime.unsigned_abs()), Rational::new(count, 1)?);
    }
    Poly::term(Rational::integer(1), exponents).map(Quotient::whole)
}

/// Returns the binomial coefficient for a whole `k`. If `n` is not a number it is a polynomial in `n`.
fn binomial(n: &Quotient, k: &Quotient) -> Option<Quotient> {
    let whole = |of: &Quotient| of.rational().and_then(Rational::whole);
    let k = whole(k)?;
    let Some(n) = whole(n) else { return expanded(n, k) };
    if !(0..=MAX_FACTORIAL).contains(&n) || k < 0 {
        return None;
    }
    let mut chosen = Rational::integer(i64::from(k <= n));
    // The smaller of the two, so that the products on the way stay within the bounds.
    for step in 0..k.min((n - k).max(0)) {
        chosen = chosen.checked_mul(Rational::new(n - step, step + 1)?)?;
    }
    Some(Quotient::whole(Poly::constant(chosen)))
}

/// Returns `n (n-1) ... (n-k+1) / k!`.
fn expanded(n: &Quotient, k: i128) -> Option<Quotient> {
    if !(0..=MAX_FACTORS).contains(&k) {
        return None;
    }
    let mut chosen = Quotient::integer(1);
    let mut factor = n.clone();
    for step in 1..=k {
        chosen = chosen.times(&factor)?.over(&Quotient::integer(step as i64))?;
        factor = factor.plus(&Quotient::integer(-1))?;
    }
    Some(chosen)
}
