//! `synthesize import`: the rows that are read, and the files that are refused.

use std::path::{Path, PathBuf};

use alphallm::Ended;

use crate::common::{self, AsArgument, preset, read_prompts, synthesize};

const GSM8K: &str = r#"{"question": "Tom has 3 pens and buys 4. How many pens?", "answer": "3 + 4 = <<3+4=7>>7 pens\n#### 7"}
{"question": "Ann has 10 cats and sells 2. How many cats?", "answer": "10 - 2 = <<10-2=8>>8\n#### 8"}
{"question": "tom has 3 pens  and buys 4. How many pens?", "answer": "It is 9.\n#### 9"}
"#;

/// A folder with an input file of this text.
struct ImportFolder {
    dir: tempfile::TempDir,
    input: PathBuf,
    out: PathBuf,
}

fn folder(text: &str) -> ImportFolder {
    let dir = tempfile::tempdir().unwrap();
    let [input, out] = ["input.jsonl", "out"].map(|name| dir.path().join(name));
    std::fs::write(&input, text).unwrap();
    ImportFolder { dir, input, out }
}

impl ImportFolder {
    fn import(&self, words: &str) -> Ended {
        let more: [&dyn AsArgument; 6] =
            [&"--config", &preset("import"), &"--input", &self.input, &"--out", &self.out];
        synthesize(&format!("import --split train {words}"), &more)
    }
}

#[test]
fn gsm8k_becomes_prompts_and_repetitions_are_counted() {
    let folder = folder(GSM8K);
    let run = folder.import("--format gsm8k");
    let said = run.succeeds();
    assert!(said.starts_with("prompts: 2 rows in 1 parts, written"), "{said}");
    assert!(run.err.contains("1 repeated questions have another answer"), "{}", run.err);
    let rows = read_prompts(&folder.out);
    let tom = rows.iter().find(|row| row.prompt.starts_with("Tom")).unwrap();
    assert_eq!(tom.answer.as_deref(), Some("7"));
    assert_eq!(tom.solution.as_deref(), Some("3 + 4 = 7 pens\n#### 7"));
    assert_eq!((tom.source.as_str(), tom.split.as_str()), ("gsm8k", "train"));
    assert!(folder.import("--format gsm8k").succeeds().contains("up to date"));
    // Command line options that determine the rows are part of the recipe.
    folder.import("--format gsm8k --without-answers").fails(64, &[&"another recipe"]);
}

#[test]
fn answers_may_be_all_that_is_taken() {
    let folder = folder(GSM8K);
    folder.import("--format gsm8k --set answers_only=true").succeeds();
    let rows = read_prompts(&folder.out);
    assert!(rows.iter().all(|row| row.answer.is_some() && row.solution.is_none()), "{rows:?}");
    assert_eq!(rows.len(), 2);
}

#[test]
fn without_answers_there_is_no_label() {
    let folder = folder(GSM8K);
    folder.import("--format gsm8k --without-answers").succeeds();
    let rows = read_prompts(&folder.out);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.answer.is_none() && row.solution.is_none()));
    let bare = self::folder("{\"question\": \"How many?\"}\n");
    bare.import("--format jsonl --without-answers").succeeds();
    assert_eq!(read_prompts(&bare.out)[0].prompt, "How many?");
}

#[test]
fn columns_are_named() {
    let folder = folder(
        "{\"q\": \"One and one?\", \"a\": 2, \"s\": \"1 + 1 = 2\", \"n\": \"x1\"}\n\
         {\"q\": \"Two and two?\", \"a\": \"4\", \"s\": null, \"n\": \"x2\"}\n",
    );
    let columns = "--question-column q --answer-column a --solution-column s --id-column n";
    folder.import(&format!("--format jsonl {columns}")).succeeds();
    let rows = read_prompts(&folder.out);
    let of = |start: &str| rows.iter().find(|row| row.prompt.starts_with(start)).unwrap();
    assert_eq!(of("One").solution.as_deref(), Some("1 + 1 = 2\n#### 2"));
    assert_eq!((of("Two").solution.as_deref(), of("Two").answer.as_deref()), (None, Some("4")));
}

