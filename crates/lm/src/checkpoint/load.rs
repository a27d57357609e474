//! Loads the weights of a Hugging Face directory into a model.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::Device;

use super::files::{CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, WeightFile, weight_files};
use crate::tensor_file::{TensorFile, mapped};
use crate::{Decoder, Error, ModelConfig, weights};

/// Name of the embedding tensor.
const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the output projection tensor.
const OUTPUT: &str = "lm_head.weight";

/// Loads the weights one file at a time. Besides the model at most one file is mapped, of which only the pages being read
/// need to be in memory. Also returns the configuration, corrected if the files contradict it.
pub(super) fn load_weights(
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
        let file = TensorFile::parse(&bytes).map_err(|problem| Error::malformed(&path, problem))?;
        let present: BTreeSet<String> = file.names().map(str::to_owned).collect();
        if let Some(lost) = listed.iter().find(|name| !present.contains(*name)) {
            let problem = format!("tensor `{lost}` is missing, which {INDEX_FILE} says is here");
            return Err(Error::malformed(&path, problem));
        }
        if let Some(other) =
            present.iter().find(|name| !wanted.contains(*name) && !is_idle(name, &config))
        {
            let (family, other) = (&config.model_type, other.escape_debug());
            let problem =
                format!("tensor `{other}` is none of a {family} as {CONFIG_FILE} describes it");
            return Err(Error::malformed(&path, problem));
        }
        missing.retain(|name| !present.contains(name));
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
        let file = TensorFile::parse(map).map_err(|problem| Error::malformed(path, problem))?;
        Ok((path, file))
    });
    let files = parsed.collect::<Result<Vec<_>, Error>>()?;
    let holds = |name: &str| files.iter().find(|(_, file)| file.names().any(|n| n == name));
    let (Some((path, output)), embedding) = (holds(OUTPUT), holds(EMBEDDING)) else {
        return Ok((config, EMBEDDING));
    };
    let Some((_, embedding)) = embedding else { return Ok((config, OUTPUT)) };
    let same = output.same(OUTPUT, embedding, EMBEDDING).unwrap_or(Ok(true));
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
        let file = TensorFile::parse(&bytes).map_err(|problem| Error::malformed(&path, problem))?;
        numbers += file.count();
    }
    let least = config.least_weights();
    // Up to twice as many are let through, because the later checks can name the tensor that does not fit.
    if least > 2 * numbers + SLACK {
        let problem =
            format!("it describes {least} weights or more, and the files beside it have {numbers}");
        return Err(Error::malformed(&dir.join(CONFIG_FILE), problem));
    }
    Ok(())
}

/// Whether a tensor found in a file may be ignored: a tied output projection, or rotary frequencies, which we compute
/// from the configuration.
fn is_idle(name: &str, config: &ModelConfig) -> bool {
    name.ends_with("rotary_emb.inv_freq") || (name == OUTPUT && config.tie_word_embeddings)
}

/// Copies the tensors of a file into the model.
fn fill(
    model: Decoder,
    file: &TensorFile<'_>,
    place: &dyn Fn(&str) -> String,
) -> Result<Decoder, String> {
    let mut problem = None;
    let model = weights::replace(model, |name, shape| {
        let name = place(name);
        match file.get(&name) {
            Ok(Some(tensor)) if tensor.shape != shape => {
                let has = &tensor.shape;
                // Only the first problem is kept: a wrong size in the configuration makes most tensors wrong.
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
