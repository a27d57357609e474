//! Models that are ready for inference, one for each kind of device.
//!
//! On the CPU, weights are packed and rows of any lengths are read over keys and values where they lie ([`PackedDecoder`]).
//! Other devices get tensors, padded to a common shape ([`PaddedDecoder`]).

mod packed;
mod padded;

use std::sync::Arc;

use burn::tensor::Device;
use kernels::Team;

use self::packed::ModelTensors;
pub(crate) use self::packed::PackedDecoder;
pub(crate) use self::padded::{Cached, PaddedDecoder, padded_new, padded_prefix};

use crate::checkpoint::StoredModel;
use crate::job::{Job, JobKind};
use crate::tensors::values;
use crate::{Checkpoint, Precision, device, stored};

/// A model and its kind of device, chosen when an engine is made.
#[derive(Debug, Clone)]
pub(crate) enum Inference {
    /// On the CPU.
    Packed(Arc<PackedDecoder>),
    /// On other devices.
    Padded(Box<PaddedDecoder>),
}

impl Inference {
    /// Prepares a model that is in memory for a device. The threads of `team` pack it.
    pub(crate) fn new(
        checkpoint: &Checkpoint,
        device: &Device,
        precision: Precision,
        team: &Team,
    ) -> Self {
        if device::is_cpu(device) {
            let tensors = &stored::of_model(&checkpoint.model);
            let lora = checkpoint.model.lora();
            let model = ModelTensors { tensors, lora: lora.as_ref() };
            Self::Packed(Arc::new(PackedDecoder::new(&checkpoint.config, model, precision, team)))
        } else {
            Self::Padded(Box::new(PaddedDecoder::new(checkpoint, device)))
        }
    }

    /// The same for a model in files, without a copy of its weights as `f32` in between. On the CPU only.
    pub(crate) fn packed(stored: &StoredModel, precision: Precision, team: &Team) -> Self {
        let StoredModel { config, tensors, lora, .. } = stored;
        let model = ModelTensors { tensors, lora: lora.as_ref() };
        Self::Packed(Arc::new(PackedDecoder::new(config, model, precision, team)))
    }

    /// Whether threads should share each product, rather than have rows of their own.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Packed(decoder) => decoder.is_shared(),
            Self::Padded(_) => false,
        }
    }

    /// Logits at every position of a row, `[tokens, vocab_size]`.
    pub(crate) fn row_logits(&self, row: &[u32]) -> Vec<f32> {
        match self {
            Self::Packed(decoder) => decoder.row_logits(row),
            Self::Padded(decoder) => {
                let (before, tokens) = (Vec::new(), row.to_vec());
                let job = Job { before, tokens, kind: JobKind::Hidden };
                let (hidden, _) = decoder.forward(&[&job]);
                values(decoder.logits(hidden))
            }
        }
    }
}
