//! The declarations as JSON, for readers in other languages, and as a page for people. They are written to
//! `schemas/<table>.json` and `schemas/README.md`.

use arrow_schema::{DataType, Field};
use serde_json::{Value, json};

use crate::column::{arrow_field, description};
use crate::{
    CorpusText, Critique, DraftRow, Evaluation, Label, NodeRow, Preference, Prompt, SftExample,
    Steps, Table, Trajectory,
};

/// Returns the name of every table, with its declaration as indented JSON that ends in a newline.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        described::<Prompt>(),
        described::<DraftRow>(),
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

/// Returns a page with the columns of all tables, as Markdown.
pub fn dictionary() -> String {
    let intro = "# Tables\n\nWritten by `make schemas` from the declarations in `crates/schema`. [The guide](../docs/guide/tables.md) \
                 says how to open them.\n";
    let section = |(name, json): (&str, String)| {
        let table: Value = serde_json::from_str(&json).expect("it was JSON a moment ago");
        let key = table["key"].as_array().expect("every table has a key");
        let key: Vec<&str> = key.iter().filter_map(Value::as_str).collect();
        let (description, version) = (text(&table["description"]), &table["version"]);
        let head = "| column | type | null | description |\n|---|---|---|---|";
        let (key, rows) = (key.join("`, `"), rows("", &table["columns"]).concat());
        format!("\n## {name}\n\n{description} Version {version}, key `{key}`.\n\n{head}\n{rows}")
    };
    let sections: Vec<String> = all().into_iter().map(section).collect();
    [intro.to_owned(), sections.concat()].concat()
}

/// Returns a line for each column, and after a column of structs one for each of their fields.
fn rows(prefix: &str, columns: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for column in columns.as_array().into_iter().flatten() {
        let name = format!("{prefix}{}", text(&column["name"]));
        let null = if column["nullable"] == true { "yes" } else { "" };
        let (kind, description) = (text(&column["type"]), text(&column["description"]));
        lines.push(format!("| `{name}` | `{kind}` | {null} | {description} |\n"));
        lines.extend(rows(&format!("{name}."), &column["fields"]));
    }
    lines
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
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
