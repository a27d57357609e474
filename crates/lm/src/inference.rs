//! Models that are ready for inference, one for each kind of device.
//!
//! On the CPU, weights are packed and rows of any lengths are read over keys and values where they lie ([`PackedDecoder`]).
//! Other devices get tensors, padded to a common shape ([`PaddedDecoder`]).

mod packed;
mod padded;
mod pending;

use std::sync::Arc;

use burn::tensor::Device;
use burn::tensor::activation::softmax;
use kernels::Team;

pub(crate) use self::packed::PackedDecoder;
pub(crate) use self::padded::{Cached, PaddedDecoder, padded_new, padded_prefix};
pub(crate) use self::pending::Pending;

use crate::checkpoint::StoredModel;
use crate::prefix::Read;
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
            let tensors = stored::of_model(&checkpoint.model);
            Self::Packed(Arc::new(PackedDecoder::new(
                &checkpoint.config,
                &tensors,
                precision,
                team,
            )))
        } else {
            Self::Padded(Box::new(PaddedDecoder::new(checkpoint, device)))
        }
    }

    /// The same for a model in files, without a copy of its weights as `f32` in between. On the CPU only.
    pub(crate) fn packed(stored: &StoredModel, precision: Precision, team: &Team) -> Self {
        let StoredModel { config, tensors, .. } = stored;
        Self::Packed(Arc::new(PackedDecoder::new(config, tensors, precision, team)))
    }

    /// Whether threads should share each product, rather than have rows of their own.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Packed(decoder) => decoder.is_shared(),
            Self::Padded(_) => false,
        }
    }

    /// Reads rows in one forward pass. Returns, per row, the keys and values to keep and the scalar heads of all new
    /// tokens.
    pub(crate) fn read(&self, rows: &[Pending<'_>], team: &Team) -> Vec<Read> {
        let (heads, kept) = match self {
            Self::Packed(decoder) => {
                let (hidden, kept) = decoder.forward(rows, team);
                (decoder.scalar_heads(&hidden), kept)
            }
            Self::Padded(decoder) => {
                let (hidden, kept) = decoder.forward(rows);
                (decoder.scalar_heads(hidden), kept)
            }
        };
        let tokens: usize = rows.iter().map(|row| row.tokens.len()).sum();
        let count = heads.len() / tokens.max(1);
        let mut heads = heads.as_slice();
        let read = |(row, kv): (&Pending<'_>, _)| {
            let (own, rest) = heads.split_at(row.tokens.len() * count);
            heads = rest;
            Read { kv, heads: own.to_vec() }
        };
        rows.iter().zip(kept).map(read).collect()
    }

    /// The final hidden states of all new tokens, row after row, `[tokens, hidden_size]`.
    pub(crate) fn hidden(&self, rows: &[Pending<'_>], team: &Team) -> Vec<f32> {
        match self {
            Self::Packed(decoder) => decoder.forward(rows, team).0,
            Self::Padded(decoder) => values(decoder.forward(rows).0),
        }
    }

    /// Logits `[rows, vocab_size]` of hidden states `[rows, hidden_size]`.
    pub(crate) fn logits(&self, hidden: Vec<f32>, team: &Team) -> Vec<f32> {
        match self {
            Self::Packed(decoder) => decoder.logits(&hidden, team),
            Self::Padded(decoder) => values(decoder.logits(decoder.upload(hidden))),
        }
    }

    /// Probabilities `[rows, vocab_size]` of the next token after hidden states `[rows, hidden_size]`.
    pub(crate) fn probabilities(&self, hidden: Vec<f32>, team: &Team) -> Vec<f32> {
        match self {
            Self::Packed(decoder) => decoder.probabilities(&hidden, team),
            Self::Padded(decoder) => values(softmax(decoder.logits(decoder.upload(hidden)), 1)),
        }
    }
}
