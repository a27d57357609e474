use super::*;

fn factor(text: &str) -> Option<String> {
    meaning(text, Place { singular: false, apart: true }).map(|meaning| meaning.factor.to_string())
}

const UNITS: &[&str] = &[
    "",
    "cm",
    "m/s",
    "m/s^2",
    "kg m^2 s^{-2}",
    "apples",
    "red apples",
    "miles per hour",
    "square feet",
    "N·m",
    "N m",
    "\\text{ cm}^2",
    "inches squared",
    "cups of coffee",
    "a day",
    "in total",
    "left",
    "years old",
    "people",
    "%",
    "\\%",
    "°C",
    "^\\circ\\text{C}",
    "J/(kg·K)",
    "C",
    "dollars",
    "$",
    "µm",
    "元",
    "policemen",
    "\\mathrm{~m} / \\mathrm{s}",
];
const OTHERS: &[&str] = &[
    "squared",
    "is wrong",
    "wrong",
    "or so",
    "to",
    "times",
    "pm",
    "May",
    "th",
    "James",
    "x",
    "sin x",
    "if x",
    "apples or pears",
    "apples are wrong",
    "of 12",
    "out of ten",
    "halves",
    "quarters",
    "mod 7",
    "choose",
    "nonsense",
    "g h",
    "minus",
    "B",
];

#[test]
fn units_and_what_is_counted_are_told_from_other_words() {
    for unit in UNITS {
        assert_eq!(factor(unit).as_deref(), Some("1"), "{unit}");
    }
    for other in OTHERS {
        assert_eq!(factor(other), None, "{other}");
    }
}

#[test]
fn units_that_scale_are_multiplied_in() {
    for (unit, by) in [
        ("dozen", "12"),
        ("dozen eggs", "12"),
        ("cents", "0.01"),
        ("¢", "0.01"),
        ("million", "1000000"),
    ] {
        assert_eq!(factor(unit).as_deref(), Some(by), "{unit}");
    }
}
