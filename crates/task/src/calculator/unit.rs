//! Words beside numbers: which ones end an expression, and which ones may stand for a conversion.

/// Most words between a number and the next operator that are taken for its unit.
pub(super) const MAX_WORDS: usize = 6;

/// The unit that a currency sign stands for.
pub(super) const MONEY: &str = "dollar";

/// Words that are no part of a unit: what follows them is another statement.
const CONNECTIVES: [&str; 21] = [
    "and", "then", "so", "but", "if", "or", "when", "because", "since", "that", "which", "where",
    "is", "are", "was", "were", "has", "have", "had", "of", "than",
];

/// Words before an expression that make it a part of a larger one: `twice 3 + 4`, `5 more than 3 + 4`.
const MODIFIERS: [&str; 7] = ["twice", "double", "triple", "thrice", "than", "times", "minus"];

/// Words that, followed by `of`, make what follows a part: `half of 4 + 2`.
const PARTS: [&str; 14] = [
    "half", "third", "thirds", "quarter", "quarters", "fourth", "fourths", "fifth", "fifths",
    "sixth", "eighth", "tenth", "percent", "fraction",
];

/// Words allowed between `of` and its operand: `20% of the 50`.
const DETERMINERS: [&str; 10] =
    ["the", "his", "her", "their", "its", "these", "those", "all", "a", "total"];

/// Units that convert into one another, a dimension a row.
const DIMENSIONS: [&[&str]; 5] = [
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
    &["dozen", "score", "pair", "gross"],
];

/// The row of words that are numbers themselves: beside one of them, no unit can be relied on.
const COUNTS: usize = DIMENSIONS.len() - 1;

/// True if `word` separates statements.
pub(super) fn is_connective(word: &str) -> bool {
    CONNECTIVES.contains(&word.to_lowercase().as_str())
}

/// True if `word` changes the value of the expression after it.
pub(super) fn is_modifier(word: &str) -> bool {
    MODIFIERS.contains(&word.to_lowercase().as_str())
}

/// True if `word` before `of` names a part of what follows.
pub(super) fn is_part(word: &str) -> bool {
    PARTS.contains(&word.to_lowercase().as_str())
}

/// True if `word` may stand between `of` and its operand.
pub(super) fn is_determiner(word: &str) -> bool {
    DETERMINERS.contains(&word.to_lowercase().as_str())
}

/// True if the right side may be the left side in another unit: a claim of that kind that does not hold cannot be
/// called wrong without knowing every conversion there is.
pub(super) fn may_convert(left: &[&str], right: &[&str]) -> bool {
    right.iter().any(|unit| {
        let (row, base) = (dimension(unit), singular(unit));
        row.is_some() && left.iter().any(|l| dimension(l) == row && singular(l) != base)
    }) || [left, right].iter().any(|side| side.iter().any(|u| dimension(u) == Some(COUNTS)))
}

/// True if a unit is a single letter: it may be a variable as well.
pub(super) fn is_letter(units: &[&str]) -> bool {
    units.iter().any(|unit| unit.len() == 1 && *unit != "a")
}

fn dimension(word: &str) -> Option<usize> {
    let base = singular(word);
    DIMENSIONS.iter().position(|row| row.contains(&base) || row.contains(&word))
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|base| !base.is_empty()).unwrap_or(word)
}
