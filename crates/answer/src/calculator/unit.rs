//! Words beside numbers: which ones end an expression, and which ones may stand for a conversion.

use crate::spelled;

/// Most words between a number and the next operator that are taken for its unit.
pub(super) const MAX_WORDS: usize = 8;

/// The unit that a currency sign stands for.
pub(super) const MONEY: &str = "dollar";

/// Words that are no part of a unit: what follows them is another statement.
const CONNECTIVES: [&str; 24] = [
    "and", "then", "so", "but", "if", "or", "when", "because", "since", "that", "which", "where",
    "is", "are", "was", "were", "has", "have", "had", "of", "than", "gives", "yields", "means",
];

/// Words before an expression that make it a part of a larger one: `twice 3 + 4`, `5 more than 3 + 4`.
const MODIFIERS: [&str; 7] = ["twice", "double", "triple", "thrice", "than", "times", "minus"];

/// Words before an expression that may make it a part of a larger one.
const DOUBTFUL: [&str; 20] = [
    "plus", "negative", "mod", "modulo", "half", "squared", "cubed", "sqrt", "log", "ln", "sin",
    "cos", "tan", "abs", "floor", "ceil", "min", "max", "gcd", "lcm",
];

/// Words that `half` follows where it is a thing: `in the second half`.
const HALVED: [&str; 4] = ["first", "second", "other", "last"];

/// Words that, followed by `of`, make what follows a part: `half of 4 + 2`.
const PARTS: [&str; 23] = [
    "half",
    "halves",
    "third",
    "thirds",
    "quarter",
    "quarters",
    "fourth",
    "fourths",
    "fifth",
    "fifths",
    "sixth",
    "sixths",
    "seventh",
    "eighth",
    "eighths",
    "ninth",
    "tenth",
    "tenths",
    "percent",
    "percentage",
    "cent",
    "fraction",
    "portion",
];

/// Words that, followed by `of`, compute with all that follows: `the average of 3 + 5`.
const FUNCTIONS: [&str; 11] = [
    "root",
    "square",
    "cube",
    "power",
    "reciprocal",
    "opposite",
    "ratio",
    "multiple",
    "factorial",
    "inverse",
    "negative",
];

/// Words that, followed by `of`, compute with all that follows if that is a list: `the average of 3 + 5`.
const AVERAGES: [&str; 5] = ["average", "mean", "median", "mode", "range"];

/// Words before `of` that name what follows: `$5 for a total of 3 + 2` are no packs.
const NAMES: [&str; 11] = [
    "total",
    "sum",
    "difference",
    "product",
    "number",
    "amount",
    "cost",
    "price",
    "value",
    "result",
    "rate",
];

/// Words before a number that names one of several: `day 1`.
const LABELS: [&str; 11] =
    ["day", "week", "month", "year", "hour", "step", "grade", "page", "chapter", "number", "room"];

/// Words after a number, or its unit, that make it another one.
const POWERS: [&str; 7] = ["squared", "cubed", "factorial", "doubled", "tripled", "halved", "mod"];

/// Words after a number that multiply what comes next, if something does: `3 times the apples`.
const MULTIPLIERS: [&str; 3] = ["times", "twice", "half"];

/// Words between an amount and what it is for: `24 eggs in 1 tray`.
const RATES: [&str; 9] = ["in", "per", "for", "every", "each", "at", "with", "from", "on"];

/// Words allowed between `of` and its operand: `20% of the 50`.
const DETERMINERS: [&str; 14] = [
    "the", "his", "her", "their", "its", "these", "those", "all", "a", "total", "my", "our",
    "your", "that",
];

/// Units that convert into one another, a dimension a row.
const DIMENSIONS: [&[&str]; 6] = [
    &["second", "minute", "hour", "day", "week", "month", "year", "decade", "s", "h"],
    &["cent", "dollar", "buck", "penny", "pennies", "nickel", "dime", "quarter", "¢"],
    &[
        "inch",
        "inche",
        "foot",
        "feet",
        "yard",
        "mile",
        "mm",
        "cm",
        "m",
        "meter",
        "metre",
        "km",
        "kilometer",
        "kilometre",
    ],
    // Weights and volumes together: there are fluid ounces.
    &[
        "ounce",
        "pound",
        "ton",
        "mg",
        "g",
        "gram",
        "kg",
        "kilogram",
        "oz",
        "lb",
        "cup",
        "pint",
        "quart",
        "gallon",
        "ml",
        "l",
        "L",
        "liter",
        "litre",
        "teaspoon",
        "tablespoon",
    ],
    // Times of day: 11 am and 3 hours is 2 pm.
    &["am", "pm", "AM", "PM", "o'clock", "o’clock"],
    &[
        "dozen",
        "score",
        "pair",
        "gross",
        "couple",
        "tens",
        "hundreds",
        "thousands",
        "halves",
        "thirds",
        "fourths",
        "fifths",
        "sixths",
        "eighths",
        "tenths",
    ],
];

/// The row of times.
const TIMES: usize = 0;

/// From this row on no unit can be relied on: times of day, and words that are numbers themselves.
const UNRELIABLE: usize = DIMENSIONS.len() - 2;

