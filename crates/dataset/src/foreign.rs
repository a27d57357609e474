//! Reading Parquet files written by other programs, for importers of question-and-answer data.

use std::io::Read;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use arrow_select::take::take;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::atomic::open_file;
use crate::entry::most_unpacked;
use crate::{Error, part};

/// The types that a column of a foreign table may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text.
    Text,
    /// Text, or lists of texts, which are joined by spaces.
    Texts,
    /// Text or numbers. Integers and decimals keep every digit. A floating-point number becomes the shortest text that
    /// parses to the same number, without an exponent.
    Scalars,
}

/// A cell as text; `None` for null.
type Cell = Option<String>;

/// A row, with one cell for each requested column, in the order requested; `None` for null.
pub type ForeignRow = Vec<Option<String>>;

/// Reads some columns of the Parquet file at `path`, which may be compressed in any of the usual ways. Fails if a
/// column is missing, occurs twice or has another type than `columns` allows.
pub fn read_foreign_parquet(
    path: &Path,
    columns: &[(&str, Holds)],
) -> Result<Vec<ForeignRow>, Error> {
    // Read the whole file first, so that an error of the disk is not reported as bad Parquet.
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    let (size, bytes) = (bytes.len() as u64, Bytes::from(bytes));
    part::decoding(path, || decoded(path, (size, bytes), columns))
}

fn decoded(
    path: &Path,
    (size, bytes): (u64, Bytes),
    columns: &[(&str, Holds)],
) -> Result<Vec<ForeignRow>, Error> {
    let refused = |detail: String| Error::Unreadable { path: path.to_owned(), detail };
    let unreadable = |error: &dyn std::error::Error| refused(format!("not Parquet ({error})"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| unreadable(&e))?;
    let batch = part::batch_rows(builder.metadata(), size, path)?;
    let places = places(&builder, columns).map_err(refused)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), places);
    let builder = builder.with_projection(mask).with_batch_size(batch);
    let reader = builder.build().map_err(|e| unreadable(&e))?;
    let (mut rows, mut unpacked) = (Vec::new(), 0);
    for batch in reader {
        let batch = batch.map_err(|e| unreadable(&e))?;
        unpacked += batch.get_array_memory_size() as u64;
        // `batch_rows` has checked the sizes in the metadata, but those may be wrong.
        if unpacked > most_unpacked(size) {
            return Err(part::too_large(path, size));
        }
        append(&mut rows, &batch, columns).map_err(refused)?;
    }
    Ok(rows)
}

/// Returns the indices of the columns among those of the file.
fn places(
    builder: &ParquetRecordBatchReaderBuilder<Bytes>,
    columns: &[(&str, Holds)],
) -> Result<Vec<usize>, String> {
    let fields = builder.schema().fields();
    let place = |(name, _): &(&str, Holds)| {
        let mut found = fields.iter().enumerate().filter(|(_, field)| field.name() == name);
        match (found.next(), found.next()) {
            (Some((at, _)), None) => Ok(at),
            (Some(_), Some(_)) => Err(format!("the column `{name}` is there twice")),
            (None, _) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                Err(format!("no column `{name}`; there are {}", names.join(", ")))
            }
        }
    };
    columns.iter().map(place).collect()
}

fn append(
    rows: &mut Vec<ForeignRow>,
    batch: &RecordBatch,
    columns: &[(&str, Holds)],
) -> Result<(), String> {
    let mut cells = Vec::with_capacity(columns.len());
    for (name, holds) in columns {
        let array =
            batch.column_by_name(name).ok_or_else(|| format!("no column `{name}` in a batch"))?;
        cells.push(column(array, *holds).map_err(|problem| format!("column `{name}` {problem}"))?);
    }
    rows.extend(
        (0..batch.num_rows())
            .map(|row| cells.iter_mut().map(|column| column[row].take()).collect()),
    );
    Ok(())
}

