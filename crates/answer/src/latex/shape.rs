//! The shapes of answers: values, lists and sets, tuples and intervals, matrices.

use super::expression::value;
use super::quotient::Quotient;
use super::relation::{label, relation};
use super::token::Token;

/// Deepest nesting of lists, tuples and the like.
const MAX_DEPTH: u32 = 8;

/// One item of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// The variable that this is the value of, if the answer names it.
    name: Option<String>,
    /// The key under which it votes.
    key: String,
    /// Whether it is a range: the solutions of an inequality, or a union.
    range: bool,
}

impl Item {
    pub(super) fn plain(key: String) -> Self {
        Self { name: None, key, range: false }
    }

    pub(super) fn range(key: String) -> Self {
        Self { name: None, key, range: true }
    }

    /// Returns the item as the value of a variable.
    pub(super) fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }
}

/// Returns the key of a whole answer.
pub(super) fn key(tokens: &[Token]) -> Option<String> {
    combined(items(tokens, 0)?)
}

/// Combines several items into one key. Order does not matter, as in a set, and a set of one item is that item.
fn combined(mut items: Vec<Item>) -> Option<String> {
    items.sort();
    items.dedup();
    let first = items.first()?.clone();
    if items.len() == 1 {
        return Some(first.key);
    }
    if items.iter().all(|item| item.range) {
        return Some(keys(&items).join("U"));
    }
    let names: std::collections::BTreeSet<_> =
        items.iter().filter_map(|item| item.name.as_ref()).collect();
    if names.len() < 2 {
        let mut keys = keys(&items);
        keys.sort();
        keys.dedup();
        return Some(if keys.len() == 1 {
            keys.remove(0)
        } else {
            format!("{{{}}}", keys.join(","))
        });
    }
    // With several variables, each value needs the name it belongs to.
    let named = |item: &Item| Some(format!("{}={}", item.name.as_ref()?, item.key));
    Some(format!("{{{}}}", items.iter().map(named).collect::<Option<Vec<_>>>()?.join(",")))
}

fn keys(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| item.key.clone()).collect()
}

/// Returns the items that an answer lists.
pub(super) fn items(tokens: &[Token], depth: u32) -> Option<Vec<Item>> {
    if depth > MAX_DEPTH {
        return None;
    }
    let tokens = trimmed(tokens);
    if let Some(inner) = enclosed(tokens, '{', '}').or_else(|| enclosed(tokens, '⦃', '⦄')) {
        if trimmed(inner).is_empty() {
            return Some(vec![Item::plain("emptyset".to_owned())]);
        }
        if let Some(items) = described(inner, depth + 1).or_else(|| items(inner, depth + 1)) {
            return Some(items);
        }
    }
    let separates = |token: &Token| match token {
        Token::Sign(',' | ';') => true,
        Token::Text(word) => matches!(word.as_str(), "and" | "or"),
        _ => false,
    };
    let parts = split(tokens, separates)?;
    let count = parts.len();
    if count > 1 {
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        // 3 apples and 2 pears are not 2 apples and 3 pears.
        let mut units: Vec<&[Token]> = parts.iter().filter_map(|part| measure(part)).collect();
        units.dedup();
        if units.len() > 1 {
            return None;
        }
        let listed = parts.into_iter().map(|part| items(part, depth + 1));
        let mut listed = listed.collect::<Option<Vec<_>>>()?.concat();
        // Inequalities are alternatives only if the answer says `or`.
        let or = |token: &Token| matches!(token, Token::Text(word) if word == "or");
        let either = split(tokens, or)?.len() == count;
        for item in &mut listed {
            item.range &= either;
        }
        return Some(listed);
    }
    item(tokens, depth)
}

/// Returns the words after the number in a part, that is, its unit.
fn measure(part: &[Token]) -> Option<&[Token]> {
    let relation =
        |token: &Token| matches!(token, Token::Sign('=' | '<' | '>' | '≤' | '≥' | '≠' | '∈'));
    let start = part.iter().rposition(relation).map_or(0, |at| at + 1);
    let said = part.get(start..)?;
    let at = said.iter().position(|token| matches!(token, Token::Text(_)))?;
    said.get(at..).filter(|_| at > 0)
}