#[test]
fn a_bad_row_is_refused_with_file_and_line() {
    let good = GSM8K.lines().next().unwrap();
    for (bad, said) in [
        ("{\"question\": \"How", "not valid JSON"),
        ("[1]", "expected an object"),
        ("{\"question\": \"How many?\"}", "no column `answer`"),
        ("{\"question\": \"How many?\", \"answer\": \"7\"}", "no `#### answer`"),
        ("{\"question\": \" \", \"answer\": \"#### 7\"}", "column `question` is empty"),
    ] {
        let folder = folder(&format!("{good}\n\n{bad}\n{good}\n"));
        let message = format!("{}: line 3: ", folder.input.display());
        folder.import("--format gsm8k").fails(65, &[&message, &said]);
        assert!(!folder.out.exists());
    }
}

#[test]
fn a_repeated_id_is_refused_with_both_lines() {
    let folder = folder(
        "{\"question\": \"One?\", \"answer\": 1, \"id\": 7}\n{\"question\": \"Two?\", \"answer\": 2, \"id\": 7}\n",
    );
    folder
        .import("--format jsonl --id-column id")
        .fails(65, &[&"line 2: the id `7` is also in line 1"]);
    folder.import("--format jsonl").succeeds();
}

#[test]
fn files_that_are_missing_or_empty_are_refused() {
    let folder = folder("\n\n");
    folder.import("--format jsonl").fails(65, &[&folder.input.display(), &"no rows"]);
    std::fs::remove_file(&folder.input).unwrap();
    folder.import("--format jsonl").fails(74, &[&folder.input.display()]);
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    let folder = folder(GSM8K);
    folder.import("--format gsm8k --solution-column s").fails(64, &[&"--solution-column"]);
    folder.import("--format parquet --id-column n").fails(64, &[&"--id-column"]);
    folder.import("--format csv").fails(64, &[&"csv"]);
}

/// A part of a dataset is an ordinary Parquet file.
fn parquet(dir: &Path) -> PathBuf {
    let from = dir.join("foreign");
    common::write_prompts(&from, &common::world(2, |index| index.to_string()));
    common::first_part(&from)
}

#[test]
fn parquet_is_read_by_its_columns() {
    let mut folder = folder("");
    folder.input = parquet(folder.dir.path());
    let columns = "--question-column prompt --solution-column solution";
    folder.import(&format!("--format parquet {columns}")).succeeds();
    let rows = read_prompts(&folder.out);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().any(|row| row.solution.as_deref() == Some("So it is 1.\n#### 1")));
    folder
        .import("--format parquet")
        .fails(65, &[&folder.input.display(), &"no column `question`"]);
    common::truncate(&folder.input);
    folder
        .import(&format!("--format parquet {columns}"))
        .fails(65, &[&folder.input.display(), &"not Parquet"]);
}

#[test]
fn parquet_with_a_null_answer_is_refused_with_its_row() {
    let mut folder = folder("");
    let mut rows = common::world(2, |index| index.to_string());
    rows[1].answer = None;
    let from = folder.dir.path().join("foreign");
    common::write_prompts(&from, &rows);
    folder.input = common::first_part(&from);
    folder
        .import("--format parquet --question-column prompt")
        .fails(65, &[&"line 2: column `answer` is empty"]);
    folder.import("--format parquet --question-column prompt --without-answers").succeeds();
}

/// A folder with an input of `count` rows, each as `row` writes its index.
fn rows(count: usize, row: impl Fn(usize) -> String) -> ImportFolder {
    folder(&(0..count).map(|index| row(index) + "\n").collect::<String>())
}

