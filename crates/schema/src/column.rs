//! From Rust types to Arrow types. What has no implementation here (unsigned integers, maps, half floats) cannot become
//! a column, because some reader of Parquet does not understand it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, FieldRef, Fields};

/// The metadata key under which a column's description is stored.
const DESCRIPTION: &str = "description";

/// A Rust type that can be a column.
pub trait Column {
    /// Whether a value may be missing.
    const NULLABLE: bool = false;

    /// The Arrow type of the values.
    fn data_type() -> DataType;
}

/// A declared column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The column's name.
    pub name: &'static str,
    /// Its Arrow type.
    pub data_type: DataType,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// Its doc comment, on one line.
    pub description: String,
}

impl Field {
    /// The column `name` of type `T`, described by the lines of its doc comment.
    pub(crate) fn of<T: Column>(name: &'static str, doc: &[&str]) -> Self {
        Self { name, data_type: T::data_type(), nullable: T::NULLABLE, description: joined(doc) }
    }
}

/// The lines of a doc comment as one line.
pub(crate) fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A field as Arrow has it.
pub(crate) fn arrow_field(field: &Field) -> FieldRef {
    let arrow = ArrowField::new(field.name, field.data_type.clone(), field.nullable);
    Arc::new(arrow.with_metadata([(DESCRIPTION.to_owned(), field.description.clone())]))
}

/// The type of a nested record.
pub(crate) fn record(fields: &[Field]) -> DataType {
    DataType::Struct(fields.iter().map(arrow_field).collect::<Fields>())
}

/// The description that a field of a schema carries.
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

primitive!(String => Utf8, i32 => Int32, i64 => Int64, f32 => Float32, f64 => Float64, bool => Boolean);

impl<T: Column> Column for Option<T> {
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }
}

impl<T: Column> Column for Vec<T> {
    fn data_type() -> DataType {
        // "element" is what the Parquet specification calls the child of a list; Arrow's own default differs.
        DataType::List(Arc::new(ArrowField::new("element", T::data_type(), T::NULLABLE)))
    }
}
