//! The settings of a preset that differ from those of the preset that it extends.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use stage::{Failure, ResultExt};
use toml::{Table, Value};

/// A setting, and what it is in the file that this one extends.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    file: String,
    key: String,
    value: String,
    parent: Option<String>,
}

/// Returns the settings in the files of a preset's folder that differ from those of the files that they extend in other presets.
/// A file that extends none has none, and so has one that extends a file beside it: such files are for experiments.
pub(crate) fn changes(preset: &Path) -> Result<Vec<Change>, Failure> {
    let entries = std::fs::read_dir(preset).or_io(preset.display())?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.or_io(preset.display())?;
    paths.sort();
    let mut all = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "toml")) {
        all.extend(of_file(path)?);
    }
    Ok(all)
}

/// The `vote_likelihood` of a tree.toml; 0, the paper's, if it has none.
pub(crate) fn vote_likelihood(path: &Path) -> Result<f64, Failure> {
    let power = stage::merged(path)?.remove("vote_likelihood");
    // TOML tells 1 from 1.0, and the search takes both.
    power.map_or(Ok(0.0), Value::try_into::<f64>).or_config(path.display())
}

fn of_file(path: &Path) -> Result<Vec<Change>, Failure> {
    let text = std::fs::read_to_string(path).or_io(path.display())?;
    let own: Table = text.parse().or_config(path.display())?;
    let Some(Value::String(base)) = own.get("extends") else { return Ok(Vec::new()) };
    if !base.contains('/') {
        return Ok(Vec::new());
    }
    let parent = flat(&stage::merged(&path.with_file_name(base))?);
    let file = path.file_name().map(|name| name.display().to_string()).unwrap_or_default();
    let differs = |(key, value): (String, String)| {
        let parent = parent.get(&key).cloned();
        let changed = parent.as_ref() != Some(&value);
        changed.then(|| Change { file: file.clone(), key, value, parent })
    };
    Ok(flat(&stage::merged(path)?).into_iter().filter_map(differs).collect())
}

/// All values by their keys, with dots between sections.
fn flat(table: &Table) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut open: Vec<(String, &Table)> = vec![(String::new(), table)];
    while let Some((prefix, table)) = open.pop() {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            match value {
                Value::Table(section) => open.push((format!("{key}."), section)),
                value => drop(all.insert(key, value.to_string())),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_file_changes_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let (base, own) = (dir.path().join("base"), dir.path().join("own"));
        for folder in [&base, &own] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(base.join("tree.toml"), "a = 1\nb = \"x\"\n[mcts]\nwidth = 3\n").unwrap();
        let text = "extends = \"../base/tree.toml\"\na = 1\nc = 2\n[mcts]\nwidth = 4\n";
        std::fs::write(own.join("tree.toml"), text).unwrap();
        std::fs::write(own.join("label.toml"), "samples = 3\n").unwrap();
        std::fs::write(own.join("ablation.toml"), "extends = \"label.toml\"\nsamples = 4\n")
            .unwrap();
        let found = changes(&own).unwrap();
        let told: Vec<_> =
            found.iter().map(|c| (c.key.as_str(), c.value.as_str(), c.parent.as_deref())).collect();
        assert_eq!(told, [("c", "2", None), ("mcts.width", "4", Some("3"))]);
        let tree = own.join("tree.toml");
        for (text, power) in
            [("", 0.0), ("vote_likelihood = 0.25", 0.25), ("vote_likelihood = 1", 1.0)]
        {
            std::fs::write(&tree, text).unwrap();
            assert!((vote_likelihood(&tree).unwrap() - power).abs() < 1e-12, "{text}");
        }
        assert!(changes(&base).unwrap().is_empty());
    }
}