#[test]
fn numbers_are_read_as_they_are_written() {
    let folder = folder(
        "{\"question\": \"One?\", \"answer\": 12345678901234567890123}\n\
         {\"question\": \"Two?\", \"answer\": 1.000000000000000000001}\n",
    );
    folder.import("--format jsonl").succeeds();
    let mut answers: Vec<_> =
        read_prompts(&folder.out).into_iter().filter_map(|row| row.answer).collect();
    answers.sort();
    assert_eq!(answers, ["1.000000000000000000001", "12345678901234567890123"]);
}

#[test]
fn whole_solutions_are_no_answers() {
    let folder = folder(GSM8K.lines().next().unwrap());
    folder.import("--format jsonl").fails(
        65,
        &[
            &folder.input.display(),
            &"line 1: column `answer` holds a whole solution",
            &"marked = true",
            &"--format gsm8k",
        ],
    );
    folder.import("--format jsonl --set marked=true").succeeds();
    assert_eq!(read_prompts(&folder.out)[0].answer.as_deref(), Some("7"));
}

#[test]
fn a_question_in_two_columns_is_joined_and_missed_in_one() {
    // Many rows of SVAMP end in the same question: how many are left?
    let svamp = rows(10, |index| {
        let ask = if index < 5 { "How many are left?" } else { "How many are there now?" };
        format!(
            "{{\"Body\": \"Tom has {index} pens.\", \"Question\": \"{ask}\", \"Answer\": {index}.0}}"
        )
    });
    svamp
        .import("--format jsonl --question-column Body,Question --answer-column Answer")
        .succeeds();
    let read = read_prompts(&svamp.out);
    assert_eq!(read.len(), 10);
    assert!(read.iter().any(|row| row.prompt == "Tom has 7 pens. How many are there now?"));
    std::fs::remove_dir_all(&svamp.out).unwrap();
    let half = "--format jsonl --question-column Question --answer-column Answer";
    svamp.import(half).fails(
        65,
        &[
            &"8 of 10 rows repeat a question",
            &"lines 2, 3, 4, 5, 7, ...",
            &"8 repeated questions have another answer",
            &"Body,Question",
            &"--allow-loss",
        ],
    );
    assert!(!svamp.out.exists());
    let allowed = svamp.import(&format!("{half} --allow-loss"));
    allowed.succeeds();
    assert!(allowed.err.contains("8 of 10 rows repeat a question"), "{}", allowed.err);
    assert_eq!(read_prompts(&svamp.out).len(), 2);
}

#[test]
fn a_few_repetitions_are_in_every_data_set() {
    // Two of 200 rows are one percent, which is allowed; three are more.
    for (repeated, code) in [(2, 0), (3, 65)] {
        let folder = rows(200, |index| {
            let number = if index < repeated { 199 } else { index };
            format!("{{\"question\": \"How much is {number} + 1?\", \"answer\": {}}}", number + 1)
        });
        assert_eq!(folder.import("--format jsonl").code, code);
    }
}

#[test]
fn answers_that_nothing_agrees_with_are_an_error() {
    let lettered = |question: &str| {
        rows(4, |index| {
            format!(
                "{{\"question\": \"{question} {index}?\", \"options\": [\"A)7\", \"B)8\"], \"answer\": \"B\"}}"
            )
        })
    };
    let aqua = lettered("What is");
    aqua.import("--format jsonl").fails(
        65,
        &[
            &"4 of 4 rows have an answer that may be of no use",
            &"the letter of an option",
            &"lines 1, 2, 3, 4;",
            &"question,options",
        ],
    );
    aqua.import("--format jsonl --question-column question,options").succeeds();
    assert!(read_prompts(&aqua.out).iter().all(|row| row.prompt.ends_with("? A)7 B)8")));
    let prose = "There are seven of them left since he gave one of his eight pens to his sister";
    let sentences = rows(3, |index| {
        format!("{{\"question\": \"How many {index}?\", \"answer\": \"{prose}\"}}")
    });
    sentences.import("--format jsonl").fails(
        65,
        &[&"3 of 3 rows", &"no solution is marked right by it", &prose, &"--answer-column"],
    );
    sentences.import("--format jsonl --allow-loss").succeeds();
}

