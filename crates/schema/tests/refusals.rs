//! Batches and rows that do not fit their table are refused, and the error says where.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use schema::{
    Critique, Error, Label, NodeRow, Preference, Prompt, Question, Steps, Table, critiques,
    from_batch, nodes, prompts, to_batch, view_batch,
};

fn prompt(id: &str) -> Prompt {
    Prompt { prompt_id: id.into(), answer: Some("4".into()), ..Prompt::default() }
}

/// Returns the batch with its fields and arrays changed by `change`.
fn altered<T: Table>(rows: &[T], change: impl Fn(&mut Vec<(FieldRef, ArrayRef)>)) -> RecordBatch {
    let batch = to_batch(rows).unwrap();
    let fields = batch.schema().fields().iter().cloned().collect::<Vec<_>>();
    let mut columns = fields.into_iter().zip(batch.columns().to_vec()).collect();
    change(&mut columns);
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn refusal(change: impl Fn(&mut Vec<(FieldRef, ArrayRef)>)) -> String {
    from_batch::<Prompt>(&altered(&[prompt("a"), prompt("b")], change)).unwrap_err().to_string()
}

fn nullable(field: &Field) -> FieldRef {
    Arc::new(field.clone().with_nullable(true))
}

#[test]
fn other_columns_are_refused() {
    assert_eq!(
        refusal(|columns| drop(columns.remove(1))),
        "not the columns of prompts@2: column `prompt` is missing"
    );
    assert_eq!(
        refusal(|columns| columns.swap(2, 3)),
        "not the columns of prompts@2: column `answer` is at position 3, not 2"
    );
    assert_eq!(
        refusal(|columns| {
            let field = Field::new(prompts::col::round, DataType::Int64, true);
            columns[11] = (Arc::new(field), new_null_array(&DataType::Int64, 2));
        }),
        "not the columns of prompts@2: column `round` is Int64, not Int32"
    );
    assert_eq!(
        refusal(|columns| {
            let field = Field::new("extra", DataType::Utf8, true);
            columns.push((Arc::new(field), new_null_array(&DataType::Utf8, 2)));
        }),
        "not the columns of prompts@2: column `extra` is not one of them"
    );
}

#[test]
fn nulls_are_refused_where_the_declaration_has_none() {
    let batch = altered(&[prompt("a"), prompt("b")], |columns| {
        let answers = new_null_array(&DataType::Utf8, 2);
        columns[1] = (nullable(&columns[1].0), answers);
    });
    let error = from_batch::<Prompt>(&batch).unwrap_err();
    assert_eq!(error.to_string(), "row 0 of prompts@2: column `prompt` is null");
    assert_eq!(error.offset(40).to_string(), "row 40 of prompts@2: column `prompt` is null");
}

#[test]
fn columns_marked_nullable_by_another_writer_are_read() {
    let batch = altered(&[prompt("a")], |columns| {
        for (field, _) in columns.iter_mut() {
            *field = nullable(field);
        }
    });
    assert_eq!(from_batch::<Prompt>(&batch).unwrap(), [prompt("a")]);
}

#[test]
fn numbers_that_are_not_finite_are_refused_at_any_depth() {
    let node = |q| NodeRow { q, ..NodeRow::default() };
    assert_eq!(
        to_batch(&[node(None), node(Some(f32::NAN))]).unwrap_err().to_string(),
        format!("row 1 of nodes@2: column `{}` is not a finite number", nodes::col::q)
    );
    let critique = Critique {
        values: vec![0.0, f32::INFINITY],
        process_rewards: vec![0.0, 0.0],
        ..Critique::default()
    };
    assert_eq!(
        to_batch(&[Critique::default(), critique]).unwrap_err().to_string(),
        format!("row 1 of critiques@2: column `{}` is not a finite number", critiques::col::values)
    );
}

fn complaint<T: Table>(row: T) -> String {
    match to_batch(&[row]).unwrap_err() {
        Error::Row { row: 0, detail, .. } => detail,
        other => panic!("{other}"),
    }
}

#[test]
fn inconsistent_rows_are_refused() {
    let node =
        NodeRow { prompt_id: "p".into(), node_id: 2, parent_id: Some(2), ..Default::default() };
    assert_eq!(complaint(node), "node 2 cannot have node 2 as its parent (in p/2)");
    let steps = Steps { trajectory_id: "t".into(), labels: vec![true], ..Default::default() };
    assert_eq!(complaint(steps), "0 steps, 1 labels, 0 scores (in t)");
    let label = Label {
        trajectory_id: "t".into(),
        options: vec!["a".into()],
        value_targets: vec![1.5],
        process_targets: vec![0.5],
        ..Default::default()
    };
    assert_eq!(
        complaint(label.clone()),
        "value_targets holds 1.5, which is not between 0 and 1 (in t)"
    );
    let short = Label { value_targets: vec![], ..label.clone() };
    assert_eq!(complaint(short), "1 options but 0 value_targets (in t)");
    let root = Label { root_target: -0.5, value_targets: vec![1.0], ..label.clone() };
    assert_eq!(complaint(root), "root_target is -0.5, which is not between 0 and 1 (in t)");
    let half = Label { value_targets: vec![1.0], outcome: 0.5, ..label };
    assert_eq!(complaint(half), "outcome is 0.5, neither 0 nor 1 (in t)");
    assert_eq!(complaint(Preference::default()), "a trajectory is preferred to itself (in /)");
    let own = Prompt { parent_ids: vec!["a".into()], ..prompt("a") };
    assert_eq!(complaint(own), "a prompt is its own parent (in a)");
}

#[test]
fn a_view_takes_its_own_columns_and_no_more() {
    let whole = altered(&[prompt("a")], |_| ());
    let error = view_batch::<Question>(&whole).unwrap_err().to_string();
    assert_eq!(error, "not the columns of prompts@2: column `source` is at position 4, not 2");
    let narrow = altered(&[prompt("a")], |columns| {
        columns.retain(|(field, _)| {
            !["answer", "solution", "difficulty", "seed"].contains(&field.name().as_str())
        });
    });
    assert_eq!(view_batch::<Question>(&narrow).unwrap(), [Question::from(prompt("a"))]);
}
