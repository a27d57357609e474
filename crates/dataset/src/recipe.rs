//! What decides a dataset's contents: the tool, its inputs, its configuration and its seed.

use std::path::{Path, PathBuf};

use schema::Table;
use serde::{Deserialize, Serialize};

use crate::seed::Digest;
use crate::{Dataset, Error, Files, atomic};

/// Something that was read to make a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The part it plays, for example `prompts`.
    pub name: String,
    /// Where it was, as it was given. For people only: moving an input changes nothing.
    pub path: String,
    /// The `content` of its manifest, or the blake3 of what no stage wrote.
    pub content: String,
}

impl Input {
    /// A file that no stage wrote. Reads it whole.
    pub fn file(name: &str, path: &Path) -> Result<Self, Error> {
        let (_, content) = atomic::digest(path)?;
        Ok(Self { name: name.to_owned(), path: path.display().to_string(), content })
    }

    /// Some files of a folder that no stage wrote. Reads them whole.
    pub fn files(name: &str, dir: &Path, files: &[PathBuf]) -> Result<Self, Error> {
        let mut digest = Digest::new("files");
        for path in files {
            let (_, content) = atomic::digest(path)?;
            let file = path.strip_prefix(dir).unwrap_or(path).display().to_string();
            digest.text(&file).text(&content);
        }
        let content = digest.hex();
        Ok(Self { name: name.to_owned(), path: dir.display().to_string(), content })
    }
}

/// How a dataset is made. Equal recipes give equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The stage, for example `search`.
    pub tool: String,
    /// Its version. For people only.
    pub tool_version: String,
    /// The revision of its source. For people only.
    pub revision: Option<String>,
    /// Digest of the whole configuration; [`digest_of`] makes it.
    pub config: String,
    /// The seed of the run.
    pub seed: u64,
    /// Everything that was read.
    pub inputs: Vec<Input>,
}

impl Recipe {
    /// A hash of what decides the contents of `kind` (a table and its version): the tool, the inputs' names and contents,
    /// the configuration and the seed, but neither paths nor versions of the program.
    pub fn digest(&self, kind: &str) -> String {
        let mut digest = Digest::new("recipe");
        digest.text(kind).text(&self.tool).text(&self.config).number(self.seed);
        for input in &self.inputs {
            digest.text(&input.name).text(&input.content);
        }
        digest.hex()
    }

    /// The first thing that decides the contents and differs between two recipes.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self.tool != other.tool {
            return Some(format!("the tool is {}, not {}", self.tool, other.tool));
        }
        if self.config != other.config {
            return Some("the configuration differs".to_owned());
        }
        if self.seed != other.seed {
            return Some(format!("the seed is {}, not {}", self.seed, other.seed));
        }
        let names = |r: &Self| r.inputs.iter().map(|i| i.name.clone()).collect::<Vec<_>>();
        if names(self) != names(other) {
            return Some("the inputs differ".to_owned());
        }
        let differs = |(a, b): &(&Input, &Input)| a.content != b.content;
        let pair = self.inputs.iter().zip(&other.inputs).find(differs);
        pair.map(|(input, _)| format!("the input `{}` differs", input.name))
    }
}

/// Digest of a configuration: the blake3 of its JSON with sorted keys, so that neither the order nor the layout of the
/// file it came from matters.
pub fn digest_of(config: &impl Serialize) -> Result<String, Error> {
    let mut value = serde_json::to_value(config)
        .map_err(|e| Error::Usage(format!("the configuration cannot be written as JSON: {e}")))?;
    value.sort_all_objects();
    Ok(blake3::hash(value.to_string().as_bytes()).to_hex().to_string())
}

impl<T: Table> Dataset<T> {
    /// This dataset as the input `name` of a recipe.
    pub fn input(&self, name: &str) -> Input {
        input(name, self.dir(), &self.manifest().content)
    }
}

impl Files {
    /// These files as the input `name` of a recipe.
    pub fn input(&self, name: &str) -> Input {
        input(name, self.dir(), &self.manifest().content)
    }
}

fn input(name: &str, dir: &Path, content: &str) -> Input {
    Input { name: name.to_owned(), path: dir.display().to_string(), content: content.to_owned() }
}
