//! The calculator on generated sums and on any text: right results hold, wrong ones fail, nothing panics.

use answer::{check, verdict};
use proptest::prelude::*;

/// An expression with its value as a reduced fraction, computed here, independently of the crate.
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
    // The right operand needs parentheses even at equal precedence: `a - (b - c)`.
    let text = format!("{}{op}{}", wrap(left, binding), wrap(right, binding + 1));
    Some(Sum { text, value: (top / divisor, bottom / divisor), binding })
}

/// Expressions with up to four levels, either with blanks around every operator or with none. With blanks around only
/// some, as in `25 / 1/3`, they would be undecided.
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

/// Whether the text may be something other than a calculation: a range such as `3-5`, also at its beginning, or a
/// fraction such as `3/4`.
fn is_range_or_share(text: &str) -> bool {
    let grows = |(left, right): (&str, &str)| {
        let right = right.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let left = left.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        left.parse::<i64>().ok() < right.parse::<i64>().ok()
    };
    let ranges = text.match_indices('-').map(|(at, _)| text.split_at(at));
    let ranges =
        ranges.into_iter().any(|(left, right)| grows((left, right.trim_start_matches('-'))));
    let share = text.split_once('/').is_some_and(|(top, bottom)| {
        top.trim().parse::<i64>().is_ok() && bottom.trim().parse::<i64>().is_ok()
    });
    ranges || share
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
        prop_assume!(sum.binding < 9 && !is_range_or_share(&sum.text));
        // A division by `1 / 3` is left undecided, because nobody divides by one.
        prop_assume!(!sum.text.contains(" / 1 / "));
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
