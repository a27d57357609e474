//! Text normalisation and n-grams: decides when two texts count as the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Lower case, with whitespace collapsed. Texts that are equal after this are one prompt.
pub(crate) fn normalise(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The id of a prompt: a hash of its normalised text, so that a question has the same id wherever it comes from.
pub(crate) fn prompt_id(text: &str) -> String {
    dataset::row_id(&[&normalise(text)])
}

/// Signs that change what is calculated.
const OPERATORS: &str = "+*/=<>^%×÷·√≠≤≥±";
/// Characters that are a minus before a number, and a hyphen or a dash elsewhere.
const DASHES: &str = "-\u{2212}\u{2010}\u{2011}\u{2013}";

/// A text without case, spacing and punctuation: equal for two spellings of one question. Operators, signs and decimal
/// points stay, because they change what is calculated. A text of nothing but punctuation is only normalised.
pub(crate) fn gist(text: &str) -> String {
    let letters: Vec<char> = text.chars().map(half_width).collect();
    let mut tokens = Tokens::default();
    for (at, &letter) in letters.iter().enumerate() {
        let (before, after) = (letters[..at].last(), &letters[at + 1..]);
        // Four are enough to tell a group of three digits from a longer number.
        let digits = after.iter().take(4).take_while(|c| c.is_ascii_digit()).count();
        let in_number = before.is_some_and(char::is_ascii_digit) && digits > 0;
        let minus = || after.iter().find(|c| !c.is_whitespace()).is_some_and(char::is_ascii_digit);
        match letter {
            // `1,000` is 1000, but the comma of `1,23` is between two numbers.
            ',' if in_number && digits == 3 => {}
            '.' if in_number => tokens.add('.'),
            '-' if minus() => tokens.alone('-'),
            _ if letter.is_alphanumeric() => tokens.add(letter),
            _ if OPERATORS.contains(letter) => tokens.alone(letter),
            _ => tokens.open = false,
        }
    }
    if tokens.all.is_empty() { normalise(text) } else { tokens.lower().join(" ") }
}

/// Converts full-width characters to their usual form, and every dash to a hyphen.
fn half_width(letter: char) -> char {
    match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        _ if DASHES.contains(letter) => '-',
        _ => letter,
    }
}

/// The words and numbers of a text in lower case, without punctuation. In scripts without spaces between words, every
/// character is a word.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut tokens = Tokens::default();
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            tokens.add(letter);
        } else {
            tokens.open = false;
        }
    }
    tokens.lower()
}

/// Collects words character by character.
#[derive(Default)]
struct Tokens {
    all: Vec<String>,
    /// Whether the next letter continues the last word.
    open: bool,
}

impl Tokens {
    fn add(&mut self, letter: char) {
        if script(letter) != Script::Spaced {
            return self.alone(letter);
        }
        match self.all.last_mut().filter(|_| self.open) {
            Some(word) => word.push(letter),
            None => self.all.push(letter.to_string()),
        }
        self.open = true;
    }

    fn alone(&mut self, letter: char) {
        self.all.push(letter.to_string());
        self.open = false;
    }

    fn lower(self) -> Vec<String> {
        self.all.iter().map(|word| word.to_lowercase()).collect()
    }
}

/// How a script separates words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// By spaces.
    Spaced,
    /// Not at all, and a character is a word or half of one: Chinese and Japanese.
    Signs,
    /// Not at all, and a character is a letter: Thai, Lao, Burmese, Khmer and related scripts.
    Letters,
}

