//! Tokens of a mathematical answer, in LaTeX or as typed.

use super::function::FUNCTIONS;
use super::words::is_fingerprint;
use super::words::is_product;
use crate::rational::{UNIT_LETTERS, exponent};

/// A token of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Digits with at most one point, without separators.
    Number(String),
    /// Infinitely repeating digits after a number.
    Repeating(String),
    /// A variable or a constant.
    Name(String),
    /// A function.
    Call(String),
    /// Words: a unit, a name, `and`.
    Text(String),
    /// `\frac`.
    Fraction,
    /// `\begin{pmatrix}` and the like.
    Begin(String),
    /// The matching `\end`.
    End,
    /// Anything else, as one character: `{` groups, `⦃` opens a set, `;` also ends a row of a matrix.
    Sign(char),
}

/// Commands that affect only appearance or spacing.
const IGNORED: [&str; 21] = [
    "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl",
    "biggr", "Biggl", "Biggr", "limits", "quad", "qquad", "boxed", "fbox", "hline", "strut",
];

/// Symbol names of several letters.
pub(super) const NAMES: [&str; 39] = [
    "pi", "inf", "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota",
    "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi",
    "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi",
    "Omega", "ell", "hbar", "imath", "emptyset",
];

/// Words of two or three letters that are units and not products.
const UNITS: [&str; 33] = [
    "mm", "cm", "dm", "km", "kg", "mg", "lb", "lbs", "oz", "ft", "in", "yd", "mi", "mph", "kph",
    "hr", "hrs", "min", "sec", "ms", "ml", "mL", "am", "pm", "AM", "PM", "deg", "rad", "sq", "USD",
    "EUR", "GBP", "Hz",
];

/// Short words that are never a product of variables.
const WORDS: [&str; 26] = [
    "to", "of", "the", "not", "for", "out", "but", "was", "are", "one", "two", "six", "ten", "yes",
    "all", "any", "per", "you", "she", "her", "his", "who", "how", "why", "Mr", "Ms",
];

/// Most zeros or decimal places with which scientific notation is written out.
const MAX_DIGITS: i32 = 30;

/// Superscript digits, in order, and the superscript minus.
const SUPERSCRIPTS: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻";

/// Subscript digits, in order.
const SUBSCRIPTS: &str = "₀₁₂₃₄₅₆₇₈₉";

/// Characters that are signs as they are.
const PLAIN: &str = "+-*/^_!%°=<>≤≥≠∈∪±∓()[]{}|⌊⌋⌈⌉⟨⟩√,;&.:";

/// Whether the argument of a command is words, or letters in another font.
pub(super) fn sets_words(command: &str) -> bool {
    let text = command.starts_with("text") && !command.ends_with("style");
    text || command.starts_with("math") || matches!(command, "mbox" | "hbox" | "operatorname")
}

/// Whether two or three letters as typed are a word, judging by the text around them.
///
/// Letters are a product if they touch an operator or a number, or are unlikely to form a word: `ax+by`, `2ab`, `xy`.
/// The letters in `5 to 3`, `May 5` and `18th` are words.
fn is_word(before: &str, word: &str, after: &str) -> bool {
    let mut letters = word.chars();
    let name = word.len() == 3
        && letters.next().is_some_and(|c| c.is_ascii_uppercase())
        && letters.all(|c| c.is_ascii_lowercase());
    let digit = |c: char| c.is_ascii_digit();
    let between = before.ends_with(' ')
        && after.starts_with(' ')
        && before.trim_end().ends_with(digit)
        && after.trim_start().starts_with(digit);
    if word.len() < 2 {
        return false;
    }
    let ordinal = before.ends_with(digit) && ["st", "nd", "rd", "th"].contains(&word);
    if WORDS.contains(&word) || name || between || ordinal {
        return true;
    }
    let operator = |c: char| "+-*/^=<>≤≥_{".contains(c);
    let touches = before.ends_with(|c: char| digit(c) || ")}]".contains(c))
        || before.trim_end().ends_with(operator)
        || after.starts_with(['^', '_', '(', '{', '\\'])
        || after.trim_start().starts_with(|c: char| "+-*/^=<>≤≥_}".contains(c));
    !touches && !is_product(word)
}

