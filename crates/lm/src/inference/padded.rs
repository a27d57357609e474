//! A decoder for inference on devices other than the CPU, which are efficient only with tensors of a fixed shape.
//!
//! These devices do not guarantee an order of summation. A row is padded to a length that only its own length decides, so
//! that its result does not depend on the rows beside it but for rounding.

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use kernels::{Kv, KvShape};

use crate::cache::Caches;
use crate::job::Job;
use crate::model::{AttentionPath, Decoder, Pass, Projection};
use crate::rotary::Rotary;
use crate::tensors::{ids, tensor, values};
use crate::{Checkpoint, Precision, mask};

/// Cached tokens are padded to a multiple of this many columns, so that rows of similar length fit one batch.
const PREFIX_BUCKET: usize = 32;
/// New tokens of a row are padded to a multiple of this.
const NEW_BUCKET: usize = 16;

/// A decoder whose rows are padded.
#[derive(Debug, Clone)]
pub(crate) struct PaddedDecoder {
    decoder: Decoder,
    /// The output projection, `[hidden_size, vocab_size]`; a tied embedding is transposed into one.
    output: Projection,
    hidden_size: usize,
    rotary: Rotary,
    shape: KvShape,
    device: Device,
}

/// The padded caches of a batch, and where the next tokens go.
pub(crate) struct Cached<'a> {
    pub(crate) caches: &'a mut Caches,
    /// The column of the first new token.
    pub(crate) column: usize,
    /// `[batch, 1, time or 1, columns]`, added to the scores.
    pub(crate) mask: Tensor<4>,
}

/// Columns that a row's cached tokens take in a padded batch.
pub(crate) fn padded_prefix(tokens: usize) -> usize {
    tokens.next_multiple_of(PREFIX_BUCKET)
}

/// Columns that a row's new tokens take in a padded batch.
pub(crate) fn padded_new(tokens: usize) -> usize {
    tokens.next_multiple_of(NEW_BUCKET)
}

impl PaddedDecoder {
    /// Prepares a checkpoint's model.
    pub(crate) fn new(checkpoint: &Checkpoint, device: &Device) -> Self {
        let mut decoder = checkpoint.model.clone().to_device(device).valid();
        let output = decoder.lm_head.take().unwrap_or_else(|| {
            let embedding = decoder.model.embed_tokens.weight.val();
            Projection::of(embedding.transpose())
        });
        Self {
            decoder,
            output,
            hidden_size: checkpoint.config.hidden_size,
            rotary: Rotary::new(&checkpoint.config),
            shape: checkpoint.config.kv_shape(Precision::F32),
            device: device.clone(),
        }
    }

    pub(crate) fn kv_shape(&self) -> KvShape {
        self.shape
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Runs `[batch, time]` tokens, given row by row with their positions, through the model. Returns the final hidden
    /// states, `[batch * time, hidden_size]`.
    pub(crate) fn pass(
        &self,
        tokens: &[u32],
        positions: &[usize],
        batch: usize,
        cached: Cached<'_>,
    ) -> Tensor<2> {
        let Cached { caches, column, mask } = cached;
        let tokens = ids(tokens, [batch, positions.len() / batch], &self.device);
        let mut pass = Pass {
            positions: self.rotary.positions(positions, batch, &self.device),
            precision: Precision::F32,
            attention: AttentionPath::Cached { caches, column, mask },
            mlp: self.decoder.mlp_path(&self.device),
        };
        let hidden = self.decoder.hidden(tokens, &mut pass);
        hidden.reshape([positions.len(), self.hidden_size])
    }

    /// One forward pass over the new tokens of some rows. Returns their final hidden states, row after row, and the keys
    /// and values to keep.
    pub(crate) fn forward(&self, rows: &[&Job]) -> (Tensor<2>, Vec<Kv>) {
        let columns = rows.iter().map(|row| padded_prefix(row.cached())).max().unwrap_or(0);
        let time = padded_new(rows.iter().map(|row| row.tokens.len()).max().unwrap_or(1));
        // Any token will do as padding: it is on the right, where no token of the row sees it.
        let mut tokens = vec![0; rows.len() * time];
        for (slot, row) in tokens.chunks_mut(time).zip(rows) {
            slot[..row.tokens.len()].copy_from_slice(&row.tokens);
        }
        let before: Vec<_> = rows.iter().map(|row| row.before.as_slice()).collect();
        let mut caches = Caches::new(&before, columns + time, self.shape, &self.device);
        let cached: Vec<usize> = rows.iter().map(|row| row.cached()).collect();
        let positions: Vec<usize> =
            cached.iter().flat_map(|&cached| cached..cached + time).collect();
        let mask = mask::padded(&cached, columns, time, &self.device);
        let at = Cached { caches: &mut caches, column: columns, mask };
        let hidden = self.pass(&tokens, &positions, rows.len(), at);
        let new = (0..).step_by(time).zip(rows);
        let new = new.flat_map(|(from, row)| from..from + row.tokens.len() as u32);
        let new: Vec<u32> = new.collect();
        // Padding has hidden states too. They are dropped here, on the device, before anything is copied to the host.
        let hidden = hidden.select(0, ids(&new, [new.len()], &self.device));
        let kept: Vec<(u32, usize)> = (0..).zip(rows.iter().map(|row| row.keep())).collect();
        (hidden, caches.read(&kept, columns))
    }

    /// Logits of hidden states, `[rows, hidden_size]` to `[rows, vocab_size]`.
    pub(crate) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.output.forward(hidden, Precision::F32)
    }

    /// Puts hidden states `[rows, hidden_size]` on the device.
    pub(crate) fn upload(&self, hidden: Vec<f32>) -> Tensor<2> {
        let rows = hidden.len() / self.hidden_size;
        tensor(hidden, [rows, self.hidden_size], &self.device)
    }

    /// Values from 0 to 1, `[rows, scalar_heads]`, of hidden states `[rows, hidden_size]`; empty without scalar heads.
    pub(crate) fn scalar_heads(&self, hidden: Tensor<2>) -> Vec<f32> {
        let head = self.decoder.scalar_head.as_ref();
        head.map(|head| values(sigmoid(head.forward(hidden, Precision::F32)))).unwrap_or_default()
    }
}
