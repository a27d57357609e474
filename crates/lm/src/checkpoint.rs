//! Checkpoints as Hugging Face directories: `config.json`, `model.safetensors`, `tokenizer.json` and the other files that
//! `transformers` expects next to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::config::EndTokens;
use crate::weights::{self, HostTensor};
use crate::{Decoder, Error, ModelConfig, Tokenizer, plain};

/// The configuration file.
pub const CONFIG_FILE: &str = "config.json";
/// The weights, when they are in a single file.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The index that maps tensors to shards, when the weights are in several files.
pub const INDEX_FILE: &str = "model.safetensors.index.json";
/// The tokenizer file.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The file with the special tokens and, in older directories, the chat template.
const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// The file with the default generation settings, where instruction-tuned models list more end tokens.
const GENERATION_FILE: &str = "generation_config.json";
/// The file with the chat template.
const CHAT_TEMPLATE_FILE: &str = "chat_template.jinja";
/// Name of the embedding tensor.
const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the output projection tensor.
const OUTPUT: &str = "lm_head.weight";

/// Most weights of a randomly initialized model. Beyond that (64 GiB in `f32`) we refuse the configuration rather than
/// run out of memory.
const MOST_FRESH: u128 = 1 << 34;

/// A model with its configuration and tokenizer.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The model configuration.
    pub config: ModelConfig,
    /// The model weights.
    pub model: Decoder,
    /// The model's tokenizer.
    pub tokenizer: Tokenizer,
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
        Ok(Self { config, model, tokenizer })
    }

    /// Loads a Hugging Face directory and puts the weights on `device` as `f32`.
    ///
    /// # Errors
    /// The error names the file, the tensor and the problem: a missing file, malformed JSON or safetensors, a missing
    /// tensor, a wrong shape or data type, a weight that is NaN or infinite, or an option that is not supported.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, Error> {
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
        if tokenizer.len() > config.vocab_size {
            let (have, room) = (tokenizer.len(), config.vocab_size);
            let problem = format!("{have} entries, but vocab_size in {CONFIG_FILE} is {room}");
            return Err(Error::malformed(&path, problem));
        }
        let about = AboutTokens::of(dir)?;
        let special = about.special(&tokenizer);
        let tokenizer = tokenizer.with_special(&special);
        let tokenizer = tokenizer.map_err(|e| Error::malformed(&path, e.to_string()))?;
        let tokenizer = tokenizer.with_chat_template(about.chat_template(dir)?);
        // Of several end tokens, prefer the tokenizer's `eos_token`: in instruction-tuned models it is the one that ends
        // a turn.
        let end = about.token("eos_token").and_then(|end| tokenizer.id(end));
        let config = match end.filter(|end| config.end_tokens().contains(end)) {
            Some(end) => config.ending_first(end),
            None => config,
        };
        let (config, model) = load_weights(dir, config, device)?;
        Ok(Self { config, model, tokenizer })
    }

    /// Makes `token` the first end token: the one that fine-tuning teaches, and the one written to
    /// `tokenizer_config.json`, which has room for only one.
    #[must_use]
    pub fn ending_first(self, token: u32) -> Self {
        Self { config: self.config.ending_first(token), ..self }
    }

    /// Serializes the checkpoint to named files. The caller writes them, atomically.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer cannot be serialized.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let json = |value: &serde_json::Value| {
            serde_json::to_vec_pretty(value).expect("a JSON value always serializes")
        };
        let config =
            serde_json::to_value(self.config.written()).expect("the configuration is plain data");
        let token = |id: Option<u32>| id.and_then(|id| self.tokenizer.token(id));
        let (bos, eos, pad) = (
            token(self.config.bos_token_id),
            token(self.config.end_tokens().first().copied()),
            token(self.config.pad_token_id),
        );
        let tokenizer_config = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": bos, "eos_token": eos, "pad_token": pad,
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
            (WEIGHTS_FILE.to_owned(), self.weights()),
        ];
        if let Some(template) = self.tokenizer.chat_template() {
            files.push((CHAT_TEMPLATE_FILE.to_owned(), template.as_bytes().to_vec()));
        }
        Ok(files)
    }

    /// Serializes the weights as a safetensors file.
    fn weights(&self) -> Vec<u8> {
        write_safetensors(&weights::collect(&self.model), ("format", "pt".to_owned()))
    }

    /// Replaces the scalar heads and keeps the rest of the model. The heads are the columns of one tensor: with as many
    /// heads as before it is kept by position, otherwise all heads start at zero.
    ///
    /// # Errors
    /// [`Error::Config`] when the configuration is not one this crate runs.
    pub fn with_scalar_heads(self, names: &[String], device: &Device) -> Result<Self, Error> {
        if self.config.scalar_heads == names {
            return Ok(self);
        }
        let config = ModelConfig { scalar_heads: names.to_vec(), ..self.config };
        let old = weights::collect(&self.model);
        let model = weights::replace(Decoder::zeros(&config, device)?, |name, shape| {
            old.get(name).filter(|tensor| tensor.shape == shape).cloned()
        });
        Ok(Self { config, model, tokenizer: self.tokenizer })
    }
}

