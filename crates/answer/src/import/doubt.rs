//! Answers that are imported but may be useless. One row cannot prove it, but the share of such rows in a data set
//! shows it.

use super::Imported;
use crate::extract::ANSWER_MARK;
use crate::grading::{grade, same};

/// Number of words from which an answer is a sentence, which no solution repeats word for word.
const SENTENCE: usize = 13;

/// Reasons why no solution may ever be graded correct by a row's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Even a completion that repeats the answer is graded wrong, for example because the answer has several lines.
    Unmarked,
    /// The answer is a sentence.
    Sentence,
    /// The answer has words in brackets after it, and differs from the answer without them: `9 (apples)`.
    Remark,
    /// The answer is the letter of an option, but the question has no options.
    Letter,
}

impl Doubt {
    /// Returns what is wrong with the answer, as a clause about it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unmarked => "no solution is marked right by it, not even one that repeats it",
            Self::Sentence => "it is a sentence, and no solution ends in the same words",
            Self::Remark => "what stands in brackets behind it makes another answer of it",
            Self::Letter => {
                "it is the letter of an option, and the question does not give the options"
            }
        }
    }
}

impl Imported {
    /// Returns the reason why this row's answer may be useless, if there is one. A row without an answer is just a
    /// question, and has no such problem.
    pub fn doubt(&self) -> Option<Doubt> {
        let answer = self.answer.as_str();
        if answer.is_empty() {
            return None;
        }
        if !grade(&format!("{ANSWER_MARK} {answer}"), answer) {
            return Some(Doubt::Unmarked);
        }
        if words(answer) >= SENTENCE {
            return Some(Doubt::Sentence);
        }
        if remark(answer).is_some_and(|alone| !same(alone, answer)) {
            return Some(Doubt::Remark);
        }
        (is_letter(answer) && !gives(&self.question, answer)).then_some(Doubt::Letter)
    }
}

/// Counts the words of a text, without the names of LaTeX commands and variables.
fn words(text: &str) -> usize {
    let word = |word: &&str| word.len() > 1 && word.chars().all(char::is_alphabetic);
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '\\'))
        .filter(word)
        .count()
}

/// Returns the answer before words in brackets.
fn remark(answer: &str) -> Option<&str> {
    let (alone, words) = answer.strip_suffix(')')?.split_once(" (")?;
    let spoken = |c: char| c.is_alphabetic() || " -'".contains(c);
    let counted = alone.ends_with(|c: char| c.is_ascii_digit());
    (counted && !words.is_empty() && words.chars().all(spoken)).then_some(alone)
}

/// Whether an answer may be the letter of an option.
fn is_letter(answer: &str) -> bool {
    let mut letters = answer.chars().filter(|c| !"().".contains(*c));
    let only = |letter: char| matches!(letter, 'A'..='J' | 'a'..='e');
    letters.next().is_some_and(only) && letters.next().is_none()
}

/// Whether the question lists this option: `A)`, `(A)`, `A.`, `A:` or `A )`.
fn gives(question: &str, answer: &str) -> bool {
    let Some(letter) = answer.chars().find(|c| c.is_alphabetic()) else { return false };
    let mut before = None;
    let mut letters = question.chars().peekable();
    while let Some(c) = letters.next() {
        let alone = before.is_none_or(|c: char| !c.is_alphanumeric());
        before = Some(c);
        if !alone || !c.eq_ignore_ascii_case(&letter) {
            continue;
        }
        while letters.next_if_eq(&' ').is_some() {
            before = Some(' ');
        }
        if letters.peek().is_some_and(|c| ").:".contains(*c)) {
            return true;
        }
    }
    false
}