fn script(letter: char) -> Script {
    match u32::from(letter) {
        0x3005..=0x3007
        | 0x3041..=0x312f
        | 0x31a0..=0x31bf
        | 0x31f0..=0x31ff
        | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff
        | 0xa000..=0xa48f
        | 0xf900..=0xfaff
        | 0xff66..=0xff9f
        | 0x1b000..=0x1b16f
        | 0x20000..=0x3ffff => Script::Signs,
        0x0e00..=0x0fff
        | 0x1000..=0x109f
        | 0x1780..=0x17ff
        | 0x1950..=0x19df
        | 0x1a20..=0x1aaf
        | 0x1b00..=0x1b7f
        | 0xa980..=0xa9ff
        | 0xaa60..=0xaadf => Script::Letters,
        _ => Script::Spaced,
    }
}

/// How many words a token counts as. A Chinese or Japanese character counts as two: half as many characters are as rare
/// as that many words, and with shorter runs an inserted particle breaks fewer runs of a short question.
fn weight(token: &str) -> usize {
    match token.chars().next().map(script) {
        Some(Script::Signs) => 2,
        _ => 1,
    }
}

/// The runs of words with a total weight of at least `n`, one starting at each word that has enough words after it.
fn runs(words: &[String], n: usize) -> Vec<Range<usize>> {
    let (mut runs, mut end, mut weighs) = (Vec::new(), 0, 0);
    for start in 0..words.len() {
        while weighs < n && end < words.len() {
            weighs += weight(&words[end]);
            end += 1;
        }
        if weighs < n {
            break;
        }
        runs.push(start..end);
        weighs -= weight(&words[start]);
    }
    runs
}

/// The distinct runs of `n` words, where a Chinese or Japanese character counts as two. The whole text if it has fewer
/// words; empty if it has none.
pub(crate) fn ngrams(text: &str, n: usize) -> BTreeSet<String> {
    grams(&words(text), n)
}

fn grams(words: &[String], n: usize) -> BTreeSet<String> {
    let runs = runs(words, n);
    if runs.is_empty() && !words.is_empty() {
        return BTreeSet::from([words.join(" ")]);
    }
    runs.into_iter().map(|run| words[run].join(" ")).collect()
}

/// N-grams that most questions of a set share, such as an instruction. They do not tell the questions apart.
pub(crate) struct Boilerplate {
    n: usize,
    grams: BTreeSet<String>,
}

/// Minimum number of questions that must share an n-gram; fewer may share it by chance.
const FEWEST: usize = 4;

impl Boilerplate {
    /// The runs of `n` words that more than half of the distinct questions of any one set share, and at least four.
    pub(crate) fn of(sets: &[Vec<&str>], n: usize) -> Self {
        let mut common = BTreeSet::new();
        for set in sets {
            // Each text once: a question that is there many times is not an instruction.
            let texts: BTreeSet<Vec<String>> = set.iter().map(|text| words(text)).collect();
            let mut counts = BTreeMap::<String, usize>::new();
            for words in &texts {
                // Not `grams`, for which a text shorter than `n` is a run: a short question is never boilerplate.
                let distinct: BTreeSet<String> =
                    runs(words, n).into_iter().map(|run| words[run].join(" ")).collect();
                for gram in distinct {
                    *counts.entry(gram).or_default() += 1;
                }
            }
            let most = |count: usize| count >= FEWEST && 2 * count > texts.len();
            common
                .extend(counts.into_iter().filter(|(_, count)| most(*count)).map(|(gram, _)| gram));
        }
        Self { n, grams: common }
    }

    /// The n-grams of a text after its boilerplate is removed.
    pub(crate) fn ngrams_beside(&self, text: &str) -> BTreeSet<String> {
        let words = words(text);
        // The usual case: the questions of the world have no boilerplate.
        if self.grams.is_empty() {
            return grams(&words, self.n);
        }
        let mut own = vec![true; words.len()];
        for run in runs(&words, self.n) {
            if self.grams.contains(&words[run.clone()].join(" ")) {
                own[run].fill(false);
            }
        }
        let rest = words.into_iter().zip(own).filter(|(_, own)| *own).map(|(word, _)| word);
        grams(&rest.collect::<Vec<_>>(), self.n)
    }
}

#[cfg(test)]
mod tests;