/// End tokens from `generation_config.json`: instruction-tuned models list theirs there, not in `config.json`.
fn more_end_tokens(dir: &Path) -> Result<Vec<u32>, Error> {
    #[derive(serde::Deserialize)]
    struct Generation {
        #[serde(default)]
        eos_token_id: Option<EndTokens>,
    }
    let path = dir.join(GENERATION_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = plain::bytes(&path, plain::SMALL)?;
    let generation: Generation = serde_json::from_slice(&text)
        .map_err(|e| Error::malformed(&path, format!("eos_token_id cannot be read: {e}")))?;
    Ok(generation.eos_token_id.map_or_else(Vec::new, |tokens| tokens.all().to_vec()))
}

/// The contents of `tokenizer_config.json`, null if there is no such file.
struct AboutTokens(serde_json::Value);

impl AboutTokens {
    fn of(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(TOKENIZER_CONFIG_FILE);
        if !path.exists() {
            return Ok(Self(serde_json::Value::Null));
        }
        let text = plain::bytes(&path, plain::SMALL)?;
        let said = serde_json::from_slice(&text);
        said.map(Self).map_err(|e| Error::malformed(&path, format!("not JSON: {e}")))
    }

    /// The text of a token, given as a plain string or as an object with settings.
    fn token(&self, key: &str) -> Option<&str> {
        content(&self.0[key])
    }

    /// The tokens that transformers treats as special: those with a role such as bos or pad, those flagged as special,
    /// and listed extra tokens unless `tokenizer.json` itself added them (then its own flag decides).
    fn special(&self, tokenizer: &Tokenizer) -> Vec<String> {
        let parts = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];
        let parts = parts.iter().filter_map(|part| self.token(&format!("{part}_token")));
        let said = self.0["added_tokens_decoder"].as_object().into_iter().flatten();
        let said = said.filter(|(_, token)| token["special"] == true);
        let said = said.filter_map(|(_, token)| content(token));
        let lists = ["additional_special_tokens", "extra_special_tokens"];
        let listed = lists.iter().flat_map(|&key| match &self.0[key] {
            serde_json::Value::Array(tokens) => tokens.iter().collect(),
            serde_json::Value::Object(tokens) => tokens.values().collect(),
            _ => Vec::new(),
        });
        let listed = listed.filter_map(content).filter(|token| !tokenizer.is_added(token));
        parts.chain(said).chain(listed).map(str::to_owned).collect()
    }

    /// The chat template, if there is one: `chat_template.jinja` first, else the entry in this file, and of several the
    /// one named `default`.
    fn chat_template(&self, dir: &Path) -> Result<Option<String>, Error> {
        let path = dir.join(CHAT_TEMPLATE_FILE);
        if path.exists() {
            return plain::text(&path, plain::SMALL).map(Some);
        }
        let named = |all: &Vec<serde_json::Value>| {
            all.iter().find(|one| one["name"] == "default").map(|one| one["template"].clone())
        };
        let template = &self.0["chat_template"];
        let template = template.as_array().map_or_else(|| Some(template.clone()), named);
        Ok(template.and_then(|template| template.as_str().map(str::to_owned)))
    }
}

/// The text of a token that is a string, or an object with a `content` key.
fn content(token: &serde_json::Value) -> Option<&str> {
    token.as_str().or_else(|| token["content"].as_str())
}

