//! Parts: rows encoded as the bytes of a Parquet file, and decoded again.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use schema::{Table, View};

use crate::Error;
use crate::entry::{Entry, most_unpacked};

/// The `created_by` of the Parquet file: a constant without a version, so that equal rows give equal bytes.
const CREATED_BY: &str = "alphallm";
/// Rows written or read at a time.
const BATCH: usize = 8192;
/// Bytes that a row group may take in memory before it is written out.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Returns the path of part `index` of `parts` in the dataset. Readers that guess the split from the file name see
/// "train".
pub(crate) fn part_path(index: usize, parts: usize) -> String {
    format!("data/train-{index:05}-of-{parts:05}.parquet")
}

/// Encodes rows as the bytes of a Parquet file. `place` is only for error messages.
pub(crate) fn encode<T: Table>(
    rows: &[T],
    provenance: &str,
    place: &Path,
) -> Result<Vec<u8>, Error> {
    let unwritable = |e: ParquetError| Error::Unreadable {
        path: place.to_owned(),
        detail: format!("the rows cannot be written as Parquet ({e})"),
    };
    let mut bytes = Vec::new();
    let properties = properties::<T>(provenance);
    let mut writer =
        ArrowWriter::try_new(&mut bytes, T::schema(), Some(properties)).map_err(unwritable)?;
    for (i, rows) in rows.chunks(BATCH).enumerate() {
        let batch = schema::to_batch(rows).map_err(|e| content(place, i * BATCH, e))?;
        writer.write(&batch).map_err(unwritable)?;
    }
    writer.close().map_err(unwritable)?;
    Ok(bytes)
}

/// Returns the size in bytes that these rows have as a part. `place` is only for error messages.
pub fn parquet_size<T: Table>(rows: &[T], place: &Path) -> Result<u64, Error> {
    Ok(encode(rows, "", place)?.len() as u64)
}

fn properties<T: Table>(provenance: &str) -> WriterProperties {
    let level = ZstdLevel::try_new(3).expect("levels from 1 to 22 are valid");
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by(CREATED_BY.to_owned())
        .set_key_value_metadata(Some(vec![
            pair("alphallm.schema", T::tag()),
            pair("alphallm.provenance", provenance.to_owned()),
        ]))
        .build()
}

/// Verifies a part and returns all its rows.
pub(crate) fn decode<T: Table>(entry: &Entry, dir: &Path) -> Result<Vec<T>, Error> {
    gather::<T, T>(entry, dir, None, schema::from_batch)
}

/// Verifies a part and returns all its rows, reading only the columns of a view.
pub(crate) fn decode_view<V: View>(entry: &Entry, dir: &Path) -> Result<Vec<V>, Error> {
    gather::<V::Of, V>(entry, dir, Some(V::columns()), schema::view_batch)
}

/// Verifies a part and calls `use_key` with the key of each row. No other column is decoded.
pub(crate) fn for_each_key<T: Table>(
    entry: &Entry,
    dir: &Path,
    mut use_key: impl FnMut(&str) -> Result<(), Error>,
) -> Result<(), Error> {
    let place = entry.place(dir);
    for_each::<T>(entry, &place, Some(T::KEY), |batch, first| {
        for row in 0..batch.num_rows() {
            let cell = |name: &&str| cell(batch, name, row);
            let parts: Result<Vec<String>, String> = T::KEY.iter().map(cell).collect();
            let key = parts.map_err(|what| Error::Unreadable {
                path: place.clone(),
                detail: format!("row {}: {what}", first + row),
            })?;
            use_key(&key.join("/"))?;
        }
        Ok(())
    })
}

/// Returns a cell of a key column as text; it must not be null.
fn cell(batch: &RecordBatch, column: &str, row: usize) -> Result<String, String> {
    let values = batch.column_by_name(column).ok_or_else(|| format!("no column `{column}`"))?;
    if values.is_null(row) {
        return Err(format!("column `{column}` is null"));
    }
    match values.data_type() {
        DataType::Utf8 => Ok(values.as_string::<i32>().value(row).to_owned()),
        DataType::Int32 => Ok(values.as_primitive::<Int32Type>().value(row).to_string()),
        kind => Err(format!("column `{column}` is {kind}, which is no type of a key")),
    }
}

fn gather<T: Table, R>(
    entry: &Entry,
    dir: &Path,
    columns: Option<&[&str]>,
    convert: fn(&RecordBatch) -> Result<Vec<R>, schema::Error>,
) -> Result<Vec<R>, Error> {
    let (place, mut rows) = (entry.place(dir), Vec::new());
    for_each::<T>(entry, &place, columns, |batch, first| {
        rows.extend(convert(batch).map_err(|e| content(&place, first, e))?);
        Ok(())
    })?;
    Ok(rows)
}

