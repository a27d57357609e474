//! Answers that are read as they are and may be of no use: what one row cannot show, a share of a data set does.

use super::Imported;
use crate::extract::ANSWER_MARK;
use crate::grading::{grade, same};

/// Words from which on an answer is a sentence, which nobody writes a second time in the same words.
const SENTENCE: usize = 13;

/// Why no solution may ever be marked right by a row's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Not even a completion that repeats the answer is right: it has several lines, say, or says nothing.
    Unmarked,
    /// The answer is a sentence.
    Sentence,
    /// Words in brackets stand behind the answer, and without them it is another one: `9 (apples)`.
    Remark,
    /// The answer is the letter of an option, and the question has no options.
    Letter,
}

impl Doubt {
    /// What is wrong, of the answer.
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
    /// Why this row's answer may be of no use, if it looks so. A row without an answer is a question, and nothing is wrong
    /// with it.
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

/// Words of a text, names of LaTeX commands and of variables aside.
fn words(text: &str) -> usize {
    let word = |word: &&str| word.len() > 1 && word.chars().all(char::is_alphabetic);
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '\\'))
        .filter(word)
        .count()
}

/// The answer in front of words in brackets.
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

/// Whether the question says what the option is: `A)`, `(A)`, `A.`, `A:` or `A )`.
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
