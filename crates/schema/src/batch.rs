//! Conversion of rows to Arrow record batches and back, with a check of everything that the declaration demands.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use serde::de::DeserializeOwned;

use crate::{Error, Table, View};

/// Converts rows to one record batch with the table's schema. They are checked in the same way as in [`from_batch`], so
/// everything that is written can be read back.
pub fn to_batch<T: Table>(rows: &[T]) -> Result<RecordBatch, Error> {
    let schema = T::schema();
    let arrays = serde_arrow::to_arrow(schema.fields(), rows).map_err(|e| convert::<T>(&e))?;
    let batch = RecordBatch::try_new(schema, arrays).map_err(|e| convert::<T>(&e))?;
    check_values::<T>(&batch)?;
    check_rows(rows)?;
    Ok(batch)
}

/// Converts a record batch to rows. Its columns must match the table in names, order and types. A column that is declared
/// not null may be marked nullable as long as it holds no null, since other writers mark every column as nullable.
pub fn from_batch<T: Table>(batch: &RecordBatch) -> Result<Vec<T>, Error> {
    let rows = read::<T, T>(batch, T::schema().fields())?;
    check_rows(&rows)?;
    Ok(rows)
}

/// Converts a record batch to rows of a view. It must have exactly the columns of the view.
pub fn view_batch<V: View>(batch: &RecordBatch) -> Result<Vec<V>, Error> {
    let schema = <V::Of as Table>::schema();
    let wanted = |field: &&FieldRef| V::columns().contains(&field.name().as_str());
    let fields: Fields = schema.fields().iter().filter(wanted).cloned().collect();
    read::<V::Of, V>(batch, &fields)
}

/// Checks a schema against the table, by the same rules as [`from_batch`]. Readers of a whole file need it, because a
/// file without rows has no batch to check.
pub fn check_columns<T: Table>(found: &Schema) -> Result<(), Error> {
    compare(found.fields(), T::schema().fields())
        .map_err(|detail| Error::Columns { table: T::tag(), detail })
}

fn read<T: Table, R: DeserializeOwned>(
    batch: &RecordBatch,
    fields: &Fields,
) -> Result<Vec<R>, Error> {
    compare(batch.schema().fields(), fields)
        .map_err(|detail| Error::Columns { table: T::tag(), detail })?;
    check_values::<T>(batch)?;
    serde_arrow::from_record_batch(batch).map_err(|e| convert::<T>(&e))
}

fn convert<T: Table>(error: &dyn std::error::Error) -> Error {
    // The messages of `serde_arrow` have several lines, of which the first describes the problem.
    let detail = error.to_string().lines().next().unwrap_or_default().to_owned();
    Error::Convert { table: T::tag(), detail }
}

fn check_rows<T: Table>(rows: &[T]) -> Result<(), Error> {
    for (row, value) in rows.iter().enumerate() {
        value.check().map_err(|what| Error::Row {
            table: T::tag(),
            row,
            detail: format!("{what} (in {})", value.id()),
        })?;
    }
    Ok(())
}

fn compare(found: &Fields, declared: &Fields) -> Result<(), String> {
    for (i, want) in declared.iter().enumerate() {
        // By name first: by place alone, a missing column would be reported as a neighbour of the wrong type.
        let Some((at, have)) = found.find(want.name()) else {
            return Err(format!("column `{}` is missing", want.name()));
        };
        let (have, want_type) = (bare(have.data_type()), bare(want.data_type()));
        if have != want_type {
            return Err(format!("column `{}` is {have}, not {want_type}", want.name()));
        }
        if at != i {
            return Err(format!("column `{}` is at position {at}, not {i}", want.name()));
        }
    }
    match found.get(declared.len()) {
        Some(extra) => Err(format!("column `{}` is not one of them", extra.name())),
        None => Ok(()),
    }
}

/// Strips nullability and metadata from a type, since other writers do not keep them.
fn bare(data_type: &DataType) -> DataType {
    let plain = |field: &FieldRef| Field::new(field.name(), bare(field.data_type()), true);
    match data_type {
        DataType::List(child) => DataType::List(Arc::new(plain(child))),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        other => other.clone(),
    }
}

fn check_values<T: Table>(batch: &RecordBatch) -> Result<(), Error> {
    let schema = T::schema();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let Some((_, declared)) = schema.fields().find(field.name()) else { continue };
        check_array(declared, array.as_ref()).map_err(|(row, what)| Error::Row {
            table: T::tag(),
            row,
            detail: format!("column `{}` {what}", field.name()),
        })?;
    }
    Ok(())
}

/// Fails with the first row that has a null where none is allowed, or a number that is not finite.
fn check_array(declared: &Field, array: &dyn Array) -> Result<(), (usize, &'static str)> {
    // Arrow has not checked this: other writers mark every column as nullable.
    if !declared.is_nullable()
        && array.null_count() > 0
        && let Some(row) = (0..array.len()).find(|row| array.is_null(*row))
    {
        return Err((row, "is null"));
    }
    match declared.data_type() {
        DataType::Float32 => finite(array.as_primitive::<Float32Type>().iter(), f32::is_finite),
        DataType::Float64 => finite(array.as_primitive::<Float64Type>().iter(), f64::is_finite),
        DataType::List(child) => {
            let lists = array.as_list::<i32>();
            // What Arrow keeps under a null list is not data.
            (0..lists.len()).filter(|row| lists.is_valid(*row)).try_for_each(|row| {
                check_array(child, lists.value(row).as_ref()).map_err(|(_, what)| (row, what))
            })
        }
        DataType::Struct(fields) => {
            let children = array.as_struct().columns();
            fields.iter().zip(children).try_for_each(|(f, child)| check_array(f, child.as_ref()))
        }
        _ => Ok(()),
    }
}

fn finite<V>(
    mut values: impl Iterator<Item = Option<V>>,
    is_finite: fn(V) -> bool,
) -> Result<(), (usize, &'static str)> {
    match values.position(|value| value.is_some_and(|v| !is_finite(v))) {
        Some(row) => Err((row, "is not a finite number")),
        None => Ok(()),
    }
}
