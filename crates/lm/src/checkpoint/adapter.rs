//! Adapters in a directory of their own, as PEFT writes them: the two files hold what was learned, and name the directory of
//! the model beside whose weights it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files::{CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE};
use super::load::check_tensor;
use crate::lora::{LoraConfig, MATRICES, Target};
use crate::stored::StoredTensors;
use crate::tensor_file::{self, TensorFile};
use crate::tensors::HostTensor;
use crate::weights::{self, SCALAR_HEADS};
use crate::{Decoder, Error, ModelConfig, device, plain};

/// The file that describes adapters.
pub const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";
/// The weights of adapters, and of scalar heads that were learned with them.
pub const ADAPTER_FILE: &str = "adapter_model.safetensors";

/// The prefix of tensor names in PEFT's files.
const PREFIX: &str = "base_model.model.";

/// `adapter_config.json`. The keys that are not here have no effect on what the model computes.
#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are the keys of PEFT's file")]
struct AdapterConfig {
    peft_type: String,
    task_type: Option<String>,
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f64,
    target_modules: Vec<Target>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default = "none")]
    bias: String,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    rank_pattern: BTreeMap<String, usize>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    layers_to_transform: Option<serde_json::Value>,
    #[serde(default)]
    inference_mode: bool,
}

fn none() -> String {
    "none".to_owned()
}

impl AdapterConfig {
    /// The first setting that is not supported.
    fn problem(&self) -> Option<&'static str> {
        let rules = [
            (self.peft_type == "LORA", "peft_type: only LORA is supported"),
            (self.bias == "none", "bias: only none is supported"),
            (!self.fan_in_fan_out, "fan_in_fan_out is not supported"),
            (!self.use_rslora, "use_rslora is not supported"),
            (!self.use_dora, "use_dora is not supported"),
            (self.rank_pattern.is_empty(), "rank_pattern: all adapters must have the same rank"),
            (self.alpha_pattern.is_empty(), "alpha_pattern: all adapters must have the same alpha"),
            (self.layers_to_transform.is_none(), "layers_to_transform: all blocks must be adapted"),
        ];
        rules.iter().find(|(holds, _)| !holds).map(|(_, problem)| *problem)
    }
}

/// Adapters in a directory, described but not read.
#[derive(Debug)]
pub(super) struct StoredAdapters {
    dir: PathBuf,
    pub(super) lora: LoraConfig,
    /// The directory of the model that they adapt.
    pub(super) base: PathBuf,
}

impl StoredAdapters {
    /// The adapters of a directory; `None` if it is that of a whole model.
    ///
    /// # Errors
    /// For a description that cannot be read or is of adapters that are not supported, and for a base that is not there or
    /// has adapters itself.
    pub(super) fn find(dir: &Path) -> Result<Option<Self>, Error> {
        if !is_adapted(dir) {
            return Ok(None);
        }
        let path = dir.join(ADAPTER_CONFIG_FILE);
        let text = plain::bytes(&path, plain::SMALL)?;
        let config: AdapterConfig = serde_json::from_slice(&text)
            .map_err(|e| Error::malformed(&path, format!("not a description of adapters: {e}")))?;
        if let Some(problem) = config.problem() {
            return Err(Error::malformed(&path, problem));
        }
        let lora =
            LoraConfig { rank: config.r, alpha: config.lora_alpha, targets: config.target_modules };
        lora.validate().map_err(|e| Error::malformed(&path, e.to_string()))?;
        let named = config.base_model_name_or_path.unwrap_or_default();
        let base = base_at(dir, &named).map_err(|problem| Error::malformed(&path, problem))?;
        Ok(Some(Self { dir: dir.to_owned(), lora, base }))
    }

    /// The files, the weights last.
    pub(super) fn files(&self) -> [PathBuf; 2] {
        [ADAPTER_CONFIG_FILE, ADAPTER_FILE].map(|name| self.dir.join(name))
    }

    /// The directory with the configuration and the tokenizer: this one if it has them, else the base.
    pub(super) fn described_in(&self) -> &Path {
        if self.dir.join(CONFIG_FILE).exists() { &self.dir } else { &self.base }
    }

