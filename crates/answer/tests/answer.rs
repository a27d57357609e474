//! Grading: which completions are correct, and which answers agree.

use answer::{ANSWER_MARK, Rational, canonical, extract, grade, same};
use proptest::prelude::*;

/// (completion, target, whether it is graded correct)
const GRADED: &[(&str, &str, bool)] = &[
    // The mark.
    ("#### 17", "17", true),
    ("Tom has 12 + 5 = 17 apples\n#### 17", "17", true),
    ("Tom has 12 + 5 = 17 apples\n#### 17\n", "17", true),
    ("Tom has 12 + 5 = 17 apples\r\n#### 17\r\n", "17", true),
    ("####17", "17", true),
    ("####   17   ", "17", true),
    ("so it is #### 17", "17", true),
    ("#### 17\nThat was easy: 3.", "17", true),
    ("#### 16\nNo.\n#### 17", "17", false),
    ("#### 17\nNo.\n#### 16", "17", true),
    ("##### 17", "17", true),
    ("Tom has 17 apples", "17", false),
    ("The answer is 17", "17", false),
    ("17", "17", false),
    ("### 17", "17", false),
    ("", "17", false),
    ("####", "17", false),
    ("#### \n17", "17", false),
    ("#### 17\n####", "17", true),
    // Equal numbers.
    ("#### 17.0", "17", true),
    ("#### 17.", "17", true),
    ("#### 017", "17", true),
    ("#### +17", "17", true),
    ("#### -17", "17", false),
    ("#### -17", "-17", true),
    ("#### \u{2212}17", "-17", true),
    ("#### - 17", "-17", true),
    ("#### 1/2", "0.5", true),
    ("#### 2/4", "1/2", true),
    ("#### .5", "1/2", true),
    ("#### 1 1/2", "1.5", true),
    ("#### 1½", "1.5", true),
    ("#### ¾", "0.75", true),
    ("#### -1 1/2", "-1.5", true),
    ("#### 1/3", "0.33", false),
    ("#### 1/3", "2/6", true),
    ("#### 0.1", "1/10", true),
    ("#### 17.5", "17", false),
    ("#### 16.999999999999999999999", "17", false),
    ("#### 170", "17", false),
    ("#### 1 7", "17", false),
    ("#### -0", "0", true),
    // Thousands separators.
    ("#### 1,234", "1234", true),
    ("#### 1,234,567", "1234567", true),
    ("#### 1,234.50", "1234.5", true),
    ("#### 1,23", "123", false),
    ("#### 1,2345", "12345", false),
    ("#### 12,34,567", "1234567", false),
    ("#### 1.234", "1234", false),
    // Currency, percent, units.
    ("#### $17", "17", true),
    ("#### $ 17", "17", true),
    ("#### 17$", "17", true),
    ("#### $17 dollars", "17", true),
    ("#### 17 €", "17", true),
    ("#### -$5", "-5", true),
    ("#### $-5", "-5", true),
    ("#### \\$5", "5", true),
    ("#### 25%", "25", true),
    ("#### 25", "25%", true),
    ("#### 25%", "0.25", false),
    ("#### 17 apples", "17", true),
    ("#### 17 apples.", "17", true),
    ("#### 5 m", "5", true),
    ("#### $5/hour", "5", true),
    ("#### 5 miles per hour", "5", true),
    ("#### 1.5 million", "1500000", true),
    ("#### 17 thousand", "17", false),
    ("#### **17**", "17", true),
    ("#### 17 apples and 3 pears", "17", false),
    ("#### 17 and a half", "17", false),
    ("#### 17 or so", "17", false),
    ("#### 5-6", "5", false),
    ("#### 5 to 6", "5", false),
    ("#### 2x", "2", false),
    ("#### 12 + 5", "12", false),
    ("#### 12 + 5 = 17", "17", false),
    ("#### 10:30", "10", false),
    ("#### about 17", "17", false),
    ("#### 1/0", "0", false),
    // Too long for numbers, but still equal as text.
    (
        "#### 1234567890123456789012345678901234567890",
        "1234567890123456789012345678901234567890",
        true,
    ),
    (
        "#### 1234567890123456789012345678901234567890",
        "1234567890123456789012345678901234567891",
        false,
    ),
    // Answers that are not numbers.
    ("#### Yes", "yes", true),
    ("#### Yes.", "yes", true),
    ("#### no", "yes", false),
    ("#### The  red   one", "the red one", true),
    ("#### 10:30 am", "10:30 AM", true),
    ("#### Apple", "", false),
    ("#### ", "", false),
];