/// True if `word` separates statements.
pub(super) fn is_connective(word: &str) -> bool {
    // `because20` lacks a blank.
    CONNECTIVES.contains(&word.to_lowercase().trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// True if `word` may stand between a number and the `of` that makes it a multiplier: `8 packs of 5`.
pub(super) fn is_thing(word: &str) -> bool {
    let other = is_connective(word) || is_part(word) || is_rate(word) || is_function(word);
    !other && !NAMES.contains(&word) && !AVERAGES.contains(&word)
}

/// True if `word` is a measure, which may have smaller ones: `5 ft 10 in`.
pub(super) fn is_measure(word: &str) -> bool {
    word == "in" || dimension(word).is_some_and(|row| row < UNRELIABLE)
}

/// True if a number after `word` may name one of several: `day 1`.
pub(super) fn is_label(word: &str) -> bool {
    LABELS.contains(&word)
}

/// True if `word` before `of` names an average of what follows.
pub(super) fn is_average(word: &str) -> bool {
    AVERAGES.contains(&word.to_lowercase().as_str())
}

/// True if `word` changes the value of the expression after it.
pub(super) fn is_modifier(word: &str) -> bool {
    MODIFIERS.contains(&word.to_lowercase().as_str())
}

/// True if `word` may change the value of the expression after it: an operator, or a number in words.
pub(super) fn is_doubtful(word: &str) -> bool {
    let word = word.to_lowercase();
    let last = word.rsplit('-').next().unwrap_or_default();
    DOUBTFUL.contains(&last) || is_number(last)
}

/// True if the words are `second half`, of which nothing is taken.
pub(super) fn is_a_half(before: &str, word: &str) -> bool {
    word == "half" && HALVED.contains(&before)
}

/// True if `word` is a number: before an expression it may be its first operand.
pub(super) fn is_number(word: &str) -> bool {
    word == "dozen" || spelled::is_number(word)
}

/// True if `word` before `of` names a part of what follows: `half`, `one-third`.
pub(super) fn is_part(word: &str) -> bool {
    let word = word.to_lowercase();
    word.rsplit('-').next().is_some_and(|last| PARTS.contains(&last))
}

/// True if `word` before `of` names a function of what follows.
pub(super) fn is_function(word: &str) -> bool {
    FUNCTIONS.contains(&word.to_lowercase().as_str())
}

/// True if `word` stands between an amount and what it is for.
pub(super) fn is_rate(word: &str) -> bool {
    RATES.contains(&word)
}

/// True if the words of a unit change the number before them.
pub(super) fn changes(words: &[&str]) -> bool {
    words.iter().any(|word| POWERS.contains(word))
}

/// True if the words of a unit multiply something else by the number: `3 times the apples`, `3 eighths of a pie`, but
/// not `3 times`.
pub(super) fn multiplies(words: &[&str]) -> bool {
    words.windows(2).any(|pair| match pair {
        [part, "of"] => is_part(part) || is_function(part) || is_average(part),
        // `2 times per hill`, `3 times a day` and `3 times/day` are counts.
        [times, next] => {
            let rate = is_rate(next) || *next == "a" || dimension(next) == Some(TIMES);
            MULTIPLIERS.contains(times) && !rate
        }
        _ => false,
    })
}

/// True if two sides have a unit other than money in common.
pub(super) fn is_shared(left: &[&str], right: &[&str]) -> bool {
    let known = |unit: &&&str| **unit != MONEY;
    // `box` and `boxes`, where the `s` alone leaves `boxe`.
    let plural = |one: &str, many: &str| many.strip_suffix("es") == Some(one);
    let same = |l: &str, r: &str| singular(l) == singular(r) || plural(l, r) || plural(r, l);
    left.iter().filter(known).any(|l| right.iter().any(|r| same(l, r)))
}

/// True if `word` may stand between `of` and its operand.
pub(super) fn is_determiner(word: &str) -> bool {
    DETERMINERS.contains(&word.to_lowercase().as_str())
}

/// True if the right side may be the left side in another unit: a claim of that kind that does not hold cannot be
/// called wrong without knowing every conversion there is.
pub(super) fn may_convert(left: &[&str], right: &[&str]) -> bool {
    right.iter().any(|unit| {
        let (row, name) = (dimension(unit), base(unit));
        row.is_some() && left.iter().any(|l| dimension(l) == row && base(l) != name)
    }) || [left, right].iter().any(|side| side.iter().any(|u| dimension(u) >= Some(UNRELIABLE)))
}

/// True if a unit is a single letter: it may be a variable as well.
pub(super) fn is_letter(units: &[&str]) -> bool {
    units.iter().any(|unit| unit.len() == 1 && *unit != "a")
}

fn dimension(word: &str) -> Option<usize> {
    let name = base(word);
    DIMENSIONS.iter().position(|row| row.contains(&name) || row.contains(&word))
}

/// The unit that a word stands for: `hr` is an hour.
fn base(word: &str) -> &str {
    match singular(word) {
        "hr" => "hour",
        "min" => "minute",
        "sec" => "second",
        "ft" | "feet" => "foot",
        "inche" => "inch",
        "yd" => "yard",
        name => name,
    }
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|base| !base.is_empty()).unwrap_or(word)
}
