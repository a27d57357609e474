//! Presets: a stage's hyperparameters, from a TOML file and `--set key=value`.
//!
//! Anything that would otherwise be a silent mistake is refused: a key that the stage does not know, a value of
//! another type than the file's, a number out of range. A preset is identified by the [`digest`] of its
//! typed values, so comments, spacing and the order of keys do not count as a change.
//!
//! [`digest`]: Preset::digest

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::error::{Failure, ResultExt};

/// A stage's hyperparameters and their digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset<T> {
    /// The values.
    pub value: T,
    /// Blake3 hash, in hexadecimal, of the values as JSON with sorted keys.
    pub digest: String,
}

/// Reads the preset at `path`, applies each `key=value` of `set` in turn (a later one wins), and
/// deserializes the result as `T`.
///
/// A key is a dotted path, such as `search.width`. A value is TOML; anything that is not TOML is taken as text, so
/// that `mode=fast` needs no quotes. Fails with exit 64 if an item of `set` is malformed, otherwise with 78.
pub fn load<T: Serialize + DeserializeOwned>(
    path: &Path,
    set: &[String],
) -> Result<Preset<T>, Failure> {
    let file = path.display().to_string();
    let text = read(path)
        .map_err(|problem| Failure::config(format!("cannot read preset {file}: {problem}")))?;
    let mut table: Table = toml::from_str(&text).map_err(|e| in_file(&file, &text, &e))?;
    for assignment in set {
        apply(&mut table, assignment)?;
    }
    table
        .iter()
        .try_for_each(|(key, value)| in_range(key, value))
        .map_err(|problem| Failure::config(format!("{file}: {problem}")))?;
    let value: T = typed(table).map_err(|problem| match problem {
        Problem::Type(error) => in_file(&file, &text, &locate::<T>(&text, error)),
        Problem::Unknown(keys) => {
            Failure::config(format!("{file}: unknown key `{}`", keys.join("`, `")))
        }
    })?;
    let digest = dataset::digest_of(&value).or_bug(&file)?;
    Ok(Preset { value, digest })
}

/// Most bytes that a preset may have. Far more than anyone writes, it keeps a wrong path from filling the memory.
const LONGEST: u64 = 16 << 20;

fn read(path: &Path) -> Result<String, String> {
    let file = dataset::open_file(path).map_err(|e| match e {
        dataset::Error::Io { source, .. } => source.to_string(),
        dataset::Error::NotAFile { found, .. } => format!("it is {found}, not a file"),
        other => other.to_string(),
    })?;
    let mut text = String::new();
    // One byte more than allowed, to tell a file of that length from a longer one.
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > LONGEST {
        return Err(format!("it has more than {} MiB", LONGEST >> 20));
    }
    Ok(text)
}

/// The largest integer in a preset. Two of them can still be multiplied without overflow, and a stage that was asked to do
/// more of anything would not finish.
const LARGEST: i64 = 10_000_000;
/// The largest floating-point number, and the largest number of tokens, since a token budget may be for a whole run.
const LARGEST_REAL: f64 = 1e12;

/// Checks that all numbers in a value, at any depth, are within these limits.
fn in_range(key: &str, value: &Value) -> Result<(), String> {
    // A seed may be any integer, since only its bits matter.
    let free = key.ends_with("seed");
    let most = if key.ends_with("tokens") { LARGEST_REAL as i64 } else { LARGEST };
    match value {
        Value::Integer(number) if !free && number.unsigned_abs() > most.unsigned_abs() => {
            Err(format!("{key} is {number}; the most is {most}"))
        }
        Value::Float(number) if number.is_nan() || number.abs() > LARGEST_REAL => {
            Err(format!("{key} is {number:e}; the most is {LARGEST_REAL:e}"))
        }
        Value::Array(values) => values.iter().try_for_each(|value| in_range(key, value)),
        Value::Table(table) => {
            table.iter().try_for_each(|(name, value)| in_range(&format!("{key}.{name}"), value))
        }
        _ => Ok(()),
    }
}

enum Problem {
    Type(toml::de::Error),
    Unknown(Vec<String>),
}