/// Pairs of answers in the forms that models write, whether they agree, and the form that they test.
const FORMS: &str = include_str!("fixtures/answer_forms.tsv");

fn forms() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    FORMS.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!(cells.len(), 4, "{line}");
        (cells[0], cells[1], cells[2] == "yes")
    })
}

/// Pieces from which the property tests build answers in these forms.
const FORM_PIECES: [&str; 60] = [
    "3",
    "18",
    "1 000",
    "1.000,5",
    "0.5",
    "e",
    "e8",
    "E-19",
    "x",
    "10",
    "^",
    "_",
    "{",
    "}",
    "{,}",
    "(C) ",
    "C. ",
    "(",
    ")",
    "</s>",
    "<|im_end|>",
    "**",
    "*",
    "__",
    "`",
    "$",
    "\\$",
    "\\(",
    "\\)",
    "\"",
    "'",
    "~",
    "≈",
    "-",
    "–",
    ".",
    ",",
    ":",
    "%",
    "/",
    " ",
    "cents",
    " apples",
    " dozen",
    "th",
    " to ",
    "May",
    " is",
    " pm",
    "five",
    "and ",
    "The answer is ",
    "USD ",
    "\\text{",
    "\\times",
    ">",
    "=",
    "¢",
    "²",
    "₁",
];

