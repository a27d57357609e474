//! Expressions: computes a value from tokens, by recursive descent.

use super::function::{apply, factorial, root, takes_angle};
use super::poly::{Atom, Poly};
use super::quotient::Quotient;
use super::token::Token;
use crate::rational::{Rational, scan};
use crate::unit::{Place, meaning};

/// Deepest nesting of parentheses, fractions and roots. It bounds the stack.
const MAX_DEPTH: u32 = 24;

/// Returns the value of all tokens, multiplied by the factor of the unit after it.
pub(super) fn value(tokens: &[Token]) -> Option<Quotient> {
    let mut parser = Parser { tokens: tokens.to_vec(), at: 0, depth: 0, angle: false };
    let value = parser.sum()?;
    let rest = parser.tokens.get(parser.at..)?;
    if rest.is_empty() {
        return Some(value);
    }
    let singular = value.rational().is_some_and(|value| value.place("", true).singular);
    let factor = meaning(&unit(rest)?, Place { singular, apart: true })?.factor;
    value.times(&Quotient::whole(Poly::constant(factor)))
}

/// Returns the text of the tokens after a value, if they can be a unit: words, and signs for powers and quotients of
/// them.
fn unit(tokens: &[Token]) -> Option<String> {
    let starts = matches!(tokens.first(), Some(Token::Text(_) | Token::Sign('/' | '.')));
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Text(words) | Token::Name(words) => {
                text.push(' ');
                text.push_str(words);
            }
            Token::Number(digits) if text.ends_with(['^', '{', '-']) => text.push_str(digits),
            Token::Sign('*') => text.push('·'),
            Token::Sign(sign) if "^/.{}%°-()".contains(*sign) => text.push(*sign),
            _ => return None,
        }
    }
    starts.then_some(text)
}