/// Returns the sign that a command or a character stands for.
fn sign(name: &str) -> Option<char> {
    Some(match name {
        "cdot" | "times" | "ast" | "·" | "×" | "⋅" | "∗" | "∙" => '*',
        "div" | "÷" | "∕" => '/',
        "−" | "–" => '-',
        "pm" => '±',
        "mp" => '∓',
        "le" | "leq" | "leqslant" | "⩽" => '≤',
        "ge" | "geq" | "geqslant" | "⩾" => '≥',
        "lt" => '<',
        "gt" => '>',
        "ne" | "neq" => '≠',
        "in" => '∈',
        "cup" => '∪',
        "circ" | "degree" => '°',
        "lfloor" => '⌊',
        "rfloor" => '⌋',
        "lceil" => '⌈',
        "rceil" => '⌉',
        "lvert" | "rvert" | "vert" | "mid" => '|',
        "langle" => '⟨',
        "rangle" => '⟩',
        "lbrace" => '⦃',
        "rbrace" => '⦄',
        "lbrack" => '[',
        "rbrack" => ']',
        "sqrt" => '√',
        "colon" => ':',
        _ => return None,
    })
}

/// Splits a text into tokens; `None` if something in it is not known.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    // Braces around the whole text are those of a set, as typed, in which commas separate items.
    let open = u32::from(text.trim_start().starts_with('{'));
    let mut scanner = Scanner { text, rest: text, open, tokens: Vec::new() };
    while let Some(first) = scanner.rest.chars().next() {
        scanner.next(first)?;
    }
    Some(scanner.tokens)
}

struct Scanner<'a> {
    text: &'a str,
    rest: &'a str,
    /// Number of open parentheses, brackets and sets. Inside them a comma separates numbers instead of digit groups.
    open: u32,
    tokens: Vec<Token>,
}

impl<'a> Scanner<'a> {
    fn next(&mut self, first: char) -> Option<()> {
        let point = first == '.' && self.digit_after(1);
        match first {
            _ if first.is_ascii_digit() || point => self.number()?,
            '\\' => self.command()?,
            '~' if self.fingerprint().is_some() => {
                let name = self.fingerprint()?.to_owned();
                self.skip(name.len())?;
                self.tokens.push(Token::Name(name));
            }
            '$' | '€' | '£' | '~' | '`' => self.skip(first.len_utf8())?,
            _ if first.is_whitespace() => self.skip(first.len_utf8())?,
            _ if first.is_ascii_alphabetic() => self.letters()?,
            _ => self.sign(first)?,
        }
        Some(())
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    fn digit_after(&self, bytes: usize) -> bool {
        self.rest.as_bytes().get(bytes).is_some_and(u8::is_ascii_digit)
    }

    /// Returns a fingerprint key of this module, which stands for itself.
    fn fingerprint(&self) -> Option<&'a str> {
        self.rest.strip_prefix('~').filter(|after| is_fingerprint(after))?;
        self.rest.get(..17)
    }

    /// Reads digits, thousands separators, a point, digits.
    fn number(&mut self) -> Option<()> {
        let mut digits = self.digits()?;
        let grouped = (1..=3).contains(&digits.len()) && !digits.starts_with('0');
        while let Some(separator) = self.separator().filter(|_| grouped) {
            self.skip(separator)?;
            digits.push_str(&self.digits()?);
        }
        if self.rest.starts_with('.') && (self.digit_after(1) || self.repeats(1)) {
            self.skip(1)?;
            digits.push('.');
            digits.push_str(&self.digits()?);
        }
        let argument = matches!(self.tokens.last(), Some(Token::Fraction | Token::Sign('√')));
        if let Some((exponent, len)) = exponent(self.rest).filter(|_| !argument) {
            self.skip(len)?;
            self.scientific(&digits, exponent);
            return Some(());
        }
        let broken = digits.contains('.');
        self.tokens.push(Token::Number(digits));
        if broken && self.repeats(0) {
            let (_, after) = self.rest.split_once('{')?;
            self.rest = after;
            let repeating = self.digits()?;
            self.rest = self.rest.strip_prefix('}')?;
            self.tokens.push(Token::Repeating(repeating));
        }
        Some(())
    }

    /// Pushes a number in scientific notation: as plain digits if there are not too many, otherwise as a product.
    fn scientific(&mut self, digits: &str, exponent: i32) {
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{decimals}");
        let point = whole.len() as i32 + exponent;
        let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
        let after = point - all.len() as i32;
        if point.abs() > MAX_DIGITS || after > MAX_DIGITS || all.len() as i32 - point > MAX_DIGITS {
            let power = Token::Number(exponent.unsigned_abs().to_string());
            self.tokens.extend([Token::Sign('{'), Token::Number(digits.to_owned())]);
            self.tokens.extend([Token::Sign('*'), Token::Number("10".to_owned())]);
            self.tokens.extend([Token::Sign('^'), Token::Sign('{')]);
            self.tokens.extend((exponent < 0).then_some(Token::Sign('-')));
            self.tokens.extend([power, Token::Sign('}'), Token::Sign('}')]);
            return;
        }
        let plain = match usize::try_from(point) {
            Ok(point) if point >= all.len() => format!("{all}{}", zeros(after)),
            Ok(point) if point > 0 => {
                let (whole, decimals) = all.split_at(point);
                format!("{whole}.{decimals}")
            }
            _ => format!("0.{}{all}", zeros(-point)),
        };
        self.tokens.push(Token::Number(plain));
    }