#[test]
fn forms_agree_as_they_should() {
    let wrong: Vec<String> = forms()
        .filter(|(a, b, expected)| same(a, b) != *expected || same(b, a) != *expected)
        .map(|(a, b, expected)| {
            let (left, right) = (canonical(a), canonical(b));
            format!("{a}  {b}  expected {expected}, keys {left:?} {right:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{} pairs:\n{}", wrong.len(), wrong.join("\n"));
    assert!(forms().count() >= 250);
}

#[test]
fn the_key_of_a_forms_key_is_itself() {
    for (a, b, _) in forms() {
        for answer in [a, b] {
            let key = canonical(answer);
            assert_eq!(key.as_deref().and_then(canonical), key, "{answer}");
        }
    }
}

#[test]
fn completions_are_graded_exactly() {
    for &(completion, target, graded) in GRADED {
        assert_eq!(grade(completion, target), graded, "{completion:?} against {target:?}");
    }
}

#[test]
fn the_answer_is_the_rest_of_the_first_marked_line() {
    assert_eq!(extract("1 + 1 = 2\n#### 2 apples\nbye"), Some("2 apples"));
    assert_eq!(extract("1 + 1 = 2\n#### 2\nQ: 3 + 4?\n#### 7"), Some("2"));
    assert_eq!(extract("#### a #### b"), Some("b"));
    assert_eq!(extract("2"), None);
    assert_eq!(extract("####\t\n2"), None);
}

#[test]
fn canonical_text_is_the_shortest_exact_one() {
    let cases = [
        ("$1,200.00", "1200"),
        ("6/8", "0.75"),
        ("-7/3", "-7/3"),
        ("-0.50", "-0.5"),
        ("-1/8", "-0.125"),
        ("1 1/3", "4/3"),
        ("25%", "25"),
        ("0.000001", "0.000001"),
        ("  Yes. ", "yes"),
    ];
    for (answer, text) in cases {
        assert_eq!(canonical(answer).as_deref(), Some(text), "{answer:?}");
    }
    assert_eq!(canonical("  "), None);
    assert_eq!(canonical("..."), None);
}

#[test]
fn blank_answers_agree_with_nothing() {
    assert!(!same("", ""));
    assert!(!same(" ", "."));
    assert!(same("two", "Two"));
}

#[test]
fn arithmetic_beyond_the_bounds_is_refused() {
    let huge = Rational::parse(&"9".repeat(36)).unwrap();
    assert_eq!(huge.checked_mul(huge), None);
    assert_eq!(huge.checked_add(Rational::integer(2)), None);
    assert_eq!(huge.negated().checked_sub(Rational::integer(2)), None);
    assert_eq!(huge.checked_div(Rational::integer(0)), None);
    assert_eq!(Rational::integer(10).checked_pow(Rational::integer(40)), None);
    assert_eq!(Rational::integer(0).checked_pow(Rational::integer(-1)), None);
    assert_eq!(Rational::new(1, 0), None);
    assert_eq!(Rational::new(i128::MIN, 1), None);
    assert_eq!(Rational::new(1, i128::MIN), None);
}

proptest! {
    #[test]
    fn any_text_is_graded_without_panic(completion in ".*", target in ".*") {
        let graded = grade(&completion, &target);
        prop_assert!(!graded || extract(&completion).is_some());
    }

    #[test]
    fn keys_of_forms_in_any_order_are_their_own(pieces in prop::collection::vec(
        prop::sample::select(FORM_PIECES.to_vec()), 0..12,
    )) {
        let answer = pieces.concat();
        let key = canonical(&answer);
        prop_assert_eq!(same(&answer, &answer), key.is_some());
        prop_assert_eq!(key.as_deref().and_then(canonical), key);
    }

    #[test]
    fn scientific_notation_is_a_power_of_ten(m in 1u32..10_000, point in 0usize..4, e in -30i32..30) {
        let digits = format!("{m:05}");
        let (whole, decimals) = digits.split_at(digits.len() - point);
        let mantissa = if point == 0 { whole.to_owned() } else { format!("{whole}.{decimals}") };
        let mantissa = mantissa.trim_start_matches('0');
        let short = format!("{mantissa}e{e}");
        for long in [
            format!(r"{mantissa} \times 10^{{{e}}}"),
            format!("{mantissa}*10^{e}"),
            format!("{mantissa}E{e:+} m/s"),
        ] {
            prop_assert!(same(&short, &long), "{short} {long}");
        }
        let other = format!("{mantissa}e{}", e + 1);
        prop_assert!(!same(&short, &other), "{short} {other}");
    }

    #[test]
    fn texts_of_number_signs_never_panic(answer in "[-+$€%0-9.,/ ½x]{0,60}") {
        prop_assert_eq!(same(&answer, &answer), canonical(&answer).is_some());
    }

    #[test]
    fn canonical_text_is_a_fixed_point(answer in "[-$]?[0-9]{1,9}([.][0-9]{1,6}|/[1-9][0-9]{0,4}|)( apples)?") {
        let once = canonical(&answer).unwrap();
        let twice = canonical(&once);
        prop_assert_eq!(twice, Some(once));
    }

    #[test]
    fn fractions_agree_exactly_when_they_cross_multiply(
        a in -999i64..999, b in 1i64..99, c in -999i64..999, d in 1i64..99,
    ) {
        let completion = format!("so\n{ANSWER_MARK} {a}/{b}");
        prop_assert_eq!(grade(&completion, &format!("{c}/{d}")), a * d == c * b);
    }

    #[test]
    fn separators_do_not_change_a_number(n in 0u64..10_000_000_000) {
        let digits = n.to_string();
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        prop_assert!(same(&grouped, &digits));
    }
}

#[test]
fn a_set_that_is_joined_to_itself_is_the_set() {
    for (union, set) in [
        ("3\\cup3\\$", "3"),
        (r"\{3\} \cup \{3\}", r"\{3\}"),
        (r"\{1,2\} \cup \{2,1\}", r"\{1,2\}"),
    ] {
        let key = canonical(union).unwrap();
        assert_eq!(canonical(&key).unwrap(), key, "{union}");
        assert_eq!(canonical(set).unwrap(), key, "{union}");
    }
}
