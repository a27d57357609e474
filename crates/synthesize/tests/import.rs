//! `synthesize import`: what is taken from a file, and what is refused.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::path::{Path, PathBuf};

use common::{Run, preset, read_prompts, synthesize};

const GSM8K: &str = r#"{"question": "Tom has 3 pens and buys 4. How many pens?", "answer": "3 + 4 = <<3+4=7>>7 pens\n#### 7"}
{"question": "Ann has 10 cats and sells 2. How many cats?", "answer": "10 - 2 = <<10-2=8>>8\n#### 8"}
{"question": "tom has 3 pens  and buys 4. How many pens?", "answer": "It is 9.\n#### 9"}
"#;

/// A folder with an input of this text.
struct Place {
    dir: tempfile::TempDir,
    input: PathBuf,
    out: PathBuf,
}

fn place(text: &str) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let [input, out] = ["input.jsonl", "out"].map(|name| dir.path().join(name));
    std::fs::write(&input, text).unwrap();
    Place { dir, input, out }
}

impl Place {
    fn import(&self, words: &str) -> Run {
        let more: [&dyn common::AsArgument; 6] =
            [&"--config", &preset("import"), &"--input", &self.input, &"--out", &self.out];
        synthesize(&format!("import --split train {words}"), &more)
    }
}

#[test]
fn gsm8k_becomes_prompts_and_repetitions_are_counted() {
    let place = place(GSM8K);
    let run = place.import("--format gsm8k");
    let said = run.succeeds();
    assert!(said.starts_with("prompts: 2 rows in 1 parts, written"), "{said}");
    assert!(run.err.contains("1 repeated questions have another answer"), "{}", run.err);
    let rows = read_prompts(&place.out);
    let tom = rows.iter().find(|row| row.prompt.starts_with("Tom")).unwrap();
    assert_eq!(tom.answer.as_deref(), Some("7"));
    assert_eq!(tom.solution.as_deref(), Some("3 + 4 = 7 pens\n#### 7"));
    assert_eq!((tom.source.as_str(), tom.split.as_str()), ("gsm8k", "train"));
    assert!(place.import("--format gsm8k").succeeds().contains("up to date"));
    // What decides the rows on the command line is part of the recipe.
    place.import("--format gsm8k --without-answers").fails(64, &[&"another recipe"]);
}

#[test]
fn answers_may_be_all_that_is_taken() {
    let place = place(GSM8K);
    place.import("--format gsm8k --set answers_only=true").succeeds();
    let rows = read_prompts(&place.out);
    assert!(rows.iter().all(|row| row.answer.is_some() && row.solution.is_none()), "{rows:?}");
    assert_eq!(rows.len(), 2);
}

#[test]
fn without_answers_there_is_no_label() {
    let place = place(GSM8K);
    place.import("--format gsm8k --without-answers").succeeds();
    let rows = read_prompts(&place.out);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.answer.is_none() && row.solution.is_none()));
    let bare = self::place("{\"question\": \"How many?\"}\n");
    bare.import("--format jsonl --without-answers").succeeds();
    assert_eq!(read_prompts(&bare.out)[0].prompt, "How many?");
}

#[test]
fn columns_are_named() {
    let place = place(
        "{\"q\": \"One and one?\", \"a\": 2, \"s\": \"1 + 1 = 2\", \"n\": \"x1\"}\n\
         {\"q\": \"Two and two?\", \"a\": \"4\", \"s\": null, \"n\": \"x2\"}\n",
    );
    let columns = "--question-column q --answer-column a --solution-column s --id-column n";
    place.import(&format!("--format jsonl {columns}")).succeeds();
    let rows = read_prompts(&place.out);
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
        let place = place(&format!("{good}\n\n{bad}\n{good}\n"));
        let message = format!("{}: line 3: ", place.input.display());
        place.import("--format gsm8k").fails(65, &[&message, &said]);
        assert!(!place.out.exists());
    }
}

#[test]
fn a_repeated_id_is_refused_with_both_lines() {
    let place = place(
        "{\"question\": \"One?\", \"answer\": 1, \"id\": 7}\n{\"question\": \"Two?\", \"answer\": 2, \"id\": 7}\n",
    );
    place
        .import("--format jsonl --id-column id")
        .fails(65, &[&"line 2: the id `7` is also in line 1"]);
    place.import("--format jsonl").succeeds();
}

#[test]
fn files_that_are_missing_or_empty_are_refused() {
    let place = place("\n\n");
    place.import("--format jsonl").fails(65, &[&place.input.display(), &"no rows"]);
    std::fs::remove_file(&place.input).unwrap();
    place.import("--format jsonl").fails(74, &[&place.input.display()]);
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    let place = place(GSM8K);
    place.import("--format gsm8k --solution-column s").fails(64, &[&"--solution-column"]);
    place.import("--format parquet --id-column n").fails(64, &[&"--id-column"]);
    place.import("--format csv").fails(64, &[&"csv"]);
}

/// A part of a dataset is a Parquet file like any other.
fn parquet(dir: &Path) -> PathBuf {
    let from = dir.join("foreign");
    common::write_prompts(&from, &common::world(2, |index| index.to_string()));
    common::first_part(&from)
}

#[test]
fn parquet_is_read_by_its_columns() {
    let mut place = place("");
    place.input = parquet(place.dir.path());
    let columns = "--question-column prompt --solution-column solution";
    place.import(&format!("--format parquet {columns}")).succeeds();
    let rows = read_prompts(&place.out);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().any(|row| row.solution.as_deref() == Some("So it is 1.\n#### 1")));
    place.import("--format parquet").fails(65, &[&place.input.display(), &"no column `question`"]);
    common::truncate(&place.input);
    place
        .import(&format!("--format parquet {columns}"))
        .fails(65, &[&place.input.display(), &"not Parquet"]);
}

#[test]
fn parquet_with_a_null_answer_is_refused_with_its_row() {
    let mut place = place("");
    let mut rows = common::world(2, |index| index.to_string());
    rows[1].answer = None;
    let from = place.dir.path().join("foreign");
    common::write_prompts(&from, &rows);
    place.input = common::first_part(&from);
    place
        .import("--format parquet --question-column prompt")
        .fails(65, &[&"line 2: column `answer` is empty"]);
    place.import("--format parquet --question-column prompt --without-answers").succeeds();
}