/// Reads a set given by a condition: `x | x > 2`.
fn described(tokens: &[Token], depth: u32) -> Option<Vec<Item>> {
    let bars = |token: &Token| matches!(token, Token::Sign('|' | ':'));
    match split(tokens, bars)?.as_slice() {
        [[Token::Name(_), Token::Sign('∈'), Token::Name(reals)], condition] if reals == "R" => {
            items(condition, depth)
        }
        [name, condition] if label(name).is_some() => items(condition, depth),
        _ => None,
    }
}

fn item(tokens: &[Token], depth: u32) -> Option<Vec<Item>> {
    let parts = split(tokens, |token| *token == Token::Sign('∪'))?;
    if parts.len() > 1 {
        let parts = parts.into_iter().map(|part| combined(items(part, depth + 1)?));
        let mut parts: Vec<String> = parts.collect::<Option<_>>()?;
        parts.sort();
        parts.dedup();
        // The union of a set with itself is the set, whose key has no braces.
        return Some(vec![match &mut parts[..] {
            [set] if !set.starts_with(['(', '[']) => Item::plain(std::mem::take(set)),
            _ => Item::range(parts.into_iter().map(joinable).collect::<Vec<_>>().join("U")),
        }]);
    }
    if tokens.iter().any(|token| matches!(token, Token::Sign('±' | '∓'))) {
        let upper = item(&signed(tokens, '+', '-'), depth)?;
        return Some([upper, item(&signed(tokens, '-', '+'), depth)?].concat());
    }
    if let [[_], set] = split(tokens, |token| *token == Token::Sign('∈'))?.as_slice() {
        return items(set, depth + 1);
    }
    let is_relation =
        |token: &Token| matches!(token, Token::Sign('=' | '<' | '>' | '≤' | '≥' | '≠'));
    let sides = split(tokens, is_relation)?;
    if sides.len() > 1 {
        let signs = relations(tokens, is_relation);
        return relation(&sides, &signs, depth);
    }
    Some(vec![Item::plain(single(tokens, depth)?)])
}

/// Returns the key of a part of a union: an interval or a set. A `U` is read as a union only after a closing bracket.
fn joinable(key: String) -> String {
    let brackets = key.starts_with(['(', '[', '{']) && key.ends_with([')', ']', '}']);
    if brackets && !key.contains(['<', '>', '=']) { key } else { format!("{{{key}}}") }
}

/// Returns the key of something that is neither a list nor a statement.
fn single(tokens: &[Token], depth: u32) -> Option<String> {
    if let Some(key) = based(tokens) {
        return Some(key);
    }
    let bracketed = enclosed(tokens, '(', ')').or_else(|| enclosed(tokens, '[', ']'));
    if let Some(array @ [Token::Begin(_), ..]) = bracketed {
        return matrix(&[], array);
    }
    if let Some(at) = tokens.iter().position(|token| matches!(token, Token::Begin(_))) {
        return matrix(tokens.get(..at)?, tokens.get(at..)?);
    }
    match sequence(tokens, depth) {
        Some(key) => Some(key),
        None => value(tokens)?.key(),
    }
}

/// Strips a final full stop and trailing commas.
fn trimmed(tokens: &[Token]) -> &[Token] {
    match tokens {
        [rest @ .., Token::Sign('.' | ',')] => trimmed(rest),
        _ => tokens,
    }
}

/// Returns the tokens with `±` and `∓` replaced.
fn signed(tokens: &[Token], upper: char, lower: char) -> Vec<Token> {
    let decided = |token: &Token| match token {
        Token::Sign('±') => Token::Sign(upper),
        Token::Sign('∓') => Token::Sign(lower),
        token => token.clone(),
    };
    tokens.iter().map(decided).collect()
}

