//! Words beside numbers: which ones end an expression, and which ones may imply a conversion.

use crate::spelled;

/// Most words between a number and the next operator that are taken for its unit.
pub(super) const MAX_WORDS: usize = 8;

/// The unit that a currency sign stands for.
pub(super) const MONEY: &str = "dollar";

/// Words that are not part of a unit, because the words after them are another statement.
const CONNECTIVES: [&str; 24] = [
    "and", "then", "so", "but", "if", "or", "when", "because", "since", "that", "which", "where",
    "is", "are", "was", "were", "has", "have", "had", "of", "than", "gives", "yields", "means",
];

/// Words before an expression that make it part of a larger one: `twice 3 + 4`, `5 more than 3 + 4`.
const MODIFIERS: [&str; 7] = ["twice", "double", "triple", "thrice", "than", "times", "minus"];

/// Words before an expression that may make it part of a larger one.
const DOUBTFUL: [&str; 20] = [
    "plus", "negative", "mod", "modulo", "half", "squared", "cubed", "sqrt", "log", "ln", "sin",
    "cos", "tan", "abs", "floor", "ceil", "min", "max", "gcd", "lcm",
];

/// Words after which `half` is a thing and takes no share: `in the second half`.
const HALVED: [&str; 4] = ["first", "second", "other", "last"];

/// Words before `of` that take a part of the following expression: `half of 4 + 2`.
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

/// Words before `of` that apply a function to the following expression: `the square of 3 + 5`.
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

/// Words before `of` that apply a function to the following list: `the average of 3 + 5`.
const AVERAGES: [&str; 5] = ["average", "mean", "median", "mode", "range"];

/// Words before `of` that only name the following expression: `$5 for a total of 3 + 2` has no packs.
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

/// Words before a number that identifies one of several things: `day 1`.
const LABELS: [&str; 11] =
    ["day", "week", "month", "year", "hour", "step", "grade", "page", "chapter", "number", "room"];

/// Words after a number, or after its unit, that change its value.
const POWERS: [&str; 7] = ["squared", "cubed", "factorial", "doubled", "tripled", "halved", "mod"];

/// Words after a number that multiply the following thing, if there is one: `3 times the apples`.
const MULTIPLIERS: [&str; 3] = ["times", "twice", "half"];

/// Words between an amount and its reference: `24 eggs in 1 tray`.
const RATES: [&str; 9] = ["in", "per", "for", "every", "each", "at", "with", "from", "on"];

/// Words allowed between `of` and its operand: `20% of the 50`.
const DETERMINERS: [&str; 14] = [
    "the", "his", "her", "their", "its", "these", "those", "all", "a", "total", "my", "our",
    "your", "that",
];

/// Units that convert into one another, one row per dimension.
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
    // Weights and volumes share a row, because of fluid ounces.
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
    // Times of day: `11 am + 3 hours = 2 pm`.
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

/// Index of the row of time units.
const TIMES: usize = 0;

/// Rows from this index on are unreliable: times of day, and words that are numbers themselves.
const UNRELIABLE: usize = DIMENSIONS.len() - 2;

/// Whether `word` separates statements.
pub(super) fn is_connective(word: &str) -> bool {
    // `because20` lacks a blank.
    CONNECTIVES.contains(&word.to_lowercase().trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// Whether `word` may stand between a number and the `of` that makes it a multiplier: `8 packs of 5`.
pub(super) fn is_thing(word: &str) -> bool {
    let other = is_connective(word) || is_part(word) || is_rate(word) || is_function(word);
    !other && !NAMES.contains(&word) && !AVERAGES.contains(&word)
}

/// Whether `word` is a measure that may be followed by a smaller one: `5 ft 10 in`.
pub(super) fn is_measure(word: &str) -> bool {
    word == "in" || dimension(word).is_some_and(|row| row < UNRELIABLE)
}

/// Whether a number after `word` may identify one of several things: `day 1`.
pub(super) fn is_label(word: &str) -> bool {
    LABELS.contains(&word)
}

/// Whether `word` before `of` names an average of the following list.
pub(super) fn is_average(word: &str) -> bool {
    AVERAGES.contains(&word.to_lowercase().as_str())
}

/// Whether `word` changes the value of the expression after it.
pub(super) fn is_modifier(word: &str) -> bool {
    MODIFIERS.contains(&word.to_lowercase().as_str())
}

/// Whether `word` may change the value of the expression after it: an operator or a number in words.
pub(super) fn is_doubtful(word: &str) -> bool {
    let word = word.to_lowercase();
    let last = word.rsplit('-').next().unwrap_or_default();
    DOUBTFUL.contains(&last) || is_number(last)
}

/// Whether the words are `second half` or the like, which takes no share.
pub(super) fn is_a_half(before: &str, word: &str) -> bool {
    word == "half" && HALVED.contains(&before)
}

/// Whether `word` is a number. Before an expression it may be the first operand.
pub(super) fn is_number(word: &str) -> bool {
    word == "dozen" || spelled::is_number(word)
}

/// Whether `word` before `of` names a part of the following expression: `half`, `one-third`.
pub(super) fn is_part(word: &str) -> bool {
    let word = word.to_lowercase();
    word.rsplit('-').next().is_some_and(|last| PARTS.contains(&last))
}

/// Whether `word` before `of` names a function of the following expression.
pub(super) fn is_function(word: &str) -> bool {
    FUNCTIONS.contains(&word.to_lowercase().as_str())
}

/// Whether `word` stands between an amount and its reference, as `per` does.
pub(super) fn is_rate(word: &str) -> bool {
    RATES.contains(&word)
}

/// Whether the words of a unit change the number before them.
pub(super) fn changes(words: &[&str]) -> bool {
    words.iter().any(|word| POWERS.contains(word))
}

/// Whether the words of a unit multiply something else by the number: `3 times the apples`, `3 eighths of a pie`, but
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

/// Whether two sides have a unit other than money in common.
pub(super) fn is_shared(left: &[&str], right: &[&str]) -> bool {
    let known = |unit: &&&str| **unit != MONEY;
    // `box` and `boxes`: stripping only the `s` would leave `boxe`.
    let plural = |one: &str, many: &str| many.strip_suffix("es") == Some(one);
    let same = |l: &str, r: &str| singular(l) == singular(r) || plural(l, r) || plural(r, l);
    left.iter().filter(known).any(|l| right.iter().any(|r| same(l, r)))
}

/// Whether `word` may stand between `of` and its operand.
pub(super) fn is_determiner(word: &str) -> bool {
    DETERMINERS.contains(&word.to_lowercase().as_str())
}

/// Whether the right side may be the left side in another unit. If such a claim does not hold, calling it wrong would
/// take knowledge of every conversion there is.
pub(super) fn may_convert(left: &[&str], right: &[&str]) -> bool {
    right.iter().any(|unit| {
        let (row, name) = (dimension(unit), base(unit));
        row.is_some() && left.iter().any(|l| dimension(l) == row && base(l) != name)
    }) || [left, right].iter().any(|side| side.iter().any(|u| dimension(u) >= Some(UNRELIABLE)))
}

/// Whether a unit is a single letter, which may also be a variable.
pub(super) fn is_letter(units: &[&str]) -> bool {
    units.iter().any(|unit| unit.len() == 1 && *unit != "a")
}

fn dimension(word: &str) -> Option<usize> {
    let name = base(word);
    DIMENSIONS.iter().position(|row| row.contains(&name) || row.contains(&word))
}

/// Returns the unit that a word stands for: `hr` is an hour.
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
