//! The second pass over the tokens: what depends on both neighbours.
//!
//! Words become operators where operands stand on both sides (`3 x 4`, `6 divided by 2`, `20% of 50`), remarks in
//! parentheses become units (`5 (apples)`), and markup that looks like an operator goes (`**17**`).

use super::token::{Kind, Op, Token};
use super::unit;

/// Most words of a remark in parentheses.
const MAX_REMARK: usize = 4;

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
            Kind::Word | Kind::Junk => operator(text, &settled, token, rest).map(|(op, words)| {
                settled.push(Token { kind: Kind::Op(op), ..token });
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

/// The operator that a word stands for here, and how many words after it belong to it.
fn operator(text: &str, settled: &[Token], token: Token, rest: &[Token]) -> Option<(Op, usize)> {
    let previous = settled.last()?;
    if !matches!(previous.kind, Kind::Number { .. } | Kind::Close | Kind::Word) {
        return None;
    }
    let next_word = rest.first().map_or("", |&next| word(text, next));
    let (op, words) = match (word(text, token), next_word) {
        ("x" | "X" | "times", _) | ("multiplied", "by") => {
            (Op::Mul, usize::from(next_word == "by"))
        }
        ("divided", "by") => (Op::Div, 1),
        ("plus", _) => (Op::Add, 0),
        ("minus", _) => (Op::Sub, 0),
        ("of", _) if is_share(settled) => (Op::Of, determiners(text, rest)),
        _ => return None,
    };
    rest.get(words).is_some_and(|next| next.opens_operand()).then_some((op, words))
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