/// Returns by how much a token changes the nesting depth.
fn step(token: &Token) -> i32 {
    match token {
        Token::Sign('(' | '[' | '{' | '⦃' | '⟨' | '⌊' | '⌈') | Token::Begin(_) => 1,
        Token::Sign(')' | ']' | '}' | '⦄' | '⟩' | '⌋' | '⌉') | Token::End => -1,
        _ => 0,
    }
}

/// Splits at separators outside parentheses; `None` if the parentheses are not balanced.
pub(super) fn split(tokens: &[Token], separates: impl Fn(&Token) -> bool) -> Option<Vec<&[Token]>> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, token) in tokens.iter().enumerate() {
        depth += step(token);
        if depth < 0 {
            return None;
        }
        if depth == 0 && separates(token) {
            parts.push(tokens.get(start..at)?);
            start = at + 1;
        }
    }
    parts.push(tokens.get(start..)?);
    (depth == 0).then_some(parts)
}

/// Returns the relation signs outside parentheses, in order.
fn relations(tokens: &[Token], is_relation: impl Fn(&Token) -> bool) -> Vec<char> {
    let mut depth = 0;
    let mut found = Vec::new();
    for token in tokens {
        depth += step(token);
        match token {
            Token::Sign(sign) if depth == 0 && is_relation(token) => found.push(*sign),
            _ => {}
        }
    }
    found
}

/// Returns the tokens between two signs, if the signs enclose all of it.
fn enclosed(tokens: &[Token], open: char, close: char) -> Option<&[Token]> {
    let [Token::Sign(first), inner @ .., Token::Sign(last)] = tokens else { return None };
    (*first == open && *last == close && split(inner, |_| false).is_some()).then_some(inner)
}

/// Returns the key of a tuple, a vector or an interval: items in brackets, in order. In a key, `;` separates the rows
/// of a matrix, so that the key of a key is itself.
fn sequence(tokens: &[Token], depth: u32) -> Option<String> {
    let [Token::Sign(open), inner @ .., Token::Sign(close)] = tokens else { return None };
    if depth > MAX_DEPTH || !"([⟨".contains(*open) || !")]⟩".contains(*close) {
        return None;
    }
    let rows = split(inner, |token| *token == Token::Sign(';'))?;
    let separator = if rows.len() > 1 { ';' } else { ',' };
    let parts = split(inner, |token| *token == Token::Sign(separator))?;
    // A matrix of one row.
    let nested = || *open == '[' && sequence(inner, depth + 1).is_some();
    if parts.len() < 2 && !nested() {
        return None;
    }
    let parts = parts.into_iter().map(|part| match separator {
        ';' => row(part, depth + 1),
        _ => combined(items(part, depth + 1)?),
    });
    let parts = parts.collect::<Option<Vec<_>>>()?;
    // `\langle 1,2\rangle` and `(1,2)` are the same vector.
    let (open, close) = if *open == '⟨' { ('(', ')') } else { (*open, *close) };
    Some(format!("{open}{}{close}", parts.join(&separator.to_string())))
}

/// Reads a row of the matrix in a key.
fn row(tokens: &[Token], depth: u32) -> Option<String> {
    let inner = enclosed(tokens, '[', ']')?;
    let cells = split(inner, |token| *token == Token::Sign(','))?;
    let cells = cells.into_iter().map(|cell| combined(items(cell, depth)?));
    Some(format!("[{}]", cells.collect::<Option<Vec<_>>>()?.join(",")))
}

/// Reads a number in a given base: digits, or letters for digits above nine, and the base.
fn based(tokens: &[Token]) -> Option<String> {
    let at = tokens.iter().position(|token| *token == Token::Sign('_'))?;
    let (digits, base) = (tokens.get(..at)?, tokens.get(at + 1..)?);
    let base = match base {
        [Token::Number(base)] | [Token::Sign('{'), Token::Number(base), Token::Sign('}')] => {
            base.parse().ok()?
        }
        [Token::Sign('{'), Token::Text(base), Token::Sign('}')] => spelled(base)?,
        _ => return None,
    };
    let mut text = String::new();
    for token in digits {
        match token {
            Token::Number(part) | Token::Name(part) | Token::Text(part) => text.push_str(part),
            _ => return None,
        }
    }
    let plain = text.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '.');
    let number = matches!(digits.first(), Some(Token::Number(_))) && plain;
    let digits = match text.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    (number && (2..=36).contains(&base)).then(|| format!("{digits}_{base}"))
}