/// Runs `decode`, turning a panic into an error: the Parquet library panics on some files with contradictory
/// metadata.
pub(crate) fn decoding<T>(
    place: &Path,
    decode: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        let detail = "not Parquet (its metadata contradicts itself)".to_owned();
        Err(Error::Unreadable { path: place.to_owned(), detail })
    })
}

/// Calls `take` with every batch of a part and the number of its first row, with the given columns or all of them. The
/// whole file is read and verified first, so the decoded bytes are the ones that were hashed, and any later error is
/// one of the contents and not of the disk.
fn for_each<T: Table>(
    entry: &Entry,
    place: &Path,
    columns: Option<&[&str]>,
    mut take: impl FnMut(&RecordBatch, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let bytes = entry.read(place)?;
    let limit = most_unpacked(entry.bytes);
    let (mut first, mut unpacked) = (0, 0);
    let mut batches = decoding(place, || open::<T>(bytes.into(), entry, place, columns))?;
    // Guarded once more for every batch: `open` has only looked at the metadata.
    while let Some(batch) = decoding(place, || Ok(batches.next()))? {
        let batch = batch.map_err(|e| unreadable(place, &e))?;
        unpacked += batch.get_array_memory_size() as u64;
        // `open` has checked the sizes in the metadata, but those may be wrong.
        if unpacked > limit {
            return Err(too_large(place, entry.bytes));
        }
        take(&batch, first)?;
        first += batch.num_rows();
    }
    // The metadata had the right number of rows, but the pages may have another.
    same_rows(entry, place, first as u64)
}

/// Makes the error for a file that unpacks to more than [`most_unpacked`].
pub(crate) fn too_large(place: &Path, bytes: u64) -> Error {
    let limit = most_unpacked(bytes) >> 20;
    let detail = format!("its {bytes} bytes would unpack to more than {limit} MiB");
    Error::Unreadable { path: place.to_owned(), detail }
}

fn same_rows(entry: &Entry, place: &Path, rows: u64) -> Result<(), Error> {
    if entry.rows == Some(rows) {
        return Ok(());
    }
    let detail = format!("it has {rows} rows instead of {}", entry.rows.unwrap_or_default());
    Err(Error::Damaged { path: place.to_owned(), detail })
}

fn open<T: Table>(
    bytes: Bytes,
    entry: &Entry,
    place: &Path,
    columns: Option<&[&str]>,
) -> Result<ParquetRecordBatchReader, Error> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| unreadable(place, &e))?;
    schema::check_columns::<T>(builder.schema()).map_err(|e| content(place, 0, e))?;
    let rows = builder.metadata().file_metadata().num_rows();
    same_rows(entry, place, u64::try_from(rows).unwrap_or(u64::MAX))?;
    let batch = batch_rows(builder.metadata(), entry.bytes, place)?;
    let mask = match columns {
        None => ProjectionMask::all(),
        Some(names) => ProjectionMask::columns(builder.parquet_schema(), names.iter().copied()),
    };
    let reader = builder.with_projection(mask).with_batch_size(batch).build();
    reader.map_err(|e| unreadable(place, &e))
}

/// Returns the number of rows in the metadata of a part; 0 if the bytes are not Parquet.
pub(crate) fn rows(bytes: Vec<u8>) -> u64 {
    let found = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes));
    let rows = found.map_or(0, |found| found.metadata().file_metadata().num_rows());
    u64::try_from(rows).unwrap_or_default()
}

/// Returns the number of rows to read at a time from a file of `bytes` bytes: so few that a batch stays within
/// [`most_unpacked`] even if every row is as large as the largest row group. Fails if the metadata already announce
/// more than the limit.
pub(crate) fn batch_rows(
    found: &ParquetMetaData,
    bytes: u64,
    place: &Path,
) -> Result<usize, Error> {
    let size = |bytes: i64| u64::try_from(bytes).unwrap_or(u64::MAX);
    let groups = || found.row_groups().iter().map(|group| size(group.total_byte_size()));
    let limit = most_unpacked(bytes);
    if groups().fold(0, u64::saturating_add) > limit {
        return Err(too_large(place, bytes));
    }
    let largest = groups().max().unwrap_or_default().max(1);
    Ok((limit / largest).clamp(1, BATCH as u64) as usize)
}

fn unreadable(place: &Path, error: &dyn std::error::Error) -> Error {
    Error::Unreadable { path: place.to_owned(), detail: format!("not Parquet ({error})") }
}

fn content(place: &Path, first: usize, source: schema::Error) -> Error {
    Error::Content { path: place.to_owned(), source: source.offset(first) }
}
