use super::*;

#[test]
fn the_first_answer_is_the_solutions() {
    let cases = [
        ("2 + 2 = 4\n#### 4\n\nQuestion: And 5?\nAnswer:\n#### 5", Some("4")),
        ("#### 17\nNo.\n#### 16", Some("17")),
        ("#### 17\n####", Some("17")),
        ("####\n#### 17", Some("17")),
        ("#### 17 ####", Some("17")),
        ("#### a #### b", Some("b")),
        ("##### 17", Some("17")),
        ("\\boxed{4}\n\\boxed{5}", Some("4")),
        ("First \\boxed{4}, no: \\boxed{5}\n\\boxed{6}", Some("5")),
        ("It is \\boxed 4.\nor \\boxed{5}", Some("4")),
        ("Put it within \\boxed{}.\n\\boxed{5}", Some("5")),
        ("\\boxed{4}\n#### 5", Some("5")),
    ];
    for (completion, answer) in cases {
        assert_eq!(extract(completion), answer, "{completion}");
    }
}

#[test]
fn a_heading_announces_no_answer() {
    for heading in [
        "Step 1: add",
        "**Step 1: Add the apples**",
        "Step 1",
        "Part 2",
        "Solution",
        "Solution:",
        "Final Answer",
        "The final answer:",
        "1. Understand the problem",
        "2) Add 3 and 4",
        "Calculate 3 * 4",
        "Adding the two",
        "The number of apples that are left",
        "Cost of 3 shirts at $5 each",
        "First, we add them",
        "Next, subtract 3",
        "Finally, add 3 and 4",
        "Now we have 3 + 4",
        "Adding 3 and 4",
        "Subtract 3",
        "Schritt 1: addieren",
        "\u{6b65}\u{9aa4}1\u{ff1a}\u{52a0}",
        "",
    ] {
        for (rest, answer) in [("#### 4", "4"), ("So it is \\boxed{4}.", "4")] {
            let text = format!("#### {heading}\n2 + 2 = 4\n{rest}");
            assert_eq!(extract(&text), Some(answer), "{text}");
        }
        assert_eq!(end_of_answer(&format!("#### {heading}\n"), "####"), None, "{heading}");
    }
    for answer in [
        "4",
        "Yes",
        "No, she does not have enough of it",
        "The red one",
        "Answer: 4",
        "The final answer is 4 apples",
        "4 apples and 3 of the big pears",
        "Remaining apples: 4",
        "Finally, 4",
        "Day 4",
        "$4",
        "x",
        "\u{221e}",
    ] {
        assert_eq!(extract(&format!("#### {answer}\n#### 5")), Some(answer));
    }
    assert_eq!(extract("#### Both sides doubled\nso \\boxed{4}"), Some("4"), "words before a box");
    for (line, answer) in [
        ("Day 1", "4"),
        ("Monday: 3 + 1", "4"),
        ("The answer is 5", "The answer is 5"),
        ("USD 5", "USD 5"),
        ("x = 5", "x = 5"),
    ] {
        let text = format!("#### {line}\nso \\boxed{{4}}");
        assert_eq!(extract(&text), Some(answer), "{text}");
    }
}

#[test]
fn thoughts_are_no_part_of_a_solution() {
    let cases = [
        ("<think>\n#### 3\n</think>\n#### 4", Some("4")),
        ("Well.\n#### 3\n</think>\n2 + 2\n#### 4", Some("4")),
        ("<think>\n\\boxed{3}\n</think>\nIt is \\boxed{4}.", Some("4")),
        ("<think>\n#### 3", None),
        ("[THINK]#### 3\n[/THINK]#### 4", Some("4")),
        ("\u{25c1}think\u{25b7}#### 3\n\u{25c1}/think\u{25b7}#### 4", Some("4")),
        ("<|begin_of_thought|>#### 3\n<|end_of_thought|>#### 4", Some("4")),
        ("#### 4\n<think>\n#### 3\n</think>\n#### 5", Some("4")),
        ("#### <think>hm</think> 4 \u{20ac}", Some("4 \u{20ac}")),
    ];
    for (completion, answer) in cases {
        assert_eq!(extract(completion), answer, "{completion}");
    }
    assert_eq!(end_of_answer("<think>\n#### 3\n", "####"), None);
    assert_eq!(open_thought("a<think>\n"), Some("<think>"));
    assert_eq!(open_thought("<think>\n</think>"), None);
    assert_eq!(closes_thought("<think>"), Some("</think>"));
}

#[test]
fn the_steps_are_what_comes_before_the_answer() {
    assert_eq!(steps("#### Step 1: add\n1 + 1 = 2\n#### 2\nso"), "#### Step 1: add\n1 + 1 = 2\n");
    assert_eq!(steps("#### Step 1: add\nIt is \\boxed{2}."), "#### Step 1: add\nIt is \\boxed{2}.");
    assert_eq!(steps("It is 2."), "It is 2.");
}

#[test]
fn an_answer_whose_line_goes_on_may_lack_digits() {
    assert_eq!(open_answer("So.\n#### 1", "####"), Some(4));
    assert_eq!(open_answer("So.\n#### 1\n", "####"), None);
    assert_eq!(open_answer("#### Step 1: add\n1 +", "####"), None);
    assert_eq!(open_answer("\\boxed{1}", "\\boxed{"), None);
}

#[test]
fn a_solution_ends_with_the_line_of_its_answer() {
    let cases = [
        ("####", "It is 5.\n", None),
        ("####", "#### 1", None),
        ("####", "So.\n#### 18\nNow", Some("So.\n#### 18\n")),
        ("####", "#### 18\r\nNow", Some("#### 18\r\n")),
        ("####", "#### Step 1: add\n1 + 1\n#### 2\n\n", Some("#### Step 1: add\n1 + 1\n#### 2\n")),
        ("\\boxed{", "It is $\\boxed{\\frac{1}{2}}$.", None),
        (
            "\\boxed{",
            "It is $\\boxed{\\frac{1}{2}}$.\nSo",
            Some("It is $\\boxed{\\frac{1}{2}}$.\n"),
        ),
        ("\\boxed{", "\\boxed{\\begin{pmatrix}1\n", None),
        ("\\boxed{", "\\boxed{a\n\\}b}\nc", Some("\\boxed{a\n\\}b}\n")),
        ("\\boxed{", "Put it in \\boxed{}.\n", None),
        ("answer{", "answer{\n1\n}\n\n", Some("answer{\n1\n}\n")),
        ("The answer is", "The answer is 5.\nQ", Some("The answer is 5.\n")),
    ];
    for (mark, text, whole) in cases {
        let found = end_of_answer(text, mark).and_then(|end| text.get(..end));
        assert_eq!(found, whole, "{mark} in {text}");
    }
}
