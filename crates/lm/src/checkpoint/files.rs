//! The files of a Hugging Face directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::adapter::{ADAPTER_CONFIG_FILE, StoredAdapters};
use crate::{Error, plain};

/// The configuration file.
pub const CONFIG_FILE: &str = "config.json";
/// The weights, when they are in a single file.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The index that maps tensors to shards, when the weights are in several files.
pub const INDEX_FILE: &str = "model.safetensors.index.json";
/// The tokenizer file.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The file with the special tokens and, in older directories, the chat template.
pub(super) const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// The file with the default generation settings, where instruction-tuned models list more end tokens.
pub(super) const GENERATION_FILE: &str = "generation_config.json";
/// The file with the chat template.
pub(super) const CHAT_TEMPLATE_FILE: &str = "chat_template.jinja";

/// A weights file, and the tensors that the shard index promises in it (none without an index).
pub(super) struct WeightFile {
    pub(super) path: PathBuf,
    pub(super) listed: BTreeSet<String>,
}

/// Whether a directory is one of a model or of adapters.
pub fn is_model(dir: &Path) -> bool {
    [CONFIG_FILE, ADAPTER_CONFIG_FILE].iter().any(|name| dir.join(name).exists())
}

/// The directory of the model that the adapters in a directory are beside; `None` if it has a whole model.
///
/// # Errors
/// For adapters that are not supported, or whose base is not there.
pub fn base_of(dir: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(StoredAdapters::find(dir)?.map(|adapters| adapters.base))
}

/// Lists the files that determine what a model computes, the weights last. Those of adapters come after those of their base.
///
/// # Errors
/// For pickled weights, an index that cannot be read, and anything that is not a regular file, such as a pipe.
pub fn model_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let Some(adapters) = StoredAdapters::find(dir)? else { return whole_model_files(dir) };
    let beside = descriptions(dir).into_iter().chain(adapters.files());
    let files: Vec<PathBuf> =
        whole_model_files(&adapters.base)?.into_iter().chain(beside).collect();
    files.iter().filter(|path| path.exists()).try_for_each(|path| plain::check(path))?;
    Ok(files)
}

/// The files beside the weights that are there.
fn descriptions(dir: &Path) -> Vec<PathBuf> {
    let beside =
        [CONFIG_FILE, TOKENIZER_FILE, GENERATION_FILE, TOKENIZER_CONFIG_FILE, CHAT_TEMPLATE_FILE];
    beside.map(|name| dir.join(name)).into_iter().filter(|path| path.exists()).collect()
}

fn whole_model_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let weights = weight_files(dir)?.into_iter().map(|file| file.path);
    let files: Vec<PathBuf> = descriptions(dir).into_iter().chain(weights).collect();
    files.iter().filter(|path| path.exists()).try_for_each(|path| plain::check(path))?;
    Ok(files)
}

/// Lists the weights files: the single one, or the shards named in the index.
pub(super) fn weight_files(dir: &Path) -> Result<Vec<WeightFile>, Error> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let (single, index) = (dir.join(WEIGHTS_FILE), dir.join(INDEX_FILE));
    // A single file is preferred to shards, as in transformers.
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
