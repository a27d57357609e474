//! Mutation of questions: makes new prompts from the text of old ones.
//!
//! Nothing here knows an answer, a template or a solution, so it works on any English question and cannot leak a label.
//! Numbers change to between half and one and a half times their size, people get other names of the same gender, and
//! objects are exchanged within their class; unknown words stay. Some mutations have no whole or no positive answer;
//! detecting those is the filter's job. To make them rarer, numbers that something seems to be divided by stay as they
//! are, and all others keep their remainder modulo those. Sums and products of the numbers are then divisible exactly
//! as before.

use super::figures::{Figure, figures, sentences};
use super::wording::{Changes, article, like, rewritten};
use crate::{CLASSES, Known, PEOPLE, gcd, known, pick, words};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Probability that a number that can change does so.
const CHANGED: f64 = 0.75;
/// Words that show that something is divided by a number in the same sentence.
const DIVIDING: &[&str] = &[
    "equal", "equally", "evenly", "split", "splits", "divide", "divides", "divided", "share",
    "shares", "shared", "every", "gallon", "gallons", "sets", "groups", "rows", "pieces",
    "bottles", "buckets", "into", "enough", "rest",
];
/// Time units that a question may ask for by dividing: at so much a week, how many weeks?
const PERIODS: &[&str] = &["days", "weeks", "months", "hours"];
/// Percentages that people use.
const PERCENTS: &[i64] = &[5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90];
/// Largest number that is taken for a divisor if its sentence has a smaller one.
const USUAL_DIVISOR: i64 = 12;
/// Largest modulus for which remainders are kept; with a larger one there would be nothing left to change.
const LARGEST_MODULUS: i64 = 120;

/// Returns a changed copy of the question; `None` if nothing in it can change.
pub fn mutate(question: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    // A draw may leave everything as it is by chance, so try a few before giving up.
    (0..8).find_map(|_| mutated(question, rng))
}

/// Makes one draw.
fn mutated(question: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    let text: Vec<&str> = words(question).collect();
    let numbers = renumbered(&text, rng);
    let exchanged = exchanged(&text, rng);
    let mutated = rewritten(&text, &exchanged.into_iter().chain(numbers).collect());
    (mutated != question).then_some(mutated)
}

/// Draws new numbers.
fn renumbered(text: &[&str], rng: &mut ChaCha8Rng) -> Changes {
    let sentences = sentences(text);
    let figures = figures(text, &sentences);
    let (divisors, modulus) = divisors(text, &sentences, &figures);
    let mut changes = Changes::new();
    for figure in figures.iter().filter(|figure| !divisors.contains(&figure.at)) {
        if rng.random_bool(CHANGED)
            && let Some(value) = redrawn(figure, modulus, rng)
        {
            changes.insert(figure.at, value.to_string());
        }
    }
    changes
}

/// Returns the positions of the numbers that something seems to be divided by, and the modulus that keeps divisions
/// whole.
fn divisors(text: &[&str], sentences: &[usize], figures: &[Figure]) -> (Vec<usize>, i64) {
    let mut divisors = Vec::new();
    let mut modulus = text
        .iter()
        .enumerate()
        // Saturating, because a text may say `half` a hundred times.
        .fold(1_i64, |modulus, (at, word)| modulus.saturating_mul(part(text, at, word)));
    for sentence in dividing(text, sentences, figures) {
        let here =
            || figures.iter().filter(|figure| figure.sentence == sentence && !figure.percent);
        let smallest = here().map(|figure| figure.value).min().unwrap_or(0);
        // The smallest number may be the divisor however large it is, as in `split into groups of 24`.
        for figure in here().filter(|figure| figure.value <= USUAL_DIVISOR.max(smallest)) {
            divisors.push(figure.at);
            modulus = modulus.saturating_mul(figure.value);
        }
    }
    // A percentage takes a part of some number. The text does not show of which, so it counts for all of them.
    for figure in figures.iter().filter(|figure| figure.percent) {
        modulus = modulus.saturating_mul(share(figure.value));
    }
    (divisors, modulus)
}

