//! Equations and inequalities: the solution for a variable if there is one, otherwise the relation itself, with
//! everything on one side.

use super::expression::value;
use super::function::FUNCTIONS;
use super::poly::{Atom, Poly};
use super::quotient::Quotient;
use super::shape::{Item, is_words, items, split};
use super::token::Token;
use crate::rational::Rational;

/// Reads equations and inequalities.
pub(super) fn relation(sides: &[&[Token]], signs: &[char], depth: u32) -> Option<Vec<Item>> {
    let (first, last) = (sides.first()?, sides.last()?);
    if let ([[], right], [sign]) = (sides, signs) {
        // `= 5` and `> 5`: the variable was given in the question.
        return if *sign == '=' { items(right, depth + 1) } else { bounded("x", *sign, right) };
    }
    if signs.iter().all(|sign| *sign == '=') {
        if let (Some(line), 2) = (line(first, last), sides.len()) {
            return Some(vec![Item::plain(line)]);
        }
        if let Some(name) = label(first) {
            let items = items(last, depth + 1)?;
            return Some(items.into_iter().map(|item| item.named(&name)).collect());
        }
    }
    match (sides, signs) {
        ([[Token::Name(name)], right], [sign]) if bounded(name, *sign, right).is_some() => {
            bounded(name, *sign, right)
        }
        ([left, [Token::Name(name)]], [sign]) if bounded(name, mirrored(*sign), left).is_some() => {
            bounded(name, mirrored(*sign), left)
        }
        ([left, right], [sign]) => statement(&difference(left, right)?, *sign),
        ([low, name, high], ['<' | '≤', '<' | '≤']) => between(low, name, high, signs),
        ([high, name, low], ['>' | '≥', '>' | '≥']) => {
            let turned: Vec<char> = signs.iter().rev().map(|sign| mirrored(*sign)).collect();
            between(low, name, high, &turned)
        }
        _ => None,
    }
}

/// Returns the name that an equation gives a value to: a variable, a function of variables, or words.
pub(super) fn label(tokens: &[Token]) -> Option<String> {
    match tokens {
        [Token::Name(name)] => (!is_fingerprint(name)).then(|| name.clone()),
        [Token::Name(name), Token::Sign('_'), Token::Name(index) | Token::Number(index)] => {
            Some(format!("{name}_{index}"))
        }
        [Token::Name(name), Token::Sign('('), rest @ .., Token::Sign(')')] => {
            let arguments = |token: &Token| matches!(token, Token::Name(_) | Token::Sign(','));
            rest.iter().all(arguments).then(|| name.clone())
        }
        words if is_words(words) || matches!(words, [Token::Text(_)]) => {
            let word = |token: &Token| match token {
                Token::Text(word) | Token::Name(word) => Some(word.to_lowercase()),
                _ => None,
            };
            Some(words.iter().map(word).collect::<Option<Vec<_>>>()?.join(" "))
        }
        [Token::Sign('('), names @ .., Token::Sign(')')] => {
            let name = |part: &[Token]| match part {
                [Token::Name(name)] => Some(name.clone()),
                _ => None,
            };
            let parts = split(names, |token| *token == Token::Sign(','))?;
            Some(parts.into_iter().map(name).collect::<Option<Vec<_>>>()?.join(","))
        }
        _ => None,
    }
}

/// Reads the comparison of a variable with a number: `x > \sqrt2`.
fn bounded(name: &str, sign: char, bound: &[Token]) -> Option<Vec<Item>> {
    let bound = value(bound)?;
    // A key has a fingerprint for a bound only if that was constant.
    let stands = |atom: &Atom| matches!(atom, Atom::Symbol(name) if is_fingerprint(name));
    let constant = bound.atoms().into_iter().all(|atom| is_constant(atom) || stands(atom));
    let variable = is_variable(&Atom::Symbol(name.to_owned()))
        && !is_fingerprint(name)
        && !matches!(name, "pi" | "e");
    (constant && variable && sign != '=').then(|| compared(name, sign, bound.key()?))?
}

/// Returns a variable compared with a number: an interval, or for `≠` everything but one number.
fn compared(name: &str, sign: char, bound: String) -> Option<Vec<Item>> {
    Some(vec![match sign {
        '=' => Item::plain(bound).named(name),
        '<' => Item::range(format!("(-inf,{bound})")),
        '≤' => Item::range(format!("(-inf,{bound}]")),
        '>' => Item::range(format!("({bound},inf)")),
        '≥' => Item::range(format!("[{bound},inf)")),
        '≠' => Item::plain(format!("{name}!={bound}")),
        _ => return None,
    }])
}

fn difference(left: &[Token], right: &[Token]) -> Option<Quotient> {
    value(left)?.plus(&value(right)?.negated())
}

