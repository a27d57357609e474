//! Splits text into tokens: numbers, operators, words, and the ends of statements. Spacing matters only where noted.

use super::agree::{self, Written};
use super::annotation::annotation;
use crate::rational::{self, CURRENCY, Rational, UNIT_LETTERS};

/// Most digits in the exponent of `3e8`.
const MAX_EXPONENT: usize = 3;

/// Units that are written with a period.
const SHORT_UNITS: [&str; 20] = [
    "lb", "lbs", "oz", "ft", "in", "yd", "yds", "hr", "hrs", "min", "mins", "sec", "secs", "gal",
    "qt", "pt", "tbsp", "tsp", "pcs", "pkgs",
];

/// Words that are written with a period, after which the sentence continues.
const ABBREVIATED: [&str; 5] = ["Mr", "Mrs", "Ms", "Dr", "St"];

/// An operator between two operands. A unary minus is a `Sub` without a left operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    /// `//`, the quotient rounded down, as in some GSM8K annotations.
    Floor,
    Pow,
    /// `20% of 50`: a multiplication whose left operand must be a fraction or a percentage.
    Of,
    /// `8 packs of 5 bags`: possibly a multiplication.
    Each,
    /// `15 out of 20`: possibly a division.
    OutOf,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number without sign; `value` is `None` beyond the bounds. `scaled` if it has a scale, as in `5 million` or
    /// `5k`.
    Number {
        value: Option<Rational>,
        written: Written,
        percent: bool,
        scaled: bool,
    },
    Op(Op),
    Open,
    Close,
    Equals,
    Word,
    /// The end of a statement: punctuation or a line break.
    Break,
    /// Something that makes its neighbours unreadable: variables, factorials, unknown signs.
    Junk,
}

/// A token with its position in the text, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it follows its neighbour without a blank.
    pub(super) glued: bool,
    /// Whether a currency sign stands before it.
    pub(super) money: bool,
}

impl Token {
    /// Whether an operand begins here: at a number or an opening parenthesis.
    pub(super) fn opens_operand(self) -> bool {
        matches!(self.kind, Kind::Number { .. } | Kind::Open)
    }
}

