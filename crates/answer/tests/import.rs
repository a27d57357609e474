//! Importing: the result for a row, and the error for a bad one.

use std::io::{self, BufReader, Cursor, Read};

use answer::calculator::strip_annotations;
use answer::{ColumnMap, Doubt, Fields, ImportError, Imported, Rows, grade, same};

const GSM8K: &str = concat!(
    r#"{"question": "Ada has 12 pens and buys 5. How many has she?", "answer": "Ada has 12 + 5 = <<12+5=17>>17 pens.\n#### 17"}"#,
    "\n",
    r#"{"question": "A car costs $1,000 and a half more. How much?", "answer": "Half is 1000/2 = $<<1000/2=500>>500.\nIt costs 1000+500 = $<<1000+500=1500>>1,500.\n#### 1,500"}"#,
    "\n",
);

fn read(text: &str, map: ColumnMap) -> Vec<Result<Imported, ImportError>> {
    Rows::new(Cursor::new(text.as_bytes().to_vec()), map).collect()
}

fn refusal(text: &str, map: ColumnMap) -> String {
    let rows = read(text, map);
    rows.into_iter().find_map(Result::err).map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn gsm8k_rows_become_question_solution_and_answer() {
    let rows: Vec<Imported> =
        read(GSM8K, ColumnMap::gsm8k()).into_iter().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].question, "Ada has 12 pens and buys 5. How many has she?");
    assert_eq!(rows[0].solution.as_deref(), Some("Ada has 12 + 5 = 17 pens.\n#### 17"));
    assert_eq!((rows[0].answer.as_str(), rows[0].line), ("17", 1));
    assert_eq!((rows[1].answer.as_str(), rows[1].line), ("1,500", 2));
    for row in &rows {
        assert!(grade(row.solution.as_deref().unwrap(), &row.answer));
    }
}

#[test]
fn rows_of_math_keep_the_box_in_their_solution() {
    let published = concat!(
        r#"{"problem": "Solve $2x = 1$.", "level": "Level 1", "type": "Algebra", "#,
        r#""solution": "Half of one, so $x = \\boxed{\\frac{1}{2}}.$"}"#,
    );
    let marked = ColumnMap { marked: true, ..ColumnMap::named("problem", "solution") };
    let row = read(published, marked).remove(0).unwrap();
    assert_eq!(row.answer, r"\frac{1}{2}");
    assert_eq!(row.solution.as_deref(), Some(r"Half of one, so $x = \boxed{\frac{1}{2}}.$"));
    let with_answers = |answer: &str| {
        let row =
            r#"{"problem": "?", "answer": "ANSWER", "solution": "So $\\boxed{\\frac{1}{2}}.$"}"#;
        let map = ColumnMap {
            solution: Some("solution".to_owned()),
            ..ColumnMap::named("problem", "answer")
        };
        read(&format!("\n{}", row.replace("ANSWER", answer)), map).remove(0)
    };
    let row = with_answers("0.5").unwrap();
    assert_eq!(row.answer, "0.5");
    assert_eq!(row.solution.as_deref(), Some(r"So $\boxed{\frac{1}{2}}.$"));
    let refused = with_answers(r"\\frac{1}{3}").unwrap_err();
    assert_eq!(
        refused.to_string(),
        r"line 2: the solution ends in `\frac{1}{2}` but the answer is `\frac{1}{3}`; correct one of them or drop the row"
    );
}

#[test]
fn annotations_are_kept_if_so_wished() {
    let map = ColumnMap { strip_annotations: false, ..ColumnMap::gsm8k() };
    let rows = read(GSM8K, map);
    let solution = rows[0].as_ref().unwrap().solution.clone().unwrap();
    assert_eq!(solution, "Ada has 12 + 5 = <<12+5=17>>17 pens.\n#### 17");
}

#[test]
fn only_closed_annotations_are_stripped() {
    assert_eq!(strip_annotations("48/2 = <<48/2=24>>24, $<<1+1=2>>2"), "48/2 = 24, $2");
    assert_eq!(strip_annotations("1 << 3 and <<open"), "1 << 3 and <<open");
    assert_eq!(strip_annotations("<<<1=1>>"), "<");
    assert_eq!(strip_annotations("<<a\nb>>"), "<<a\nb>>");
}