/// Returns what a word divides by: 2 for "half", 3 for "a third". "The third day" divides nothing, hence the article.
fn part(text: &[&str], at: usize, word: &str) -> i64 {
    let article =
        at.checked_sub(2).is_some_and(|at| matches!(text[at], "a" | "A" | "one" | "One" | "two"));
    match word.to_lowercase().as_str() {
        "half" => 2,
        "third" | "thirds" if article => 3,
        "quarter" | "fourth" | "quarters" if article => 4,
        "fifth" | "fifths" if article => 5,
        _ => 1,
    }
}

/// Returns the sentences in which something is divided by a number.
fn dividing(text: &[&str], sentences: &[usize], figures: &[Figure]) -> Vec<usize> {
    let says = |words: &[&str], sentence: usize| {
        let mut here = text.iter().zip(sentences).filter(|(_, of)| **of == sentence);
        here.any(|(word, _)| words.contains(&word.to_lowercase().as_str()))
    };
    let last = sentences.iter().rposition(|_| true).map_or(0, |at| sentences[at]);
    // The last number is taken for the rate: `He saves $5 a week. How many weeks does he need?`
    let rate = figures.last().filter(|_| says(PERIODS, last)).map(|figure| figure.sentence);
    let mut all: Vec<usize> = (0..=last)
        .filter(|sentence| says(DIVIDING, *sentence) || rate == Some(*sentence))
        .collect();
    all.dedup();
    all
}

/// Returns the number whose multiples have a whole share of this percentage.
fn share(percent: i64) -> i64 {
    100 / gcd(100, percent)
}

/// Returns another value; `None` if none fits.
fn redrawn(figure: &Figure, modulus: i64, rng: &mut ChaCha8Rng) -> Option<i64> {
    let value = figure.value;
    if figure.percent {
        // 25 % may become 50 %, but not the reverse: what has a whole half need not have a whole quarter.
        let fits = |percent: &&i64| **percent != value && share(value) % share(**percent) == 0;
        let percents: Vec<_> = PERCENTS.iter().filter(fits).collect();
        return pick(rng, &percents).map(|percent| **percent);
    }
    let round = if value >= 20 && value % 10 == 0 {
        10
    } else if value >= 15 && value % 5 == 0 {
        5
    } else {
        1
    };
    // The step is a multiple of the modulus and of the roundness, so remainders and round numbers survive. With too
    // large a modulus it is the value itself, which usually leads out of the range, and the number stays.
    let step =
        if modulus <= LARGEST_MODULUS { modulus / gcd(modulus, round) * round } else { value };
    // At least up to 4, or 2 could become nothing but 3.
    let (low, high) = ((value / 2).max(figure.least), (value * 3 / 2).max(4));
    let (down, up) = ((value - low) / step, (high - value) / step);
    let steps: Vec<i64> = (-down..=up).filter(|steps| *steps != 0).collect();
    pick(rng, &steps).map(|steps| value + steps * step)
}