    /// The tensors of the adapters, and of scalar heads if the configuration has some, by the names that they have in a
    /// model.
    ///
    /// # Errors
    /// For a tensor that is missing, unexpected, of another shape, or not finite.
    pub(super) fn tensors(&self, config: &ModelConfig) -> Result<StoredTensors, Error> {
        let [_, path] = self.files();
        let wrong = |problem: String| Error::malformed(&path, problem);
        let map = Arc::new(tensor_file::mapped(&path)?);
        let file = TensorFile::parse(&map).map_err(wrong)?;
        let shapes = self.shapes(config)?;
        let mut tensors = StoredTensors::new();
        for name in file.names() {
            let own = name.strip_prefix(PREFIX).filter(|own| shapes.contains_key(*own));
            let Some(own) = own else {
                let (name, adapted) = (name.escape_debug(), ADAPTER_CONFIG_FILE);
                return Err(wrong(format!(
                    "tensor `{name}` is none of those that {adapted} describes"
                )));
            };
            let tensor = tensor_file::stored(&map, &file, name).map_err(wrong)?;
            let tensor = tensor.expect("a file has the tensors that it lists");
            check_tensor(name, &tensor, &shapes[own]).map_err(wrong)?;
            tensors.insert(own.to_owned(), tensor);
        }
        match shapes.keys().find(|name| !tensors.contains_key(*name)) {
            Some(name) => Err(wrong(format!("tensor `{PREFIX}{name}` is missing"))),
            None => Ok(tensors),
        }
    }

    /// The shapes of all tensors by name, as in the file.
    fn shapes(&self, config: &ModelConfig) -> Result<BTreeMap<String, Vec<usize>>, Error> {
        let model = Decoder::zeros(config, &device::cpu())?;
        let all = weights::shapes(&model);
        let mut shapes = BTreeMap::new();
        for name in model.target_names(&self.lora.targets) {
            let [outputs, inputs] = all[&format!("{name}.weight")][..] else {
                unreachable!("a projection has a matrix")
            };
            let own = [vec![self.lora.rank, inputs], vec![outputs, self.lora.rank]];
            let names = MATRICES.map(|end| format!("{name}.{end}"));
            shapes.extend(names.into_iter().zip(own));
        }
        if let Some(heads) = all.get(SCALAR_HEADS) {
            shapes.insert(SCALAR_HEADS.to_owned(), heads.clone());
        }
        Ok(shapes)
    }
}

/// Whether a directory has adapters in place of weights.
fn is_adapted(dir: &Path) -> bool {
    let has = |name: &str| dir.join(name).exists();
    has(ADAPTER_CONFIG_FILE) && !has(WEIGHTS_FILE) && !has(INDEX_FILE)
}

/// The directory that a description names as the base: from its own directory, as this program writes it, or else from where
/// the program runs, as PEFT does.
fn base_at(dir: &Path, named: &str) -> Result<PathBuf, String> {
    let places = [dir.join(named), PathBuf::from(named)];
    let found =
        places.into_iter().find(|place| !named.is_empty() && place.join(CONFIG_FILE).exists());
    let Some(base) = found else {
        return Err(format!(
            "base_model_name_or_path is {named:?}, and there is no such model from this directory or from where the program \
             runs: put there the path of the model that the adapters were trained beside"
        ));
    };
    if is_adapted(&base) {
        let base = base.display();
        return Err(format!(
            "base_model_name_or_path: {base} has adapters itself: merge them first"
        ));
    }
    Ok(base)
}

/// Serializes the adapters and scalar heads of a model as PEFT's files, with the path of its base.
pub(super) fn files(model: &Decoder, lora: &LoraConfig, base: &str) -> [(String, Vec<u8>); 2] {
    let heads = model.scalar_heads();
    let config = AdapterConfig {
        peft_type: "LORA".to_owned(),
        task_type: Some("CAUSAL_LM".to_owned()),
        base_model_name_or_path: Some(base.to_owned()),
        r: lora.rank,
        lora_alpha: lora.alpha,
        target_modules: lora.targets.clone(),
        modules_to_save: heads.as_ref().map(|_| vec!["scalar_head".to_owned()]),
        lora_dropout: 0.0,
        bias: none(),
        fan_in_fan_out: false,
        use_rslora: false,
        use_dora: false,
        rank_pattern: BTreeMap::new(),
        alpha_pattern: BTreeMap::new(),
        layers_to_transform: None,
        inference_mode: true,
    };
    let heads = heads.map(|heads| (SCALAR_HEADS.to_owned(), heads));
    let named = |(name, tensor): (String, HostTensor)| (format!("{PREFIX}{name}"), tensor);
    let tensors = model.adapters().into_iter().chain(heads).map(named).collect();
    let config = serde_json::to_vec_pretty(&config).expect("the description is plain data");
    let weights = tensor_file::write(tensors, ("format", "pt".to_owned()));
    [(ADAPTER_CONFIG_FILE.to_owned(), config), (ADAPTER_FILE.to_owned(), weights)]
}
