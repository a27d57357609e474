//! Text to tokens: numbers, operators, words, and where a statement ends. Spacing matters only where noted.

use crate::rational::{self, CURRENCY, Rational, UNIT_LETTERS};

/// Longest annotation `<<...>>`, in bytes; a longer one is not an annotation.
const MAX_ANNOTATION: usize = 512;

/// An operator between two operands. Unary minus is a `Sub` without a left operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    /// `//`, the quotient rounded down, as some GSM8K annotations have it.
    Floor,
    Pow,
    /// `20% of 50`: a multiplication whose left operand must be a fraction or a percentage.
    Of,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number without sign; `value` is `None` beyond the bounds. `scaled` by a word, as in `5 million`.
    Number {
        value: Option<Rational>,
        decimals: u32,
        percent: bool,
        scaled: bool,
    },
    Op(Op),
    Open,
    Close,
    Equals,
    Word,
    /// Ends a statement: punctuation, a new line.
    Break,
    /// Makes its neighbours unreadable: variables, factorials, unknown signs.
    Junk,
}

/// A token with its place in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// No blank before it.
    pub(super) glued: bool,
    /// A currency sign before it.
    pub(super) money: bool,
}

impl Token {
    /// True for a number or an opening parenthesis: an operand begins here.
    pub(super) fn opens_operand(self) -> bool {
        matches!(self.kind, Kind::Number { .. } | Kind::Open)
    }
}

/// The tokens of `text`, and its annotations (start of `<<`, inner text), which are skipped as if not there.
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
    /// Where a currency sign stands that belongs to the next token.
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
        let after = self.rest().get(literal.len..).unwrap_or_default();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let suffix = after.get(..letters).unwrap_or_default();
        if matches!(suffix, "st" | "nd" | "rd" | "th") {
            return self.push(Kind::Word, literal.len + letters);
        }
        if is_code(self.rest(), after) {
            return self.push(Kind::Junk, literal.len + 1);
        }
        let (number, len) = suffixed(after, literal);
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
        let single = len == first.len_utf8();
        let article = matches!(first, 'a' | 'A' | 'I') && !after_number;
        let unit = UNIT_LETTERS.contains(&first) || !first.is_ascii_alphabetic();
        self.push(if single && !article && !unit { Kind::Junk } else { Kind::Word }, len);
    }

    /// LaTeX: the operators; a backslash before a currency or percent sign is dropped.
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
            '-' | '*' | '+' | '•' if line_start && next.is_whitespace() => {
                self.push(Kind::Break, len);
            }
            '-' if self.glued && next.is_alphabetic() && word_len(after) > 1 => {
                self.skip(len, true); // `30-minute`, but not `20-g`.
            }
            '^' if self.glued && self.last() == Some(Kind::Word) => {
                let exponent = after.bytes().take_while(u8::is_ascii_digit).count();
                self.skip(1 + exponent, true); // `m^2`
            }
            '/' if next == '/' => self.push(Kind::Op(Op::Floor), 2),
            '/' if starts_word(rest) => self.skip(len, true), // `miles / hour`
            '+' => self.push(Kind::Op(Op::Add), len),
            '-' | '−' | '–' => self.push(Kind::Op(Op::Sub), len),
            '*' | '×' | '·' | '⋅' | '∙' => self.push(Kind::Op(Op::Mul), len),
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

    /// `=` and `==`; arrows and comparisons are no claims.
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

/// True for digits that are no number: `1.2.3`, `10:30`, `5!`, `0900`, `1,23`.
fn is_code(text: &str, after: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    let continued = after.strip_prefix(['.', ':', ',']).is_some_and(|rest| rest.starts_with(digit));
    let padded = text.strip_prefix('0').is_some_and(|rest| rest.starts_with(digit));
    continued || padded || after.starts_with('!')
}

/// The number with the percent sign or the scale word behind it, and its length.
fn suffixed(after: &str, literal: rational::Literal) -> (Kind, usize) {
    let rational::Literal { value, decimals, len } = literal;
    let tail = after.trim_start_matches([' ', '\\']);
    let gap = after.len() - tail.len();
    let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
    let word = tail.get(..letters).unwrap_or_default();
    if let Some(scale) = rational::scale(word) {
        let value = value.and_then(|value| value.checked_mul(scale));
        let number = Kind::Number { value, decimals: 0, percent: false, scaled: true };
        return (number, len + gap + letters);
    }
    let suffix = match word {
        "percent" => gap + letters,
        _ if tail.starts_with('%') => gap + 1,
        _ => 0,
    };
    let number = Kind::Number { value, decimals, percent: suffix > 0, scaled: false };
    (number, len + suffix)
}

/// Letters, digits, apostrophes and inner hyphens; `ft²` is a word.
fn word_len(rest: &str) -> usize {
    let mut len = 0;
    let mut letters = rest.chars().peekable();
    while let Some(c) = letters.next() {
        let joins = matches!(c, '\'' | '’' | '-' | '_')
            && letters.peek().is_some_and(|c| c.is_alphabetic());
        if !(c.is_alphanumeric() || joins || matches!(c, '¢' | '°')) {
            break;
        }
        len += c.len_utf8();
    }
    len
}

/// True if a slash is followed by a word of its unit, not by an operand.
fn starts_word(rest: &str) -> bool {
    rest.chars().skip(1).find(|c| !c.is_whitespace()).is_some_and(char::is_alphabetic)
}

/// The inside of an annotation that `rest` begins with; it holds an equals sign and no angle bracket.
pub(crate) fn annotation(rest: &str) -> Option<&str> {
    let inner = rest.strip_prefix("<<")?;
    let len = inner.bytes().take(MAX_ANNOTATION).position(|b| matches!(b, b'>' | b'<' | b'\n'))?;
    let (inside, after) = (inner.get(..len)?, inner.get(len..)?);
    (after.starts_with(">>") && inside.contains('=')).then_some(inside)
}
