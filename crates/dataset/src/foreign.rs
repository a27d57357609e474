//! Reading Parquet files written by other programs, for importers of question-and-answer data.

use std::io::Read;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
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
fn column(array: &ArrayRef, holds: Holds) -> Result<Vec<Option<String>>, String> {
    let failed = |error: ArrowError| format!("cannot be read: {error}");
    match array.data_type() {
        DataType::Dictionary(_, value) => column(&cast(array, value).map_err(failed)?, holds),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            // One type in place of three, with offsets that fit any of them.
            let array = cast(array, &DataType::LargeUtf8).map_err(failed)?;
            Ok(array.as_string::<i64>().iter().map(|text| text.map(str::to_owned)).collect())
        }
        DataType::List(_) | DataType::LargeList(_) if holds == Holds::Texts => lists(array),
        // Infinity and NaN become null, since neither can be an answer.
        DataType::Float32 if holds == Holds::Scalars => {
            let shown = |n: f32| n.is_finite().then(|| n.to_string());
            Ok(array.as_primitive::<Float32Type>().iter().map(|n| n.and_then(shown)).collect())
        }
        DataType::Float64 if holds == Holds::Scalars => {
            let shown = |n: f64| n.is_finite().then(|| n.to_string());
            Ok(array.as_primitive::<Float64Type>().iter().map(|n| n.and_then(shown)).collect())
        }
        kind if holds == Holds::Scalars && (kind.is_integer() || kind.is_decimal()) => {
            let cell = |row| array.is_valid(row).then(|| array_value_to_string(array, row));
            (0..array.len()).map(|row| cell(row).transpose().map_err(failed)).collect()
        }
        kind => {
            let expected = match holds {
                Holds::Text => "text",
                Holds::Texts => "text or lists of texts",
                Holds::Scalars => "text or numbers",
            };
            Err(format!("is {kind}, not {expected}"))
        }
    }
}

/// Joins the texts of every list with spaces.
fn lists(array: &ArrayRef) -> Result<Vec<Option<String>>, String> {
    let failed = |error: ArrowError| format!("cannot be read: {error}");
    let field = match array.data_type() {
        DataType::List(field) | DataType::LargeList(field) => field.clone(),
        kind => return Err(format!("is {kind}, no list")),
    };
    let array = cast(array, &DataType::LargeList(field)).map_err(failed)?;
    let list = |list: Option<ArrayRef>| {
        let texts = list.map(|list| column(&list, Holds::Text)).transpose()?;
        Ok(texts.map(|texts| texts.into_iter().flatten().collect::<Vec<_>>().join(" ")))
    };
    array.as_list::<i64>().iter().map(list).collect()
}
