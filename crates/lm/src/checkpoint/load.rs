//! Finds the weights of a Hugging Face directory and checks them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::files::{CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, WeightFile, weight_files};
use crate::stored::{StoredTensor, StoredTensors};
use crate::tensor_file::{TensorFile, mapped, stored};
use crate::weights::SCALAR_HEADS;
use crate::{Decoder, Error, ModelConfig, device, weights};

/// Name of the embedding tensor.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the output projection tensor.
pub(crate) const OUTPUT: &str = "lm_head.weight";

/// A weights file in memory, of which only the pages being read need to be there.
struct Mapped {
    file: WeightFile,
    map: Arc<Mmap>,
}

impl Mapped {
    fn parsed(&self) -> Result<TensorFile<'_>, Error> {
        TensorFile::parse(&self.map).map_err(self.wrong())
    }

    /// A tensor, or `None` if it is not in this file.
    fn tensor(&self, name: &str) -> Result<Option<StoredTensor>, Error> {
        stored(&self.map, &self.parsed()?, name).map_err(self.wrong())
    }

    fn wrong(&self) -> impl Fn(String) -> Error {
        |problem| Error::malformed(&self.file.path, problem)
    }
}

/// Finds all tensors of a model and checks their names, shapes, types and values. Also returns the configuration,
/// corrected if the files contradict it.
pub(super) fn tensors(
    dir: &Path,
    config: ModelConfig,
) -> Result<(ModelConfig, StoredTensors), Error> {
    let map = |file: WeightFile| Ok(Mapped { map: Arc::new(mapped(&file.path)?), file });
    let files = weight_files(dir)?.into_iter().map(map).collect::<Result<Vec<_>, Error>>()?;
    check_size(dir, &config, &files)?;
    let (config, embedding) = with_own_output(&files, config)?;
    // The name that a tensor has in the files.
    let place = |name: &str| if name == EMBEDDING { embedding } else { name }.to_owned();
    let shapes = weights::shapes(&Decoder::zeros(&config, &device::cpu())?);
    let wanted: BTreeMap<String, String> =
        shapes.keys().map(|name| (place(name), name.clone())).collect();
    let mut tensors = StoredTensors::new();
    for mapped in &files {
        check_names(mapped, &config, |name| wanted.contains_key(name))?;
        let file = mapped.parsed()?;
        for name in file.names() {
            let Some(own) = wanted.get(name) else { continue };
            let tensor = stored(&mapped.map, &file, name).map_err(mapped.wrong())?;
            let tensor = tensor.expect("a file has the tensors that it lists");
            check_tensor(name, &tensor, &shapes[own]).map_err(mapped.wrong())?;
            tensors.insert(own.clone(), tensor);
        }
    }
    match wanted.iter().find(|(_, own)| !tensors.contains_key(*own)) {
        Some((name, _)) => {
            Err(Error::malformed(&dir.join(WEIGHTS_FILE), format!("tensor `{name}` is missing")))
        }
        None => Ok((config, tensors)),
    }
}

/// Checks that a file holds the tensors that the index lists, and no unexpected ones.
fn check_names(
    mapped: &Mapped,
    config: &ModelConfig,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let file = mapped.parsed()?;
    let present = file.names();
    if let Some(lost) = mapped.file.listed.iter().find(|name| !present.contains(&name.as_str())) {
        let problem = format!("tensor `{lost}` is missing, which {INDEX_FILE} says is here");
        return Err(mapped.wrong()(problem));
    }
    let mut unexpected = present.iter().filter(|name| !is_wanted(name) && !is_idle(name, config));
    let Some(other) = unexpected.next() else { return Ok(()) };
    let (family, other) = (&config.model_type, other.escape_debug());
    let problem = format!("tensor `{other}` is none of a {family} as {CONFIG_FILE} describes it");
    Err(mapped.wrong()(problem))
}

pub(super) fn check_tensor(
    name: &str,
    tensor: &StoredTensor,
    shape: &[usize],
) -> Result<(), String> {
    if tensor.shape != shape {
        let has = &tensor.shape;
        return Err(format!("tensor `{name}` is {has:?}, but {CONFIG_FILE} makes it {shape:?}"));
    }
    let found = tensor.not_finite();
    tensor.forget();
    match found {
        Some((at, value)) => Err(format!(
            "tensor `{name}` holds {value} at {at}: the file is damaged, or the training that wrote it diverged"
        )),
        None => Ok(()),
    }
}

/// Resolves a configuration that ties the output to the embedding when the files hold both tensors. If they differ, the
/// file's output projection wins, since that is what was trained; transformers does the same. Also returns the name of
/// the tensor to load as the embedding: if only one of the two is there, it serves as both.
fn with_own_output(
    files: &[Mapped],
    config: ModelConfig,
) -> Result<(ModelConfig, &'static str), Error> {
    if !config.tie_word_embeddings {
        return Ok((config, EMBEDDING));
    }
    let find = |name: &str| -> Result<Option<(&PathBuf, StoredTensor)>, Error> {
        for mapped in files {
            if let Some(tensor) = mapped.tensor(name)? {
                return Ok(Some((&mapped.file.path, tensor)));
            }
        }
        Ok(None)
    };
    let Some((path, output)) = find(OUTPUT)? else { return Ok((config, EMBEDDING)) };
    let Some((_, embedding)) = find(EMBEDDING)? else { return Ok((config, OUTPUT)) };
    if output.same(&embedding) {
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
fn check_size(dir: &Path, config: &ModelConfig, files: &[Mapped]) -> Result<(), Error> {
    let counts = files.iter().map(|mapped| Ok(mapped.parsed()?.count()));
    let numbers: u128 = counts.sum::<Result<_, Error>>()?;
    let least = config.least_weights();
    if least > 2 * numbers + SLACK {
        let problem =
            format!("it describes {least} weights or more, and the files beside it have {numbers}");
        return Err(Error::malformed(&dir.join(CONFIG_FILE), problem));
    }
    Ok(())
}

/// Whether a tensor found in a file may be ignored: a tied output projection, rotary frequencies, which we compute from the
/// configuration, or a critic's scalar heads where a model without heads is wanted.
fn is_idle(name: &str, config: &ModelConfig) -> bool {
    name == SCALAR_HEADS && config.scalar_heads.is_empty()
        || name.ends_with("rotary_emb.inv_freq")
        || (name == OUTPUT && config.tie_word_embeddings)
}
