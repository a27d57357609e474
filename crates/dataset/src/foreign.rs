//! Parquet files that others wrote, for importers of question-and-answer data.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::Error;

/// A row: the question, and the answer and the solution where they were asked for.
pub type ForeignRow = (String, Option<String>, Option<String>);

/// Reads the text columns named `question`, `answer` and `solution` from the Parquet file at `path`. Refuses a column
/// that is missing or not text, and a question that is null; an answer or a solution may be null.
pub fn read_foreign_parquet(
    path: &Path,
    question: &str,
    answer: Option<&str>,
    solution: Option<&str>,
) -> Result<Vec<ForeignRow>, Error> {
    let refuse = |detail: String| Error::Unreadable { path: path.to_owned(), detail };
    let file = File::open(path).map_err(Error::io("read", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|e| refuse(format!("not Parquet ({e})")))?;
    let names: Vec<&str> = [Some(question), answer, solution].into_iter().flatten().collect();
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    for name in &names {
        if builder.schema().field_with_name(name).is_err() {
            let found: Vec<_> =
                builder.schema().fields().iter().map(|f| f.name().as_str()).collect();
            return Err(refuse(format!("no column `{name}`; there are {}", found.join(", "))));
        }
    }
    let reader = builder.with_projection(mask).build();
    let mut rows = Vec::new();
    for batch in reader.map_err(|e| refuse(format!("not Parquet ({e})")))? {
        let batch = batch.map_err(|e| refuse(format!("not Parquet ({e})")))?;
        append(&mut rows, &batch, &[Some(question), answer, solution]).map_err(refuse)?;
    }
    Ok(rows)
}

fn append(
    rows: &mut Vec<ForeignRow>,
    batch: &RecordBatch,
    names: &[Option<&str>; 3],
) -> Result<(), String> {
    let [question, answer, solution] = names.map(|name| name.map(|name| texts(batch, name)));
    let question = question.transpose()?.unwrap_or_default();
    let (answer, solution) = (answer.transpose()?, solution.transpose()?);
    for (i, text) in question.into_iter().enumerate() {
        let text = text.ok_or_else(|| format!("row {}: the question is null", rows.len()))?;
        let of = |column: &Option<Vec<Option<String>>>| column.as_ref().and_then(|c| c[i].clone());
        rows.push((text, of(&answer), of(&solution)));
    }
    Ok(())
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<Option<String>>, String> {
    let Some(array) = batch.column_by_name(name) else {
        return Err(format!("no column `{name}`"));
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    match array.data_type() {
        DataType::Utf8 => Ok(array.as_string::<i32>().iter().map(owned).collect()),
        DataType::LargeUtf8 => Ok(array.as_string::<i64>().iter().map(owned).collect()),
        DataType::Utf8View => Ok(array.as_string_view().iter().map(owned).collect()),
        other => Err(format!("column `{name}` is {other}, not text")),
    }
}
