//! The second pass over the tokens: what depends on both neighbours.
//!
//! Words become operators where operands stand on both sides (`3 x 4`, `6 divided by 2`, `20% of 50`) or equals signs
//! (`3 + 4 equals 7`), remarks in parentheses become units (`5 (apples)`), and markup that looks like an operator goes
//! (`**17**`).

use super::token::{Kind, Op, Token};
use super::unit;

/// Most words of a remark in parentheses.
const MAX_REMARK: usize = 4;

/// Most words between a number and the `of` that makes it a multiplier: `8 packs of 5`.
const MAX_PACK: usize = 3;

/// Tokens before `equal` among which there has to be an operator.
const MAX_STATEMENT: usize = 32;

/// Most determiners between `of` and its operand.
const MAX_DETERMINERS: usize = 2;

/// The tokens with every word, remark and asterisk settled.
pub(super) fn settle(text: &str, tokens: &[Token]) -> Vec<Token> {
    let mut settled: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        let rest = tokens.get(at + 1..).unwrap_or_default();
        let previous = settled.last().copied();
        let used = match token.kind {
            Kind::Open => remark(rest).map(|words| {
                settled.extend(rest.iter().take(words));
                words + 1
            }),
            Kind::Op(Op::Mul | Op::Pow) if is_markup(text, previous, token, rest.first()) => {
                Some(0)
            }
            Kind::Word | Kind::Junk => meaning(text, &settled, token, rest).map(|(kind, words)| {
                settled.push(Token { kind, ..token });
                words
            }),
            _ => None,
        };
        if used.is_none() {
            settled.push(token);
        }
        at += 1 + used.unwrap_or(0);
    }
    settled
}

/// The words of `token`.
pub(super) fn word(text: &str, token: Token) -> &str {
    text.get(token.start..token.end).unwrap_or_default()
}

/// Words before the closing parenthesis, if there is nothing else.
fn remark(rest: &[Token]) -> Option<usize> {
    let words = rest.iter().take(MAX_REMARK).take_while(|t| t.kind == Kind::Word).count();
    (words > 0 && rest.get(words)?.kind == Kind::Close).then_some(words)
}

/// Asterisks without operands, or glued to one side only as bold type is.
fn is_markup(text: &str, previous: Option<Token>, token: Token, next: Option<&Token>) -> bool {
    let nothing_left =
        previous.is_none_or(|t| matches!(t.kind, Kind::Break | Kind::Equals | Kind::Open));
    let nothing_right =
        next.is_none_or(|t| matches!(t.kind, Kind::Break | Kind::Equals | Kind::Close));
    let bold = word(text, token) == "**" && next.is_some_and(|next| token.glued != next.glued);
    (text.get(token.start..token.end).is_some_and(|sign| sign.starts_with('*')))
        && (nothing_left || nothing_right || bold)
}

/// What a word stands for here, if it is no word, and how many words after it belong to it.
fn meaning(text: &str, settled: &[Token], token: Token, rest: &[Token]) -> Option<(Kind, usize)> {
    let previous = settled.last()?;
    if !matches!(previous.kind, Kind::Number { .. } | Kind::Close | Kind::Word) {
        return None;
    }
    if let Some(words) = equality(text, settled, token, rest) {
        return Some((Kind::Equals, words));
    }
    let (op, words) = operator(text, settled, token, rest)?;
    rest.get(words).is_some_and(|next| next.opens_operand()).then_some((Kind::Op(op), words))
}

/// The words after `equals`, `equal to` or `is equal to` that belong to it.
fn equality(text: &str, settled: &[Token], token: Token, rest: &[Token]) -> Option<usize> {
    let mut next = rest.iter().map(|&token| word(text, token));
    match (word(text, token), next.next().unwrap_or_default(), next.next().unwrap_or_default()) {
        ("equals" | "equal", "to", _) => Some(1),
        ("is" | "are", "equal", "to") => Some(2),
        ("equals", ..) => Some(0),
        // `12 / 3 equal parts`, but `3 and 4 equal 7`.
        ("equal", ..) => {
            let ends = |t: &&Token| matches!(t.kind, Kind::Break | Kind::Equals);
            let mut statement = settled.iter().rev().take(MAX_STATEMENT).take_while(|t| !ends(t));
            let sum = statement.any(|t| matches!(t.kind, Kind::Op(_)));
            (sum && rest.first().is_some_and(|t| t.opens_operand())).then_some(0)
        }
        _ => None,
    }
}

/// The operator that a word stands for between operands, and how many words after it belong to it.
fn operator(text: &str, settled: &[Token], token: Token, rest: &[Token]) -> Option<(Op, usize)> {
    let next_word = rest.first().map_or("", |&next| word(text, next));
    Some(match (word(text, token), next_word) {
        ("x" | "X" | "times", _) | ("multiplied", "by") => {
            (Op::Mul, usize::from(next_word == "by"))
        }
        ("divided", "by") => (Op::Div, 1),
        ("plus", _) => (Op::Add, 0),
        ("minus", _) => (Op::Sub, 0),
        ("of", _) if is_share(settled) => (Op::Of, determiners(text, rest)),
        ("of", _) => (packed(text, settled)?, 0),
        _ => return None,
    })
}

/// What the `of` after `8 packs` and after `15 out` does with the next number.
fn packed(text: &str, settled: &[Token]) -> Option<Op> {
    let words =
        settled.iter().rev().take_while(|t| t.kind == Kind::Word).take(MAX_PACK + 1).count();
    let (before, unit) = settled.split_at(settled.len() - words);
    if !matches!(before.last()?.kind, Kind::Number { percent: false, .. }) {
        return None;
    }
    let is_unit = |&t: &Token| unit::is_thing(word(text, t));
    match unit {
        [out] if word(text, *out) == "out" => Some(Op::OutOf),
        _ if (1..=MAX_PACK).contains(&words) && unit.iter().all(is_unit) => Some(Op::Each),
        _ => None,
    }
}

fn determiners(text: &str, rest: &[Token]) -> usize {
    let is_determiner = |t: &&Token| t.kind == Kind::Word && unit::is_determiner(word(text, **t));
    rest.iter().take(MAX_DETERMINERS).take_while(is_determiner).count()
}

/// True if the tokens end in a percentage, a fraction or a parenthesis: something one can have `of`.
fn is_share(settled: &[Token]) -> bool {
    let mut back = settled.iter().rev().map(|token| token.kind);
    match back.next() {
        Some(Kind::Number { percent: true, .. } | Kind::Close) => true,
        Some(Kind::Number { value: Some(value), .. }) => {
            back.next() == Some(Kind::Op(Op::Div)) || value < crate::Rational::integer(1)
        }
        _ => false,
    }
}
