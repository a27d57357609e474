//! Merging of settings: a file over the base that it `extends`, `--set` over a file, a variant over `tree.toml`.
//!
//! [`Overlay::lay`] does all of this by one rule. A section (`[mcts.budget]`, or `mcts.budget.nodes = 9`) is merged key by key.
//! Everything else replaces the old value: numbers, texts, arrays, and tables in braces, which TOML treats as complete. So
//! `merge = { edit_distance = { ... } }` removes the base's `merge = { distinct = { ... } }`, and no syntax is needed to unset
//! a key.
//!
//! Spans count through all texts as if they were concatenated, so an error in a merged table can name its file and line.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::range::in_range;
use crate::error::Failure;

/// The key by which a file names its base. It is not a setting.
const EXTENDS: &str = "extends";

/// Most sections that a key of `--set` may be nested in.
// Merging recurses into sections: a key with 50 000 dots must not overflow the stack.
const DEEPEST: usize = 32;

/// The error for a table with two keys where a setting is a choice of one. Usually one of them comes from a base preset.
const SEVERAL_CHOICES: &str = "more than one choice where one is wanted: a section is added to what was set before, and a \
    table in braces, `key = { ... }`, replaces it";

/// Texts with settings. Each one is merged over those before it.
#[derive(Debug, Clone)]
pub(crate) struct Overlay {
    /// The file that was requested; its bases come before it in `texts`.
    file: String,
    texts: Vec<Text>,
}

#[derive(Debug, Clone)]
struct Text {
    origin: Origin,
    content: String,
    /// Offset of its spans.
    start: usize,
}

#[derive(Debug, Clone)]
enum Origin {
    File(String),
    /// `--set`, with the offset of its key: it follows the word that selects a file.
    Set(usize),
}

/// An error with its span; the span is empty if the place is unknown.
pub(super) struct Problem {
    pub(super) at: Range<usize>,
    pub(super) message: String,
}

