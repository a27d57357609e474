//! The log of measurements made during a run, with one JSON object per line. It is the only place for timings, which
//! differ between runs, so the manifest does not list it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::{Error, atomic};

/// The file name of the log in a dataset's folder. Replacing a dataset by one of another recipe starts a new log.
pub const METRICS: &str = "metrics.jsonl";

/// An open log.
#[derive(Debug)]
pub struct MetricsLog {
    file: File,
    path: PathBuf,
}

impl MetricsLog {
    /// Opens the log at `path` for appending, creating it and its folder if needed. A line that a killed run left
    /// unfinished gets its newline, so that the next line does not run into it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).open(path);
        let mut file = opened.map_err(Error::io("open", path))?;
        close_torn(&mut file).map_err(Error::io("write", path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends one line. `value` must be an object.
    pub fn append(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let bad = |detail: String| Error::Usage(format!("not a line of metrics: {detail}"));
        let value = serde_json::to_value(value).map_err(|e| bad(e.to_string()))?;
        if !value.is_object() {
            return Err(bad(value.to_string()));
        }
        // A single write, so that lines from several processes do not mix.
        let line = format!("{value}\n");
        self.file.write_all(line.as_bytes()).map_err(Error::io("write", &self.path))
    }

    /// Reads the lines of the log at `path`, oldest first; empty if there is no log. Lines that are cut off are skipped.
    pub fn read(path: &Path) -> Result<Vec<Value>, Error> {
        let bytes = atomic::read(path)?.unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n');
        let values = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        Ok(values.filter(Value::is_object).collect())
    }
}

fn close_torn(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}
