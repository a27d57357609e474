//! A model in this process: a checkpoint directory, verified and recorded for the recipe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use critic::quality::{self, Quality};
use dataset::{Files, Input};
use lm::{Checkpoint, Engine, Precision};
use policy::Policy;
use serde::{Deserialize, Serialize};
use stage::{Failure, ResultExt};

use crate::{Error, Runtime, TextConfig};

/// A model for inference, with its recipe entry. Its weights are loaded when they are first needed: who only has to know
/// which model it is, such as a plan, does not wait for them.
#[derive(Debug)]
pub struct Model {
    /// Its role in the stage: `policy`, `critic`...
    name: String,
    /// Its directory.
    dir: PathBuf,
    runtime: Runtime,
    loaded: OnceLock<Arc<Engine>>,
    /// Its recipe entry.
    pub input: Input,
}

/// A checkpoint to train, with its recipe entry.
#[derive(Debug)]
pub struct InitialModel {
    name: String,
    dir: PathBuf,
    /// The weights, configuration and tokenizer.
    pub checkpoint: Checkpoint,
    /// The base of its adapters; of a whole model, the model itself.
    pub base: Base,
    /// Its recipe entry.
    pub input: Input,
}

/// The base of adapters: the model beside whose weights they were trained. Its path is in the files of the adapters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Hash of the base's contents.
    pub content: String,
}

impl Base {
    /// The file beside the adapters that holds it.
    pub const FILE: &str = "base.json";

    /// The base of the adapters in `dir`; `None` if it has a whole model.
    ///
    /// # Errors
    /// As [`Model::at`].
    pub fn of(dir: &Path) -> Result<Option<Self>, Failure> {
        let base = lm::checkpoint::base_of(dir).map_err(named(BASE, dir))?;
        let content = |base: PathBuf| Ok(Self { content: verified(BASE, &base)?.content });
        base.map(content).transpose()
    }
}

/// Role of a base.
const BASE: &str = "base";

impl InitialModel {
    /// Loads a checkpoint directory to the first device, verified like that of a [`Model`], with its matrices in a type; `None`
    /// is that of the file.
    ///
    /// # Errors
    /// As [`Model::at`].
    pub fn load(
        name: &str,
        dir: &Path,
        runtime: &Runtime,
        stored: Option<Precision>,
    ) -> Result<Self, Failure> {
        let input = verified(name, dir)?;
        let checkpoint = match stored {
            Some(stored) => Checkpoint::load_as(dir, runtime.device(), stored),
            None => Checkpoint::load_as_it_is(dir, runtime.device()),
        };
        let checkpoint = checkpoint.map_err(named(name, dir))?;
        let itself = || Base { content: input.content.clone() };
        let base = Base::of(dir)?.unwrap_or_else(itself);
        Ok(Self { name: name.to_owned(), dir: dir.to_owned(), checkpoint, base, input })
    }

    /// The model that it has become, ready for inference.
    pub fn trained(self, checkpoint: &Checkpoint, runtime: &Runtime) -> Model {
        let Self { name, dir, input, .. } = self;
        let engine = Engine::new(checkpoint, &runtime.devices, runtime.precision, runtime.options);
        let loaded = OnceLock::from(Arc::new(engine));
        Model { name, dir, runtime: runtime.clone(), loaded, input }
    }
}

impl Model {
    /// The model in a checkpoint directory. A directory written by a stage is verified against its manifest; any other Hugging
    /// Face directory, or PEFT's of adapters, is taken as it is and identified by a hash of its files.
    ///
    /// # Errors
    /// Exit 65 if the directory is incomplete or damaged.
    pub fn at(name: &str, dir: &Path, runtime: &Runtime) -> Result<Self, Failure> {
        let (input, runtime) = (verified(name, dir)?, runtime.clone());
        let (name, dir) = (name.to_owned(), dir.to_owned());
        Ok(Self { name, dir, runtime, loaded: OnceLock::new(), input })
    }

    /// The model in memory. What is there already, in another role, is not loaded again.
    ///
    /// # Errors
    /// Exit 65 if the model is not supported.
    pub fn engine(&self) -> Result<&Arc<Engine>, Error> {
        if let Some(engine) = self.loaded.get() {
            return Ok(engine);
        }
        let engine = self.runtime.engine(&self.dir, &self.input.content);
        let engine = engine.map_err(named(&self.name, &self.dir))?;
        Ok(self.loaded.get_or_init(|| engine))
    }

    /// The model as a policy.
    ///
    /// # Errors
    /// Exit 65 if the model is not supported, or cannot end a solution.
    pub fn policy(&self, text: &TextConfig) -> Result<Policy, Failure> {
        let policy = Policy::new(self.engine()?.clone(), text.policy.clone());
        Ok(policy.map_err(named(&self.name, &self.dir))?)
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
        short(&self.input.content)
    }
}

/// The first characters of a content hash, enough to tell models apart.
pub(crate) fn short(content: &str) -> String {
    content.chars().take(16).collect()
}

/// Verifies a directory, and the base of adapters in it, and identifies its contents.
pub(crate) fn verified(name: &str, dir: &Path) -> Result<Input, Failure> {
    if lm::checkpoint::is_model(dir) && dataset::Manifest::find(dir)?.is_none() {
        let files = lm::checkpoint::model_files(dir).map_err(named(name, dir))?;
        return Ok(Input::files(name, dir, &files)?);
    }
    let files = Files::open(dir)?;
    if let Some(base) = Base::of(dir)? {
        let path = files.path(Base::FILE)?;
        let text = std::fs::read(&path).or_io(path.display())?;
        let trained_beside: Base = serde_json::from_slice(&text).or_data(path.display())?;
        if base != trained_beside {
            let problem = "its base is not the model that the adapters were trained beside";
            return Err(Failure::data(format!("{name} {}: {problem}", dir.display()))
                .hint("bring that model back to where adapter_config.json names it, or train the adapters again"));
        }
    }
    Ok(files.input(name))
}

/// Adds a model's role and directory to an error.
pub(crate) fn named<E: Into<policy::Error>>(name: &str, dir: &Path) -> impl Fn(E) -> Error {
    move |source| Error::Model { name: name.to_owned(), dir: dir.to_owned(), source: source.into() }
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
        let load = || {
            let model = Model::at("policy", dir.path(), &runtime).unwrap();
            model.engine().unwrap();
            model.input.content
        };
        let first = load();
        assert_eq!(load(), first);
        let config = dir.path().join("config.json");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("1e-05", "1e-06")).unwrap();
        assert_ne!(load(), first, "{text}");
    }

    #[test]
    fn a_model_with_several_roles_is_in_memory_once() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../lm/tests/fixtures/qwen2-shards");
        let runtime = Runtime::single_thread();
        let load = |name, runtime: &Runtime| Model::at(name, dir.as_ref(), runtime).unwrap();
        let (policy, critic) = (load("policy", &runtime), load("critic-0", &runtime));
        let same = |a: &Model, b: &Model| Arc::ptr_eq(a.engine().unwrap(), b.engine().unwrap());
        assert!(same(&policy, &critic));
        assert_eq!(
            (policy.input.name.as_str(), critic.input.name.as_str()),
            ("policy", "critic-0")
        );
        let other = load("policy", &Runtime::single_thread());
        assert!(!same(&policy, &other), "another run's");
    }
}