impl Overlay {
    /// Reads a file and the chain of its bases. Fails with 78 and names the files.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let file = path.display().to_string();
        let text = super::read(path)
            .map_err(|problem| Failure::config(format!("cannot read preset {file}: {problem}")))?;
        let mut overlay = Self { file, texts: Vec::new() };
        overlay.extend(chain(path, text, &mut Vec::new())?);
        Ok(overlay)
    }

    /// Merges `key=value` over the settings. The key begins at `from`, after the word that selects a file.
    pub(crate) fn set(&mut self, assignment: &str, from: usize) -> Result<(), Failure> {
        let set = Text { origin: Origin::Set(from), content: assignment.to_owned(), start: 0 };
        // Parsed only to refuse it here, with exit 64. The merged table is made from the texts when it is asked for.
        set.parse()?;
        self.extend([set]);
        Ok(())
    }

    /// Returns the file that was requested.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Returns the requested file, preceded by the chain of its bases.
    pub(crate) fn files(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.texts.iter().filter_map(|text| match &text.origin {
            Origin::File(name) => Some(name.as_str()),
            Origin::Set(_) => None,
        })
    }

    /// Returns the place that set a key of the merged settings; `None` if no text has it.
    pub(crate) fn place(&self, keys: &[&str]) -> Result<Option<String>, Failure> {
        let span = span(&self.table()?, keys).unwrap_or_default();
        Ok(self.at(&span).map(|text| text.place(&span)))
    }

    /// Returns the merged settings as a type.
    pub(crate) fn typed<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.type_of(&self.table()?)
    }

    /// Merges each table in a section of `others` over these settings, and returns the results by name.
    pub(crate) fn with_each<T: DeserializeOwned>(
        &self,
        others: &Self,
        section: &str,
    ) -> Result<Vec<(String, T)>, Failure> {
        let mut all = self.clone();
        let start = all.extend(others.texts.iter().cloned());
        let Some(overlays) = others.table()?.remove(section) else { return Ok(Vec::new()) };
        let overlays = all.section(moved(overlays, start), section)?;
        let laid = |(name, over): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
            let name = name.into_inner();
            let mut table = self.table()?;
            all.lay(&mut table, all.section(over, &format!("{section}.{name}"))?);
            Ok((name.into_owned(), all.type_of(&table)?))
        };
        overlays.into_iter().map(laid).collect()
    }

    /// The table that is the value of `key`, whose type may let anything stand there.
    fn section<'t>(&self, value: Spanned<DeValue<'t>>, key: &str) -> Result<DeTable<'t>, Failure> {
        let at = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.failure(Problem { at, message: format!("`{key}` is not a section") })),
        }
    }

    /// Appends texts, and returns the offset of the first one.
    fn extend(&mut self, texts: impl IntoIterator<Item = Text>) -> usize {
        // A gap of one keeps the end of a text apart from the start of the next.
        let end =
            |texts: &[Text]| texts.last().map_or(0, |text| text.start + text.content.len() + 1);
        let first = end(&self.texts);
        for text in texts {
            self.texts.push(Text { start: end(&self.texts), ..text });
        }
        first
    }

    fn table(&self) -> Result<DeTable<'_>, Failure> {
        let mut table = DeTable::new();
        for text in &self.texts {
            let mut over = text.parse()?;
            if let Origin::File(_) = text.origin {
                over.remove(EXTENDS);
            }
            let over = Spanned::new(0..0, DeValue::Table(over));
            if let DeValue::Table(over) = moved(over, text.start).into_inner() {
                self.lay(&mut table, over);
            }
        }
        Ok(table)
    }

    /// Merges settings over others. This is the only place that does.
    fn lay<'t>(&self, base: &mut DeTable<'t>, over: DeTable<'t>) {
        for (key, value) in over {
            let (span, mut value) = (value.span(), value.into_inner());
            let old = base.remove_entry(key.get_ref().as_ref()).map(|(_, old)| old.into_inner());
            if let (Some(DeValue::Table(mut below)), DeValue::Table(section)) = (old, &mut value)
                && !self.in_braces(&span)
            {
                self.lay(&mut below, std::mem::take(section));
                *section = below;
            }
            base.insert(key, Spanned::new(span, value));
        }
    }

    /// Whether a table is written in braces and not as a section.
    fn in_braces(&self, span: &Range<usize>) -> bool {
        self.at(span)
            .is_some_and(|text| text.content.as_bytes().get(span.start - text.start) == Some(&b'{'))
    }

    /// Returns the text that contains a span.
    fn at(&self, span: &Range<usize>) -> Option<&Text> {
        let begins_before = |text: &&Text| !span.is_empty() && text.start <= span.start;
        self.texts.iter().rev().find(begins_before)
    }

    /// Keys that `T` ignores are errors even when `T` forgot `deny_unknown_fields`, or cannot have it because of `flatten`.
    fn type_of<T: DeserializeOwned>(&self, table: &DeTable<'_>) -> Result<T, Failure> {
        in_range("", table).map_err(|problem| self.failure(problem))?;
        let mut unknown = Vec::new();
        let root = toml::Deserializer::from(Spanned::new(0..0, table.clone()));
        let value = serde_ignored::deserialize(root, |key| unknown.push(key.to_string()))
            .map_err(|error| self.failure(Problem::of(&error)))?;
        if unknown.is_empty() {
            return Ok(value);
        }
        // serde's path to a key has a `?` for every optional section on the way.
        let unknown: Vec<String> = unknown.iter().map(|key| key.replace(".?", "")).collect();
        let at = span(table, &unknown[0].split('.').collect::<Vec<_>>()).unwrap_or_default();
        let message = format!("unknown key `{}`", unknown.join("`, `"));
        Err(self.failure(Problem { at, message }))
    }

    fn failure(&self, Problem { at, message }: Problem) -> Failure {
        let Some(text) = self.at(&at) else {
            return Failure::config(format!("{}: {message}", self.file));
        };
        let place = text.place(&at);
        if let Origin::File(_) = text.origin {
            return Failure::config(format!("{place}: {message}"));
        }
        let failure = Failure::config(format!("{place}: {message}, in {}", self.file));
        match text.content.split_once('=') {
            Some((key, raw)) if message.ends_with("expected a string") => {
                failure.hint(format!("quote it: --set '{key}=\"{}\"'", raw.trim()))
            }
            _ => failure,
        }
    }
}

impl Text {
    /// Parses the text. Spans begin at 0.
    fn parse(&self) -> Result<DeTable<'_>, Failure> {
        match self.origin {
            Origin::File(_) => {
                DeTable::parse(&self.content).map(Spanned::into_inner).map_err(|error| {
                    let Problem { at, message } = Problem::of(&error);
                    let place = self.place(&(self.start + at.start..self.start + at.end));
                    Failure::config(format!("{place}: {message}"))
                })
            }
            Origin::Set(from) => assigned(&self.content, from).ok_or_else(|| {
                Failure::usage(format!("`--set {}` is not key=value", self.content))
            }),
        }
    }

    /// Returns `file:line`, or the argument.
    fn place(&self, span: &Range<usize>) -> String {
        match &self.origin {
            Origin::File(name) => {
                let before = self.content.bytes().take(span.start - self.start);
                format!("{name}:{}", 1 + before.filter(|byte| *byte == b'\n').count())
            }
            Origin::Set(_) => format!("`--set {}`", self.content),
        }
    }
}