/// Returns the cells of a column as text. The error is phrased to follow the column's name.
fn column(array: &ArrayRef, holds: Holds) -> Result<Vec<Cell>, String> {
    let text = |cell: Option<&str>| cell.map(str::to_owned);
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = take(dictionary.values(), dictionary.keys(), None)
                .map_err(|error| format!("cannot be read: {error}"))?;
            column(&values, holds)
        }
        DataType::Utf8 => Ok(array.as_string::<i32>().iter().map(text).collect()),
        DataType::LargeUtf8 => Ok(array.as_string::<i64>().iter().map(text).collect()),
        DataType::Utf8View => Ok(array.as_string_view().iter().map(text).collect()),
        DataType::List(_) if holds == Holds::Texts => lists(array.as_list::<i32>().iter()),
        DataType::LargeList(_) if holds == Holds::Texts => lists(array.as_list::<i64>().iter()),
        kind => {
            let numbers = if holds == Holds::Scalars { numbers(array) } else { None };
            let expected = match holds {
                Holds::Text => "text",
                Holds::Texts => "text or lists of texts",
                Holds::Scalars => "text or numbers",
            };
            numbers.ok_or_else(|| format!("is {kind}, not {expected}"))
        }
    }
}

/// Joins the texts of every list with spaces.
fn lists(lists: impl Iterator<Item = Option<ArrayRef>>) -> Result<Vec<Cell>, String> {
    let joined = |list: Option<ArrayRef>| {
        let texts = list.map(|list| column(&list, Holds::Text)).transpose()?;
        Ok(texts.map(|texts| texts.into_iter().flatten().collect::<Vec<_>>().join(" ")))
    };
    lists.map(joined).collect()
}

/// Returns the cells of a column of numbers; `None` for any other type.
fn numbers(array: &ArrayRef) -> Option<Vec<Cell>> {
    // One arm per type instead of `cast`, whose kernels for every pair of types would all be compiled.
    Some(match array.data_type() {
        DataType::Int8 => shown::<Int8Type>(array, |n| Some(n.to_string())),
        DataType::Int16 => shown::<Int16Type>(array, |n| Some(n.to_string())),
        DataType::Int32 => shown::<Int32Type>(array, |n| Some(n.to_string())),
        DataType::Int64 => shown::<Int64Type>(array, |n| Some(n.to_string())),
        DataType::UInt8 => shown::<UInt8Type>(array, |n| Some(n.to_string())),
        DataType::UInt16 => shown::<UInt16Type>(array, |n| Some(n.to_string())),
        DataType::UInt32 => shown::<UInt32Type>(array, |n| Some(n.to_string())),
        DataType::UInt64 => shown::<UInt64Type>(array, |n| Some(n.to_string())),
        // Infinity and NaN become null, since neither can be an answer.
        DataType::Float32 => shown::<Float32Type>(array, |n| n.is_finite().then(|| n.to_string())),
        DataType::Float64 => shown::<Float64Type>(array, |n| n.is_finite().then(|| n.to_string())),
        DataType::Decimal32(digits, scale) => decimals::<Decimal32Type>(array, *digits, *scale),
        DataType::Decimal64(digits, scale) => decimals::<Decimal64Type>(array, *digits, *scale),
        DataType::Decimal128(digits, scale) => decimals::<Decimal128Type>(array, *digits, *scale),
        DataType::Decimal256(digits, scale) => decimals::<Decimal256Type>(array, *digits, *scale),
        _ => return None,
    })
}

fn shown<T: ArrowPrimitiveType>(array: &ArrayRef, show: fn(T::Native) -> Cell) -> Vec<Cell> {
    array.as_primitive::<T>().iter().map(|number| number.and_then(show)).collect()
}

/// Returns the cells of a column of decimals with every digit.
fn decimals<T: DecimalType>(array: &ArrayRef, digits: u8, scale: i8) -> Vec<Cell> {
    let show = |number: T::Native| T::format_decimal(number, digits, scale);
    array.as_primitive::<T>().iter().map(|number| number.map(show)).collect()
}
