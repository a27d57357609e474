//! Loads a stage's models, verifies them and records them for the recipe.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use critic::Critic;
use critic::quality::{self, Bar, Quality};
use dataset::{Files, Input};
use lm::engine::EngineOptions;
use lm::{Checkpoint, Engine};
use policy::Policy;
use stage::{Common, Failure, ResultExt};

use crate::{AnyModel, Error, ModelAt, TextConfig};

/// Where and how models run.
#[derive(Debug, Clone)]
pub struct Place {
    /// The devices. The first one holds everything that exists once; each device processes batches of its own.
    pub devices: Vec<lm::device::Device>,
    /// Workers and batch size for inference.
    pub options: EngineOptions,
    /// Limit on the KV cache of a search, in bytes ([`crate::Searcher::within`]).
    pub kept_at_most: Option<u64>,
    /// Maximum number of concurrent requests to a server.
    pub requests: usize,
}

/// Batch size on the CPU, in rows. Larger batches no longer fit its caches.
const CPU_ROWS: usize = 64;
/// Batch size on a GPU, in rows. Smaller batches do not keep it busy.
const CUDA_ROWS: usize = 512;

impl Place {
    /// The device and the limits given on a stage's command line.
    ///
    /// # Errors
    /// Exit 69 if the device is not available.
    pub fn of(common: &Common) -> Result<Self, Failure> {
        let (kept_at_most, requests) = (common.kv_memory.map(|size| size.0), common.requests.get());
        Ok(Self { kept_at_most, requests, ..Self::on(&common.device, common.workers)? })
    }

    /// A device without limits: `workers` threads on the CPU, or one worker per GPU.
    ///
    /// # Errors
    /// Exit 69 if the device is not available.
    pub fn on(device: &stage::Device, workers: NonZeroUsize) -> Result<Self, Failure> {
        let (devices, options) = match device {
            stage::Device::Cpu => {
                let workers = workers.get();
                (vec![lm::device::cpu()], EngineOptions { workers, rows: CPU_ROWS })
            }
            stage::Device::Cuda(cards) => {
                let devices: Result<Vec<_>, _> =
                    cards.iter().map(|&card| lm::device::cuda(card)).collect();
                let devices = devices.map_err(|e| Failure::unavailable(e.to_string()))?;
                (devices, EngineOptions { workers: cards.len(), rows: CUDA_ROWS })
            }
        };
        Ok(Self { devices, options, kept_at_most: None, requests: 1 })
    }

    /// The first device, which holds everything that exists once.
    pub fn device(&self) -> &lm::device::Device {
        &self.devices[0]
    }
}

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
    pub fn load(name: &str, dir: &Path, place: &Place) -> Result<Self, Failure> {
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
        let checkpoint = Checkpoint::load(dir, place.device()).map_err(named)?;
        Ok(Self { name: name.to_owned(), dir: dir.to_owned(), checkpoint, input })
    }

    /// An engine for the model, on all devices.
    pub fn engine(&self, place: &Place) -> Engine {
        let engine = Engine::new(&self.checkpoint, place.device(), place.options);
        engine.and_on(&self.checkpoint, &place.devices[1..])
    }

    /// The model as a policy.
    ///
    /// # Errors
    /// Exit 65 if the model cannot end a solution.
    pub fn policy(&self, text: &TextConfig, place: &Place) -> Result<Policy, Failure> {
        let policy = Policy::new(self.engine(place), text.policy.clone());
        let named =
            |source| Error::Model { name: self.name.clone(), dir: self.dir.clone(), source };
        Ok(policy.map_err(named)?)
    }

    /// Quality figures of a critic's heads; empty if they were never measured.
    fn quality(&self) -> Result<BTreeMap<String, Quality>, Failure> {
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

/// Role of the fast policy.
const FAST: &str = "fast-policy";

/// The models of a search.
#[derive(Debug)]
pub struct Models {
    /// The policy.
    pub policy: AnyModel,
    /// The fast policy, if it is a different model.
    fast_policy: Option<AnyModel>,
    /// The models with the critics' heads, and those asked in words.
    pub critics: Vec<AnyModel>,
}

impl Models {
    /// Loads all models. A fast policy at the policy's path is not loaded again.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load(
        policy: &ModelAt,
        fast_policy: &ModelAt,
        critics: &[ModelAt],
        place: &Place,
    ) -> Result<Self, Failure> {
        let critics = load_critics(critics, place)?;
        Ok(Self {
            policy: AnyModel::load("policy", policy, place)?,
            fast_policy: (fast_policy != policy)
                .then(|| AnyModel::load(FAST, fast_policy, place))
                .transpose()?,
            critics,
        })
    }

    /// The recipe entries.
    pub fn inputs(&self) -> Vec<Input> {
        let policy = self.policy.input().clone();
        let fast = match &self.fast_policy {
            Some(fast) => fast.input().clone(),
            // The recipe has an entry for the fast policy even if it is the policy itself.
            None => Input { name: FAST.to_owned(), ..policy.clone() },
        };
        let critics = self.critics.iter().map(|critic| critic.input().clone());
        [policy, fast].into_iter().chain(critics).collect()
    }

    /// The policy and the fast policy; the same object if they are one model.
    ///
    /// # Errors
    /// As [`AnyModel::policy`].
    pub fn policies(&self, text: &TextConfig, place: &Place) -> Result<[Arc<Policy>; 2], Failure> {
        let policy = Arc::new(self.policy.policy(text, place)?);
        let fast = match &self.fast_policy {
            Some(fast) => Arc::new(fast.policy(text, place)?),
            None => policy.clone(),
        };
        Ok([policy, fast])
    }

    /// Checks the critics' measured quality against the preset's bars. A head that was never measured fails.
    ///
    /// # Errors
    /// Exit 65, with the figures that miss their bar.
    pub fn require(&self, bars: &BTreeMap<String, Bar>) -> Result<(), Failure> {
        let mut measured = BTreeMap::<String, Quality>::new();
        for model in &self.critics {
            // Nothing is known about the quality of a served model.
            if let AnyModel::Model(model) = model {
                measured.extend(model.quality()?);
            }
        }
        let missed = |(head, bar): (&String, &Bar)| match measured.get(head) {
            Some(quality) => bar.missed(quality).map(|missed| format!("{head}: {missed}")),
            None => Some(format!("{head}: was never measured")),
        };
        let missed: Vec<String> = bars.iter().filter_map(missed).collect();
        if missed.is_empty() {
            return Ok(());
        }
        let message = format!("the critics are below the preset's bar: {}", missed.join("; "));
        Err(Failure::data(message)
            .hint("give them more labels, or search all the same with --weak-critics (SEARCH_FLAGS of make)"))
    }

    /// The critics combined into one.
    ///
    /// # Errors
    /// Exit 65 if two models have the same head or a mark is not a single token.
    pub fn critic(&self, text: &TextConfig, place: &Place) -> Result<Critic, Failure> {
        critic(&self.critics, text, place)
    }
}

