//! The declarations as JSON, for readers in other languages. They are written to `schemas/<table>.json`.

use arrow_schema::{DataType, Field};
use serde_json::{Value, json};

use crate::column::{arrow_field, description};
use crate::{
    CorpusText, Critique, Evaluation, Label, NodeRow, Preference, Prompt, SftExample, Steps, Table,
    Trajectory,
};

/// Returns the name of every table, with its declaration as indented JSON that ends in a newline.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        described::<Prompt>(),
        described::<NodeRow>(),
        described::<Trajectory>(),
        described::<Critique>(),
        described::<Label>(),
        described::<SftExample>(),
        described::<Preference>(),
        described::<Steps>(),
        described::<Evaluation>(),
        described::<CorpusText>(),
    ]
}

fn described<T: Table>() -> (&'static str, String) {
    (T::NAME, format!("{:#}\n", describe::<T>()))
}

/// Describes one table: `{name, version, description, key, columns: [{name, type, nullable, description}]}`. A column of
/// structs also has `fields`, of the same form as `columns`.
pub fn describe<T: Table>() -> Value {
    let columns: Vec<Value> = T::fields().iter().map(|field| column(&arrow_field(field))).collect();
    json!({
        "name": T::NAME,
        "version": T::VERSION,
        "description": T::description(),
        "key": T::KEY,
        "columns": columns,
    })
}

fn column(field: &Field) -> Value {
    let mut value = json!({
        "name": field.name(),
        "type": type_name(field.data_type()),
        "nullable": field.is_nullable(),
        "description": description(field),
    });
    if let Some(fields) = nested(field.data_type()) {
        value["fields"] = fields;
    }
    value
}

fn nested(data_type: &DataType) -> Option<Value> {
    match data_type {
        DataType::List(child) => nested(child.data_type()),
        DataType::Struct(fields) => Some(fields.iter().map(|field| column(field)).collect()),
        _ => None,
    }
}

/// Returns the name that other tools give to a column type, for example `list<string>`.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Struct(_) => "struct".to_owned(),
        DataType::List(child) => format!("list<{}>", type_name(child.data_type())),
        other => other.to_string(),
    }
}
