//! One part: rows as the bytes of a Parquet file, and back.

use std::fs::File;
use std::io::Seek;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use schema::{Table, View};

use crate::manifest::Entry;
use crate::{Error, atomic};

/// Constant, so that equal rows give equal bytes.
const CREATED_BY: &str = "alphallm";
/// Rows are handed to the writer, and read, this many at a time.
const BATCH: usize = 8192;
/// What a row group may hold in memory before it is written out.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Where the part `index` of `parts` lies. Readers that guess the split from the name see "train".
pub(crate) fn part_path(index: usize, parts: usize) -> String {
    format!("data/train-{index:05}-of-{parts:05}.parquet")
}

/// The rows as the bytes of a Parquet file; `place` is for messages.
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

/// The bytes that rows take as a part; `place` is for messages.
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

/// All rows of a part.
pub(crate) fn decode<T: Table>(entry: &Entry, dir: &Path) -> Result<Vec<T>, Error> {
    let place = entry.place(dir);
    let batches = batches::<T>(entry, &place, None)?;
    gather(&place, &batches, schema::from_batch)
}

/// All rows of a part, with the columns of a view alone.
pub(crate) fn decode_view<V: View>(entry: &Entry, dir: &Path) -> Result<Vec<V>, Error> {
    let place = entry.place(dir);
    let batches = batches::<V::Of>(entry, &place, Some(V::columns()))?;
    gather(&place, &batches, schema::view_batch)
}

/// The part's batches, with the given columns or all. The file is verified through the handle it is then read through.
fn batches<T: Table>(
    entry: &Entry,
    place: &Path,
    columns: Option<&[&str]>,
) -> Result<Vec<RecordBatch>, Error> {
    let mut file = File::open(place).map_err(Error::io("read", place))?;
    let (bytes, blake3) = atomic::digest_open(&mut file).map_err(Error::io("read", place))?;
    entry.compare(place, bytes, &blake3)?;
    file.rewind().map_err(Error::io("read", place))?;
    let batches = open::<T>(file, place, columns)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if entry.rows != Some(rows as u64) {
        let detail = format!("it has {rows} rows instead of {}", entry.rows.unwrap_or_default());
        return Err(Error::Damaged { path: place.to_owned(), detail });
    }
    Ok(batches)
}

fn open<T: Table>(
    file: File,
    place: &Path,
    columns: Option<&[&str]>,
) -> Result<Vec<RecordBatch>, Error> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| unreadable(place, &e))?;
    schema::check_columns::<T>(builder.schema()).map_err(|e| content(place, 0, e))?;
    let mask = match columns {
        None => ProjectionMask::all(),
        Some(names) => ProjectionMask::columns(builder.parquet_schema(), names.iter().copied()),
    };
    let reader = builder.with_projection(mask).with_batch_size(BATCH).build();
    let reader: ParquetRecordBatchReader = reader.map_err(|e| unreadable(place, &e))?;
    reader.collect::<Result<_, _>>().map_err(|e| unreadable(place, &e))
}

fn gather<R>(
    place: &Path,
    batches: &[RecordBatch],
    convert: fn(&RecordBatch) -> Result<Vec<R>, schema::Error>,
) -> Result<Vec<R>, Error> {
    let mut rows = Vec::new();
    for batch in batches {
        let more = convert(batch).map_err(|e| content(place, rows.len(), e))?;
        rows.extend(more);
    }
    Ok(rows)
}

fn unreadable(place: &Path, error: &dyn std::error::Error) -> Error {
    Error::Unreadable { path: place.to_owned(), detail: format!("not Parquet ({error})") }
}

fn content(place: &Path, first: usize, source: schema::Error) -> Error {
    Error::Content { path: place.to_owned(), source: source.offset(first) }
}
