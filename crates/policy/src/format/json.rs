//! The `tojson` filter of `transformers`: Python's `json.dumps`, without Jinja's HTML escapes.

use std::fmt::Write as _;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;

use super::jinja::{Bounded, MOST_BYTES};

/// Largest indentation, in spaces.
const WIDEST: usize = 32;

/// Arguments of `json.dumps`.
struct Style {
    ascii: bool,
    indent: Option<usize>,
    /// The separators between items and between key and value.
    separators: [String; 2],
}

/// The `tojson` filter.
#[expect(clippy::needless_pass_by_value, reason = "the signature is that of minijinja's filters")]
pub(super) fn tojson(value: &Value, ascii: Option<bool>, options: Kwargs) -> Result<String, Error> {
    let refused = |problem: String| Error::new(ErrorKind::InvalidOperation, problem);
    let indent: Option<usize> = options.get("indent")?;
    if indent.is_some_and(|indent| indent > WIDEST) {
        return Err(refused(format!("tojson: an indent of more than {WIDEST}")));
    }
    let separators: Option<Vec<String>> = options.get("separators")?;
    let items = if indent.is_some() { "," } else { ", " };
    let separators = match separators.map(<[String; 2]>::try_from) {
        None => [items, ": "].map(str::to_owned),
        Some(pair) => {
            pair.map_err(|all| refused(format!("tojson: separators are two, not {}", all.len())))?
        }
    };
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.or(ascii).unwrap_or(false);
    let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    // Serialize into a bounded buffer first: a value can be much larger than the template that built it.
    let mut bytes = Bounded(Vec::new());
    value
        .serialize(&mut serde_json::Serializer::new(&mut bytes))
        .map_err(|error| refused(format!("tojson: {error}")))?;
    let mut tree: serde_json::Value =
        serde_json::from_slice(&bytes.0).map_err(|error| refused(format!("tojson: {error}")))?;
    if sorted {
        tree.sort_all_objects();
    }
    let mut text = String::new();
    let style = Style { ascii, indent, separators };
    match style.dump(&tree, 0, &mut text) {
        Some(()) => Ok(text),
        None => Err(refused(format!("tojson: more than {MOST_BYTES} bytes"))),
    }
}

impl Style {
    /// Writes a value; `None` if the text gets too long.
    fn dump(&self, value: &serde_json::Value, depth: usize, text: &mut String) -> Option<()> {
        match value {
            serde_json::Value::String(string) => self.quote(string, text),
            serde_json::Value::Array(items) => {
                text.push('[');
                for (i, item) in items.iter().enumerate() {
                    self.next(i, depth + 1, text)?;
                    self.dump(item, depth + 1, text)?;
                }
                self.close(items.is_empty(), depth, text)?;
                text.push(']');
            }
            serde_json::Value::Object(entries) => {
                text.push('{');
                for (i, (key, item)) in entries.iter().enumerate() {
                    self.next(i, depth + 1, text)?;
                    self.quote(key, text);
                    *text += &self.separators[1];
                    self.dump(item, depth + 1, text)?;
                }
                self.close(entries.is_empty(), depth, text)?;
                text.push('}');
            }
            plain => *text += &plain.to_string(),
        }
        (text.len() <= MOST_BYTES).then_some(())
    }

    fn next(&self, place: usize, depth: usize, text: &mut String) -> Option<()> {
        if place > 0 {
            *text += &self.separators[0];
        }
        self.line(depth, text)
    }

    fn close(&self, empty: bool, depth: usize, text: &mut String) -> Option<()> {
        if empty { Some(()) } else { self.line(depth, text) }
    }

    fn line(&self, depth: usize, text: &mut String) -> Option<()> {
        if let Some(indent) = self.indent {
            text.push('\n');
            *text += &" ".repeat(indent * depth);
        }
        (text.len() <= MOST_BYTES).then_some(())
    }

    fn quote(&self, string: &str, text: &mut String) {
        text.push('"');
        for c in string.chars() {
            match c {
                '"' => *text += "\\\"",
                '\\' => *text += "\\\\",
                '\n' => *text += "\\n",
                '\r' => *text += "\\r",
                '\t' => *text += "\\t",
                '\u{8}' => *text += "\\b",
                '\u{c}' => *text += "\\f",
                c if u32::from(c) < 0x20 || (self.ascii && (!c.is_ascii() || c == '\u{7f}')) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(text, "\\u{unit:04x}").expect("a text takes all");
                    }
                }
                c => text.push(c),
            }
        }
        text.push('"');
    }
}
