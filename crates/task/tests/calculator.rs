//! The calculator: which claims it finds, and what it makes of them.

use proptest::prelude::*;
use task::{Check, Finding, check, finding, verdict};

/// (text, its claims as `expression = claimed [computed] ok|wrong|unknown`)
const CLAIMS: &[(&str, &[&str])] = &[
    // Running text and units.
    ("Tom has 12 + 5 = 17 apples", &["12 + 5 = 17 apples [17] ok"]),
    ("Tom has 12 + 5 = 18 apples.", &["12 + 5 = 18 apples [17] wrong"]),
    ("3*4=12", &["3*4 = 12 [12] ok"]),
    ("$5.50 x 3 = $16.50", &["$5.50 x 3 = $16.50 [16.5] ok"]),
    ("3x4=12", &["3x4 = 12 [12] ok"]),
    ("60 * 25 / 100 = 15", &["60 * 25 / 100 = 15 [15] ok"]),
    ("3 boxes * 4 apples = 12 apples", &["3 boxes * 4 apples = 12 apples [12] ok"]),
    ("He works 8 hours a day * 5 days = 40 hours", &["8 hours a day * 5 days = 40 hours [40] ok"]),
    ("$5/hour * 3 hours = $15", &["$5/hour * 3 hours = $15 [15] ok"]),
    ("5 (big) + 3 (small) = 8", &["5 (big) + 3 (small = 8 [8] ok"]),
    ("so 3 + 4 = 7 and 4 + 2 = 7", &["3 + 4 = 7 [7] ok", "4 + 2 = 7 [6] wrong"]),
    ("1. 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("1) 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("- 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("Step 2: 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("In 2020, 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("**3 + 4 = 7**", &["3 + 4 = 7 [7] ok"]),
    ("total = 3 + 4 = 7", &["3 + 4 = 7 [7] ok"]),
    ("It grows by 8 * 75 / 100 = 6 cm", &["8 * 75 / 100 = 6 cm [6] ok"]),
    ("a 30-minute walk + 10 minutes = 41", &["30-minute walk + 10 minutes = 41 [40] wrong"]),
    ("30-minute + 10-minute = 40 minutes", &["30-minute + 10-minute = 40 minutes [40] ok"]),
    // Signs and precedence.
    ("2 + 3 * 4 = 14", &["2 + 3 * 4 = 14 [14] ok"]),
    ("(2 + 3) * 4 = 20", &["(2 + 3) * 4 = 20 [20] ok"]),
    ("2(3+4) = 14", &["2(3+4) = 14 [14] ok"]),
    ("10 - 3 - 2 = 5", &["10 - 3 - 2 = 5 [5] ok"]),
    ("100 / 5 / 2 = 10", &["100 / 5 / 2 = 10 [10] ok"]),
    ("-3 + 5 = 2", &["-3 + 5 = 2 [2] ok"]),
    ("3 - -5 = 8", &["3 - -5 = 8 [8] ok"]),
    ("3 * (-2) = -6", &["3 * (-2) = -6 [-6] ok"]),
    ("6 × 7 = 42", &["6 × 7 = 42 [42] ok"]),
    ("42 ÷ 6 = 7", &["42 ÷ 6 = 7 [7] ok"]),
    ("9 − 4 = 5", &["9 − 4 = 5 [5] ok"]),
    ("2^3 = 8", &["2^3 = 8 [8] ok"]),
    ("2 ** 3 = 8", &["2 ** 3 = 8 [8] ok"]),
    ("-2^2 = -4", &["-2^2 = -4 [-4] ok"]),
    ("3 \\times 4 = 12", &["3 \\times 4 = 12 [12] ok"]),
    ("3 times 4 = 12", &["3 times 4 = 12 [12] ok"]),
    ("12 divided by 4 = 3", &["12 divided by 4 = 3 [3] ok"]),
    ("3 plus 4 minus 2 = 5", &["3 plus 4 minus 2 = 5 [5] ok"]),
    // Numbers.
    ("1,234 + 1 = 1,235", &["1,234 + 1 = 1,235 [1235] ok"]),
    ("0.1 + 0.2 = 0.3", &["0.1 + 0.2 = 0.3 [0.3] ok"]),
    (".5 * 4 = 2", &[".5 * 4 = 2 [2] ok"]),
    ("1 1/2 + 1 = 2 1/2", &["1 1/2 + 1 = 2 1/2 [2.5] ok"]),
    ("1/3 + 1/3 = 2/3", &["1/3 + 1/3 = 2/3 [2/3] ok"]),
    ("1.5 million + 1 = 1,500,001", &["1.5 million + 1 = 1,500,001 [1500001] ok"]),
    // Percentages and shares.
    ("20% of 50 = 10", &["20% of 50 = 10 [10] ok"]),
    ("20% of the 50 students = 11", &["20% of the 50 students = 11 [10] wrong"]),
    ("25% * 80 = 20", &["25% * 80 = 20 [20] ok"]),
    ("20% * 50 = 1000", &["20% * 50 = 1000 [10] wrong"]),
    ("1/2 of 48 = 24", &["1/2 of 48 = 24 [24] ok"]),
    ("5 / 20 = 25%", &["5 / 20 = 25% [0.25] ok"]),
    ("5 / 20 * 100 = 25%", &["5 / 20 * 100 = 25% [25] ok"]),
    ("5 / 20 = 26%", &["5 / 20 = 26% [0.25] wrong"]),
    ("100% - 30% = 70%", &["100% - 30% = 70% [0.7] ok"]),
    ("100 - 30% = 70%", &["100 - 30% = 70% [99.7] ok"]),
    ("50 - 20% = 40", &["50 - 20% = 40 [?] unknown"]),
    // Rounding: from two digits on.
    ("10 / 3 = 3.33", &["10 / 3 = 3.33 [10/3] ok"]),
    ("20 / 3 = 6.67", &["20 / 3 = 6.67 [20/3] ok"]),
    ("20 / 3 = 6.66", &["20 / 3 = 6.66 [20/3] wrong"]),
    ("10 / 3 = 3.3", &["10 / 3 = 3.3 [10/3] wrong"]),
    ("10 / 3 = 3", &["10 / 3 = 3 [10/3] wrong"]),
    ("1 / 3 = 33%", &["1 / 3 = 33% [1/3] ok"]),
    // Chains: every pair.
    ("2+3=5*4=20", &["2+3 = 5*4 [5] wrong", "5*4 = 20 [20] ok"]),
    ("2 + 3 = 5 = 10 / 2", &["2 + 3 = 5 [5] ok", "5 = 10 / 2 [5] ok"]),
    ("48 / 2 = 24 = 25", &["48 / 2 = 24 [24] ok", "24 = 25 [24] wrong"]),
    ("12 = 3 * 4", &["12 = 3 * 4 [12] ok"]),
    // Annotations.
    ("16 - 3 - 4 = <<16-3-4=9>>9 duck eggs", &["16-3-4 = 9 [9] ok"]),
    ("She earned 50 / 2 = $<<50/2=25>>25.", &["50/2 = 25 [25] ok"]),
    ("5 + 3 = <<5+3=9>>9", &["5+3 = 9 [8] wrong"]),
    ("5 + 4 = <<5+3=8>>8", &["5 + 4 = 8 [9] wrong", "5+3 = 8 [8] ok"]),
    ("it is <<7=7>>7", &["7 = 7 [7] ok"]),
    ("<<560//10=56>>", &["560//10 = 56 [56] ok"]),
    ("<<+7+3=10>>", &["+7+3 = 10 [10] ok"]),
    ("<<x+1=2>>", &["x+1 = 2 [?] unknown"]),
    ("1 << 3 >> 2", &[]),
    // Found, but not decidable.
    ("30 minutes * 4 = 2 hours", &["30 minutes * 4 = 2 hours [?] unknown"]),
    ("5 / 0 = 5", &["5 / 0 = 5 [?] unknown"]),
    ("10^60 = 5", &["10^60 = 5 [?] unknown"]),
    ("25 / 1/3 = 75", &["25 / 1/3 = 75 [?] unknown"]),
    ("2 * 10 = $20 million", &["2 * 10 = $20 million [?] unknown"]),
    // Not a claim.
    ("60 minutes = 1 hour", &[]),
    ("1 box = 3 * 4 apples", &[]),
    ("20% = 10 students", &[]),
    ("x = 5", &[]),
    ("x + 5 = 12", &[]),
    ("2x + 3 = 7", &[]),
    ("3 + 4 = x", &[]),
    ("3 + 4 = 2 * x", &[]),
    ("3 + 4 =", &[]),
    ("= 7", &[]),
    ("half of 4 + 2 = 3", &[]),
    ("twice 3 + 4 = 14", &[]),
    ("5 more than 3 + 4 = 12", &[]),
    ("1/3 of the trip = 20 miles", &[]),
    ("10 / 3 = 3 remainder 1", &[]),
    ("4 / 3 = 1 and 1/3", &[]),
    ("1 + 2 + ... + 10 = 55", &[]),
    ("5! + 3 = 123", &[]),
    ("√16 + 3 = 7", &[]),
    ("3 + 4 >= 7", &[]),
    ("at 3:30 + 2 = 5:30", &[]),
    ("version 1.2.3 + 1 = 2", &[]),
    ("10 - cost of 3 * 2 = 4", &[]),
    ("nothing to see here", &[]),
    ("", &[]),
];

fn written(check: &Check) -> String {
    let Check { expression, claimed, computed, ok, .. } = check;
    let state = match (computed, ok) {
        (None, _) => "unknown",
        (_, true) => "ok",
        _ => "wrong",
    };
    format!("{expression} = {claimed} [{}] {state}", computed.as_deref().unwrap_or("?"))
}

#[test]
fn claims_are_found_and_checked() {
    let mut wrong = Vec::new();
    for &(text, claims) in CLAIMS {
        let found: Vec<String> = check(text).iter().map(written).collect();
        if found != claims {
            wrong.push(format!("{text:?}: {found:?}, expected {claims:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_claim_says_where_it_starts() {
    let text = "Così: 3 + 4 = <<3+4=7>>7, poi $7 * 2 = 15";
    for claim in check(text) {
        assert!(text.get(claim.start..).unwrap().starts_with(&claim.expression), "{claim:?}");
    }
    assert_eq!(check(text).len(), 2);
}

#[test]
fn findings_ignore_what_cannot_be_decided() {
    let cases = [
        ("3 + 4 = 7", Finding::Holds),
        ("3 + 4 = 7, 5 / 0 = 1", Finding::Holds),
        ("3 + 4 = 7, 3 + 4 = 8", Finding::Fails),
        ("5 / 0 = 1", Finding::Nothing),
        ("no sums", Finding::Nothing),
    ];
    for (step, expected) in cases {
        assert_eq!(finding(step), expected, "{step:?}");
    }
}

#[test]
fn a_solution_must_arrive_where_its_sums_do() {
    let cases = [
        ("3 + 4 = 7\n7 * 2 = 14\n#### 14", Finding::Holds),
        ("3 + 4 = 7\n7 * 2 = $14\n#### $14.00", Finding::Holds),
        ("10 / 3 = 3.33\n#### 3.33", Finding::Holds),
        ("10 / 3 = 3.33\n#### 10/3", Finding::Holds),
        ("3 + 4 = 7\n7 * 2 = 14\n#### 7", Finding::Fails),
        ("3 + 4 = 8\n7 * 2 = 14\n#### 14", Finding::Fails),
        ("3 + 4 = 7", Finding::Fails),
        ("3 + 4 = 7\n####", Finding::Fails),
        ("It is seven.\n#### 7", Finding::Nothing),
        ("#### 3 + 4 = 7", Finding::Nothing),
        ("", Finding::Nothing),
    ];
    for (completion, expected) in cases {
        assert_eq!(verdict(completion), expected, "{completion:?}");
    }
}

#[test]
fn hostile_texts_are_read_in_bounded_effort() {
    let texts = [
        "(".repeat(100_000) + "1=1",
        "-".repeat(100_000) + "1=1",
        "1+".repeat(100_000) + "1=1",
        "1=".repeat(100_000),
        "<<".repeat(100_000),
        "<<1=1>>".repeat(20_000),
        "9".repeat(100_000) + "+1=2",
        "2^".repeat(100_000) + "2=2",
        "(a b ".repeat(50_000),
        "1 + 1 apples of the ".repeat(20_000) + "= 2",
    ];
    for text in texts {
        assert_eq!(verdict(&text), verdict(&text));
    }
}

#[test]
fn a_side_that_is_too_long_is_not_read_in_part() {
    let long = vec!["1"; 40].join(" + ");
    assert_eq!(check(&format!("{long} = 40")), []);
    assert_eq!(check(&format!("2 * 20 = {long}")), []);
    let fits = vec!["1"; 30].join(" + ");
    assert_eq!(finding(&format!("{fits} = 30 = {fits}")), Finding::Holds);
}

#[test]
fn deep_but_reasonable_nesting_is_read() {
    let text = format!("{}1 + 1{} = 2", "(".repeat(12), ")".repeat(12));
    assert_eq!(finding(&text), Finding::Holds);
}

/// An expression with its value as a reduced fraction, computed here and not by the crate.
#[derive(Clone, Debug)]
struct Sum {
    text: String,
    value: (i128, i128),
    binding: u8,
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

fn combine(op: char, left: &Sum, right: &Sum) -> Option<Sum> {
    let ((a, b), (c, d)) = (left.value, right.value);
    let (binding, (top, bottom)) = match op {
        '+' => (1, (a * d + c * b, b * d)),
        '-' => (1, (a * d - c * b, b * d)),
        '*' => (2, (a * c, b * d)),
        _ => (2, (a * d, b * c)),
    };
    if bottom == 0 {
        return None;
    }
    let divisor = gcd(top, bottom) * bottom.signum();
    let wrap = |side: &Sum, least: u8| {
        if side.binding < least { format!("({})", side.text) } else { side.text.clone() }
    };
    // The right operand is wrapped at equal precedence as well: `a - (b - c)`.
    let text = format!("{}{op}{}", wrap(left, binding), wrap(right, binding + 1));
    Some(Sum { text, value: (top / divisor, bottom / divisor), binding })
}

/// Expressions of up to four levels, with or without blanks around every operator (`25 / 1/3`, with some, is left
/// undecided).
fn sums() -> impl Strategy<Value = Sum> {
    let leaf = (0i128..100).prop_map(|n| Sum { text: n.to_string(), value: (n, 1), binding: 9 });
    let sum = leaf.prop_recursive(4, 10, 2, |inner| {
        let ops = prop::sample::select(vec!['+', '-', '*', '/']);
        (ops, inner.clone(), inner)
            .prop_filter_map("division by zero", |(op, left, right)| combine(op, &left, &right))
    });
    (sum, any::<bool>()).prop_map(|(sum, spaced)| if spaced { with_blanks(&sum) } else { sum })
}

fn with_blanks(sum: &Sum) -> Sum {
    let mut text = String::new();
    for c in sum.text.chars() {
        if "+-*/".contains(c) { text.extend([' ', c, ' ']) } else { text.push(c) }
    }
    Sum { text, ..*sum }
}

fn fraction((top, bottom): (i128, i128)) -> String {
    if bottom == 1 { top.to_string() } else { format!("{top}/{bottom}") }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        for claim in check(&text) {
            prop_assert!(claim.computed.is_some() || !claim.ok);
            prop_assert!(text.is_char_boundary(claim.start));
        }
        verdict(&text);
    }

    #[test]
    fn no_text_of_its_signs_makes_it_panic(text in "[-+*/^x×÷−()<>=$%0-9.,:!#½ a-cmof\n]{0,80}") {
        check(&text);
        verdict(&text);
    }

    #[test]
    fn right_results_hold_and_wrong_ones_fail(sum in sums(), off in -9i128..=9) {
        prop_assume!(sum.binding < 9);
        let (top, bottom) = sum.value;
        let claim = fraction((top + off * bottom, bottom));
        let checks = check(&format!("Tom has {} = {claim} apples", sum.text));
        prop_assert_eq!(checks.len(), 1, "{} = {}", sum.text, claim);
        prop_assert_eq!(checks[0].ok, off == 0, "{} = {}", sum.text, claim);
        prop_assert!(checks[0].computed.is_some());
    }

    #[test]
    fn annotations_are_judged_like_text(sum in sums(), off in -3i128..=3) {
        let (top, bottom) = sum.value;
        let claim = fraction((top + off * bottom, bottom));
        let checks = check(&format!("so it is <<{}={claim}>>{claim}", sum.text));
        prop_assert_eq!(checks.len(), 1);
        prop_assert_eq!(checks[0].ok, off == 0);
    }
}
