//! The dataset card, a `README.md` for people and for the Hugging Face hub.

use std::fmt::Write;

use schema::Table;

use crate::manifest::Manifest;

/// The file name of the card.
pub(crate) const NAME: &str = "README.md";

/// Returns the text of the card. `columns` is the table of columns, empty for plain files.
pub(crate) fn text(manifest: &Manifest, columns: &str) -> String {
    let mut out = String::new();
    let name = manifest.kind.split('@').next().unwrap_or_default();
    if !manifest.parts.is_empty() {
        let config = config_name(name, manifest);
        line(&mut out, format_args!("---\nconfigs:\n- config_name: {config}\n  data_files:"));
        line(&mut out, format_args!("  - split: train\n    path: data/train-*.parquet\n---\n"));
    }
    line(&mut out, format_args!("# {name}\n"));
    if !columns.is_empty() {
        line(&mut out, format_args!("{columns}"));
        let (rows, parts) = (manifest.rows(), manifest.parts.len());
        line(&mut out, format_args!("{rows} rows in {parts} parts, layout `{}`.\n", manifest.kind));
        // datasets 5.2 cannot build a table without rows, whatever its format.
        if rows == 0 {
            let how = "`load_dataset(..., streaming=True)` gives its columns";
            line(&mut out, format_args!("A table without rows: {how}.\n"));
        }
    }
    made(&mut out, manifest);
    out
}

/// Returns a configuration name that no other dataset has. `load_dataset` caches by this and the name of the folder alone,
/// so with a fixed name it would return old rows after the dataset is rewritten.
fn config_name(table: &str, manifest: &Manifest) -> String {
    let content: String = manifest.content.chars().take(16).collect();
    format!("{table}-{content}")
}

fn made(out: &mut String, manifest: &Manifest) {
    let recipe = &manifest.recipe;
    line(out, format_args!("## How it was made\n"));
    let revision = recipe.revision.as_ref().map_or(String::new(), |r| format!(", revision {r}"));
    line(out, format_args!("- by `{}` {}{revision}", recipe.tool, recipe.tool_version));
    line(out, format_args!("- with seed {} and configuration `{}`", recipe.seed, recipe.config));
    for input in &recipe.inputs {
        let (name, path, content) = (&input.name, &input.path, &input.content);
        line(out, format_args!("- from {name}: `{path}` (`{content}`)"));
    }
    line(out, format_args!("\n`_MANIFEST.json` lists every file with its blake3."));
}

/// Returns the description of a row and the table of columns, in Markdown.
pub(crate) fn columns<T: Table>() -> String {
    let mut out = format!(
        "{}\n\n| column | type | null | description |\n|---|---|---|---|\n",
        T::description()
    );
    for field in T::fields() {
        let null = if field.nullable { "yes" } else { "" };
        let (name, kind, about) =
            (field.name, schema::type_name(&field.data_type), field.description);
        line(&mut out, format_args!("| `{name}` | `{kind}` | {null} | {about} |"));
    }
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes any text");
}
