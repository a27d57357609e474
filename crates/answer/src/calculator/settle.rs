//! The second pass over the tokens: everything that depends on both neighbours.
//!
//! Words become operators if there are operands on both sides (`3 x 4`, `6 divided by 2`, `20% of 50`), or equals signs
//! (`3 + 4 equals 7`). Remarks in parentheses become units (`5 (apples)`), and markup that looks like an operator is
//! removed (`**17**`).

use super::token::{Kind, Op, Token};
use super::unit;

/// Most words in a remark in parentheses.
const MAX_REMARK: usize = 4;

/// Most words between a number and the `of` that makes it a multiplier: `8 packs of 5`.
const MAX_PACK: usize = 3;

/// Number of tokens before `equal` in which an operator is looked for.
const MAX_STATEMENT: usize = 32;

/// Most determiners between `of` and its operand.
const MAX_DETERMINERS: usize = 2;

/// Returns the tokens with every word, remark and asterisk settled.
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

/// Returns the text of `token`.
pub(super) fn word(text: &str, token: Token) -> &str {
    text.get(token.start..token.end).unwrap_or_default()
}

/// Returns the number of words before the closing parenthesis, if there is nothing else in it.
fn remark(rest: &[Token]) -> Option<usize> {
    let words = rest.iter().take(MAX_REMARK).take_while(|t| t.kind == Kind::Word).count();
    (words > 0 && rest.get(words)?.kind == Kind::Close).then_some(words)
}

/// Whether an asterisk is markup: it lacks an operand, or is attached on one side only, as in bold type.
fn is_markup(text: &str, previous: Option<Token>, token: Token, next: Option<&Token>) -> bool {
    let nothing_left =
        previous.is_none_or(|t| matches!(t.kind, Kind::Break | Kind::Equals | Kind::Open));
    let nothing_right =
        next.is_none_or(|t| matches!(t.kind, Kind::Break | Kind::Equals | Kind::Close));
    let bold = word(text, token) == "**" && next.is_some_and(|next| token.glued != next.glued);
    (text.get(token.start..token.end).is_some_and(|sign| sign.starts_with('*')))
        && (nothing_left || nothing_right || bold)
}

/// Returns the operator or equals sign that a word stands for, and how many of the next words belong to it; `None` if
/// the word is just a word.
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

/// Returns how many of the words after `equals`, `equal to` or `is equal to` belong to it; `None` if it is no equals
/// sign.
fn equality(text: &str, settled: &[Token], token: Token, rest: &[Token]) -> Option<usize> {
    let mut next = rest.iter().map(|&token| word(text, token));
    match (word(text, token), next.next().unwrap_or_default(), next.next().unwrap_or_default()) {
        ("equals" | "equal", "to", _) => Some(1),
        ("is" | "are", "equal", "to") => Some(2),
        ("equals", ..) => Some(0),
        // `12 / 3 equal parts` is not an equation: there must be an operand after `equal`, and an operator before it.
        ("equal", ..) => {
            let ends = |t: &&Token| matches!(t.kind, Kind::Break | Kind::Equals);
            let mut statement = settled.iter().rev().take(MAX_STATEMENT).take_while(|t| !ends(t));
            let sum = statement.any(|t| matches!(t.kind, Kind::Op(_)));
            (sum && rest.first().is_some_and(|t| t.opens_operand())).then_some(0)
        }
        _ => None,
    }
}

/// Returns the operator that a word stands for between operands, and how many of the next words belong to it.
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

/// Returns the operator for the `of` in `8 packs of 5` and `15 out of 20`.
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

/// Whether the tokens end in a percentage, a fraction or a parenthesis, so that `of` can take a share.
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
