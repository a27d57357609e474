//! Checkpoints as Hugging Face directories: `config.json`, `model.safetensors`, `tokenizer.json` and the other files that
//! `transformers` expects next to them.

mod adapter;
mod files;
mod heads;
mod load;
mod tokens;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use self::adapter::{ADAPTER_CONFIG_FILE, ADAPTER_FILE};
pub use self::files::{
    CONFIG_FILE, INDEX_FILE, TOKENIZER_FILE, WEIGHTS_FILE, base_of, is_model, model_files,
};

use self::adapter::StoredAdapters;
use self::files::{CHAT_TEMPLATE_FILE, GENERATION_FILE, TOKENIZER_CONFIG_FILE};
pub(crate) use self::load::{EMBEDDING, OUTPUT};
use self::tokens::{TokenizerSettings, more_end_tokens};
use crate::lora::LoraConfig;
use crate::stored::StoredTensors;
use crate::weights::SCALAR_HEADS;
use crate::{Decoder, Error, ModelConfig, Precision, Tokenizer, plain, tensor_file, weights};

/// Most weights of a randomly initialized model. Beyond that (64 GiB in `f32`) we refuse the configuration rather than
/// run out of memory.
const MOST_FRESH: u128 = 1 << 34;

/// The files of a checkpoint: their names and contents.
pub type NamedFiles = Vec<(String, Vec<u8>)>;

/// A model with its configuration and tokenizer.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The model configuration.
    pub config: ModelConfig,
    /// The model weights, with the adapters that it was trained with.
    pub model: Decoder,
    /// The model's tokenizer.
    pub tokenizer: Tokenizer,
    /// The directory with the weights that adapters are beside. `None` for a model that was never in a directory.
    pub base: Option<PathBuf>,
}

/// A model whose weights have been checked but not read into memory.
#[derive(Debug)]
pub(crate) struct StoredModel {
    pub(crate) config: ModelConfig,
    pub(crate) tokenizer: Tokenizer,
    /// The tensors of the model and of its adapters.
    pub(crate) tensors: StoredTensors,
    /// Its adapters, if it has some.
    pub(crate) lora: Option<LoraConfig>,
    /// The directory with the weights: its own, or that of the model that the adapters are beside.
    base: PathBuf,
}

impl Checkpoint {
    /// Initializes a model with random weights drawn from `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] when the configuration is not one this crate runs, or describes too large a model.
    pub fn fresh(
        config: ModelConfig,
        tokenizer: Tokenizer,
        seed: u64,
        device: &Device,
    ) -> Result<Self, Error> {
        config.validate()?;
        let least = config.least_weights();
        if least > MOST_FRESH {
            return Err(Error::Config(format!(
                "it describes {least} weights or more: {MOST_FRESH} is the limit of a model from nothing"
            )));
        }
        let model = Decoder::zeros(&config, device)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let model = weights::initial(model, &config, &mut rng);
        Ok(Self { config, model, tokenizer, base: None })
    }