/// Returns the number that digits stand for.
pub(super) fn number(digits: &str) -> Option<Rational> {
    let digits = digits.strip_suffix('.').unwrap_or(digits);
    scan(digits).filter(|literal| literal.len == digits.len())?.value
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    /// Whether this is inside the argument of a trigonometric function, where a degree sign means radians.
    angle: bool,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn sign(&self) -> Option<char> {
        match self.peek()? {
            Token::Sign(sign) => Some(*sign),
            _ => None,
        }
    }

    /// Consumes a sign, if it is the next token, and returns whether it was.
    fn takes(&mut self, sign: char) -> bool {
        let found = self.sign() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn sum(&mut self) -> Option<Quotient> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut sum = self.product()?;
        loop {
            let term = match self.sign() {
                Some('+') => {
                    self.at += 1;
                    self.product()?
                }
                Some('-') => {
                    self.at += 1;
                    self.product()?.negated()
                }
                _ => break,
            };
            sum = sum.plus(&term)?;
        }
        self.depth -= 1;
        Some(sum)
    }

    fn product(&mut self) -> Option<Quotient> {
        let mut product = self.signed()?;
        loop {
            if self.takes('*') {
                product = product.times(&self.signed()?)?;
            } else if self.divides() {
                self.at += 1;
                product = product.over(&self.signed()?)?;
            } else if self.continues() {
                product = product.times(&self.power()?)?;
            } else {
                return Some(product);
            }
        }
    }

    /// Whether the next token is a division sign, but not one between units.
    fn divides(&self) -> bool {
        let words = matches!(self.tokens.get(self.at + 1), Some(Token::Text(_)));
        self.sign() == Some('/') && !words
    }

    /// Whether the next token begins another factor. A number does not: `x2` is a power, an index or a word.
    fn continues(&self) -> bool {
        match self.peek() {
            Some(Token::Name(_) | Token::Call(_) | Token::Fraction) => true,
            Some(Token::Sign(sign)) => "([{√⌊⌈".contains(*sign),
            _ => false,
        }
    }

    fn signed(&mut self) -> Option<Quotient> {
        let mut negative = false;
        while let Some(sign @ ('+' | '-')) = self.sign() {
            negative ^= sign == '-';
            self.at += 1;
        }
        let value = self.power()?;
        Some(if negative { value.negated() } else { value })
    }

    fn power(&mut self) -> Option<Quotient> {
        let base = self.primary()?;
        let base = self.postfix(base)?;
        if self.sign() != Some('^') || self.is_degree(1) {
            return Some(base);
        }
        self.at += 1;
        self.depth += 1;
        let exponent = if self.depth > MAX_DEPTH { None } else { self.signed() }?;
        self.depth -= 1;
        let power = base.power(&exponent)?;
        self.postfix(power)
    }

    /// Whether there is a degree sign this many tokens ahead, in braces or not.
    fn is_degree(&self, ahead: usize) -> bool {
        let sign = |at: usize| self.tokens.get(self.at + ahead + at);
        let degree = Some(&Token::Sign('°'));
        sign(0) == degree || (sign(0) == Some(&Token::Sign('{')) && sign(1) == degree)
    }

    fn postfix(&mut self, mut value: Quotient) -> Option<Quotient> {
        loop {
            if self.takes('!') {
                if self.sign() == Some('!') {
                    return None; // A double factorial, or an exclamation.
                }
                value = factorial(&value)?;
            } else if self.takes('°') {
                value = self.degrees(&value)?;
            } else if self.sign() == Some('^') && self.is_degree(1) {
                self.at += 1;
                let braces = self.takes('{');
                self.at += 1;
                if braces && !self.takes('}') {
                    return None;
                }
                value = self.degrees(&value)?;
            } else if !self.takes('%') {
                return Some(value);
            }
        }
    }

    fn degrees(&self, value: &Quotient) -> Option<Quotient> {
        if !self.angle {
            return Some(value.clone());
        }
        value.times(&Quotient::whole(Poly::symbol("pi")))?.over(&Quotient::integer(180))
    }

    fn primary(&mut self) -> Option<Quotient> {
        let token = self.peek()?.clone();
        self.at += 1;
        match token {
            Token::Number(digits) => self.number(&digits),
            Token::Name(name) => self.name(name),
            Token::Call(name) => self.call(&name),
            Token::Fraction => {
                let top = self.argument()?;
                top.over(&self.argument()?)
            }
            Token::Sign('√') => self.root(),
            Token::Sign('(') => self.closed(')'),
            Token::Sign('[') => self.closed(']'),
            Token::Sign('{') => self.closed('}'),
            Token::Sign('⌊') => apply("floor", &[self.closed('⌋')?]),
            Token::Sign('⌈') => apply("ceil", &[self.closed('⌉')?]),
            Token::Sign('|') => apply("abs", &[self.closed('|')?]),
            _ => None,
        }
    }

    fn closed(&mut self, close: char) -> Option<Quotient> {
        // Parentheses do not reset `angle`: inside an angle's argument, their contents are part of the angle.
        let inside = self.sum()?;
        self.takes(close).then_some(inside)
    }

    /// Reads a number with its repeating digits or the proper fraction of a mixed number.
    fn number(&mut self, digits: &str) -> Option<Quotient> {
        let value = number(digits)?;
        let constant = |value| Some(Quotient::whole(Poly::constant(value)));
        if let Some(Token::Repeating(repeating)) = self.peek() {
            let repeating = repeating.clone();
            self.at += 1;
            let (_, decimals) = digits.split_once('.')?;
            let ten = Rational::integer(10);
            let nines = ten.power(repeating.len() as i128)?.checked_sub(Rational::integer(1))?;
            let shift = ten.power(decimals.len() as i128)?;
            let tail = number(&repeating)?.checked_div(nines)?.checked_div(shift)?;
            return constant(value.checked_add(tail)?);
        }
        match self.proper_fraction().filter(|_| value.whole().is_some()) {
            Some((part, len)) => {
                self.at += len;
                constant(value.checked_add(part)?)
            }
            None => constant(value),
        }
    }

    /// Returns the fraction of a mixed number and its number of tokens: `\frac{1}{2}`, `\frac12`, or `1/2` after a
    /// number.
    fn proper_fraction(&self) -> Option<(Rational, usize)> {
        let rest = self.tokens.get(self.at..)?;
        let brace = |token: &Token, sign: char| *token == Token::Sign(sign);
        let (top, bottom, len) = match rest {
            [Token::Fraction, open, Token::Number(top), close, rest @ ..]
                if brace(open, '{') && brace(close, '}') =>
            {
                match rest {
                    [open, Token::Number(bottom), close, ..]
                        if brace(open, '{') && brace(close, '}') =>
                    {
                        (top.as_str(), bottom.as_str(), 7)
                    }
                    _ => return None,
                }
            }
            [Token::Fraction, Token::Number(both), ..] if both.len() == 2 => {
                (both.get(..1)?, both.get(1..)?, 2)
            }
            [Token::Number(top), Token::Sign('/'), Token::Number(bottom), ..] => {
                (top.as_str(), bottom.as_str(), 3)
            }
            _ => return None,
        };
        let (top, bottom) = (number(top)?.whole()?, number(bottom)?.whole()?);
        let proper = 0 < top && top < bottom;
        Some((Rational::new(top, bottom).filter(|_| proper)?, len))
    }

    /// Reads a variable with its subscript, or a constant.
    fn name(&mut self, mut name: String) -> Option<Quotient> {
        if matches!(name.as_str(), "i" | "imath") && self.sign() != Some('_') {
            return Some(Quotient::whole(Poly::atom(Atom::Imaginary)));
        }
        if self.takes('_') {
            name.push('_');
            name.push_str(&self.subscript()?);
        }
        Some(Quotient::whole(Poly::symbol(&name)))
    }

    fn subscript(&mut self) -> Option<String> {
        let braces = self.takes('{');
        let mut text = String::new();
        loop {
            match self.peek()? {
                Token::Number(part) | Token::Name(part) => text.push_str(part),
                Token::Text(part) if braces => text.push_str(part),
                _ => return None,
            }
            self.at += 1;
            if !braces || self.takes('}') {
                return Some(text);
            }
        }
    }

    /// Reads the argument of a command: a group, one digit of a number, or one factor.
    fn argument(&mut self) -> Option<Quotient> {
        let digits = match self.peek()? {
            Token::Number(digits) => digits.clone(),
            Token::Sign('{') => {
                self.at += 1;
                return self.closed('}');
            }
            Token::Name(_) | Token::Sign('√') => return self.primary(),
            _ => return None,
        };
        // In `\frac12` each argument is one digit, so the rest of the number stays for the next one.
        let first = digits.get(..1)?;
        match digits.get(1..)? {
            "" => self.at += 1,
            rest => *self.tokens.get_mut(self.at)? = Token::Number(rest.to_owned()),
        }
        Some(Quotient::whole(Poly::constant(number(first)?)))
    }

    /// Reads the base of a logarithm: a whole number if the argument follows it, otherwise one digit.
    fn base(&mut self) -> Option<Quotient> {
        let after = self.tokens.get(self.at + 1);
        match after {
            Some(Token::Sign('(' | '{') | Token::Number(_) | Token::Name(_) | Token::Fraction) => {
                self.primary()
            }
            _ => self.argument(),
        }
    }

    fn root(&mut self) -> Option<Quotient> {
        let mut index = 2;
        if self.takes('[') {
            let Token::Number(digits) = self.peek()? else { return None };
            index = number(digits)?.whole().and_then(|n| i64::try_from(n).ok())?;
            self.at += 1;
            if !self.takes(']') || !(1..=1000).contains(&index) {
                return None;
            }
        }
        self.depth += 1;
        let of = if self.depth > MAX_DEPTH { None } else { self.primary() }?;
        self.depth -= 1;
        root(&of, index)
    }

    fn call(&mut self, name: &str) -> Option<Quotient> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        // Each function decides for its own argument, so `angle` is restored after a nested call.
        let angle = std::mem::replace(&mut self.angle, takes_angle(name));
        let value = self.applied(name);
        self.angle = angle;
        self.depth -= 1;
        value
    }

    fn applied(&mut self, name: &str) -> Option<Quotient> {
        if name == "binom" && self.sign() != Some('(') {
            let n = self.argument()?;
            return apply(name, &[n, self.argument()?]);
        }
        let mut arguments = Vec::new();
        if name == "log" && self.takes('_') {
            arguments.push(self.base()?);
        }
        let exponent = if self.takes('^') { Some(self.signed()?) } else { None };
        if self.takes('(') {
            arguments.push(self.sum()?);
            while self.takes(',') {
                arguments.push(self.sum()?);
            }
            if !self.takes(')') {
                return None;
            }
        } else {
            arguments.push(self.factors()?);
        }
        // `\sin^{-1} x` is the arcsine, and not `1/\sin x`.
        let inverse = exponent.as_ref().and_then(Quotient::rational) == Some(Rational::integer(-1));
        match exponent {
            Some(_) if inverse => apply(&format!("arc{name}"), &arguments),
            Some(exponent) => apply(name, &arguments)?.power(&exponent),
            None => apply(name, &arguments),
        }
    }

    /// Reads an argument without parentheses: factors up to the next function.
    fn factors(&mut self) -> Option<Quotient> {
        let mut product = self.signed()?;
        while self.continues() && !matches!(self.peek(), Some(Token::Call(_))) {
            product = product.times(&self.power()?)?;
        }
        Some(product)
    }
}