/// Returns the tokens of `text` and its annotations (start of `<<`, inner text). The tokens are as if the annotations
/// were not there.
pub(super) fn tokens(text: &str) -> (Vec<Token>, Vec<(usize, &str)>) {
    let mut lexer = Lexer {
        text,
        at: 0,
        glued: false,
        money: None,
        tokens: Vec::new(),
        annotations: Vec::new(),
    };
    while lexer.step().is_some() {}
    (lexer.tokens, lexer.annotations)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    glued: bool,
    /// Position of a currency sign that belongs to the next token.
    money: Option<usize>,
    tokens: Vec<Token>,
    annotations: Vec<(usize, &'a str)>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn last(&self) -> Option<Kind> {
        self.tokens.last().map(|token| token.kind)
    }

    fn push(&mut self, kind: Kind, len: usize) {
        let money = self.money.take();
        let start = money.unwrap_or(self.at);
        self.at += len;
        self.tokens.push(Token {
            kind,
            start,
            end: self.at,
            glued: self.glued,
            money: money.is_some(),
        });

        self.glued = true;
    }

    fn skip(&mut self, len: usize, glued: bool) {
        self.at += len;
        self.glued = glued;
    }

    /// Reads one token; `None` at the end.
    fn step(&mut self) -> Option<()> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        let len = first.len_utf8();
        if let Some(inner) = annotation(rest) {
            self.annotations.push((self.at, inner));
            self.skip(inner.len() + 4, self.glued);
        } else if first == '\n' {
            self.push(Kind::Break, len);
            self.glued = false;
        } else if first.is_whitespace() {
            self.skip(len, false);
        } else if CURRENCY.contains(&first) {
            self.money = Some(self.at);
            self.skip(len, self.glued);
        } else if first == '\\' {
            self.command(rest);
        } else if let Some(literal) = rational::scan(rest) {
            self.number(literal);
        } else if first.is_alphabetic() || matches!(first, '¢' | '°') {
            self.word(rest);
        } else {
            self.sign(first, rest);
        }
        Some(())
    }

    fn number(&mut self, literal: rational::Literal) {
        if let Some((number, len)) = scientific(self.rest(), literal) {
            return self.push(number, len);
        }
        let after = self.rest().get(literal.len..).unwrap_or_default();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let suffix = after.get(..letters).unwrap_or_default();
        if matches!(suffix, "st" | "nd" | "rd" | "th") {
            return self.push(Kind::Word, literal.len + letters);
        }
        if is_code(self.rest(), after) {
            return self.push(Kind::Junk, literal.len + 1);
        }
        let (number, len) = suffixed(after, literal, self.money.is_some());
        self.push(number, len);
    }

    fn word(&mut self, rest: &str) {
        let after_number = self.glued && matches!(self.last(), Some(Kind::Number { .. }));
        let mut letters = rest.chars();
        let first = letters.next().unwrap_or('a');
        let second = letters.next().unwrap_or(' ');
        if matches!(first, 'x' | 'X') && !second.is_alphabetic() {
            return self.push(Kind::Junk, 1); // `settle` makes it a multiplication between operands.
        }
        let len = word_len(rest);
        let number = matches!(self.last(), Some(Kind::Number { .. }));
        if number && matches!(first, 'r' | 'R') && second.is_ascii_digit() {
            return self.push(Kind::Junk, len); // `3r1` and `3 R1`, with a remainder.
        }
        let article = matches!(first, 'a' | 'A' | 'I') && !after_number;
        let variable = len == first.len_utf8() && !article && is_variable(first);
        self.push(if variable { Kind::Junk } else { Kind::Word }, len);
    }

    /// Reads a LaTeX command: an operator, or a backslash before a currency or percent sign, which is dropped.
    fn command(&mut self, rest: &str) {
        let name_len = rest.bytes().skip(1).take_while(u8::is_ascii_alphabetic).count();
        match rest.get(1..=name_len) {
            Some("times" | "cdot") => self.push(Kind::Op(Op::Mul), 1 + name_len),
            Some("div") => self.push(Kind::Op(Op::Div), 1 + name_len),
            Some("") => self.skip(1, self.glued),
            _ => self.push(Kind::Junk, 1 + name_len),
        }
    }

    fn sign(&mut self, first: char, rest: &str) {
        let next = rest.chars().nth(1).unwrap_or(' ');
        let len = first.len_utf8();
        let after = rest.get(len..).unwrap_or_default();
        let line_start = matches!(self.last(), None | Some(Kind::Break));
        match first {
            '*' if next == '*' => self.push(Kind::Op(Op::Pow), 2),
            // A list bullet.
            '-' | '*' | '+' | '•' if line_start && next.is_whitespace() => {
                self.push(Kind::Break, len);
            }
            '-' if self.glued && next.is_alphabetic() && word_len(after) > 1 => {
                self.skip(len, true); // `30-minute`, but not `20-g`.
            }
            '&' if self.last() == Some(Kind::Word) && starts_word(rest) => self.skip(len, false),
            '.' if self.abbreviates(after) => self.skip(len, false),
            '^' if self.glued && self.last() == Some(Kind::Word) => {
                let exponent = after.bytes().take_while(u8::is_ascii_digit).count();
                self.skip(1 + exponent, true); // `m^2`
            }
            '/' if next == '/' => self.push(Kind::Op(Op::Floor), 2),
            '/' if starts_word(rest) => self.skip(len, true), // `miles / hour`
            '+' => self.push(Kind::Op(Op::Add), len),
            '-' | '−' | '–' => self.push(Kind::Op(Op::Sub), len),
            '*' | '×' | '·' | '⋅' | '∙' | '∗' | '✕' | '✖' => {
                self.push(Kind::Op(Op::Mul), len);
            }
            '/' | '÷' => self.push(Kind::Op(Op::Div), len),
            '^' => self.push(Kind::Op(Op::Pow), len),
            '(' | '[' | '{' => self.push(Kind::Open, len),
            ')' | ']' | '}' => self.push(Kind::Close, len),
            '=' => self.equals(rest),
            '.' if next == '.' => self.push(Kind::Junk, 2),
            '.' if matches!(self.last(), Some(Kind::Op(_))) => self.push(Kind::Junk, len),
            '!' if matches!(self.last(), Some(Kind::Close)) && self.glued => {
                self.push(Kind::Junk, len);
            }
            '.' | ',' | ';' | ':' | '?' | '!' | '"' | '\'' | '’' | '“' | '”' | '|' | '#' | '—'
            | '`' => {
                self.push(Kind::Break, len);
            }
            _ => self.push(Kind::Junk, len),
        }
    }

    /// Whether a period belongs to the word before it: `Dr. Pepper`, `5 lbs. * 3`. No sentence begins with an operator.
    fn abbreviates(&self, after: &str) -> bool {
        let Some(last) = self.tokens.last().filter(|t| t.kind == Kind::Word && self.glued) else {
            return false;
        };
        let word = self.text.get(last.start..last.end).unwrap_or_default();
        let mut next = after.trim_start_matches(' ').chars();
        let (first, second) = (next.next().unwrap_or('\n'), next.next().unwrap_or('\n'));
        // `20 pages.* 9` and `20 pages. *Then*` are two sentences each.
        let operator = "*×·/÷=".contains(first) && after.starts_with(' ') && second == ' ';
        (operator && SHORT_UNITS.contains(&word))
            || (ABBREVIATED.contains(&word) && first.is_alphabetic())
    }

    /// Reads `=` or `==`. Arrows and comparisons are not claims.
    fn equals(&mut self, rest: &str) {
        let compared = self.glued
            && self.at > 0
            && self
                .text
                .get(..self.at)
                .is_some_and(|t| t.ends_with(['<', '>', '!', '~', ':', '≈', '≠']));
        let len = if rest.starts_with("==") { 2 } else { 1 };
        if compared || rest.starts_with("=>") {
            return self.push(Kind::Junk, len);
        }
        self.push(Kind::Equals, len);
    }
}