#[test]
fn other_columns_are_mapped() {
    let map = ColumnMap {
        solution: Some("work".to_owned()),
        id: Some("uid".to_owned()),
        ..ColumnMap::named("problem", "final")
    };
    let text = concat!(
        r#"{"uid": 7, "problem": " 1 + 1? ", "final": 2, "work": "1 + 1 = 2"}"#,
        "\n",
        r#"{"uid": "b", "problem": "2 + 2?", "final": "4", "work": "2 + 2 = 4\n#### 4.0", "more": []}"#,
        "\n",
        r#"{"problem": "3 + 3?", "final": "6", "work": null}"#,
    );
    let rows: Vec<Imported> = read(text, map).into_iter().map(Result::unwrap).collect();
    assert_eq!(rows[0].question, "1 + 1?");
    assert_eq!(rows[0].solution.as_deref(), Some("1 + 1 = 2\n#### 2"));
    assert_eq!(rows[0].id.as_deref(), Some("7"));
    assert_eq!(rows[1].solution.as_deref(), Some("2 + 2 = 4\n#### 4.0"));
    assert_eq!(rows[1].id.as_deref(), Some("b"));
    assert_eq!((rows[2].solution.as_deref(), rows[2].id.as_deref()), (None, None));
}

#[test]
fn blank_lines_count_but_are_skipped_and_reading_goes_on_after_a_bad_row() {
    let text =
        "\u{feff}{\"q\": \"a?\", \"a\": \"1\"}\r\n\n   \nnot json\n{\"q\": \"b?\", \"a\": \"2\"}";
    let rows = read(text, ColumnMap::named("q", "a"));
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].as_ref().unwrap().line, 1);
    assert_eq!(rows[1].as_ref().unwrap_err().line(), 4);
    assert_eq!(rows[2].as_ref().unwrap().line, 5);
}

#[test]
fn refusals_name_the_line_the_fault_and_the_remedy() {
    let plain = || ColumnMap::named("q", "a");
    let both = || ColumnMap { solution: Some("s".to_owned()), ..plain() };
    let good = r#"{"q": "a?", "a": "1"}"#;
    let cases = [
        (
            format!("{good}\n{{\"q\": \"b?\"}}"),
            plain(),
            "line 2: no column `a` (there are: q); map it to one of these",
        ),
        (
            r#"{"q": 3, "a": "1"}"#.to_owned(),
            plain(),
            "line 1: column `q` holds a number; expected text",
        ),
        (
            r#"{"q": "x", "a": [1]}"#.to_owned(),
            plain(),
            "line 1: column `a` holds a list; expected text or a number",
        ),
        (
            r#"{"q": "x", "a": "1", "s": {}}"#.to_owned(),
            both(),
            "line 1: column `s` holds an object; expected text",
        ),
        (
            r#"{"q": "  ", "a": "1"}"#.to_owned(),
            plain(),
            "line 1: column `q` is empty; fill it or drop the row",
        ),
        (
            r#"{"q": "x", "a": ""}"#.to_owned(),
            plain(),
            "line 1: column `a` is empty; fill it or drop the row",
        ),
        (
            "[1]".to_owned(),
            plain(),
            "line 1: expected an object, found a list; JSONL rows are `{\"column\": value}`",
        ),
        (
            r#"{"q": "x", "a": "1", "s": "1 + 1 = 2\n#### 2"}"#.to_owned(),
            both(),
            "line 1: the solution ends in `2` but the answer is `1`; correct one of them or drop the row",
        ),
        (
            r#"{"question": "x", "answer": "It is 17"}"#.to_owned(),
            ColumnMap::gsm8k(),
            "line 1: column `answer` has no `#### answer` and no `\\boxed{answer}`; end it with one, or set `marked = false` if the column is a bare answer",
        ),
        (
            r#"{"question": "x", "answer": "\n#### 1", "s": "y"}"#.to_owned(),
            ColumnMap { solution: Some("s".to_owned()), ..ColumnMap::gsm8k() },
            "line 1: `marked` takes the solution from the answer column, but column `s` is mapped too; unset one of them",
        ),
    ];
    for (text, map, message) in cases {
        assert_eq!(refusal(&text, map), message, "{text}");
    }
}

#[test]
fn malformed_json_and_bytes_that_are_no_text_are_refused_by_line() {
    let message = refusal("{\"q\": \"a?\", \"a\": \"1\"\n", ColumnMap::named("q", "a"));
    assert!(message.starts_with("line 1: not valid JSON ("), "{message}");
    assert!(message.ends_with("JSONL has one object per line, in UTF-8"), "{message}");
    let bytes = b"{\"q\": \"\xff\", \"a\": \"1\"}\n".to_vec();
    let row = Rows::new(Cursor::new(bytes), ColumnMap::named("q", "a")).next().unwrap();
    assert!(matches!(row, Err(ImportError::Json { line: 1, .. })));
}

#[test]
fn a_line_without_end_is_refused_not_held() {
    let endless = BufReader::new(io::repeat(b'x'));
    let mut rows = Rows::new(endless, ColumnMap::named("q", "a"));
    assert!(matches!(rows.next(), Some(Err(ImportError::TooLong { line: 1 }))));
    assert!(rows.next().is_none());
}

