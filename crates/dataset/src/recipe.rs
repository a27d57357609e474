//! The recipe of a dataset, which determines its contents: the tool, its inputs, its configuration and its seed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::seed::Digest;
use crate::{Error, atomic};

/// An input that was read to make a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its role, for example `prompts`.
    pub name: String,
    /// Its path, as it was given. Informative only: moving an input changes no hash.
    pub path: String,
    /// The `content` of its manifest, or the blake3 hash if no stage wrote it.
    pub content: String,
}

impl Input {
    /// Makes an input of a dataset, which is known by the `content` of its manifest.
    pub(crate) fn dataset(name: &str, dir: &Path, content: &str) -> Self {
        let (path, content) = (dir.display().to_string(), content.to_owned());
        Self { name: name.to_owned(), path, content }
    }

    /// Makes an input of a file that no stage wrote. Reads the whole file to hash it.
    pub fn file(name: &str, path: &Path) -> Result<Self, Error> {
        let (_, content) = atomic::digest(path)?;
        Ok(Self { name: name.to_owned(), path: path.display().to_string(), content })
    }

    /// Makes one input of some files of a folder that no stage wrote. Reads all of them to hash them.
    pub fn files(name: &str, dir: &Path, files: &[PathBuf]) -> Result<Self, Error> {
        let mut digest = Digest::new("files");
        for path in files {
            let (_, content) = atomic::digest(path)?;
            // Names relative to the folder, so that moving it changes nothing.
            let file = path.strip_prefix(dir).unwrap_or(path).display().to_string();
            digest.text(&file).text(&content);
        }
        let content = digest.hex();
        Ok(Self { name: name.to_owned(), path: dir.display().to_string(), content })
    }
}

/// Everything that goes into a dataset. Equal recipes give equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The stage, for example `search`.
    pub tool: String,
    /// The version of the program. Informative only.
    pub tool_version: String,
    /// The revision of its source. Informative only.
    pub revision: Option<String>,
    /// Digest of the whole configuration, from [`digest_of`].
    pub config: String,
    /// The seed of the run.
    pub seed: u64,
    /// All inputs that were read.
    pub inputs: Vec<Input>,
}

impl Recipe {
    /// Hashes everything that determines the contents of a dataset of this `kind` (a table and its version): the tool,
    /// the names and contents of the inputs, the configuration and the seed. Paths and the version of the program are
    /// left out, so that moving inputs or updating the program does not make a dataset out of date.
    pub fn digest(&self, kind: &str) -> String {
        let mut digest = Digest::new("recipe");
        digest.text(kind).text(&self.tool).text(&self.config).number(self.seed);
        for input in &self.inputs {
            digest.text(&input.name).text(&input.content);
        }
        digest.hex()
    }

    /// Returns the first difference between two recipes that affects the contents, phrased for an error message.
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

/// Computes the digest of a configuration: the blake3 hash of its JSON with sorted keys. The order and layout of the
/// file that it came from do not matter.
pub fn digest_of(config: &impl Serialize) -> Result<String, Error> {
    let mut value = serde_json::to_value(config)
        .map_err(|e| Error::Usage(format!("the configuration cannot be written as JSON: {e}")))?;
    value.sort_all_objects();
    Ok(blake3::hash(value.to_string().as_bytes()).to_hex().to_string())
}