/// Exchanges people and objects for others that the text does not mention, consistently throughout.
fn exchanged(text: &[&str], rng: &mut ChaCha8Rng) -> Changes {
    let found: Vec<_> =
        text.iter().enumerate().filter_map(|(at, word)| Some((at, known(word)?))).collect();
    // Ordered maps, because every entry draws from the generator in turn.
    let mut people: BTreeMap<usize, usize> = BTreeMap::new();
    let mut nouns: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (_, what) in &found {
        match *what {
            Known::Name(person) => people.insert(person, person),
            Known::Noun { class, noun, .. } => nouns.insert((class, noun), noun),
        };
    }
    for person in people.keys().copied().collect::<Vec<_>>() {
        let same = |other: &usize| PEOPLE[*other].feminine == PEOPLE[person].feminine;
        // Neither somebody of the text nor a name just given out, or two people would become one.
        let taken =
            |other: &usize| people.contains_key(other) || people.values().any(|new| new == other);
        let others: Vec<_> =
            (0..PEOPLE.len()).filter(|other| same(other) && !taken(other)).collect();
        if let Some(other) = pick(rng, &others) {
            people.insert(person, *other);
        }
    }
    for (class, noun) in nouns.keys().copied().collect::<Vec<_>>() {
        let used = |other: &usize| {
            nouns.iter().any(|(old, new)| old.0 == class && (old.1 == *other || new == other))
        };
        let others: Vec<_> = (0..CLASSES[class].nouns.len()).filter(|other| !used(other)).collect();
        if let Some(other) = pick(rng, &others) {
            nouns.insert((class, noun), *other);
        }
    }
    let mut changes = Changes::new();
    for (at, what) in found {
        match what {
            Known::Name(person) => {
                changes.insert(at, PEOPLE[people[&person]].name.to_owned());
            }
            Known::Noun { class, noun, plural } => {
                let new = &CLASSES[class].nouns[nouns[&(class, noun)]];
                changes.insert(at, like(text[at], if plural { new.many } else { new.one }));
                article(text, at, new.article(), &mut changes);
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Returns many mutations of one text.
    fn mutations(question: &str) -> Vec<String> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        (0..200).filter_map(|_| mutate(question, &mut rng)).collect()
    }

    fn numbers(text: &str) -> Vec<i64> {
        words(text).filter_map(|word| word.parse().ok()).collect()
    }

    #[test]
    fn names_keep_their_gender_and_articles_fit() {
        for text in mutations("Tom buys an orange. Tom eats it. Oranges are his joy.") {
            let said: Vec<_> = words(&text).filter(|word| word.trim() != "").collect();
            assert!(
                matches!(known(said[0]), Some(Known::Name(at)) if !PEOPLE[at].feminine),
                "{text}"
            );
            assert_eq!(said[0], said[5], "{text}");
            assert!(
                !said.contains(&"Tom") && !said.contains(&"orange") && !said.contains(&"Oranges")
            );
            assert_eq!(said[2] == "an", said[3].starts_with(['a', 'e', 'i', 'o', 'u']), "{text}");
            assert_eq!(said[9].to_lowercase(), format!("{}s", said[3]), "{text}");
        }
    }

    #[test]
    fn numbers_stay_near_and_keep_their_roundness() {
        for text in mutations("A farm has 40 cows and 13 dogs.") {
            let [cows, dogs] = numbers(&text)[..] else { panic!("{text}") };
            assert!(
                (20..=60).contains(&cows) && cows % 10 == 0 && (6..=19).contains(&dogs),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_divided_stays_divisible() {
        for text in mutations(
            "A farm has 42 cows and gets 18 more. They are split equally into 6 herds. Half are sold.",
        ) {
            let [cows, more, herds] = numbers(&text)[..] else { panic!("{text}") };
            assert!(herds == 6 && (cows + more) % 12 == 0, "{text}");
        }
    }

    #[test]
    fn percentages_stay_sensible_and_whole() {
        for text in mutations("A farm sells 20% of its 60 cows, and 25 percent of the 80 dogs.") {
            let [first, cows, second, dogs] = numbers(&text)[..] else { panic!("{text}") };
            assert!([first, second].iter().all(|percent| PERCENTS.contains(percent)), "{text}");
            assert!(first * cows % 100 == 0 && second * dogs % 100 == 0, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_count_stays() {
        for text in ["It costs 2.50 or 1,000 or 1/2 on the 5th, in 1999, for 1 man.", "", "¿Qué?"]
        {
            assert_eq!(mutate(text, &mut ChaCha8Rng::seed_from_u64(1)), None);
        }
    }
}