/// Combines models into one critic.
///
/// # Errors
/// Exit 65 if two models have the same head, a mark is not a single token, or a model has no heads.
pub fn critic(models: &[AnyModel], text: &TextConfig, place: &Place) -> Result<Critic, Failure> {
    let engines = models.iter().filter_map(|any| match any {
        AnyModel::Model(model) if !any.is_reader() => Some(model.engine(place)),
        _ => None,
    });
    let critic = Critic::new(engines.collect(), &text.policy.format, &text.critic);
    let mut critic = critic.map_err(Error::from)?;
    for model in models.iter().filter(|model| model.is_reader()) {
        let heads = model.heads(text);
        if heads.is_empty() {
            let label = model.label();
            return Err(Failure::data(format!("critic {label}: the model has no heads"))
                .hint("say in [critic.words] of text.toml how it is asked, or train it"));
        }
        let policy = Arc::new(model.policy(text, place)?);
        critic = critic.with_words(policy, &heads).map_err(Error::from)?;
    }
    Ok(critic)
}

/// Hash of the critics' contents and of the text settings. Two critics with the same hash give the same scores, up to
/// rounding.
///
/// # Errors
/// Fails if the settings cannot be written as JSON.
pub fn critics_id(models: &[AnyModel], text: &TextConfig) -> Result<String, Failure> {
    let contents: Vec<&str> = models.iter().map(|model| model.input().content.as_str()).collect();
    Ok(dataset::digest_of(&(contents, text))?)
}

/// Loads the critics.
///
/// # Errors
/// As [`AnyModel::load`]; also exit 65 if a server does not return the log-probabilities that scoring in words needs.
pub fn load_critics(critics: &[ModelAt], place: &Place) -> Result<Vec<AnyModel>, Failure> {
    let load = |(i, at): (usize, &ModelAt)| {
        let critic = AnyModel::load(&format!("critic-{i}"), at, place)?;
        if let AnyModel::Server(server, _) = &critic {
            server.require_likeliest().map_err(Error::from)?;
        }
        Ok(critic)
    };
    critics.iter().enumerate().map(load).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

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
        let place = Place::on(&stage::Device::Cpu, NonZeroUsize::MIN).unwrap();
        let load = || Model::load("policy", dir.path(), &place).unwrap().input.content;
        let first = load();
        assert_eq!(load(), first);
        let config = dir.path().join("config.json");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("1e-05", "1e-06")).unwrap();
        assert_ne!(load(), first, "{text}");
    }
}
