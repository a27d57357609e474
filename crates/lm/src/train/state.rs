//! The state of a run: everything needed to resume it, bit for bit.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::Tensor;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::tensor_file::{self, TensorFile};
use crate::tensors::{HostTensor, tensor};
use crate::{Decoder, Error, weights};

/// AdamW's first and second moments by parameter name, flattened.
pub(super) type Moments = BTreeMap<String, [Tensor<1>; 2]>;

/// A run between two updates.
#[derive(Clone)]
pub struct State {
    /// Updates done.
    pub update: usize,
    /// Tokens in their batches, without padding.
    pub(super) tokens: u64,
    pub(super) model: Decoder,
    pub(super) moments: Moments,
    /// Validations since the best one.
    pub(super) worse: usize,
    best: Option<Best>,
}

/// The best model so far.
#[derive(Clone)]
struct Best {
    model: Decoder,
    update: usize,
    loss: f64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("update", &self.update).finish_non_exhaustive()
    }
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The model with the lowest validation loss, or the last one without validation. Adapters that were trained are beside
    /// its weights.
    pub model: Decoder,
    /// Updates done.
    pub updates: usize,
    /// Updates that the learning rate schedule was planned for.
    pub planned: usize,
    /// Tokens in the batches of those updates, without padding.
    pub tokens: u64,
    /// The update that the model is from.
    pub best_update: usize,
    /// The model's validation loss.
    pub best_loss: Option<f64>,
}

/// The scalar part of a state, stored next to its tensors.
#[derive(Serialize, Deserialize)]
struct Numbers {
    update: usize,
    tokens: u64,
    worse: usize,
    /// The best model's update, and its loss as bits: a float may not survive JSON to the last bit.
    best: Option<(usize, u64)>,
    /// Hash of the other numbers and all tensors.
    #[serde(default)]
    hash: String,
}

impl Numbers {
    /// Sets the hash.
    // safetensors has no checksum of its own. A flipped bit in a weight would go unnoticed.
    fn sealed(self, tensors: &BTreeMap<String, HostTensor>) -> Self {
        let open = Self { hash: String::new(), ..self };
        let mut hasher = blake3::Hasher::new();
        let numbers = serde_json::to_vec(&open).expect("plain numbers serialize");
        hasher.update(&numbers);
        for (name, HostTensor { shape, data }) in tensors {
            let about = serde_json::to_vec(&(name, shape)).expect("a name and sizes serialize");
            hasher.update(&about);
            // Hash in parts, so that a large tensor is not copied whole.
            for part in data.chunks(1 << 12) {
                let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
                hasher.update(&bytes);
            }
        }
        Self { hash: hasher.finalize().to_hex().to_string(), ..open }
    }
}

/// Key of the numbers in the file's metadata.
const NUMBERS: &str = "numbers";

impl State {
    pub(super) fn start(model: Decoder) -> Self {
        Self { update: 0, tokens: 0, model, moments: Moments::new(), worse: 0, best: None }
    }

    /// Records a validation loss. Returns whether it is the lowest so far.
    pub(super) fn judge(&mut self, loss: f64) -> bool {
        let better = self.best.as_ref().is_none_or(|best| loss < best.loss);
        if better {
            self.best = Some(Best { model: self.model.clone(), update: self.update, loss });
            self.worse = 0;
        } else {
            self.worse += 1;
        }
        better
    }

    /// Ends the run. `planned` is the number of updates that the learning rate schedule covered.
    pub(super) fn outcome(self, planned: usize) -> Outcome {
        let (updates, tokens) = (self.update, self.tokens);
        match self.best {
            Some(best) => Outcome {
                model: best.model,
                updates,
                planned,
                tokens,
                best_update: best.update,
                best_loss: Some(best.loss),
            },
            None => Outcome {
                model: self.model,
                updates,
                planned,
                tokens,
                best_update: updates,
                best_loss: None,
            },
        }
    }

    /// Serializes the state as a safetensors file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let named = |prefix: &'static str, model: &Decoder| {
            let tensors = weights::trainable(model).into_iter();
            tensors.map(move |(name, tensor)| (format!("{prefix}.{name}"), tensor))
        };
        let mut tensors: BTreeMap<String, HostTensor> = named("model", &self.model).collect();
        if let Some(best) = &self.best {
            tensors.extend(named("best", &best.model));
        }
        for (name, [first, second]) in &self.moments {
            tensors.insert(format!("first.{name}"), HostTensor::of(first.clone()));
            tensors.insert(format!("second.{name}"), HostTensor::of(second.clone()));
        }
        let numbers = Numbers {
            update: self.update,
            tokens: self.tokens,
            worse: self.worse,
            best: self.best.as_ref().map(|best| (best.update, best.loss.to_bits())),
            hash: String::new(),
        };
        let numbers = numbers.sealed(&tensors);
        let numbers = serde_json::to_string(&numbers).expect("plain numbers serialize");
        tensor_file::write(tensors, (NUMBERS, numbers))
    }

    /// Parses the output of [`Self::to_bytes`], or returns `None` if the hash does not match.
    fn verified(bytes: &[u8]) -> Option<(Numbers, BTreeMap<String, HostTensor>)> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
        let numbers: Numbers =
            serde_json::from_str(metadata.metadata().as_ref()?.get(NUMBERS)?).ok()?;
        let tensors = TensorFile::parse(bytes).ok()?.all()?;
        let hash = numbers.hash.clone();
        let numbers = numbers.sealed(&tensors);
        (numbers.hash == hash).then_some((numbers, tensors))
    }

    /// Restores a state that [`Self::to_bytes`] serialized, in a run that started from `start`. Frozen parameters, which
    /// are not saved, come from `start`.
    ///
    /// # Errors
    /// [`Error::DamagedState`] when the bytes are damaged, [`Error::State`] when they belong to a different run.
    pub(super) fn from_bytes(bytes: &[u8], start: &Decoder) -> Result<Self, Error> {
        let broken = Error::State;
        let (numbers, mut tensors) = Self::verified(bytes).ok_or(Error::DamagedState)?;
        let trainable: BTreeSet<String> = weights::trainable(start).into_keys().collect();
        let mut load = |prefix: &str| {
            let mut missing = trainable.clone();
            let model = weights::replace(start.clone(), |name, shape| {
                let saved = tensors.remove(&format!("{prefix}.{name}"));
                let saved = saved.filter(|tensor| tensor.shape == shape)?;
                missing.remove(name);
                Some(saved)
            });
            let complete = missing.is_empty();
            complete.then_some(model).ok_or_else(|| broken(format!("`{prefix}` is incomplete")))
        };
        let model = load("model")?;
        let best = match numbers.best {
            Some((update, loss)) => {
                Some(Best { model: load("best")?, update, loss: f64::from_bits(loss) })
            }
            None => None,
        };
        let (mut moments, device) = (Moments::new(), start.devices().swap_remove(0));
        let firsts: Vec<String> =
            tensors.keys().filter_map(|k| k.strip_prefix("first.")).map(str::to_owned).collect();
        for name in firsts {
            let mut take = |kind: &str| -> Option<Tensor<1>> {
                let host = tensors.remove(&format!("{kind}.{name}"))?;
                let count = host.data.len();
                Some(tensor(host.data, [count], &device))
            };
            let (Some(first), Some(second)) = (take("first"), take("second")) else {
                return Err(broken(format!("moments of `{name}` are incomplete")));
            };
            moments.insert(name, [first, second]);
        }
        let Numbers { update, tokens, worse, .. } = numbers;
        Ok(Self { update, tokens, model, moments, worse, best })
    }
}