    /// Whether an overline for repeating digits begins this many bytes ahead.
    fn repeats(&self, ahead: usize) -> bool {
        let rest = self.rest.get(ahead..).unwrap_or_default();
        ["\\overline{", "\\bar{"].iter().any(|line| rest.starts_with(line))
    }

    fn digits(&mut self) -> Option<String> {
        let len = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let digits = self.rest.get(..len)?.to_owned();
        self.skip(len)?;
        Some(digits)
    }

    /// Returns the length in bytes of a separator between a number and three more digits.
    fn separator(&self) -> Option<usize> {
        let spaced = ["{,}", ",\\!", ",\\,", "\\,", "\\!", ","];
        let separator = spaced.iter().find(|mark| self.rest.starts_with(**mark))?;
        if *separator == "," && self.open > 0 {
            return None;
        }
        let after = self.rest.get(separator.len()..)?;
        let blank = if *separator == "," { 0 } else { after.len() - after.trim_start().len() };
        let group = after.bytes().skip(blank).take_while(u8::is_ascii_digit).count();
        (group == 3).then_some(separator.len() + blank)
    }

    fn command(&mut self) -> Option<()> {
        self.skip(1)?;
        let len = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        if len == 0 {
            let first = self.rest.chars().next()?;
            self.skip(first.len_utf8())?;
            return self.escaped(first);
        }
        let name = self.rest.get(..len)?;
        self.skip(len)?;
        // A variant form such as `\varphi` is the same letter.
        let plain = name.strip_prefix("var").unwrap_or(name);
        match name {
            _ if IGNORED.contains(&name) || name.ends_with("style") || name.ends_with("space") => {
                let delimiter = name == "left" || name == "right";
                self.rest = self.rest.strip_prefix('.').filter(|_| delimiter).unwrap_or(self.rest);
            }
            _ if sets_words(name) => {
                let words = self.argument()?;
                self.words(&words);
            }
            "frac" | "dfrac" | "tfrac" | "cfrac" => self.tokens.push(Token::Fraction),
            "binom" | "dbinom" | "tbinom" => self.tokens.push(Token::Call("binom".to_owned())),
            // Names of what is measured or drawn: treated as words.
            "angle" | "triangle" => self.tokens.push(Token::Text(format!("\\{name}"))),
            "infty" => self.tokens.push(Token::Name("inf".to_owned())),
            "varnothing" => self.tokens.push(Token::Name("emptyset".to_owned())),
            "begin" => {
                let name = self.argument()?;
                self.tokens.push(Token::Begin(name));
            }
            "end" => {
                self.argument()?;
                self.tokens.push(Token::End);
            }
            _ if NAMES.contains(&plain) => self.tokens.push(Token::Name(plain.to_owned())),
            _ if FUNCTIONS.contains(&name) && name != "sqrt" => {
                self.tokens.push(Token::Call(name.to_owned()));
            }
            _ => self.push_sign(sign(name)?),
        }
        Some(())
    }

    /// Reads a backslash and one character.
    fn escaped(&mut self, first: char) -> Option<()> {
        match first {
            '{' => self.push_sign('⦃'),
            '}' => self.push_sign('⦄'),
            '\\' => self.tokens.push(Token::Sign(';')),
            '%' => self.tokens.push(Token::Sign('%')),
            '!' | ',' | ';' | ':' | ' ' | '$' | '>' | '(' | ')' | '[' | ']' => {}
            _ => return None,
        }
        Some(())
    }