/// Serializes named tensors. The map is sorted, so the same values always give the same bytes.
pub(crate) fn write_safetensors(
    tensors: &BTreeMap<String, HostTensor>,
    metadata: (&str, String),
) -> Vec<u8> {
    let bytes: BTreeMap<&String, Vec<u8>> = tensors
        .iter()
        .map(|(name, t)| (name, t.data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = tensors.iter().map(|(name, t)| {
        let view = TensorView::new(Dtype::F32, t.shape.clone(), &bytes[name]);
        (name, view.expect("the bytes were made from the shape"))
    });
    let metadata = [(metadata.0.to_owned(), metadata.1)].into();
    safetensors::serialize(views, Some(metadata)).expect("names are unique and sizes agree")
}

/// A parsed safetensors file. Errors are messages without the path, which the caller adds.
pub(crate) struct Weights<'a>(SafeTensors<'a>);

impl<'a> Weights<'a> {
    /// The number of values in all tensors.
    fn count(&self) -> u128 {
        let size =
            |view: &TensorView<'_>| view.shape().iter().map(|&n| n as u128).product::<u128>();
        self.0.iter().map(|(_, view)| size(&view)).sum()
    }

    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        SafeTensors::deserialize(bytes)
            .map(Self)
            .map_err(|e| format!("broken safetensors file: {e}; make it again or restore it"))
    }

    /// All tensors, converted to `f32`.
    pub(crate) fn all(&self) -> Result<BTreeMap<String, HostTensor>, String> {
        let one = |name: &str| Ok(self.get(name)?.map(|tensor| (name.to_owned(), tensor)));
        self.names().filter_map(|name| one(name).transpose()).collect()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Whether two tensors are equal, or `None` if either is missing. Compares raw bytes if the types agree, which needs
    /// no copy.
    fn same(&self, name: &str, other: (&Weights<'_>, &str)) -> Option<Result<bool, String>> {
        let (one, two) = (self.0.tensor(name).ok()?, other.0.0.tensor(other.1).ok()?);
        if one.dtype() == two.dtype() {
            return Some(Ok(one.shape() == two.shape() && one.data() == two.data()));
        }
        let both =
            [self.get(name), other.0.get(other.1)].into_iter().collect::<Result<Vec<_>, _>>();
        Some(both.map(|both| both[0] == both[1]))
    }

    /// A tensor converted to `f32`, or `None` if it is missing.
    pub(crate) fn get(&self, name: &str) -> Result<Option<HostTensor>, String> {
        let Ok(view) = self.0.tensor(name) else { return Ok(None) };
        let data = to_f32(view.dtype(), view.data()).ok_or_else(|| {
            format!("tensor `{name}` is {:?}: need F32, F16 or BF16", view.dtype())
        })?;
        Ok(Some(HostTensor { shape: view.shape().to_vec(), data }))
    }
}

fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    // bf16 is the upper half of an f32, so widening is a shift.
    let halves = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match dtype {
        Dtype::F32 => Some(
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        ),
        Dtype::BF16 => Some(halves().map(|b| f32::from_bits(u32::from(b) << 16)).collect()),
        Dtype::F16 => Some(halves().map(|b| burn::tensor::f16::from_bits(b).to_f32()).collect()),
        _ => None,
    }
}

/// A weights file, and the tensors that the shard index promises in it (none without an index).
struct WeightFile {
    path: PathBuf,
    listed: BTreeSet<String>,
}

/// Lists the files that determine what a model computes, the weights last.
///
/// # Errors
/// For pickled weights, an index that cannot be read, and anything that is not a regular file, such as a pipe.
pub fn model_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let beside =
        [CONFIG_FILE, TOKENIZER_FILE, GENERATION_FILE, TOKENIZER_CONFIG_FILE, CHAT_TEMPLATE_FILE];
    let beside = beside.map(|name| dir.join(name)).into_iter().filter(|path| path.exists());
    let weights = weight_files(dir)?.into_iter().map(|file| file.path);
    let files: Vec<PathBuf> = beside.chain(weights).collect();
    files.iter().filter(|path| path.exists()).try_for_each(|path| plain::check(path))?;
    Ok(files)
}

