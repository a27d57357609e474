//! Equations and inequalities: what they say of a variable, or else themselves, brought to one side.

use super::expression::value;
use super::poly::{Atom, Poly};
use super::quotient::Quotient;
use super::shape::{Item, is_words, items, split};
use super::token::Token;
use crate::rational::Rational;

/// Equations and inequalities.
pub(super) fn relation(sides: &[&[Token]], signs: &[char], depth: u32) -> Option<Vec<Item>> {
    let (first, last) = (sides.first()?, sides.last()?);
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
        ([left, right], [sign]) => statement(&difference(left, right)?, *sign),
        ([low, name, high], ['<' | '≤', '<' | '≤']) => between(low, name, high, signs),
        ([high, name, low], ['>' | '≥', '>' | '≥']) => {
            let turned: Vec<char> = signs.iter().rev().map(|sign| mirrored(*sign)).collect();
            between(low, name, high, &turned)
        }
        _ => None,
    }
}

/// What is given a value by an equation: a variable, a function of some, or words.
pub(super) fn label(tokens: &[Token]) -> Option<String> {
    match tokens {
        [Token::Name(name)] => Some(name.clone()),
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

fn difference(left: &[Token], right: &[Token]) -> Option<Quotient> {
    value(left)?.plus(&value(right)?.negated())
}

/// A line or a curve in `x` and `y`: what `y` is, so that every way to write it has one key.
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

/// A statement about what is compared with zero. An equation in one variable that is solved is its solution.
fn statement(difference: &Quotient, sign: char) -> Option<Vec<Item>> {
    let sum = difference.numerator();
    let free: Vec<&Atom> = sum.atoms().into_iter().filter(|atom| !is_constant(atom)).collect();
    // A claim about numbers is true or false, and no answer.
    let variable = *free.iter().find(|atom| is_variable(atom))?;
    let (sum, turned) = normal(sum)?;
    let sign = if turned { mirrored(sign) } else { sign };
    let whole = difference.poly().is_some();
    if let (Some(bound), [Atom::Symbol(name)], true) =
        (solution(&sum, variable), free.as_slice(), whole)
    {
        let bound = Quotient::whole(bound).key()?;
        return Some(vec![match sign {
            '=' => Item::plain(bound).named(name),
            '<' => Item::range(format!("(-inf,{bound})")),
            '≤' => Item::range(format!("(-inf,{bound}]")),
            '>' => Item::range(format!("({bound},inf)")),
            '≥' => Item::range(format!("[{bound},inf)")),
            _ => Item::plain(format!("{name}!={bound}")),
        }]);
    }
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

/// The sum with 1 or -1 times a rational number before its first term, that being 1; and whether the sign turned.
fn normal(sum: &Poly) -> Option<(Poly, bool)> {
    let (_, first) = sum.terms().last()?;
    let scale = Poly::constant(Rational::integer(1).checked_div(first)?);
    Some((sum.times(&scale)?, first.is_negative()))
}

/// The number that a variable has to be for `variable - number` to vanish.
fn solution(sum: &Poly, name: &Atom) -> Option<Poly> {
    let rest = Poly::atom(name.clone()).plus(&sum.negated())?;
    (!rest.atoms().contains(name)).then_some(rest)
}

fn is_constant(atom: &Atom) -> bool {
    atom.is_number() || matches!(atom, Atom::Symbol(name) if name == "pi" || name == "e")
}

fn is_variable(atom: &Atom) -> bool {
    matches!(atom, Atom::Symbol(name) if !name.contains('(') && name != "inf")
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

/// `low < x <= high` as an interval.
fn between(low: &[Token], name: &[Token], high: &[Token], signs: &[char]) -> Option<Vec<Item>> {
    let (Some(_), [first, second]) = (label(name), signs) else { return None };
    let (low, high) = (value(low)?.key()?, value(high)?.key()?);
    let open = if *first == '<' { '(' } else { '[' };
    let close = if *second == '<' { ')' } else { ']' };
    Some(vec![Item::range(format!("{open}{low},{high}{close}"))])
}