    /// Loads a Hugging Face directory, or one of adapters, and puts the weights on `device` as `f32`.
    ///
    /// # Errors
    /// The error names the file, the tensor and the problem: a missing file, malformed JSON or safetensors, a missing
    /// tensor, a wrong shape or data type, a weight that is NaN or infinite, or an option that is not supported.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, Error> {
        Self::load_as(dir, device, Precision::F32)
    }

    /// Loads a Hugging Face directory and puts its matrices on `device` in a type, rounded to it: for weights that training
    /// freezes ([`TrainConfig::frozen`]). Adapters, scalar heads, norms and biases are `f32`.
    ///
    /// # Errors
    /// As [`Self::load`].
    ///
    /// [`TrainConfig::frozen`]: crate::train::TrainConfig::frozen
    pub fn load_as(dir: &Path, device: &Device, stored: Precision) -> Result<Self, Error> {
        StoredModel::open(dir)?.load(device, stored)
    }

    /// Loads a directory with its matrices in the type of the file where that is bfloat16, and else in `f32`: for a model that
    /// is only written again.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_as_it_is(dir: &Path, device: &Device) -> Result<Self, Error> {
        let stored = StoredModel::open(dir)?;
        let precision =
            if stored.tensors[EMBEDDING].is_bf16() { Precision::Bf16 } else { Precision::F32 };
        stored.load(device, precision)
    }

    /// Makes `token` the first end token: the one that fine-tuning teaches, and the one written to
    /// `tokenizer_config.json`, which has room for only one.
    #[must_use]
    pub fn ending_first(self, token: u32) -> Self {
        Self { config: self.config.ending_first(token), ..self }
    }

    /// Whether it has adapters.
    pub fn is_adapted(&self) -> bool {
        self.model.lora().is_some()
    }

    /// Serializes the checkpoint to named files, with adapters added to the weights. The caller writes them, atomically.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer cannot be serialized.
    pub fn files(&self) -> Result<NamedFiles, Error> {
        let mut files = self.files_beside_weights()?;
        files.push((WEIGHTS_FILE.to_owned(), self.weights()));
        Ok(files)
    }

    /// The same without the weights that it was adapted from: the files of the adapters name the directory that has them,
    /// `base`, as a path from where they will be. `None` for a model without adapters.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer cannot be serialized.
    pub fn adapter_files(&self, base: &str) -> Result<Option<NamedFiles>, Error> {
        let Some(lora) = self.model.lora() else { return Ok(None) };
        let mut files = self.files_beside_weights()?;
        files.extend(adapter::files(&self.model, &lora, base));
        Ok(Some(files))
    }

    /// The files that describe the model, and the tokenizer.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer cannot be serialized.
    fn files_beside_weights(&self) -> Result<NamedFiles, Error> {
        let json = |value: &serde_json::Value| {
            serde_json::to_vec_pretty(value).expect("a JSON value always serializes")
        };
        let stored = self.model.matrix_type();
        let config = self.config.written(stored);
        let config = serde_json::to_value(config).expect("the configuration is plain data");
        let token = |id: Option<u32>| id.and_then(|id| self.tokenizer.token(id));
        let (bos, eos, pad) = (
            token(self.config.bos_token_id),
            token(self.config.end_tokens().first().copied()),
            token(self.config.pad_token_id),
        );
        let tokenizer_config = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": bos, "eos_token": eos, "pad_token": pad,
            // Or transformers may remove spaces before punctuation when it decodes.
            "clean_up_tokenization_spaces": false,
            "model_max_length": self.config.max_position_embeddings,
        });
        let special = serde_json::json!({"bos_token": bos, "eos_token": eos, "pad_token": pad});
        let generation = serde_json::json!({
            "bos_token_id": self.config.bos_token_id,
            "eos_token_id": self.config.eos_token_id,
            "pad_token_id": self.config.pad_token_id,
        });
        let mut files = vec![
            (CONFIG_FILE.to_owned(), json(&config)),
            (GENERATION_FILE.to_owned(), json(&generation)),
            (TOKENIZER_FILE.to_owned(), self.tokenizer.to_json()?.into_bytes()),
            (TOKENIZER_CONFIG_FILE.to_owned(), json(&tokenizer_config)),
            ("special_tokens_map.json".to_owned(), json(&special)),
        ];
        if let Some(template) = self.tokenizer.chat_template() {
            files.push((CHAT_TEMPLATE_FILE.to_owned(), template.as_bytes().to_vec()));
        }
        Ok(files)
    }

    /// Serializes the weights as a safetensors file, in the types they have in memory.
    fn weights(&self) -> Vec<u8> {
        let merged = self.model.clone().merged();
        tensor_file::write(weights::for_file(&merged), ("format", "pt".to_owned()))
    }

    /// Replaces the scalar heads and keeps the rest of the model. A head that is already there keeps its weights, wherever it
    /// stands among the others, and a new one starts at zero.
    ///
    /// # Errors
    /// [`Error::Config`] when the configuration is not one this crate runs.
    pub fn with_scalar_heads(self, names: &[String], device: &Device) -> Result<Self, Error> {
        if self.config.scalar_heads == names {
            return Ok(self);
        }
        let config = ModelConfig { scalar_heads: names.to_vec(), ..self.config.clone() };
        config.validate()?;
        let old = self.model.scalar_heads();
        let model = self.model.with_scalar_heads(names.len(), device);
        let model = weights::replace(model, |name, _| {
            let old = old.as_ref().filter(|_| name == SCALAR_HEADS)?;
            Some(heads::by_name(old, &self.config.scalar_heads, names))
        });
        Ok(Self { config, model, ..self })
    }
}