/// Lists the weights files: the single one, or the shards named in the index.
fn weight_files(dir: &Path) -> Result<Vec<WeightFile>, Error> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let (single, index) = (dir.join(WEIGHTS_FILE), dir.join(INDEX_FILE));
    if single.exists() || !index.exists() {
        let pickled = std::fs::read_dir(dir).map_err(Error::io(dir))?.filter_map(Result::ok);
        let mut pickled = pickled.map(|entry| entry.path()).filter(|path| {
            path.extension().is_some_and(|end| end == "bin" || end == "pt" || end == "pth")
        });
        return match pickled.next() {
            Some(path) if !single.exists() => Err(Error::malformed(
                &path,
                "pickled weights can run code and are not read: load the model with transformers and \
                 save_pretrained(..., safe_serialization=True)",
            )),
            _ => Ok(vec![WeightFile { path: single, listed: BTreeSet::new() }]),
        };
    }
    let text = plain::bytes(&index, plain::LARGE)?;
    let Index { weight_map } = serde_json::from_slice(&text)
        .map_err(|e| Error::malformed(&index, format!("no index of shards: {e}")))?;
    let mut shards = BTreeMap::<PathBuf, BTreeSet<String>>::new();
    for (tensor, file) in weight_map {
        // The index is untrusted: a name such as `../x` would make us read outside of the directory.
        if Path::new(&file).components().count() != 1 {
            return Err(Error::malformed(
                &index,
                format!("shard `{file}` is not a file beside it"),
            ));
        }
        shards.entry(dir.join(file)).or_default().insert(tensor);
    }
    Ok(shards.into_iter().map(|(path, listed)| WeightFile { path, listed }).collect())
}

/// Loads the weights one file at a time. Besides the model at most one file is mapped, of which only the pages being read
/// need to be in memory. Also returns the configuration, corrected if the files contradict it.
fn load_weights(
    dir: &Path,
    config: ModelConfig,
    device: &Device,
) -> Result<(ModelConfig, Decoder), Error> {
    check_size(dir, &config)?;
    let (config, embedding) = with_own_output(dir, config)?;
    let mut model = Decoder::zeros(&config, device)?;
    // The name that a tensor has in the files.
    let place = |name: &str| if name == EMBEDDING { embedding } else { name }.to_owned();
    let mut missing: BTreeSet<String> = weights::names(&model).iter().map(|n| place(n)).collect();
    let wanted = missing.clone();
    for WeightFile { path, listed } in weight_files(dir)? {
        let bytes = mapped(&path)?;
        let file = Weights::parse(&bytes).map_err(|problem| Error::malformed(&path, problem))?;
        let found: BTreeSet<String> = file.names().map(str::to_owned).collect();
        if let Some(lost) = listed.iter().find(|name| !found.contains(*name)) {
            let problem = format!("tensor `{lost}` is missing, which {INDEX_FILE} says is here");
            return Err(Error::malformed(&path, problem));
        }
        if let Some(other) =
            found.iter().find(|name| !wanted.contains(*name) && !is_idle(name, &config))
        {
            let (family, other) = (&config.model_type, other.escape_debug());
            let problem =
                format!("tensor `{other}` is none of a {family} as {CONFIG_FILE} describes it");
            return Err(Error::malformed(&path, problem));
        }
        missing.retain(|name| !found.contains(name));
        let filled = fill(model, &file, &place);
        model = filled.map_err(|problem| Error::malformed(&path, problem))?;
    }
    match missing.pop_first() {
        Some(name) => {
            Err(Error::malformed(&dir.join(WEIGHTS_FILE), format!("tensor `{name}` is missing")))
        }
        None => Ok((config, model)),
    }
}

