//! The mapping from Rust types to Arrow types. Unsigned integers, maps and half floats are left out on purpose: some
//! reader of Parquet does not understand each of them, so they cannot become columns.

use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, FieldRef, Fields};

/// The metadata key under which a column's description is stored.
const DESCRIPTION: &str = "description";

/// A Rust type that can be a column.
pub trait Column {
    /// Whether a value may be missing.
    const NULLABLE: bool = false;

    /// Returns the Arrow type of the values.
    fn data_type() -> DataType;
}

/// A declared column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name of the column.
    pub name: &'static str,
    /// Its Arrow type.
    pub data_type: DataType,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// Its doc comment, joined to one line.
    pub description: String,
}

impl Field {
    /// Makes the column `name` of type `T`. `doc` holds the lines of its doc comment.
    pub(crate) fn of<T: Column>(name: &'static str, doc: &[&str]) -> Self {
        Self { name, data_type: T::data_type(), nullable: T::NULLABLE, description: joined(doc) }
    }
}

/// Joins the lines of a doc comment into one line.
pub(crate) fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Converts a column to a field of Arrow.
pub(crate) fn arrow_field(field: &Field) -> FieldRef {
    let arrow = ArrowField::new(field.name, field.data_type.clone(), field.nullable);
    Arc::new(arrow.with_metadata([(DESCRIPTION.to_owned(), field.description.clone())]))
}

/// Returns the Arrow type of a nested record.
pub(crate) fn record(fields: &[Field]) -> DataType {
    DataType::Struct(fields.iter().map(arrow_field).collect::<Fields>())
}

/// Returns the description in the metadata of a field; empty if there is none.
pub(crate) fn description(field: &ArrowField) -> &str {
    field.metadata().get(DESCRIPTION).map_or("", String::as_str)
}

macro_rules! primitive {
    ($($rust:ty => $arrow:ident),*) => {
        $(impl Column for $rust {
            fn data_type() -> DataType {
                DataType::$arrow
            }
        })*
    };
}

// There is no type for maps because HF datasets refuses them.
primitive!(String => Utf8, i32 => Int32, i64 => Int64, f32 => Float32, f64 => Float64, bool => Boolean);

impl<T: Column> Column for Option<T> {
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }
}

impl<T: Column> Column for Vec<T> {
    fn data_type() -> DataType {
        // The Parquet specification calls the child of a list "element". Arrow's own default is another name.
        DataType::List(Arc::new(ArrowField::new("element", T::data_type(), T::NULLABLE)))
    }
}
