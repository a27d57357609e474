//! Mathematical answers: which of them agree, and that even hostile texts are judged in bounded time.

use answer::{canonical, extract, grade, same};
use proptest::prelude::*;

/// Pairs of answers, whether they agree, and the case that they test.
const PAIRS: &str = include_str!("fixtures/math_pairs.tsv");

fn pairs() -> impl Iterator<Item = (&'static str, &'static str, bool, &'static str)> {
    PAIRS.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!(cells.len(), 4, "{line}");
        (cells[0], cells[1], cells[2] == "yes", cells[3])
    })
}

#[test]
fn the_pairs_agree_as_they_should() {
    let wrong: Vec<String> = pairs()
        .filter(|(a, b, expected, _)| same(a, b) != *expected || same(b, a) != *expected)
        .map(|(a, b, expected, kind)| {
            let (left, right) = (canonical(a), canonical(b));
            format!("{kind}: {a}  {b}  expected {expected}, keys {left:?} {right:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{} pairs:\n{}", wrong.len(), wrong.join("\n"));
    assert!(pairs().count() >= 320);
}

#[test]
fn the_key_of_a_key_is_itself() {
    for (a, b, ..) in pairs() {
        for answer in [a, b] {
            let key = canonical(answer);
            assert_eq!(key.as_deref().and_then(canonical), key, "{answer}");
        }
    }
}

#[test]
fn keys_can_be_read_where_there_is_a_normal_form() {
    let cases = [
        (r"\frac{14}{3}", "14/3"),
        (r"\sqrt{8}", "2*sqrt(2)"),
        (r"6 - 5i", "-5*i+6"),
        (r"18+2\pi", "2*pi+18"),
        (r"\left( 3, \frac{\pi}{2} \right)", "(3,0.5*pi)"),
        (r"1 \pm \sqrt{19}", "{-sqrt(19)+1,sqrt(19)+1}"),
        (r"(-\infty, 2) \cup (3, \infty)", "(-inf,2)U(3,inf)"),
        (r"\begin{pmatrix} 1/2 & 0 \\ 0 & 1 \end{pmatrix}", "[[0.5,0];[0,1]]"),
        (r"2516_{8}", "2516_8"),
        (r"x = 1, y = 2", "{x=1,y=2}"),
        (r"\text{(C)}", "c"),
        (r"\text{Evelyn}", "evelyn"),
    ];
    for (answer, key) in cases {
        assert_eq!(canonical(answer).as_deref(), Some(key), "{answer}");
    }
    let fingerprint = canonical(r"\frac{x+1}{x-1}").unwrap();
    assert!(fingerprint.starts_with('~') && fingerprint.len() == 17, "{fingerprint}");
}

#[test]
fn without_a_mark_the_answer_is_in_the_first_complete_box() {
    let cases = [
        (r"So it is $\boxed{5}$.", Some("5")),
        (r"First \boxed{4}, no: \boxed{5}", Some("5")),
        (r"\boxed{\frac{1}{2}}", Some(r"\frac{1}{2}")),
        (r"\boxed{\{1,2\}}", Some(r"\{1,2\}")),
        (r"\boxed{\boxed{5}}", Some("5")),
        (r"\boxed{5} and \boxed{6", Some("5")),
        (r"\boxed{6 and \boxed{5}", Some("5")),
        (r"\boxed {5}", Some("5")),
        (r"\fbox{5}", Some("5")),
        (r"It is $\boxed 5$.", Some("5")),
        (r"It is \boxed5.", Some("5")),
        (r"\boxed{ }", None),
        (r"\boxed{5", None),
        (r"\boxed", None),
        (r"\boxes{5}", None),
        (r"{5} and }{ 5", None),
        ("\\boxed{4}\n#### 5", Some("5")),
        ("\\boxed{4}\n####", Some("4")),
    ];
    for (completion, answer) in cases {
        assert_eq!(extract(completion), answer, "{completion}");
    }
    assert!(grade(r"Thus $x = \boxed{\frac{\sqrt{8}}{2}}$.", r"\sqrt{2}"));
    assert!(!grade(r"Thus $x = \sqrt{2}$.", r"\sqrt{2}"));
}

/// Without the bounds on length, depth and size, some of these would take hours and others all memory.
#[test]
fn hostile_answers_are_judged_like_any() {
    let deep = 100_000;
    let answers = [
        "{".repeat(deep) + "1" + &"}".repeat(deep),
        "(".repeat(deep),
        "(".repeat(499) + "1" + &")".repeat(499),
        r"\frac{1}{".repeat(90) + "2" + &"}".repeat(90),
        r"\frac".repeat(199),
        r"\sqrt".repeat(199) + "2",
        "-".repeat(990) + "2",
        "2^".repeat(400) + "2",
        "!".repeat(990),
        "9".repeat(20) + &"!".repeat(900),
        r"2^{1000000000}".to_owned(),
        r"9^{9^{9^{9^{9}}}}".to_owned(),
        r"(x+1)^{1000000000}".to_owned(),
        r"(x+y+z+1)^{64}".to_owned(),
        r"\sqrt[999]{7}".repeat(70),
        r"(x+y)^9(x-y)^9+".repeat(60) + "1",
        r"(x+1)^{99}+".repeat(80) + "1",
        r"\frac{1}{x+1}+\frac{1}{x+2}+\frac{1}{y+3}+".repeat(20) + "1",
        r"\pm".repeat(400),
        "{1,".repeat(300) + "1" + &"}".repeat(300),
        "1,".repeat(499),
        r"\binom{1000}{500}".repeat(50),
        r"\binom{n}{8}".repeat(80),
        format!("({0}x+{0}y+{0}z)", "9".repeat(30)).repeat(8),
        format!("({0}x+{0}y+{0}z)^{{64}}", "9".repeat(18)).repeat(8),
        format!("2^{{900}}{}", "9".repeat(30)).repeat(20),
        r"\sqrt{99999999999999999999999999}\cdot".repeat(25) + "1",
        r"\sqrt{a+\sqrt{b+\sqrt{c+\sqrt{d}}}}\sqrt{a+\sqrt{b}}".repeat(18),
        "1000!".repeat(199),
        format!(r"\sqrt{{{}}}", "9".repeat(36)).repeat(20),
        r"\text{".repeat(150) + "5" + &"}".repeat(150),
        r"\te".repeat(deep) + r"\text{}" + &"xt{}".repeat(deep),
        r"\te".repeat(140) + r"\text{}" + &"xt{}".repeat(140),
        "\\boxed{".repeat(deep),
        "x".repeat(1 << 20),
        "\\frac{1}{2}".repeat(1 << 16),
    ];
    for answer in answers {
        let completion = format!("\\boxed{{{answer}}}");
        assert_eq!(
            grade(&completion, &answer),
            canonical(&answer).is_some() && extract(&completion).is_some()
        );
    }
}

/// Pieces of LaTeX in random order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        r"\frac",
        "{",
        "}",
        "1",
        "2",
        "37",
        "0",
        r"\sqrt",
        "[3]",
        "(",
        ")",
        "^",
        "_",
        "x",
        "y",
        "i",
        "e",
        r"\pi",
        "+",
        "-",
        "*",
        "/",
        ",",
        r"\{",
        r"\}",
        r"\pm",
        "=",
        "<",
        r"\le",
        r"\cup",
        r"\infty",
        "!",
        r"\%",
        r"\text{ cm}",
        r"\begin{pmatrix}",
        r"\end{pmatrix}",
        "&",
        r"\\",
        r"\binom",
        r"\sin",
        r"\log",
        "|",
        r"^\circ",
        ".",
        " ",
        r"\left",
        r"\right",
        "[",
        "]",
        r"\in",
        "~",
        "U",
        "and",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..25).prop_map(|v| v.concat())
}

