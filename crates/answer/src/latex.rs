//! Mathematical answers, in LaTeX or as typed, and the key under which such an answer votes.
//!
//! - `token` splits an answer into tokens. `shape` reads lists, tuples, intervals and matrices. `relation` reads
//!   equations and inequalities.
//! - `expression` computes values. `poly` is their normal form, `quotient` adds denominators, `number` handles roots,
//!   and `function` has the functions with exact values.
//! - `field` computes the fingerprint of values that have no normal form here.
//! - `numeral` finds the end of a number that is followed by a unit.
//! - `words` handles the text of an answer that is none of these.
//!
//! Values are compared exactly, and a decimal is exactly its digits: 0.333 is not a third. The effort is bounded: an
//! answer that is too long, too deep or too large is compared as text. `docs/MATH.md` has the conventions.

mod expression;
mod field;
mod function;
mod number;
mod numeral;
mod poly;
mod quotient;
mod relation;
mod shape;
mod token;
mod words;

pub(crate) use field::fingerprint_of_key;
pub(crate) use numeral::numeral;
pub(crate) use words::{is_name, plain};

use token::Token;

/// Longest answer that is read as mathematics, in bytes.
pub(crate) const MAX_LENGTH: usize = 1000;

/// An answer that was read as mathematics.
pub(crate) enum Reading {
    /// The key of its value.
    Key(String),
    /// The words of an answer that is `\text{...}` and nothing else; they may be an answer of another form, such as a number.
    Words(String),
}

/// Reads an answer as mathematics. `None` if it is not.
pub(crate) fn read(answer: &str) -> Option<Reading> {
    if answer.len() > MAX_LENGTH || words::has_short_word(answer) {
        return None;
    }
    let mut tokens = token::tokens(answer)?;
    let key = match tokens.as_mut_slice() {
        [] => return None,
        [Token::Text(words)] if words.len() < answer.len() => {
            return Some(Reading::Words(std::mem::take(words)));
        }
        tokens if shape::is_words(tokens) => return None,
        tokens => shape::key(tokens)?,
    };
    // One letter is as often a multiple-choice answer as a variable, so case is ignored.
    Some(Reading::Key(if key.len() == 1 { key.to_lowercase() } else { key }))
}
