//! A decoder for CPU inference: its weights are packed once, and a pass is on slices alone.
//!
//! A row's result depends on that row, down to the last bit, and not on the rows beside it.

mod embedding;
mod layers;

use burn::tensor::activation::sigmoid;
use kernels::spans::{Span, Spans};
use kernels::{KvShape, Team};

use self::embedding::Embedding;
use self::layers::{Linear, Norm, PackedBlock, PackedPass};
use crate::checkpoint::{EMBEDDING, OUTPUT};
use crate::lora::LoraConfig;
use crate::rotary::Rotary;
use crate::stored::StoredTensors;
use crate::tensors::values;
use crate::{ModelConfig, Precision};

/// Weights of more bytes than this are read from memory at every step, so the threads share each product. Smaller ones
/// stay in the caches, and each thread does better with rows of its own.
const SHARED_FROM: usize = 64 << 20;

/// A decoder with packed weights.
#[derive(Debug)]
pub(crate) struct PackedDecoder {
    embedding: Embedding,
    blocks: Vec<PackedBlock>,
    norm: Norm,
    /// The output projection, packed from the embedding if the two are tied.
    output: Linear,
    scalar_head: Option<Linear>,
    rotary: Rotary,
    shape: KvShape,
}

/// The tensors of a model and its adapters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelTensors<'a> {
    pub(crate) tensors: &'a StoredTensors,
    /// The adapters' rank and scale; `None` without any.
    pub(crate) lora: Option<&'a LoraConfig>,
}

/// A model to pack, and the precision to pack it in.
struct Weights<'a> {
    model: ModelTensors<'a>,
    precision: Precision,
}

impl PackedDecoder {
    /// Packs the weights of a model. Adapters stay beside them. In memory they and the keys and values have the precision; the embedding, of which only
    /// rows are read, and the scalar heads are not rounded.
    pub(super) fn new(
        config: &ModelConfig,
        model: ModelTensors<'_>,
        precision: Precision,
        team: &Team,
    ) -> Self {
        let weights = Weights { model, precision };
        let shape = config.kv_shape(precision);
        let output = if config.tie_word_embeddings { EMBEDDING } else { OUTPUT };
        let blocks = (0..config.num_hidden_layers).collect();
        Self {
            embedding: Embedding::new(&model.tensors[EMBEDDING]),
            blocks: team.map(blocks, |layer| PackedBlock::new(&weights, layer, config)),
            norm: Norm::new(&weights, "model.norm", config.rms_norm_eps),
            output: Linear::new(&weights, output.trim_end_matches(".weight")),
            scalar_head: (!config.scalar_heads.is_empty())
                .then(|| Linear::new(&Weights { model, precision: Precision::F32 }, "scalar_head")),
            rotary: Rotary::new(config),
            shape,
        }
    }

    /// Whether the threads should share each product, rather than have rows of their own.
    pub(super) fn is_shared(&self) -> bool {
        let blocks: usize = self.blocks.iter().map(PackedBlock::bytes).sum();
        blocks + self.output.bytes() > SHARED_FROM
    }

    /// The dimensions of a token's keys and values.
    pub(crate) fn kv_shape(&self) -> KvShape {
        self.shape
    }

    /// Runs `tokens` through the model as the next tokens of the spans. Returns the final hidden states,
    /// `[tokens, hidden_size]`.
    pub(crate) fn pass(&self, tokens: &[u32], spans: &mut Spans, team: &Team) -> Vec<f32> {
        let positions: Vec<usize> = spans.rows.iter().flat_map(Span::positions).collect();
        let angles = self.rotary.angles(&positions);
        let mut x = self.embedding.rows(tokens);
        let mut pass = PackedPass { angles: &angles, spans, team };
        for (layer, block) in self.blocks.iter().enumerate() {
            block.forward(&mut x, &mut pass, layer);
        }
        spans.advance();
        self.norm.forward(&x, team)
    }

    /// Logits at every position of a row, `[tokens, vocab_size]`.
    pub(super) fn row_logits(&self, row: &[u32]) -> Vec<f32> {
        let mut spans = Spans::new(vec![Span::reading(self.shape, Vec::new(), row.len())], 0);
        let mut logits = Vec::new();
        let hidden = self.pass(row, &mut spans, &Team::alone());
        self.logits_into(&hidden, &mut logits, &Team::alone());
        logits
    }

    /// Writes the logits `[rows, vocab_size]` of hidden states `[rows, hidden_size]` to `logits`, in place of what is
    /// there.
    pub(crate) fn logits_into(&self, hidden: &[f32], logits: &mut Vec<f32>, team: &Team) {
        self.output.forward_into(hidden, logits, team);
    }

    /// Values from 0 to 1, `[rows, scalar_heads]`, of hidden states `[rows, hidden_size]`; empty without scalar heads.
    pub(crate) fn scalar_heads(&self, hidden: &[f32]) -> Vec<f32> {
        let Some(head) = &self.scalar_head else { return Vec::new() };
        values(sigmoid(head.forward_tensor(hidden, &Team::alone())))
    }
}