/// Reads a line or a curve in `x` and `y` and solves it for `y`, so that every way to write it has the same key.
fn line(left: &[Token], right: &[Token]) -> Option<String> {
    let difference = difference(left, right)?;
    let sum = difference.poly()?;
    let names: Vec<&Atom> = sum.atoms().into_iter().filter(|atom| !atom.is_number()).collect();
    let (x, y) = (Atom::Symbol("x".to_owned()), Atom::Symbol("y".to_owned()));
    if names != [&x, &y] {
        return None;
    }
    let (mut slope, mut rest) = (Poly::default(), Poly::default());
    for (monomial, value) in sum.terms() {
        let mut monomial = monomial.clone();
        let part = match monomial.remove(&y) {
            Some(power) if power == Rational::integer(1) => &mut slope,
            Some(_) => return None,
            None => &mut rest,
        };
        *part = part.plus(&Poly::term(value, monomial)?)?;
    }
    let solved = Quotient::whole(rest).over(&Quotient::whole(slope.negated()))?;
    slope.is_number().then(|| solved.key())?
}

/// Reads a comparison with zero. An equation in one variable that can be solved becomes its solution.
fn statement(difference: &Quotient, sign: char) -> Option<Vec<Item>> {
    let sum = difference.numerator();
    let free: Vec<&Atom> = sum.atoms().into_iter().filter(|atom| !is_constant(atom)).collect();
    // A claim about numbers alone is true or false, and not an answer.
    let variable = *free.iter().find(|atom| is_variable(atom))?;
    let whole = difference.poly().is_some();
    if let ([Atom::Symbol(name)], true) = (free.as_slice(), whole)
        && !is_fingerprint(name)
        && let Some((bound, turned)) = solution(sum, variable)
    {
        return compared(name, if turned { mirrored(sign) } else { sign }, bound.key()?);
    }
    let (sum, turned) = normal(sum)?;
    let sign = if turned { mirrored(sign) } else { sign };
    // The denominator is left out of `sum`. Its sign is unknown, and could turn an inequality around.
    if !whole && sign != '=' {
        return None;
    }
    let sign = match sign {
        '≤' => "<=",
        '≥' => ">=",
        '≠' => "!=",
        '<' => "<",
        '>' => ">",
        _ => "=",
    };
    Some(vec![Item::plain(format!("{}{sign}0", Quotient::whole(sum).key()?))])
}

/// Scales the sum so that the coefficient of its first term is 1, and returns whether that flips the relation sign.
fn normal(sum: &Poly) -> Option<(Poly, bool)> {
    let (_, first) = sum.terms().last()?;
    let scale = Poly::constant(Rational::integer(1).checked_div(first)?);
    Some((sum.times(&scale)?, first.is_negative()))
}

/// Solves a sum that is linear in a variable for zero, and returns whether the variable's coefficient is negative.
fn solution(sum: &Poly, name: &Atom) -> Option<(Quotient, bool)> {
    let (mut slope, mut rest) = (Poly::default(), Poly::default());
    for (monomial, value) in sum.terms() {
        let mut monomial = monomial.clone();
        let part = match monomial.remove(name) {
            Some(power) if power == Rational::integer(1) => &mut slope,
            Some(_) => return None,
            None => &mut rest,
        };
        *part = part.plus(&Poly::term(value, monomial)?)?;
    }
    if !slope.atoms().into_iter().chain(rest.atoms()).all(is_constant) {
        return None;
    }
    let turned = is_below_zero(&slope)?;
    Some((Quotient::whole(rest.negated()).over(&Quotient::whole(slope))?, turned))
}

/// Whether a single-term number is below zero; `None` for other numbers, and for those that are not real.
fn is_below_zero(number: &Poly) -> Option<bool> {
    let (monomial, value) = number.single()?;
    let positive = |atom: &Atom| match atom {
        Atom::Prime(_) => true,
        Atom::Symbol(name) => matches!(name.as_str(), "pi" | "e"),
        _ => false,
    };
    monomial.keys().all(positive).then(|| value.is_negative())
}

/// Whether the atom stands for the same number in every answer.
fn is_constant(atom: &Atom) -> bool {
    match atom {
        Atom::Symbol(name) => {
            let words =
                || name.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
            let known =
                |word: &str| matches!(word, "pi" | "e" | "sqrt") || FUNCTIONS.contains(&word);
            words().next().is_some() && words().all(known) && !name.contains('_')
        }
        Atom::Group(sum) => sum.atoms().into_iter().all(is_constant),
        Atom::Prime(_) | Atom::Imaginary => true,
        Atom::Tower(..) => false,
    }
}

fn is_variable(atom: &Atom) -> bool {
    matches!(atom, Atom::Symbol(name) if !name.contains('(') && name != "inf")
}

/// Whether the name is the fingerprint of an expression, `~612aece09e2659c3`. No equation is solved for one.
fn is_fingerprint(name: &str) -> bool {
    name.starts_with('~')
}

fn mirrored(sign: char) -> char {
    match sign {
        '<' => '>',
        '>' => '<',
        '≤' => '≥',
        '≥' => '≤',
        sign => sign,
    }
}

/// Returns `low < x <= high` as an interval.
fn between(low: &[Token], name: &[Token], high: &[Token], signs: &[char]) -> Option<Vec<Item>> {
    let (Some(_), [first, second]) = (label(name), signs) else { return None };
    let (low, high) = (value(low)?.key()?, value(high)?.key()?);
    let open = if *first == '<' { '(' } else { '[' };
    let close = if *second == '<' { ')' } else { ']' };
    Some(vec![Item::range(format!("{open}{low},{high}{close}"))])
}