    /// Returns the text in the braces that follow; braces inside it must balance.
    fn argument(&mut self) -> Option<String> {
        let rest = self.rest.trim_start().strip_prefix('{')?;
        let mut depth = 1;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.rest = rest.get(at + 1..)?;
                return Some(rest.get(..at)?.to_owned());
            }
        }
        None
    }

    /// Pushes the argument of a text command: a single letter is a variable, and some names are functions.
    fn words(&mut self, words: &str) {
        let words = words.trim();
        let mut letters = words.chars();
        let (first, second) = (letters.next(), letters.next());
        let token = match (first, second) {
            (None, _) => return,
            (Some(letter), None) if letter.is_ascii_alphabetic() && !self.measures(letter) => {
                Token::Name(words.to_owned())
            }
            _ if FUNCTIONS.contains(&words) => Token::Call(words.to_owned()),
            _ => Token::Text(words.to_owned()),
        };
        self.tokens.push(token);
    }

    /// Whether a letter is more likely a unit: after a value, or after the slash of `m/s`.
    fn measures(&self, letter: char) -> bool {
        let after = match self.tokens.last() {
            None => false,
            Some(Token::Sign(sign)) => "/)}".contains(*sign),
            Some(_) => true,
        };
        after && UNIT_LETTERS.contains(&letter)
    }

    /// Reads letters as typed: a known name, a word, or a product of variables.
    fn letters(&mut self) -> Option<()> {
        let len = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let start = self.text.len() - self.rest.len();
        let before = self.text.get(..start)?;
        let word = self.rest.get(..len)?;
        self.skip(len)?;
        let after = self.rest.trim_start();
        let closed = matches!(self.tokens.last(), Some(Token::Sign(')' | ']' | '⦄' | '}')));
        match word {
            "U" if closed && after.starts_with(['(', '[', '{', '\\']) => self.push_sign('∪'),
            "sqrt" => self.tokens.push(Token::Call(word.to_owned())),
            "infinity" | "infty" | "oo" => self.tokens.push(Token::Name("inf".to_owned())),
            _ if NAMES.contains(&word) => self.tokens.push(Token::Name(word.to_owned())),
            "min" => self.tokens.push(Token::Text(word.to_owned())),
            _ if FUNCTIONS.contains(&word) => self.tokens.push(Token::Call(word.to_owned())),
            "or" | "and" => self.tokens.push(Token::Text(word.to_owned())),
            "x" | "X" if self.scales(after) => self.push_sign('*'),
            _ if len > 3 || UNITS.contains(&word) || is_word(before, word, self.rest) => {
                self.tokens.push(Token::Text(word.to_owned()));
            }
            _ => self.tokens.extend(word.chars().map(|letter| Token::Name(letter.to_string()))),
        }
        Some(())
    }

    /// Whether the `x` just read is the multiplication sign of `3x10^8`.
    fn scales(&self, after: &str) -> bool {
        let ten = after.strip_prefix("10").or_else(|| after.strip_prefix("{10}"));
        let raised = |c: char| c == '^' || SUPERSCRIPTS.contains(c);
        let power = ten
            .map(str::trim_start)
            .is_some_and(|ten| ten.starts_with(raised) || ten.starts_with("**"));
        power && matches!(self.tokens.last(), Some(Token::Number(_)))
    }

    /// Reads superscript or subscript digits as one exponent or index.
    fn shifted(&mut self, mark: char, digits: &str) -> Option<()> {
        self.tokens.extend([Token::Sign(mark), Token::Sign('{')]);
        let mut number = String::new();
        while let Some(at) =
            self.rest.chars().next().and_then(|c| digits.chars().position(|d| d == c))
        {
            self.skip(self.rest.chars().next()?.len_utf8())?;
            match at {
                10 if number.is_empty() => self.tokens.push(Token::Sign('-')),
                10 => return None,
                digit => number.push_str(&digit.to_string()),
            }
        }
        self.tokens.extend([Token::Number(number), Token::Sign('}')]);
        Some(())
    }

    fn sign(&mut self, first: char) -> Option<()> {
        if self.rest.starts_with("..") {
            return None; // Part of the answer is left out.
        }
        let pairs = [("**", '^'), ("<=", '≤'), (">=", '≥'), ("!=", '≠'), ("+-", '±'), ("==", '=')];
        if let Some((pair, sign)) = pairs.iter().find(|(pair, _)| self.rest.starts_with(pair)) {
            self.skip(pair.len())?;
            self.push_sign(*sign);
            return Some(());
        }
        if SUPERSCRIPTS.contains(first) {
            return self.shifted('^', SUPERSCRIPTS);
        }
        if SUBSCRIPTS.contains(first) {
            return self.shifted('_', SUBSCRIPTS);
        }
        let start = self.text.len() - self.rest.len();
        self.skip(first.len_utf8())?;
        let range = self.text.get(..start)?.ends_with(|c: char| c.is_ascii_digit());
        if first == '–' && range && self.digit_after(0) {
            return None; // A range from one number to another.
        }
        let mut text = [0; 4];
        let text: &str = first.encode_utf8(&mut text);
        match first {
            'π' => self.tokens.push(Token::Name("pi".to_owned())),
            '∞' => self.tokens.push(Token::Name("inf".to_owned())),
            '∅' => self.tokens.push(Token::Name("emptyset".to_owned())),
            'θ' => self.tokens.push(Token::Name("theta".to_owned())),
            _ if PLAIN.contains(first) => self.push_sign(first),
            _ => self.push_sign(sign(text)?),
        }
        Some(())
    }

    fn push_sign(&mut self, sign: char) {
        match sign {
            '(' | '[' | '⦃' | '⟨' => self.open += 1,
            // Braces after a union are those of a set, too.
            '{' if self.tokens.last() == Some(&Token::Sign('∪')) => self.open += 1,
            ')' | ']' | '⦄' | '⟩' => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.tokens.push(Token::Sign(sign));
    }
}
