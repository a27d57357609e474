//! Prints resolved settings as TOML, for `--dry-run`.

use std::fmt::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Overlay, Preset};
use crate::error::{Failure, ResultExt};

/// Formats all settings of a preset, defaults included. Each one names the place that set it, unless that is the file at the
/// top. `argument` is the option that named the file.
pub(crate) fn show<T: Serialize + DeserializeOwned>(
    argument: &str,
    preset: &Preset<T>,
) -> Result<String, Failure> {
    let overlay = preset.overlay();
    let files: Vec<&str> = overlay.files().rev().collect();
    let mut text = format!("# --{argument} {}\n", files.join(", which extends "));
    let table = Table::try_from(&preset.value).or_bug(overlay.file())?;
    section(&mut text, &table, &mut Vec::new(), overlay)?;
    text.push('\n');
    Ok(text)
}

/// Formats the values of a section, then its subsections.
fn section<'t>(
    text: &mut String,
    table: &'t Table,
    keys: &mut Vec<&'t str>,
    overlay: &Overlay,
) -> Result<(), Failure> {
    // Values first: in TOML, a value after a section's header belongs to that section.
    let (sections, values): (Vec<_>, Vec<_>) =
        table.iter().partition(|(_, value)| value.is_table());
    if !keys.is_empty() && (!values.is_empty() || sections.is_empty()) {
        let path: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
        writeln!(text, "\n[{}]", path.join(".")).or_bug("a text takes lines")?;
    }
    for (key, value) in values {
        keys.push(key);
        let from = match overlay.place(keys)? {
            None => "  # by default".to_owned(),
            Some(place) if place.starts_with(&format!("{}:", overlay.file())) => String::new(),
            Some(place) => format!("  # {place}"),
        };
        keys.pop();
        writeln!(text, "{} = {value}{from}", quoted(key)).or_bug("a text takes lines")?;
    }
    for (key, value) in sections {
        keys.push(key);
        if let Value::Table(inner) = value {
            section(text, inner, keys, overlay)?;
        }
        keys.pop();
    }
    Ok(())
}

/// Formats a key, in quotes if TOML needs them.
fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}