impl Problem {
    /// Formats the error in one line, without the column and the excerpt that toml would add.
    fn of(error: &toml::de::Error) -> Self {
        let message = match error.message().trim() {
            "wanted exactly 1 element, more than 1 element" => SEVERAL_CHOICES.to_owned(),
            other => other.replace('\n', " "),
        };
        Self { at: error.span().unwrap_or_default(), message }
    }
}

/// Returns the texts of the chain of bases, then that of the file. `extending` holds the files between it and the requested
/// one: their names as written, and their canonical paths, which reveal circles.
fn chain(
    path: &Path,
    text: String,
    extending: &mut Vec<(String, PathBuf)>,
) -> Result<Vec<Text>, Failure> {
    let name = path.display().to_string();
    // A file has many names: `a/../b.toml` and `b.toml` are one, and a circle may go through both.
    let known = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let again = extending.iter().position(|(_, file)| *file == known);
    extending.push((name.clone(), known));
    if let Some(first) = again {
        let names: Vec<&str> = extending[first..].iter().map(|(name, _)| name.as_str()).collect();
        return Err(Failure::config(format!("{}: this is a circle", names.join(" extends "))));
    }
    let own = Text { origin: Origin::File(name), content: text, start: 0 };
    let base = own.parse()?.remove(EXTENDS);
    let mut texts = match base {
        None => Vec::new(),
        Some(base) => {
            let failure = |message: String| {
                Failure::config(format!("{}: {message}", own.place(&base.span())))
            };
            let Some(named) = base.get_ref().as_str() else {
                return Err(failure(format!("`{EXTENDS}` takes the path of a file, in quotes")));
            };
            let base = beside(path, Path::new(named));
            let text = super::read(&base).map_err(|problem| {
                failure(format!("cannot read its base {}: {problem}", base.display()))
            })?;
            chain(&base, text, extending)?
        }
    };
    texts.push(own);
    Ok(texts)
}

/// Returns the path of a base, which is relative to the file that names it, in its shortest form: `pipelines/tiny/tree.toml`, not
/// `pipelines/smoke/../tiny/tree.toml`.
fn beside(file: &Path, base: &Path) -> PathBuf {
    let mut path = file.parent().unwrap_or(Path::new("")).to_owned();
    for component in base.components() {
        let named = matches!(path.components().next_back(), Some(Component::Normal(_)));
        // After a link to a folder, `..` leads to the parent of the folder, so there it cannot be cut out of the text.
        if component == Component::ParentDir && named && !path.is_symlink() {
            path.pop();
        } else if component != Component::CurDir {
            path.push(component);
        }
    }
    path
}

/// Parses `key=value` into a table. A value is TOML, or a word without quotes.
fn assigned(text: &str, from: usize) -> Option<DeTable<'_>> {
    let (path, raw) = text.get(from..)?.split_once('=')?;
    let keys: Vec<&str> = path.trim().split('.').collect();
    if keys.contains(&"") || keys.len() > DEEPEST {
        return None;
    }
    let raw = raw.trim();
    let value = match DeValue::parse(raw) {
        Ok(value) => value,
        // What begins with a quote or a bracket is broken TOML, not a word that lacks its quotes.
        Err(_) if raw.starts_with(['"', '\'', '[', '{']) => return None,
        Err(_) => Spanned::new(0..raw.len(), DeValue::String(raw.into())),
    };
    let value = moved(value, text.trim_end().len() - raw.len());
    let at = from..from + path.len();
    let within = |value, key: &'_ str| {
        let mut section = DeTable::new();
        section.insert(Spanned::new(at.clone(), key.to_owned().into()), value);
        Spanned::new(at.clone(), DeValue::Table(section))
    };
    match keys.into_iter().rev().fold(value, within).into_inner() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// Returns the value with its spans shifted by an offset.
fn moved(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let behind = |span: Range<usize>| span.start + by..span.end + by;
    let span = behind(value.span());
    let value = match value.into_inner() {
        DeValue::Table(table) => {
            let entry = |(key, value): (Spanned<_>, _)| {
                let span = behind(key.span());
                (Spanned::new(span, key.into_inner()), moved(value, by))
            };
            DeValue::Table(table.into_iter().map(entry).collect())
        }
        DeValue::Array(values) => {
            DeValue::Array(values.into_iter().map(|value| moved(value, by)).collect())
        }
        plain => plain,
    };
    Spanned::new(span, value)
}

/// Returns the span of a key.
fn span(table: &DeTable<'_>, keys: &[&str]) -> Option<Range<usize>> {
    let (last, sections) = keys.split_last()?;
    let mut table = table;
    for section in sections {
        table = table.get(*section)?.get_ref().as_table()?;
    }
    table.get_key_value(*last).map(|(key, _)| key.span())
}
