//! A Llama-family decoder that learns: RMS norm, rotary positions (rotate-half), grouped-query attention, `SwiGLU`.
//!
//! Fields are named as in a Hugging Face checkpoint, so a parameter's path is its tensor's name. The precision
//! of the products and the way through a block are chosen by the pass and not stored here.

mod attention;
mod block;
mod mlp;
mod norm;
mod pass;
mod projection;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, RmsNorm};
use burn::tensor::{DType, Device, Int, Tensor};

pub(crate) use self::block::Block;
pub(crate) use self::pass::{AttentionPath, MlpPath, Pass, RowLayout};
pub(crate) use self::projection::Projection;

use self::norm::{normed, stream_norm};
use self::projection::is_frozen_on_cpu;
use crate::fused::{FrozenLinear, LinearWeight};
use crate::precision::full;
use crate::rotary::{Positions, Rotary};
use crate::tensors::HostTensor;
use crate::{Error, ModelConfig, Precision, device, fused, mask, weights};

/// A decoder with its output projection and, for critics, scalar heads.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) model: Backbone,
    /// `None` when the output projection is tied to the embedding.
    pub(crate) lm_head: Option<Projection>,
    /// One output per scalar head, `[hidden_size, heads]`; `None` for a plain language model. Never rounded.
    pub(crate) scalar_head: Option<Projection>,
}

/// The embedding, the blocks and the final norm.
#[derive(Module, Debug)]
pub(crate) struct Backbone {
    pub(crate) embed_tokens: Embedding,
    pub(crate) layers: Vec<Block>,
    pub(crate) norm: RmsNorm,
}

impl Decoder {
    /// Builds a decoder with all-zero weights, to be filled from a checkpoint or a seed.
    ///
    /// # Errors
    /// [`Error::Config`] when the configuration is not one this crate runs.
    pub fn zeros(config: &ModelConfig, device: &Device) -> Result<Self, Error> {
        config.validate()?;
        let (d, heads) = (config.hidden_size, config.scalar_heads.len());
        let blocks = (0..config.num_hidden_layers).map(|_| Block::zeros(config, device));
        Ok(Self {
            model: Backbone {
                embed_tokens: EmbeddingConfig::new(config.vocab_size, d)
                    .with_initializer(burn::nn::Initializer::Zeros)
                    .init(device),
                layers: blocks.collect(),
                norm: stream_norm(config, device),
            },
            lm_head: (!config.tie_word_embeddings)
                .then(|| Projection::zeros(d, config.vocab_size, false, device)),
            scalar_head: (heads > 0).then(|| Projection::zeros(d, heads, false, device)),
        })
    }

    /// The same decoder with its matrices in a type, rounded to it. Scalar heads stay `f32`.
    pub(crate) fn stored_as(self, precision: Precision) -> Self {
        match precision {
            Precision::F32 => self,
            Precision::Bf16 => weights::shortened(self),
        }
    }

    /// The type of its matrices.
    pub(crate) fn matrix_type(&self) -> Precision {
        match self.model.embed_tokens.weight.val().dtype() {
            DType::BF16 => Precision::Bf16,
            _ => Precision::F32,
        }
    }

    /// The weights of the scalar heads, `[heads, hidden_size]`; `None` for a plain language model.
    pub(crate) fn scalar_heads(&self) -> Option<HostTensor> {
        let head = self.scalar_head.as_ref()?;
        Some(HostTensor::of(head.weight.val()).transposed())
    }

    /// The same decoder with `count` scalar heads of zeros.
    pub(crate) fn with_scalar_heads(self, count: usize, device: &Device) -> Self {
        let size = self.model.norm.gamma.dims()[0];
        let scalar_head = (count > 0).then(|| Projection::zeros(size, count, false, device));
        Self { scalar_head, ..self }
    }