/// Deserializes the table. Keys that `T` ignores are errors even if `T` lacks `deny_unknown_fields`, which is
/// easily forgotten and does not work together with `flatten`.
fn typed<T: DeserializeOwned>(table: Table) -> Result<T, Problem> {
    let mut unknown = Vec::new();
    let value =
        serde_ignored::deserialize(Value::Table(table), |key| unknown.push(key.to_string()))
            .map_err(Problem::Type)?;
    if unknown.is_empty() { Ok(value) } else { Err(Problem::Unknown(unknown)) }
}

/// Finds the position of an error in the text, by deserializing the file without any `--set`. The merged table has
/// no positions. The error stays as it is if the file alone does not have it.
fn locate<T: DeserializeOwned>(text: &str, error: toml::de::Error) -> toml::de::Error {
    match toml::from_str::<T>(text) {
        Err(placed) if placed.message() == error.message() => placed,
        _ => error,
    }
}

/// Formats an error as `file:line: problem` on one line. The column and excerpt that `toml` adds are dropped, since they
/// say nothing more.
fn in_file(file: &str, text: &str, error: &toml::de::Error) -> Failure {
    let Some(span) = error.span() else {
        // Without a position, the text of the error ends with its key, which `message()` lacks.
        return Failure::config(format!("{file}: {}", error.to_string().trim().replace('\n', " ")));
    };
    let before = text.bytes().take(span.start);
    let line = 1 + before.filter(|byte| *byte == b'\n').count();
    Failure::config(format!("{file}:{line}: {}", error.message().replace('\n', " ")))
}

/// Most sections that a key of `--set` may be nested in.
const DEEPEST: usize = 32;

/// Sets one key of the table, creating sections as needed.
fn apply(table: &mut Table, assignment: &str) -> Result<(), Failure> {
    let malformed = || Failure::usage(format!("`--set {assignment}` is not key=value"));
    let (path, raw) = assignment.split_once('=').ok_or_else(malformed)?;
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().unwrap_or_default();
    if last.is_empty() || keys.contains(&"") || keys.len() > DEEPEST {
        return Err(malformed());
    }
    let mut section = table;
    for key in keys {
        let entry = section.entry(key).or_insert_with(|| Value::Table(Table::new()));
        section = entry.as_table_mut().ok_or_else(|| {
            Failure::config(format!("`--set {assignment}`: `{key}` is not a section"))
        })?;
    }
    let value = parse(raw.trim()).ok_or_else(malformed)?;
    if let Some(old) = section.get(last).filter(|old| !replaces(old, &value)) {
        let (old, new) = (old.type_str(), value.type_str());
        let failure = Failure::config(format!("`--set {assignment}`: {old} expected, got {new}"));
        return Err(match old {
            "string" => failure.hint(format!("quote it: --set '{path}=\"{}\"'", raw.trim())),
            _ => failure,
        });
    }
    section.insert(last.to_owned(), value);
    Ok(())
}

/// Parses a TOML value, or else a bare word. Text that begins like a quoted string, an array or a table is no word.
fn parse(raw: &str) -> Option<Value> {
    match raw.parse() {
        Ok(value) => Some(value),
        Err(_) if raw.starts_with(['"', '\'', '[', '{']) => None,
        Err(_) => Some(Value::String(raw.to_owned())),
    }
}

/// Whether `new` has a type that may replace `old`. Integers and floats may replace each other, since a file
/// may say `1` for a float. If the key is really an integer, `T` refuses `1.5` later.
fn replaces(old: &Value, new: &Value) -> bool {
    let number = |value: &Value| value.is_integer() || value.is_float();
    old.same_type(new) || (number(old) && number(new))
}

/// Loads the files that `wanted` selects by name from the shipped presets (`pipelines/*/`) and their arms
/// (`pipelines/*/*/`). The tests of the stages check with it that all of them can be read.
///
/// # Errors
/// Those of [`load`]; exit 74 if the folder cannot be read, for example outside the repository.
pub fn shipped<T: Serialize + DeserializeOwned>(
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<T>, Failure> {
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines")];
    let mut values = Vec::new();
    while let Some(folder) = left.pop() {
        for path in list(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                left.push(path);
            } else if wanted(&name) {
                values.push(load(&path, &[])?.value);
            }
        }
    }
    Ok(values)
}

/// Lists the entries of a folder, sorted.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).or_io(folder.display())?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .or_io(folder.display())?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
#[path = "preset_tests.rs"]
mod tests;