/// Returns a base that is written as a word.
fn spelled(base: &str) -> Option<u32> {
    let words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    words.into_iter().zip(2..).find(|(word, _)| *word == base).map(|(_, base)| base)
}

/// Reads a matrix row by row, perhaps with a factor before it. One between bars is a determinant.
fn matrix(before: &[Token], tokens: &[Token]) -> Option<String> {
    let [Token::Begin(kind), inner @ .., Token::End] = tokens else { return None };
    let scale = match before {
        [] => Quotient::integer(1),
        [Token::Sign('-')] => Quotient::integer(-1),
        [rest @ .., Token::Sign('*')] | rest => value(rest)?,
    };
    let inner = match inner {
        // Skip the column specification of an `array`.
        [Token::Sign('{'), rest @ ..] if kind == "array" => {
            let end = rest.iter().position(|token| *token == Token::Sign('}'))?;
            rest.get(end + 1..)?
        }
        inner => inner,
    };
    let mut rows = Vec::new();
    for row in split(inner, |token| *token == Token::Sign(';'))? {
        if !row.is_empty() {
            let cells = split(row, |token| *token == Token::Sign('&'))?;
            let cells = cells.into_iter().map(|cell| value(cell)?.times(&scale));
            rows.push(cells.collect::<Option<Vec<_>>>()?);
        }
    }
    if kind == "vmatrix" {
        let size = rows.len();
        // Four rows at most, because the determinant takes factorial time.
        let square = before.is_empty() && (1..=4).contains(&size);
        let square = square && rows.iter().all(|row| row.len() == size);
        return if square { determinant(&rows)?.key() } else { None };
    }
    if let [row] = rows.as_slice()
        && let [only] = row.as_slice()
    {
        return only.key();
    }
    let known = ["pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix", "array"];
    let rows = rows.iter().map(|row| {
        let cells: Vec<String> = row.iter().map(Quotient::key).collect::<Option<_>>()?;
        Some(format!("[{}]", cells.join(",")))
    });
    let rows = rows.collect::<Option<Vec<_>>>()?;
    known.contains(&kind.as_str()).then(|| format!("[{}]", rows.join(";")))
}

/// Returns the determinant, expanded along the first column. The cost is factorial in the number of rows, so callers bound it.
fn determinant(rows: &[Vec<Quotient>]) -> Option<Quotient> {
    let mut sum = Quotient::integer(i64::from(rows.is_empty()));
    for (at, row) in rows.iter().enumerate() {
        let others = rows.iter().enumerate().filter(|(other, _)| *other != at);
        let minor: Vec<Vec<Quotient>> =
            others.map(|(_, row)| row.iter().skip(1).cloned().collect()).collect();
        let part = row.first()?.times(&determinant(&minor)?)?;
        sum = sum.plus(&if at % 2 == 0 { part } else { part.negated() })?;
    }
    Some(sum)
}

/// Whether the tokens are words, perhaps with single letters among them.
pub(super) fn is_words(tokens: &[Token]) -> bool {
    let word = |token: &Token| matches!(token, Token::Text(_));
    let joins = |token: &Token| matches!(token, Token::Text(word) if word == "and" || word == "or");
    let letter = |token: &Token| matches!(token, Token::Name(_));
    let symbol = matches!(tokens, [Token::Name(_), Token::Text(_)]);
    !symbol
        && tokens.iter().all(|token| word(token) || letter(token))
        && tokens.iter().any(|token| word(token) && !joins(token))
}