#[test]
fn a_failing_reader_ends_the_rows() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let mut rows = Rows::new(BufReader::new(Broken), ColumnMap::named("q", "a"));
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "line 1: cannot read: unplugged");
    assert!(rows.next().is_none());
}

#[test]
fn rows_of_other_containers_get_the_same_validation() {
    let map = ColumnMap::named("q", "a");
    let fields =
        Fields { question: "1 + 1?", answer: "2", solution: Some("1 + 1 = 3\n#### 3"), id: None };
    assert!(matches!(map.row(9, fields), Err(ImportError::Disagrees { line: 9, .. })));
    let blank = Fields { solution: Some("  "), ..fields };
    assert_eq!(map.row(9, blank).unwrap().solution, None);
}

#[test]
fn a_column_map_is_read_strictly() {
    let map: ColumnMap = serde_json::from_str(r#"{"question": "q", "answer": "a"}"#).unwrap();
    assert_eq!(map, ColumnMap::named("q", "a"));
    let typo =
        serde_json::from_str::<ColumnMap>(r#"{"question": "q", "answer": "a", "solutoin": "s"}"#);
    assert!(typo.unwrap_err().to_string().contains("solutoin"));
}

/// Imports a JSON row whose column `a` is written like this, and returns its answer.
fn answer_of(written: &str) -> Result<String, String> {
    let row = read(&format!(r#"{{"q": "How many?", "a": {written}}}"#), ColumnMap::named("q", "a"));
    row.into_iter().next().expect("a row").map(|row| row.answer).map_err(|error| error.to_string())
}

#[test]
fn numbers_stay_as_they_are_written() {
    for number in [
        "12345678901234567890123",
        "-12345678901234567890123",
        "1.000000000000000000001",
        "0.30000000000000000001",
        "145.0",
        "18446744073709551616",
        "1e22",
        "1E-400",
        "1e400",
        "-0",
        "-0.0",
    ] {
        assert_eq!(answer_of(number).unwrap(), number);
        assert_eq!(answer_of(&format!(" {number} ")).unwrap(), number);
        assert_eq!(answer_of(&format!("\"{number}\"")).unwrap(), number);
    }
    assert!(answer_of("01").unwrap_err().starts_with("line 1: not valid JSON ("));
    assert!(answer_of("NaN").unwrap_err().starts_with("line 1: not valid JSON ("));
    let ids = ColumnMap { id: Some("n".to_owned()), ..ColumnMap::named("q", "a") };
    let text = concat!(
        r#"{"q": "a?", "a": 1, "n": 12345678901234567890123}"#,
        "\n",
        r#"{"q": "b?", "a": 1, "n": 12345678901234567890124}"#,
    );
    let rows = read(text, ids);
    let id = |index: usize| rows[index].as_ref().unwrap().id.clone().unwrap();
    assert_eq!([id(0), id(1)], ["12345678901234567890123", "12345678901234567890124"]);
}

#[test]
fn what_is_no_number_and_no_text_is_no_answer() {
    for (written, found) in
        [("true", "a boolean"), ("null", "null"), ("[7]", "a list"), ("{\"v\": 7}", "an object")]
    {
        let said = format!("line 1: column `a` holds {found}; expected text or a number");
        assert_eq!(answer_of(written).unwrap_err(), said);
    }
    let lone = answer_of(r#""\ud83d""#).unwrap_err();
    assert!(lone.starts_with("line 1: not valid JSON ("), "{lone}");
}

#[test]
fn columns_that_are_not_asked_for_may_hold_anything() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let text = format!(
        r#"{{"x": {deep}, "q": "a \"b\" {{c}}: [d], \\", "y": {{"a": "9, 9", "q": ["}}"]}}, "z": 1e999, "a":7,"w":null}}"#
    );
    let row = read(&text, ColumnMap::named("q", "a")).remove(0).unwrap();
    assert_eq!((row.question.as_str(), row.answer.as_str()), (r#"a "b" {c}: [d], \"#, "7"));
    assert_eq!(
        refusal(r#"{"a": 1, "q": "x", "\u0061": 2}"#, ColumnMap::named("q", "a")),
        "line 1: column `a` is there twice; leave one of them"
    );
    assert_eq!(
        refusal("{}", ColumnMap::named("q", "a")),
        "line 1: no column `q` (there are: ); map it to one of these"
    );
    for (scalar, found) in [("7", "a number"), (" null", "null"), ("\"x\"", "text")] {
        let said = refusal(scalar, ColumnMap::named("q", "a"));
        assert!(
            said.starts_with(&format!("line 1: expected an object, found {found}; ")),
            "{said}"
        );
    }
}

#[test]
fn a_question_may_lie_in_several_columns() {
    let svamp = ColumnMap::named("Body,Question", "Answer");
    let text = concat!(
        r#"{"ID": "chal-1", "Body": "Each pack costs 76 dollars. ", "Question": "How much are 2?", "Answer": 152.0}"#,
        "\n",
        r#"{"Body": null, "Question": "How much is 1 + 1?", "Answer": 2}"#,
        "\n",
        r#"{"Question": "How much is 1 + 1?", "Answer": 2}"#,
        "\n",
        r#"{"Body": " ", "Question": null, "Answer": 2}"#,
    );
    let rows = read(text, svamp);
    let question = |index: usize| rows[index].as_ref().unwrap().question.as_str();
    assert_eq!(question(0), "Each pack costs 76 dollars. How much are 2?");
    assert_eq!(rows[0].as_ref().unwrap().answer, "152.0");
    assert_eq!(question(1), "How much is 1 + 1?");
    let said = |index: usize| rows[index].as_ref().unwrap_err().to_string();
    assert!(
        said(2).starts_with("line 3: no column `Body` (there are: Question, Answer);"),
        "{}",
        said(2)
    );
    assert_eq!(said(3), "line 4: column `Body,Question` is empty; fill it or drop the row");
    let aqua = ColumnMap::named("question, options", "correct");
    let text = r#"{"question": "What is 3 + 4?", "options": ["A)6", "B)7"], "correct": "B"}"#;
    let row = read(text, aqua).remove(0).unwrap();
    assert_eq!((row.question.as_str(), row.doubt()), ("What is 3 + 4? A)6 B)7", None));
}

#[test]
fn a_whole_solution_is_no_answer() {
    let bare = || ColumnMap::named("question", "answer");
    assert_eq!(
        refusal(GSM8K, bare()),
        "line 1: column `answer` holds a whole solution, which ends in `17`, and no bare answer; name the column of the answers, or set `marked = true` (`--format gsm8k` for GSM8K) to take the answer from the solution"
    );
    for solution in [
        r"#### 17",
        r"So $x = \\boxed{17}$.",
        r"We add.\nIt is $\\boxed{17}$",
        r"He has 17.\n#### 17\nThe answer is: 17",
    ] {
        let row = format!(r#"{{"question": "x", "answer": "{solution}"}}"#);
        assert!(
            refusal(&row, bare()).contains("a whole solution, which ends in `17`"),
            "{solution}"
        );
        // The same text is accepted as a marked solution, and ignored if only questions are read.
        let marked = ColumnMap { marked: true, ..bare() };
        assert_eq!(read(&row, marked).remove(0).unwrap().answer, "17");
        let unlabelled = ColumnMap { unlabelled: true, ..ColumnMap::named("answer", "none") };
        assert_eq!(read(&row, unlabelled).remove(0).unwrap().answer, "");
    }
    for answer in [r"\\boxed{17}", r"$\\boxed{17}$.", r"\\[\\boxed{17}\\]"] {
        let row = format!(r#"{{"question": "x", "answer": "{answer}"}}"#);
        let row = read(&row, bare()).remove(0).unwrap();
        assert!(grade("#### 17", &row.answer), "{answer}");
    }
}

#[test]
fn answers_that_nothing_may_agree_with_are_doubtful() {
    let doubt = |question: &str, answer: &str| {
        let fields = Fields { question, answer, ..Fields::default() };
        ColumnMap::named("q", "a").row(1, fields).unwrap().doubt()
    };
    let sentence = "Natalia sold 24 clips in May and so the answer is that she has sold 72 clips in both months";
    assert_eq!(doubt("How many?", sentence), Some(Doubt::Sentence));
    assert_eq!(doubt("How many?", "She has 17.\nThat is all."), Some(Doubt::Unmarked));
    assert_eq!(doubt("How many?", "..."), Some(Doubt::Unmarked));
    assert_eq!(doubt("How many? 7, 8 or 9", "B"), Some(Doubt::Letter));
    assert_eq!(doubt("How many?", "(e)"), Some(Doubt::Letter));
    for remark in ["9 (apples)", "2.5 (square feet)"] {
        let alone = remark.split(' ').next().unwrap();
        assert_eq!(doubt("How many?", remark).is_none(), same(alone, remark), "{remark}");
    }
    assert_eq!(doubt("How many?", "f(x)"), None);
    assert_eq!(doubt("How many?", "5 (x + 1)"), None);
    for question in
        ["How many? A) 7 B) 8", "How many? (A) 7 (B) 8", "How many? a ) 7 , b ) 8", "A: 7\nB: 8"]
    {
        assert_eq!(doubt(question, "B"), None, "{question}");
    }
    for answer in [
        "7",
        "1,500",
        r"\frac{1}{2}",
        r"x \in (-\infty, 3) \cup (5, 7)",
        "Tuesday",
        "x",
        "Evelyn",
        r"\text{June 20}",
    ] {
        assert_eq!(doubt("How many?", answer), None, "{answer}");
    }
}
