//! Rows are read back as they were written, and equal rows give equal bytes.

use std::fs;
use std::path::Path;

use crate::common::{bytes, done, message, prompts, read, recipe, work, written};
use dataset::{Dataset, Mode, Output, chunk};
use proptest::collection::vec;
use proptest::prelude::*;
use schema::{NodeRow, Prompt, Question, TextOption, Trajectory};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,12}", Just(String::new()), Just("a\0b\n\u{10ffff}".to_owned())]
}

fn number() -> impl Strategy<Value = Option<f32>> {
    proptest::option::of(prop_oneof![
        -1e30_f32..1e30,
        Just(-0.0),
        Just(f32::MIN_POSITIVE / 2.0),
        Just(f32::MAX)
    ])
}

prop_compose! {
    fn option()(
        text in text(),
        node_id in any::<Option<i32>>(),
        tokens in any::<i32>(),
        numbers in vec(number(), 4),
        visits in any::<i32>(),
    ) -> TextOption {
        let [logprob, q, value, prm] = numbers.try_into().unwrap();
        TextOption { text, node_id, tokens, logprob, q, value, prm, visits }
    }
}

prop_compose! {
    fn trajectory()(
        texts in vec(text(), 4),
        options in vec(option(), 0..4),
        answer in proptest::option::of(text()),
        q in number(),
        rank in any::<i32>(),
        seed in any::<i64>(),
        finished in any::<bool>(),
    ) -> Trajectory {
        let [prompt, completion, decoder, model] = texts.try_into().unwrap();
        Trajectory {
            prompt, completion, decoder, model, options, answer, q, rank, seed, finished,
            ..Trajectory::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reading_gives_back_what_was_written(
        mut rows in vec(trajectory(), 0..40),
        chunk_rows in 1_usize..20,
    ) {
        for (i, row) in rows.iter_mut().enumerate() {
            row.trajectory_id = format!("{i}");
        }
        let dir = tempfile::tempdir().unwrap();
        let chunks = chunk(rows.len(), chunk_rows);
        let output = work(Output::begin(dir.path(), recipe(1), chunks.len(), Mode::Alone));
        for (index, range) in chunks.into_iter().enumerate() {
            output.write_part(index, &rows[range]).unwrap();
        }
        output.commit().unwrap();
        let dataset = Dataset::<Trajectory>::open(dir.path()).unwrap();
        prop_assert_eq!(dataset.len(), rows.len());
        prop_assert_eq!(dataset.rows().unwrap(), rows);
    }
}

#[test]
fn equal_rows_give_equal_bytes_in_any_order_of_writing() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(a.path(), 4);
    let output = work(Output::begin(b.path(), recipe(1), 4, Mode::Alone));
    std::thread::scope(|scope| {
        for index in (0..4).rev() {
            let output = &output;
            let rows = prompts(3 * index..3 * index + 3);
            scope.spawn(move || output.write_part(index, &rows).unwrap());
        }
    });
    output.commit().unwrap();
    assert_eq!(bytes(a.path()), bytes(b.path()));
}

#[test]
fn a_dataset_lies_on_the_disk_as_agreed() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2);
    let files = bytes(dir.path());
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let expected = [
        ".lock",
        "README.md",
        "_MANIFEST.json",
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    ];
    assert_eq!(names, expected);
    assert!(files[".lock"].is_empty());
    let card = String::from_utf8(files["README.md"].clone()).unwrap();
    let head =
        "\n  data_files:\n  - split: train\n    path: data/train-*.parquet\n---\n\n# prompts\n";
    assert!(card.contains(head), "{card}");
    assert!(card.contains("| `answer` | `string` | yes | The gold answer;"), "{card}");
    assert!(card.contains("- from seeds: `data/seeds` (`5eed`)"), "{card}");
    let part = &files["data/train-00000-of-00002.parquet"];
    let holds = |text: &str| part.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("alphallm.schema") && holds("prompts@2"));
    assert!(holds("alphallm.provenance") && holds(&recipe(1).digest("prompts@2")));
}

