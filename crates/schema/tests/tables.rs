//! The declarations of all tables, as text, as the files in `schemas/`, and compared with each other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use schema::{
    CorpusText, Critique, Evaluation, Label, NodeRow, Preference, Prompt, Question, SftExample,
    Steps, Table, Trajectory, View, from_batch, to_batch,
};

/// Formats a table as lines of `name type`, with `?` after the type of a column that may be null.
fn outline<T: Table>() -> String {
    let line = |f: schema::Field| {
        let null = if f.nullable { "?" } else { "" };
        format!("{} {}{null}\n", f.name, schema::type_name(&f.data_type))
    };
    T::fields().into_iter().map(line).collect()
}

#[test]
fn prompts_are_declared_as_agreed() {
    let expected = "\
prompt_id string
prompt string
answer string?
solution string?
source string
split string
parent_ids list<string>
operator string?
expected string?
difficulty float?
seed int64?
round int32
";
    assert_eq!(outline::<Prompt>(), expected);
    assert_eq!(Prompt::tag(), "prompts@2");
}

#[test]
fn trajectories_are_declared_as_agreed() {
    let expected = "\
trajectory_id string
prompt_id string
leaf_id int32?
prompt string
completion string
options list<struct>
answer string?
q float?
reward float?
rank int32
tokens int32
logprob float?
decoder string
model string
critics string?
seed int64
finish string
finished bool
round int32
";
    assert_eq!(outline::<Trajectory>(), expected);
    let described = schema::describe::<Trajectory>();
    let options = described["columns"][5]["fields"].as_array().unwrap();
    let names: Vec<_> = options.iter().map(|f| f["name"].as_str().unwrap()).collect();
    let expected = ["text", "node_id", "tokens", "logprob", "q", "value", "prm", "visits"];
    assert_eq!(names, expected);
}

#[test]
fn labels_and_evaluations_are_declared_as_agreed() {
    let labels = "\
trajectory_id string
prompt_id string
prompt string
options list<string>
root_target float
value_targets list<float>
process_targets list<float>
outcome float
weight float
split string
round int32
";
    assert_eq!(outline::<Label>(), labels);
    let evaluations = "\
task string
split string
prompt_id string
decoder string
sample int32
prediction string?
answer string?
target string
correct bool
tokens int32?
nodes int32?
model string
seed int64?
completion string?
difficulty int32?
round int32
";
    assert_eq!(outline::<Evaluation>(), evaluations);
}

#[test]
fn the_files_in_schemas_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let mut expected = BTreeSet::new();
    let tables = schema::all().into_iter().map(|(name, text)| (format!("{name}.json"), text));
    for (name, text) in tables.chain([("README.md".to_owned(), schema::dictionary())]) {
        let found = std::fs::read_to_string(folder.join(&name));
        assert_eq!(found.unwrap_or_default(), text, "schemas/{name} is stale: make schemas");
        assert!(expected.insert(name.clone()), "two tables are called {name}");
    }
    let found: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected, "schemas/ holds exactly the tables, and their page");
}

#[test]
fn every_column_says_what_it_is_and_every_table_has_a_round() {
    for (name, text) in schema::all() {
        let table: serde_json::Value = serde_json::from_str(&text).unwrap();
        let columns = table["columns"].as_array().unwrap();
        for column in columns {
            let about = column["description"].as_str().unwrap();
            assert!(about.ends_with('.'), "{name}.{} says {about:?}", column["name"]);
        }
        let round = columns.iter().find(|column| column["name"] == "round").unwrap();
        assert_eq!((round["type"].as_str(), &round["nullable"]), (Some("int32"), &false.into()));
        for key in table["key"].as_array().unwrap() {
            let column = columns.iter().find(|column| column["name"] == *key).unwrap();
            assert_eq!(column["nullable"], false, "{name}: a key is never null");
        }
    }
}

#[test]
fn a_question_has_no_column_that_could_hold_a_gold_answer() {
    let expected =
        ["prompt_id", "prompt", "source", "split", "parent_ids", "operator", "expected", "round"];
    assert_eq!(Question::columns(), expected);
}

fn survives<T: Table + PartialEq + std::fmt::Debug>(row: &T) {
    let rows = vec![row.clone(), row.clone(), row.clone()];
    let batch = to_batch(&rows).unwrap();
    assert_eq!(batch.schema(), T::schema());
    assert_eq!(from_batch::<T>(&batch).unwrap(), rows);
    assert_eq!(from_batch::<T>(&to_batch::<T>(&[]).unwrap()).unwrap(), []);
}

#[test]
fn every_table_survives_the_way_through_arrow() {
    survives(&Prompt { parent_ids: vec!["a".into(), "b".into()], ..Prompt::default() });
    survives(&NodeRow { node_id: 3, parent_id: Some(2), q: Some(-0.5), ..NodeRow::default() });
    let option = schema::TextOption { text: "2+2=4\n".into(), ..schema::TextOption::default() };
    survives(&Trajectory { options: vec![option; 2], seed: -9, ..Trajectory::default() });
    let check = schema::Check { claimed: Some("4".into()), ok: true, ..schema::Check::default() };
    survives(&Critique { checks: vec![check], ..Critique::default() });
    survives(&Label {
        options: vec![String::new()],
        root_target: 0.5,
        value_targets: vec![1.0],
        process_targets: vec![0.0],
        ..Label::default()
    });
    survives(&SftExample { prompt: vec![schema::Message::user("ä")], ..SftExample::default() });
    survives(&Preference { rejected_id: "b".into(), margin: Some(1.5), ..Preference::default() });
    survives(&Steps {
        completions: vec!["a".into()],
        labels: vec![true],
        scores: None,
        ..Steps::default()
    });
    survives(&Evaluation { correct: true, difficulty: Some(3), ..Evaluation::default() });
    survives(&CorpusText { text: "line\n\0line".into(), ..CorpusText::default() });
}

#[test]
fn undecided_equations_count_neither_way() {
    let check = |computed: Option<&str>, ok| schema::Check {
        computed: computed.map(str::to_owned),
        ok,
        ..schema::Check::default()
    };
    let (holds, fails) = (check(Some("4"), true), check(Some("5"), false));
    let undecided = check(None, false);
    assert!(!schema::Check::all_hold(&[]));
    assert!(!schema::Check::all_hold(std::slice::from_ref(&undecided)));
    assert!(schema::Check::all_hold(&[holds.clone(), undecided.clone()]));
    assert!(!schema::Check::all_hold(&[holds, undecided, fails]));
}