/// Resolves a configuration that ties the output to the embedding when the files hold both tensors. If they differ, the
/// file's output projection wins, since that is what was trained; transformers does the same. Also returns the name of
/// the tensor to load as the embedding: if only one of the two is there, it serves as both.
fn with_own_output(dir: &Path, config: ModelConfig) -> Result<(ModelConfig, &'static str), Error> {
    if !config.tie_word_embeddings {
        return Ok((config, EMBEDDING));
    }
    let paths = weight_files(dir)?.into_iter().map(|file| file.path);
    let maps = paths.map(|path| mapped(&path).map(|map| (path, map)));
    let maps = maps.collect::<Result<Vec<_>, Error>>()?;
    let parsed = maps.iter().map(|(path, map)| {
        let file = Weights::parse(map).map_err(|problem| Error::malformed(path, problem))?;
        Ok((path, file))
    });
    let files = parsed.collect::<Result<Vec<_>, Error>>()?;
    let holds = |name: &str| files.iter().find(|(_, file)| file.names().any(|n| n == name));
    let (Some((path, output)), embedding) = (holds(OUTPUT), holds(EMBEDDING)) else {
        return Ok((config, EMBEDDING));
    };
    let Some((_, embedding)) = embedding else { return Ok((config, OUTPUT)) };
    let same = output.same(OUTPUT, (embedding, EMBEDDING)).unwrap_or(Ok(true));
    if same.map_err(|problem| Error::malformed(path, problem))? {
        return Ok((config, EMBEDDING));
    }
    tracing::warn!(
        "{}: `{OUTPUT}` is not the embedding, though tie_word_embeddings in {CONFIG_FILE} says so: it is used as it is, and \
         what is saved says false",
        path.display()
    );
    Ok((ModelConfig { tie_word_embeddings: false, ..config }, EMBEDDING))
}

/// Slack for [`check_size`], in weights. Below it, a mismatch does no harm and the per-tensor checks give a better error
/// message.
const SLACK: u128 = 1 << 20;

/// Checks, before allocating anything, that the files hold about as many values as the configuration calls for. Otherwise
/// a bad `config.json` could claim more memory than there is.
fn check_size(dir: &Path, config: &ModelConfig) -> Result<(), Error> {
    let mut numbers = 0;
    for WeightFile { path, .. } in weight_files(dir)? {
        let bytes = mapped(&path)?;
        let file = Weights::parse(&bytes).map_err(|problem| Error::malformed(&path, problem))?;
        numbers += file.count();
    }
    let least = config.least_weights();
    if least > 2 * numbers + SLACK {
        let problem =
            format!("it describes {least} weights or more, and the files beside it have {numbers}");
        return Err(Error::malformed(&dir.join(CONFIG_FILE), problem));
    }
    Ok(())
}

/// Memory-maps a file: the system loads pages on demand and may drop them again, so a large file never has to fit in
/// memory.
#[expect(unsafe_code, reason = "who changes the file meanwhile changes the memory under the map")]
fn mapped(path: &Path) -> Result<memmap2::Mmap, Error> {
    let file = plain::open(path)?;
    // SAFETY: checkpoints are written elsewhere and moved into place as a whole (`dataset`), and nobody edits one in
    // place (ARCHITECTURE.md, invariant 4). Contents are validated like those of any file, since the values may be
    // anything.
    unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(path))
}

/// Whether a tensor found in a file may be ignored: a tied output projection, or rotary frequencies, which we compute
/// from the configuration.
fn is_idle(name: &str, config: &ModelConfig) -> bool {
    name.ends_with("rotary_emb.inv_freq") || (name == OUTPUT && config.tie_word_embeddings)
}

/// Copies the tensors of a file into the model.
fn fill(
    model: Decoder,
    file: &Weights<'_>,
    place: &dyn Fn(&str) -> String,
) -> Result<Decoder, String> {
    let mut problem = None;
    let model = weights::replace(model, |name, shape| {
        let name = place(name);
        match file.get(&name) {
            Ok(Some(tensor)) if tensor.shape != shape => {
                let has = &tensor.shape;
                problem.get_or_insert(format!(
                    "tensor `{name}` is {has:?}, but {CONFIG_FILE} makes it {shape:?}"
                ));
                None
            }
            Ok(Some(tensor)) => {
                let Some(at) = tensor.data.iter().position(|value| !value.is_finite()) else {
                    return Some(tensor);
                };
                let value = tensor.data[at];
                problem.get_or_insert(format!(
                    "tensor `{name}` holds {value} at {at}: the file is damaged, or the training that wrote it diverged"
                ));
                None
            }
            Ok(None) => None,
            Err(text) => {
                problem.get_or_insert(text);
                None
            }
        }
    });
    problem.map_or(Ok(model), Err)
}