/// Returns the configuration name by which `datasets` caches a table, together with the name of the folder.
fn config_name(dir: &Path) -> String {
    let card = fs::read_to_string(dir.join("README.md")).unwrap();
    let name = card.strip_prefix("---\nconfigs:\n- config_name: ").unwrap().lines().next();
    name.unwrap().to_owned()
}

#[test]
fn every_dataset_has_a_configuration_of_its_own() {
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    written(dirs[0].path(), 2);
    written(dirs[1].path(), 3);
    let one = config_name(dirs[0].path());
    assert!(one.starts_with("prompts-") && one.len() == 24, "{one}");
    assert_ne!(one, config_name(dirs[1].path()));
    // The same rows by the same recipe give the same name.
    written(dirs[2].path(), 2);
    assert_eq!(one, config_name(dirs[2].path()));
}

#[test]
fn a_view_reads_the_questions_without_the_answers() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2);
    let questions = Dataset::<Prompt>::open(dir.path()).unwrap().view::<Question>().unwrap();
    let expected: Vec<_> = prompts(0..6).into_iter().map(Question::from).collect();
    assert_eq!(questions, expected);
}

#[test]
fn a_dataset_without_rows_is_a_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        work(Output::<Prompt>::begin(dir.path(), recipe(1), chunk(0, 10).len(), Mode::Alone));
    output.write_part(0, &[]).unwrap();
    output.commit().unwrap();
    assert_eq!(read(dir.path()).unwrap(), []);
    let refused = Dataset::<Prompt>::open(dir.path()).unwrap().require_rows();
    assert_eq!(
        message(refused, dir.path()),
        "empty dataset DIR: it has no rows; look at the stage that wrote it"
    );
}

#[test]
fn many_rows_pass_through_batches_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let node = |i: i32| NodeRow { prompt_id: "p".into(), node_id: i, ..NodeRow::default() };
    let rows: Vec<_> = (0..20_000).map(node).collect();
    let output = work(Output::begin(dir.path(), recipe(1), 1, Mode::Alone));
    output.write_part(0, &rows).unwrap();
    output.commit().unwrap();
    assert_eq!(Dataset::<NodeRow>::open(dir.path()).unwrap().rows().unwrap(), rows);
}

#[test]
fn of_a_dataset_opened_unread_each_part_is_verified_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2);
    let second = dir.path().join("data/train-00001-of-00002.parquet");
    let mut bytes = fs::read(&second).unwrap();
    bytes[60] ^= 4;
    fs::write(&second, bytes).unwrap();
    assert!(Dataset::<Prompt>::open(dir.path()).is_err());
    let unread = Dataset::<Prompt>::open_unread(dir.path()).unwrap();
    assert_eq!((unread.parts(), unread.part_rows(0).unwrap()), (2, prompts(0..3)));
    assert!(message(unread.part_rows(1), dir.path()).contains("train-00001-of-00002.parquet"));
    assert!(Dataset::<NodeRow>::open_unread(dir.path()).is_err(), "another table");
}

#[test]
fn a_dataset_is_an_input_by_its_contents_not_by_its_place() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(a.path(), 2);
    let mut moved = recipe(1);
    moved.inputs[0].path = "elsewhere".into();
    moved.revision = None;
    let output = work(Output::begin(b.path(), moved.clone(), 2, Mode::Alone));
    for index in 0..2 {
        output.write_part(index, &prompts(3 * index..3 * index + 3)).unwrap();
    }
    output.commit().unwrap();
    let input = |dir| Dataset::<Prompt>::open(dir).unwrap().input("prompts");
    assert_eq!(input(a.path()).content, input(b.path()).content);
    assert_ne!(input(a.path()).path, input(b.path()).path);
    assert_eq!(done(Output::<Prompt>::begin(a.path(), moved, 2, Mode::Alone)).rows(), 6);
}
