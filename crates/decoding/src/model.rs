//! A model in this process: a checkpoint directory, verified and recorded for the recipe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use critic::quality::{self, Quality};
use dataset::{Files, Input};
use lm::{Checkpoint, Engine};
use policy::Policy;
use stage::{Failure, ResultExt};

use crate::{Error, Runtime, TextConfig};

/// A checkpoint with its recipe entry.
#[derive(Debug)]
pub struct Model {
    /// Its role in the stage: `policy`, `critic`...
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// The weights, configuration and tokenizer.
    pub checkpoint: Checkpoint,
    /// Its recipe entry.
    pub input: Input,
}

impl Model {
    /// Loads a checkpoint directory. A directory written by a stage is verified against its manifest; any other Hugging
    /// Face directory is taken as it is and identified by a hash of its files.
    ///
    /// # Errors
    /// Exit 65 if the directory is incomplete, damaged or not supported.
    pub fn load(name: &str, dir: &Path, runtime: &Runtime) -> Result<Self, Failure> {
        let foreign = dir.join(lm::checkpoint::CONFIG_FILE).exists()
            && dataset::Manifest::find(dir)?.is_none();
        let named = |source: lm::Error| Error::Model {
            name: name.to_owned(),
            dir: dir.to_owned(),
            source: source.into(),
        };
        let input = if foreign {
            Input::files(name, dir, &lm::checkpoint::model_files(dir).map_err(named)?)?
        } else {
            Files::open(dir)?.input(name)
        };
        let checkpoint = Checkpoint::load(dir, runtime.device()).map_err(named)?;
        Ok(Self { name: name.to_owned(), dir: dir.to_owned(), checkpoint, input })
    }

    /// An engine for the model, on all devices.
    pub fn engine(&self, runtime: &Runtime) -> Engine {
        let engine = Engine::new(&self.checkpoint, runtime.device(), runtime.options);
        engine.and_on(&self.checkpoint, &runtime.devices[1..])
    }

    /// The model as a policy.
    ///
    /// # Errors
    /// Exit 65 if the model cannot end a solution.
    pub fn policy(&self, text: &TextConfig, runtime: &Runtime) -> Result<Policy, Failure> {
        let policy = Policy::new(self.engine(runtime), text.policy.clone());
        let named =
            |source| Error::Model { name: self.name.clone(), dir: self.dir.clone(), source };
        Ok(policy.map_err(named)?)
    }

    /// Quality figures of a critic's heads; empty if they were never measured.
    pub(crate) fn quality(&self) -> Result<BTreeMap<String, Quality>, Failure> {
        let path = self.dir.join(quality::FILE);
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        let text = std::fs::read(&path).or_io(path.display())?;
        serde_json::from_slice(&text).or_data(path.display())
    }

    /// A short content hash that identifies the model: the first 16 characters of its directory's hash.
    pub fn label(&self) -> String {
        self.input.content.chars().take(16).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A foreign directory is identified by all of its files: a change to a shard or to the configuration makes a
    /// different model.
    #[test]
    fn shards_from_elsewhere_are_a_model() {
        let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../lm/tests/fixtures/qwen2-shards");
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        let runtime = Runtime::single_thread();
        let load = || Model::load("policy", dir.path(), &runtime).unwrap().input.content;
        let first = load();
        assert_eq!(load(), first);
        let config = dir.path().join("config.json");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("1e-05", "1e-06")).unwrap();
        assert_ne!(load(), first, "{text}");
    }
}