/// Whether digits are not a plain number: `1.2.3`, `10:30`, `5!`, `0900`, `1,23`, `1'000`.
fn is_code(text: &str, after: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    let continued =
        after.strip_prefix(['.', ':', ',', '\'', '’']).is_some_and(|rest| rest.starts_with(digit));
    let padded = text.strip_prefix('0').is_some_and(|rest| rest.starts_with(digit));
    continued || padded || after.starts_with('!')
}

/// Reads the number `3.5e8` at the start of the text, and returns it with its length in bytes.
fn scientific(text: &str, literal: rational::Literal) -> Option<(Kind, usize)> {
    let after = text.get(literal.len..)?.strip_prefix(['e', 'E'])?;
    let digits = after.strip_prefix(['+', '-', '−']).unwrap_or(after);
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    let follows = digits.get(len..)?.chars().next();
    if !(1..=MAX_EXPONENT).contains(&len) || follows.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let size: i32 = digits.get(..len)?.parse().ok()?;
    let exponent = if after.starts_with(['-', '−']) { -size } else { size };
    let factor = Rational::integer(10).power(i128::from(exponent));
    let number = Kind::Number {
        value: literal.value.zip(factor).and_then(|(value, factor)| value.checked_mul(factor)),
        written: Written::decimal(literal.decimals).scaled(exponent),
        percent: false,
        scaled: false,
    };
    Some((number, text.len() - digits.len() + len))
}

/// Returns the number with the percent sign or scale after it, and its length in bytes.
fn suffixed(after: &str, literal: rational::Literal, money: bool) -> (Kind, usize) {
    let rational::Literal { value, decimals, len } = literal;
    let written = Written::decimal(decimals);
    let tail = after.trim_start_matches([' ', '\\']);
    let gap = after.len() - tail.len();
    let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
    let word = tail.get(..letters).unwrap_or_default();
    let letter = if gap == 0 { scale_letter(word, money) } else { None };
    if let Some(scale) = letter.or_else(|| rational::scale(word)) {
        let value = value.and_then(|value| value.checked_mul(scale));
        let written = written.scaled(-agree::last_place(scale));
        let number = Kind::Number { value, written, percent: false, scaled: true };
        return (number, len + gap + letters);
    }
    let suffix = match word {
        "percent" | "pct" => gap + letters,
        "per" if is_per_cent(tail) => gap + "per cent".len(),
        _ if tail.starts_with('%') => gap + 1,
        _ => 0,
    };
    let number = Kind::Number { value, written, percent: suffix > 0, scaled: false };
    (number, len + suffix)
}

fn is_per_cent(text: &str) -> bool {
    text.strip_prefix("per cent").is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
}

/// Returns the factor of a letter attached to a number: `25k`, and `$2M`, whereas `2m` is metres.
fn scale_letter(word: &str, money: bool) -> Option<Rational> {
    match word {
        "k" | "K" => rational::scale("thousand"),
        "M" | "mn" | "mil" => rational::scale("million"),
        "m" if money => rational::scale("million"),
        "B" | "bn" => rational::scale("billion"),
        "b" if money => rational::scale("billion"),
        _ => None,
    }
}

/// Returns the length of a word in bytes: letters, digits, apostrophes, inner hyphens and ampersands. `ft²` and `M&Ms`
/// are words.
fn word_len(rest: &str) -> usize {
    let mut len = 0;
    let mut letters = rest.chars().peekable();
    while let Some(c) = letters.next() {
        let joins = matches!(c, '\'' | '’' | '-' | '_' | '&')
            && letters.peek().is_some_and(|c| c.is_alphabetic());
        if !(c.is_alphanumeric() || joins || matches!(c, '¢' | '°')) {
            break;
        }
        len += c.len_utf8();
    }
    len
}

/// Whether a slash is followed by a word of its unit, rather than by an operand or a variable.
fn starts_word(rest: &str) -> bool {
    let mut letters = rest.chars().skip(1).skip_while(|c| c.is_whitespace());
    let (first, second) = (letters.next().unwrap_or(' '), letters.next().unwrap_or(' '));
    let variable = !second.is_alphanumeric() && !matches!(first, 'a' | 'A') && is_variable(first);
    first.is_alphabetic() && !variable
}

/// Whether a letter does not stand for a unit.
fn is_variable(letter: char) -> bool {
    letter.is_ascii_alphabetic() && !UNIT_LETTERS.contains(&letter)
}
