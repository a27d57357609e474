//! Answers in words and digits that are not mathematics: number words, ordinals, ratios.

use crate::rational::{Rational, scale};
use crate::unit::{Place, meaning};

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];

const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Whether a word is a number on its own.
pub(crate) fn is_number(word: &str) -> bool {
    SMALL.contains(&word) || TENS.contains(&word)
}

/// Reads a number in words, with or without a unit: `twenty-five`, `minus three`, `two hundred and five apples`,
/// `twelve hundred`. A `hundred` where none can stand, as in `two hundred hundred`, makes it no number.
pub(crate) fn number(text: &str) -> Option<Rational> {
    let negative = ["minus ", "negative ", "Minus ", "Negative "]
        .iter()
        .find_map(|sign| text.strip_prefix(sign));
    let text = negative.unwrap_or(text);
    let (size, rest) = match words(text) {
        Some(read) => read,
        None => (negative.and_then(Rational::parse)?, ""),
    };
    // A unit may begin with a scale word, and would multiply this one in as well.
    if first_word(rest.trim_start_matches([' ', '-'])) == "hundred" {
        return None;
    }
    let unit = meaning(rest, Place { singular: false, apart: true })?;
    let size = size.checked_mul(unit.factor)?;
    Some(if negative.is_some() { size.negated() } else { size })
}

/// Reads the whole number in words at the start of a text, and returns it with the rest.
fn words(text: &str) -> Option<(Rational, &str)> {
    let (mut total, mut group, mut rest, mut read) = (0i64, None::<i64>, text, 0);
    // Scale words must get smaller (`two million three thousand`), so each one lowers the limit for the next.
    let mut limit = i64::MAX;
    loop {
        let hyphen = rest.strip_prefix('-').filter(|_| read > 0);
        let joined = hyphen.unwrap_or(rest).trim_start();
        let and = joined
            .strip_prefix("and ")
            // `two hundred and five` is a number, but `twenty and five` is not.
            .filter(|_| group.is_none_or(|group| group % 100 == 0) && read > 0);
        let next = and.unwrap_or(joined);
        let word = first_word(next);
        let len = word.len();
        let place =
            |words: &[&str]| words.iter().position(|known| *known == word).map(|at| at as i64);
        let part = place(&SMALL).or_else(|| place(&TENS).map(|tens| 10 * (tens + 2)));
        let scale = scale(&word).and_then(Rational::whole);
        let scale = scale.and_then(|scale| i64::try_from(scale).ok());
        group = match (group, part, scale) {
            // Nothing follows a zero: `zero five` is not a number.
            (None, Some(0), _) if read == 0 => {
                return Some((Rational::integer(0), next.get(len..)?));
            }
            (None, Some(part), _) if part > 0 => Some(part),
            (Some(group), Some(part), _) if fits(group, part) => Some(group + part),
            (Some(group), _, Some(100)) if takes_hundred(group, total) => Some(group * 100),
            (Some(group), _, Some(scale)) if scale > 100 && scale < limit => {
                limit = scale;
                total = total.checked_add(group.checked_mul(scale)?)?;
                None
            }
            _ => break,
        };
        read += 1;
        rest = next.get(len..)?;
    }
    (read > 0).then_some((Rational::integer(total.checked_add(group.unwrap_or(0))?), rest))
}

/// The letters at the start of a text, in lower case; empty if it starts with anything else.
fn first_word(text: &str) -> String {
    text.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
}

/// Whether `hundred` may follow `group`: `two hundred`, `twelve hundred`, `twenty-five hundred`. After thousands only a
/// digit takes it: `one thousand twelve hundred` is not a number.
fn takes_hundred(group: i64, total: i64) -> bool {
    group < if total == 0 { 100 } else { 10 }
}

/// Whether a number word may follow those already read: `two hundred` `five`, `twenty` `five`.
fn fits(group: i64, part: i64) -> bool {
    part > 0
        && (group % 100 == 0
            || ((20..100).contains(&(group % 100)) && group % 10 == 0 && part < 10))
}

/// Returns the key of an ordinal, which is not a number: `18th`, `18^{\text{th}}`.
pub(crate) fn ordinal(text: &str) -> Option<String> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, mut rest) = (text.get(..len)?, text.get(len..)?.to_lowercase());
    for command in
        ["\\textsuperscript", "\\textrm", "\\textit", "\\text", "\\mathrm", "\\mbox", "\\rm"]
    {
        rest = rest.replace(command, "");
    }
    let ending: String = rest.chars().filter(|c| !" ^{}\\.".contains(*c)).collect();
    let known = ["st", "nd", "rd", "th"].contains(&ending.as_str());
    (known && !digits.is_empty()).then(|| format!("{digits}{ending}"))
}

/// Returns the key of a ratio, in the order of its numbers: `5:3`, `5 to 3`, `5\text{ to }3`. It is not reduced.
pub(crate) fn ratio(text: &str) -> Option<String> {
    let plain = crate::latex::plain(text)
        .replace("\\colon", ":")
        .replace("{:}", ":")
        .replace("-to-", " to ");
    let plain = plain.trim().trim_end_matches('.');
    let separator = if plain.contains(':') { ":" } else { " to " };
    let parts: Vec<&str> = plain.split(separator).collect();
    let part = |part: &&str| {
        let part = part.trim();
        let digits = part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',');
        // The 05 of 10:05 is not a number of its own, so times are not ratios.
        let padded = part.len() > 1 && part.starts_with('0') && !part.starts_with("0.");
        Rational::parse(part)
            .filter(|_| digits && !padded && !part.ends_with(['.', ',']))
            .map(|part| part.to_string())
    };
    let several = (2..=6).contains(&parts.len());
    if !several {
        return None;
    }
    Some(parts.iter().map(part).collect::<Option<Vec<_>>>()?.join(":"))
}