#[test]
fn a_question_that_is_in_another_split_is_refused() {
    let test =
        folder("{\"question\": \"Tom has 3 pens; he buys 4. How many pens?\", \"answer\": 7}\n");
    test.import("--format jsonl").succeeds();
    let apart = format!("--apart-from {}", test.out.display());
    let seeds = folder(GSM8K);
    seeds.import(&format!("--format gsm8k {apart}")).succeeds();
    std::fs::remove_dir_all(&seeds.out).unwrap();
    let row =
        "{\"question\": \"TOM has 3 pens he buys 4: how  many pens\", \"answer\": \"#### 7\"}\n";
    std::fs::write(&seeds.input, format!("{GSM8K}\n{row}")).unwrap();
    seeds.import(&format!("--format gsm8k {apart}")).fails(
        65,
        &[
            &seeds.input.display(),
            &test.input.display(),
            &"overlap with ",
            &": 1 of 4 questions; ",
            &"line 5: \"TOM has 3 pens he buys 4: how  many pens\"",
            &"--allow-overlap",
        ],
    );
    assert!(!seeds.out.exists());
    let allowed = seeds.import(&format!("--format gsm8k --allow-overlap {apart}"));
    allowed.succeeds();
    assert!(allowed.err.contains(": 1 of 4 questions; "), "{}", allowed.err);
    assert_eq!(read_prompts(&seeds.out).len(), 3);
    // Another number makes another question.
    let other =
        folder("{\"question\": \"Tom has 3 pens; he buys 5. How many pens?\", \"answer\": 8}\n");
    other.import(&format!("--format jsonl {apart}")).succeeds();
    other.import("--format jsonl --apart-from /nowhere").fails(65, &[&"/nowhere"]);
}

#[test]
fn other_containers_are_told_by_their_beginning() {
    for (bytes, said) in [
        (&b"[{\"question\": \"x\", \"answer\": 1}]"[..], "one JSON list"),
        (b"\xef\xbb\xbf\n [\n", "one JSON list"),
        (b"PAR1....", "--format parquet"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"<?xml version='1.0'?>", "XML"),
    ] {
        let folder = folder("");
        std::fs::write(&folder.input, bytes).unwrap();
        folder.import("--format jsonl").fails(65, &[&folder.input.display(), &said]);
    }
    let folder = folder("");
    std::fs::remove_file(&folder.input).unwrap();
    std::fs::create_dir(&folder.input).unwrap();
    folder.import("--format jsonl").fails(65, &[&folder.input.display(), &"is a folder"]);
}

#[test]
fn parquet_of_other_tools_is_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dataset/tests/fixtures");
    for codec in ["snappy", "gzip", "brotli", "lz4", "zstd", "none"] {
        let mut folder = folder("");
        folder.input = fixtures.join(format!("problems.{codec}.parquet"));
        let columns = "--question-column body,question,options --answer-column unsigned";
        folder.import(&format!("--format parquet {columns}")).succeeds();
        let read = read_prompts(&folder.out);
        let tom = read.iter().find(|row| row.prompt.starts_with("Tom")).unwrap();
        assert_eq!(tom.prompt, "Tom has 12 pens. He loses 5. How many are left? A)1 B)7");
        assert_eq!(tom.answer.as_deref(), Some("18446744073709551615"));
        let tank = read.iter().find(|row| row.prompt.starts_with("A tank")).unwrap();
        assert_eq!(tank.prompt, "A tank holds 90 liters.");
        folder
            .import("--format parquet --question-column body --answer-column right")
            .fails(65, &[&folder.input.display(), &"column `right` is Boolean"]);
    }
}
