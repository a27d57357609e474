//! The traits of a table and of a view, which has only some of a table's columns.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::column::{Field, arrow_field};

/// A row type that is one of the tables. Implemented only by `table!`.
pub trait Table: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of the table, as in `schemas/<name>.json`.
    const NAME: &'static str;
    /// The version of the declaration. Datasets of another version are refused, never converted.
    const VERSION: u32;
    /// The columns of the key: no two rows of a dataset have the same values in all of them.
    const KEY: &'static [&'static str];

    /// Returns the description of a row: the doc comment of the row type, on one line.
    fn description() -> String;

    /// Returns the columns, in order.
    fn fields() -> Vec<Field>;

    /// Returns the row's key as one text, with `/` between columns, for error messages.
    fn id(&self) -> String;

    /// Checks what the types of the columns cannot express. The error describes the problem.
    fn check(&self) -> Result<(), String>;

    /// Returns the columns as an Arrow schema, with their descriptions in the metadata of the fields.
    fn schema() -> SchemaRef {
        let fields: Vec<_> = Self::fields().iter().map(arrow_field).collect();
        Arc::new(Schema::new(fields))
    }

    /// Returns name and version as written into every part, for example `prompts@1`.
    fn tag() -> String {
        // In every part, so that a mix is noticed: DuckDB and pandas silently drop a column that only later parts have.
        format!("{}@{}", Self::NAME, Self::VERSION)
    }
}

/// A row type with only some of a table's columns. The others are not even decoded, so a stage that must not see
/// a column, such as the gold answer, cannot use it by mistake.
pub trait View: DeserializeOwned + Send + 'static {
    /// The table that the columns are from.
    type Of: Table;

    /// Returns the names of the columns, which are the fields of the view, in the order of the table.
    fn columns() -> &'static [&'static str];
}

/// The check of a table whose types express all its rules.
#[expect(clippy::unnecessary_wraps, reason = "it has the shape of a check")]
pub(crate) fn anything<T>(_: &T) -> Result<(), String> {
    Ok(())
}
