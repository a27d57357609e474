//! What a table is, and what a narrower reading of one is.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::column::{Field, arrow_field};

/// A row type that is one of the tables. Implemented only by `table!`.
pub trait Table: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The table's name, as in `schemas/<name>.json`.
    const NAME: &'static str;
    /// The version of the declaration. Datasets of another version are refused, never converted.
    const VERSION: u32;
    /// The columns that tell rows apart: no two rows of a dataset agree in all of them.
    const KEY: &'static [&'static str];

    /// What a row of this table is, in words.
    fn description() -> String;

    /// The columns in their order.
    fn fields() -> Vec<Field>;

    /// The row's key, for messages and for finding duplicates.
    fn id(&self) -> String;

    /// Says what is wrong with the row beyond the types of its columns.
    fn check(&self) -> Result<(), String>;

    /// The columns as an Arrow schema. Descriptions are in the fields' metadata.
    fn schema() -> SchemaRef {
        let fields: Vec<_> = Self::fields().iter().map(arrow_field).collect();
        Arc::new(Schema::new(fields))
    }

    /// Name and version as written into every part, for example `prompts@1`.
    fn tag() -> String {
        format!("{}@{}", Self::NAME, Self::VERSION)
    }
}

/// Some of a table's columns. What is not among them is not read from the disk, so that a stage cannot use it.
pub trait View: DeserializeOwned + Send + 'static {
    /// The table looked at.
    type Of: Table;

    /// The columns read, which are the view's fields, in the order of the table.
    fn columns() -> &'static [&'static str];
}

/// The check of a table whose types say everything.
#[expect(clippy::unnecessary_wraps, reason = "it has the shape of a check")]
pub(crate) fn anything<T>(_: &T) -> Result<(), String> {
    Ok(())
}