#[test]
fn the_key_of_a_key_is_the_key_itself() {
    for answer in [
        r"\sqrt2,\sqrt\infty=i!-10x",
        "x - n! = 3y",
        r"n\pm\sqrt\log1n<0",
        r"\infty=0x,0",
        r"y \ne 12\log 210",
    ] {
        let key = canonical(answer).unwrap();
        assert_eq!(canonical(&key).as_deref(), Some(&*key), "of {answer}");
    }
}

#[test]
fn determinants_are_computed_up_to_four_rows() {
    let between_bars = |rows: usize| {
        let row = vec!["1"; rows].join("&");
        format!("\\begin{{vmatrix}}{}\\end{{vmatrix}}", vec![row; rows].join("\\\\"))
    };
    assert!(same(r"\begin{vmatrix} 2 & 1 \\ 3 & 4 \end{vmatrix}", "5"));
    assert!(same(&between_bars(4), "0"));
    // Expanding this one would take longer than anybody waits. It is compared as text.
    let large = between_bars(20);
    assert!(large.len() < 1000 && same(&large, &large) && !same(&large, "0"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(answer in ".{0,40}") {
        let key = canonical(&answer);
        prop_assert_eq!(same(&answer, &answer), key.is_some());
    }

    #[test]
    fn soups_never_panic_and_their_keys_are_their_own(answer in soup()) {
        let key = canonical(&answer);
        prop_assert_eq!(same(&answer, &answer), key.is_some());
        prop_assert_eq!(key.as_deref().and_then(canonical), key);
    }

    #[test]
    fn sums_and_products_agree_in_any_order(a in -50i64..50, b in -50i64..50, n in 2i64..60) {
        let left = format!(r"({a}+\sqrt{{{n}}})({b}-\sqrt{{{n}}}x)");
        let right = format!(r"{}+({b})\sqrt{{{n}}}-({a})x\sqrt{{{n}}}-{n}x", a * b);
        prop_assert!(same(&left, &right), "{left} {right}");
        let other = right + "+1";
        prop_assert!(!same(&left, &other));
    }

    #[test]
    fn fractions_of_roots_agree_with_rationalised_ones(a in 1i64..30, b in 2i64..30) {
        prop_assume!(a * a != b);
        let left = format!(r"\frac{{1}}{{{a}+\sqrt{{{b}}}}}");
        let right = format!(r"\frac{{{a}-\sqrt{{{b}}}}}{{{}}}", a * a - b);
        prop_assert!(same(&left, &right), "{left} {right}");
    }
}