    /// A pass over whole rows, right-padded, that start with this pass. On devices other than the CPU, they have to be one text
    /// each.
    pub(crate) fn whole_rows(
        &self,
        rotary: &Rotary,
        rows: &RowLayout,
        precision: Precision,
        device: &Device,
    ) -> Pass<'static> {
        // Blocks are alike: they have the same parts, and adapters at the same projections.
        let attention = if !device::is_cpu(device) {
            AttentionPath::Whole(mask::causal(rows.positions.len(), device))
        } else if self.first().self_attn.is_fusible() {
            AttentionPath::Fused
        } else {
            AttentionPath::Causal
        };
        let positions = rotary.positions(&rows.positions, 1, device);
        let positions = Positions { branches: rows.branches.clone(), ..positions };
        Pass { positions, precision, attention, mlp: self.mlp_path(device) }
    }

    /// How a pass computes the feed-forward layers.
    pub(crate) fn mlp_path(&self, device: &Device) -> MlpPath {
        let fusible = device::is_cpu(device) && self.first().mlp.is_fusible();
        if fusible { MlpPath::Fused } else { MlpPath::Composed }
    }

    /// The embeddings of tokens, as `f32`.
    pub(crate) fn embedded(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        full(self.model.embed_tokens.forward(tokens))
    }

    /// Returns the final hidden states of a batch: `[batch, time]` to `[batch, time, hidden_size]`.
    pub(crate) fn hidden(&self, tokens: Tensor<2, Int>, pass: &mut Pass<'_>) -> Tensor<3> {
        let mut x = self.embedded(tokens);
        for (layer, block) in self.model.layers.iter().enumerate() {
            x = block.forward(x, pass, layer);
        }
        normed(&self.model.norm, x)
    }

    /// Returns the final hidden states at selected positions only, `[places, hidden_size]`, for whole rows
    /// `[batch, time]`. `places` indexes the flattened `[batch * time]` tokens. Other tokens are needed as keys and values
    /// but skip the last block's feed-forward layer and final norm: nobody reads their output.
    pub(crate) fn hidden_at(
        &self,
        tokens: Tensor<2, Int>,
        pass: &mut Pass<'_>,
        places: Tensor<1, Int>,
    ) -> Tensor<2> {
        let mut x = self.embedded(tokens);
        for (layer, block) in self.but_last().iter().enumerate() {
            x = block.forward(x, pass, layer);
        }
        self.last_at(x, pass, places)
    }

    /// All blocks but the last one.
    pub(crate) fn but_last(&self) -> &[Block] {
        let (_, blocks) = self.model.layers.split_last().expect("a model has blocks");
        blocks
    }

    /// The tail of [`Self::hidden_at`]: runs the last block on the output of the others.
    pub(crate) fn last_at(
        &self,
        x: Tensor<3>,
        pass: &mut Pass<'_>,
        places: Tensor<1, Int>,
    ) -> Tensor<2> {
        let (last, others) = self.model.layers.split_last().expect("a model has blocks");
        let x: Tensor<2> = last.attention_half(x, pass, others.len()).flatten(0, 1);
        // Six epochs of `finetune policy` on `tiny` took 19.6 and 19.3 s when all tokens went on, and 15.5 and 15.9 s since
        // (docs/PERFORMANCE.md).
        let x = last.mlp_half(x.select(0, places).unsqueeze(), pass);
        normed(&self.model.norm, x).flatten(0, 1)
    }

    /// Projects hidden states to vocabulary logits: `[rows, hidden_size]` to `[rows, vocab_size]`.
    pub(crate) fn logits(&self, hidden: Tensor<2>, precision: Precision) -> Tensor<2> {
        match &self.lm_head {
            _ if self.has_frozen_output() => {
                let layer = FrozenLinear { weight: self.output(), bias: None, adapter: None };
                fused::frozen_linear(&hidden, &layer)
            }
            Some(head) => head.forward(hidden, precision),
            None if device::is_cpu(&hidden.device()) => {
                fused::linear(&hidden, &self.output(), precision.of_weights())
            }
            None => precision.matmul(hidden, self.model.embed_tokens.weight.val().transpose()),
        }
    }

    /// The weighted sum of the cross-entropies of hidden states `[rows, hidden_size]` against one target token per row.
    pub(crate) fn language_loss(
        &self,
        hidden: Tensor<2>,
        targets: &[u32],
        weights: &[f32],
        precision: Precision,
    ) -> Tensor<1> {
        if self.has_frozen_output() {
            fused::frozen_language_loss(&hidden, &self.output(), targets, weights)
        } else if device::is_cpu(&hidden.device()) {
            let factors = precision.of_weights();
            fused::language_loss(&hidden, &self.output(), targets, weights, factors)
        } else {
            fused::cross_entropy(self.logits(hidden, precision), targets, weights)
        }
    }

    /// The weight of the output projection, which has neither a bias nor an adapter.
    fn output(&self) -> LinearWeight {
        match &self.lm_head {
            Some(head) => LinearWeight::Untied(head.weight.val()),
            None => LinearWeight::Tied(self.model.embed_tokens.weight.val()),
        }
    }

    /// Whether the output projection is frozen, on the CPU.
    fn has_frozen_output(&self) -> bool {
        let embedding = &self.model.embed_tokens.weight;
        let weight = self.lm_head.as_ref().map_or(embedding, |head| &head.weight);
        is_frozen_on_cpu(weight)
    }

    fn first(&self) -> &Block {
        self.model.layers.first().expect("a model has blocks")
    }
}