impl StoredModel {
    /// Puts the model on a device, with its matrices in a type.
    fn load(self, device: &Device, stored: Precision) -> Result<Checkpoint, Error> {
        let Self { config, tokenizer, tensors, lora, base } = self;
        let zeros = Decoder::zeros(&config, device)?.stored_as(stored);
        let model = weights::replace(zeros, |name, _| {
            let host = tensors[name].to_host();
            tensors[name].forget();
            Some(host)
        });
        let model = match &lora {
            Some(lora) => model.with_adapters(lora, |name| tensors[name].to_host(), device),
            None => model,
        };
        Ok(Checkpoint { config, model, tokenizer, base: Some(base) })
    }

    /// Opens a Hugging Face directory, or one of adapters with that of their base.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let Some(adapters) = StoredAdapters::find(dir)? else {
            let (config, tokenizer) = described(dir)?;
            let (config, tensors) = load::tensors(dir, config)?;
            return Ok(Self { config, tokenizer, tensors, lora: None, base: dir.to_owned() });
        };
        let (config, tokenizer) = described(adapters.described_in())?;
        // Scalar heads are beside the adapters, and not those that the base may have.
        let plain = ModelConfig { scalar_heads: Vec::new(), ..config.clone() };
        let (plain, mut tensors) = load::tensors(&adapters.base, plain)?;
        let config = ModelConfig { scalar_heads: config.scalar_heads, ..plain };
        tensors.extend(adapters.tensors(&config)?);
        let (lora, base) = (Some(adapters.lora), adapters.base);
        Ok(Self { config, tokenizer, tensors, lora, base })
    }
}

/// The configuration and the tokenizer in a directory.
fn described(dir: &Path) -> Result<(ModelConfig, Tokenizer), Error> {
    let path = dir.join(CONFIG_FILE);
    let text = plain::text(&path, plain::SMALL)?;
    let config = ModelConfig::read(&text)
        .map_err(|e| Error::malformed(&path, format!("not a model configuration: {e}")))?;
    config.validate().map_err(|e| Error::malformed(&path, e.to_string()))?;
    let config = config.ending_at(&more_end_tokens(dir)?);
    // The end tokens have just changed, so if this second check fails, `generation_config.json` is the file to blame.
    let generation = dir.join(GENERATION_FILE);
    config.validate().map_err(|e| Error::malformed(&generation, e.to_string()))?;
    let path = dir.join(TOKENIZER_FILE);
    let tokenizer = Tokenizer::load(&path)?;
    // A token past the embedding would have no row there. Fewer tokens than rows are fine: many models pad the embedding.
    if tokenizer.len() > config.vocab_size {
        let (have, room) = (tokenizer.len(), config.vocab_size);
        let problem = format!("{have} entries, but vocab_size in {CONFIG_FILE} is {room}");
        return Err(Error::malformed(&path, problem));
    }
    let settings = TokenizerSettings::read(dir)?;
    let special = settings.special(&tokenizer);
    let tokenizer = tokenizer.with_special(&special);
    let tokenizer = tokenizer.map_err(|e| Error::malformed(&path, e.to_string()))?;
    let tokenizer = tokenizer.with_chat_template(settings.chat_template(dir)?);
    // Of several end tokens, prefer the tokenizer's `eos_token`: in instruction-tuned models it is the one that ends
    // a turn.
    let end = settings.token("eos_token").and_then(|end| tokenizer.id(end));
    let config = match end.filter(|end| config.end_tokens().contains(end)) {
        Some(end) => config.ending_first(end),
        None => config,
    };
    Ok((config, tokenizer))
}
