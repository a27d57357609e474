//! A decoder for CPU inference: its weights are packed once, and a pass is on slices alone.
//!
//! A row's result depends on that row, down to the last bit, and not on the rows beside it.

use burn::module::Module;
use burn::nn;
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Tensor};
use kernels::spans::{Projected, Span, Spans};
use kernels::{Kv, KvShape, Packed, RmsNorm, RotaryShape};

use super::pending::Pending;
use crate::autodiff::{Host, OnCpu};
use crate::model::{Attention, Block, Decoder, Mlp, Projection};
use crate::rotary::{HostAngles, Rotary};
use crate::tensors::{tensor, values};
use crate::{Checkpoint, device};

/// A decoder with packed weights.
#[derive(Debug)]
pub(crate) struct PackedDecoder {
    /// `[vocab_size, hidden_size]`, shared with the model it comes from.
    embedding: Host,
    hidden_size: usize,
    blocks: Vec<PackedBlock>,
    norm: Norm,
    /// The output projection; a tied embedding is transposed into one.
    output: Linear,
    scalar_head: Option<Linear>,
    rotary: Rotary,
    shape: KvShape,
}

#[derive(Debug)]
struct PackedBlock {
    attention_norm: Norm,
    attention: PackedAttention,
    mlp_norm: Norm,
    mlp: PackedMlp,
}

#[derive(Debug)]
struct PackedAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    query_norm: Option<Norm>,
    key_norm: Option<Norm>,
    /// Width of a head.
    width: usize,
}

#[derive(Debug)]
struct PackedMlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// A packed weight and its bias.
#[derive(Debug)]
struct Linear {
    weight: Packed,
    bias: Option<Host>,
}

/// The parameters of an RMS norm.
#[derive(Debug)]
struct Norm {
    weight: Host,
    epsilon: f32,
}

impl PackedDecoder {
    /// Packs a checkpoint's model. `device` is the CPU.
    pub(super) fn new(checkpoint: &Checkpoint, device: &Device) -> Self {
        let decoder = checkpoint.model.clone().to_device(device).valid();
        let Decoder { model, lm_head, scalar_head } = decoder;
        let shape = checkpoint.config.kv_shape();
        let embedding = model.embed_tokens.weight.val();
        // A transposed right-hand side made products of 8 to 64 rows 4 to 8 times slower, so a tied embedding is held again,
        // transposed.
        let output = lm_head.unwrap_or_else(|| Projection::of(embedding.clone().transpose()));
        let blocks = model.layers.into_iter();
        Self {
            hidden_size: embedding.dims()[1],
            embedding: host(&embedding),
            blocks: blocks.map(|block| PackedBlock::new(block, shape.width)).collect(),
            norm: Norm::new(&model.norm),
            output: Linear::new(&output),
            scalar_head: scalar_head.as_ref().map(Linear::new),
            rotary: Rotary::new(&checkpoint.config),
            shape,
        }
    }

    /// The dimensions of a token's keys and values.
    pub(crate) fn kv_shape(&self) -> KvShape {
        self.shape
    }

    /// Runs `tokens` through the model as the next tokens of the spans. Returns the final hidden states,
    /// `[tokens, hidden_size]`.
    pub(crate) fn pass(&self, tokens: &[u32], spans: &mut Spans<'_>) -> Vec<f32> {
        let positions: Vec<usize> = spans.rows.iter().flat_map(Span::positions).collect();
        let angles = self.rotary.angles(&positions);
        let mut x = self.embed(tokens);
        for (layer, block) in self.blocks.iter().enumerate() {
            let normed = block.attention_norm.forward(&x);
            kernels::add(&mut x, &block.attention.forward(&normed, &angles, spans, layer));
            let normed = block.mlp_norm.forward(&x);
            kernels::add(&mut x, &block.mlp.forward(&normed));
        }
        spans.advance();
        self.norm.forward(&x)
    }

    /// One forward pass over the new tokens of some rows. Returns their final hidden states, row after row, and the keys
    /// and values to keep.
    pub(super) fn forward(&self, rows: &[Pending<'_>]) -> (Vec<f32>, Vec<Kv>) {
        // Blocks exactly as long as the rows: nothing is decoded after them.
        let mut spans = Spans::new(rows.iter().map(|row| self.span(row)).collect(), 0);
        let tokens: Vec<u32> = rows.iter().flat_map(|row| row.tokens).copied().collect();
        let hidden = self.pass(&tokens, &mut spans);
        let kept = rows.iter().zip(&spans.rows).map(|(row, span)| span.kept(row.keep));
        (hidden, kept.collect())
    }

    /// Logits `[rows, vocab_size]` of hidden states `[rows, hidden_size]`.
    pub(crate) fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        self.output.forward(hidden)
    }

    /// Probabilities of the next token, `[rows, vocab_size]`, after hidden states `[rows, hidden_size]`.
    pub(super) fn probabilities(&self, hidden: &[f32]) -> Vec<f32> {
        values(softmax(self.output.forward_tensor(hidden), 1))
    }

    /// Values from 0 to 1, `[rows, scalar_heads]`, of hidden states `[rows, hidden_size]`; empty without scalar heads.
    pub(super) fn scalar_heads(&self, hidden: &[f32]) -> Vec<f32> {
        let Some(head) = &self.scalar_head else { return Vec::new() };
        values(sigmoid(head.forward_tensor(hidden)))
    }

    fn span<'a>(&self, row: &Pending<'a>) -> Span<'a> {
        Span::reading(self.shape, row.before.clone(), row.tokens.len())
    }

    fn embed(&self, tokens: &[u32]) -> Vec<f32> {
        let embedding = self.embedding.values();
        let mut x = Vec::with_capacity(tokens.len() * self.hidden_size);
        for &token in tokens {
            x.extend_from_slice(
                &embedding[token as usize * self.hidden_size..][..self.hidden_size],
            );
        }
        x
    }
}

impl PackedBlock {
    fn new(block: Block, width: usize) -> Self {
        let Block { input_layernorm, self_attn, post_attention_layernorm, mlp } = block;
        let Attention { q_proj, k_proj, v_proj, o_proj, q_norm, k_norm, .. } = self_attn;
        let Mlp { gate_proj, up_proj, down_proj } = mlp;
        Self {
            attention_norm: Norm::new(&input_layernorm),
            attention: PackedAttention {
                query: Linear::new(&q_proj),
                key: Linear::new(&k_proj),
                value: Linear::new(&v_proj),
                output: Linear::new(&o_proj),
                query_norm: q_norm.as_ref().map(Norm::new),
                key_norm: k_norm.as_ref().map(Norm::new),
                width,
            },
            mlp_norm: Norm::new(&post_attention_layernorm),
            mlp: PackedMlp {
                gate: Linear::new(&gate_proj),
                up: Linear::new(&up_proj),
                down: Linear::new(&down_proj),
            },
        }
    }
}

impl PackedAttention {
    /// Writes the new tokens' keys and values to the spans, and attends.
    fn forward(
        &self,
        x: &[f32],
        angles: &HostAngles,
        spans: &mut Spans<'_>,
        layer: usize,
    ) -> Vec<f32> {
        let queries = self.rotated(x, &self.query, self.query_norm.as_ref(), angles);
        let keys = self.rotated(x, &self.key, self.key_norm.as_ref(), angles);
        let values = self.value.forward(x);
        let new = Projected { queries: &queries, keys: &keys, values: &values };
        self.output.forward(&spans.attend(layer, new))
    }

    /// Projects to queries or keys, norms each head if the model has such norms, and rotates it: `[tokens, hidden_size]`
    /// to `[heads, tokens, width]`.
    fn rotated(
        &self,
        x: &[f32],
        projection: &Linear,
        norm: Option<&Norm>,
        angles: &HostAngles,
    ) -> Vec<f32> {
        let x = projection.forward(x);
        let x = match norm {
            Some(norm) => norm.forward(&x),
            None => x,
        };
        let (stride, width) = (projection.weight.columns(), self.width);
        let (time, heads) = (x.len() / stride, stride / width);
        let shape = RotaryShape { batch: 1, time, heads, width, stride, per_row: false };
        kernels::rotary(&x, angles.as_slices(), shape)
    }
}

impl PackedMlp {
    fn forward(&self, x: &[f32]) -> Vec<f32> {
        self.down.forward(&kernels::swiglu(&self.gate.forward(x), &self.up.forward(x)))
    }
}

impl Linear {
    /// Packs a projection. Its adapter, if it was trained with one, must have been merged into the weight.
    fn new(projection: &Projection) -> Self {
        let weight = projection.weight.val();
        let [inputs, outputs] = weight.dims();
        let weight = Packed::new(host(&weight).values(), inputs, outputs);
        Self { weight, bias: projection.bias.as_ref().map(|bias| host(&bias.val())) }
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut out = self.weight.product(x);
        if let Some(bias) = &self.bias {
            kernels::add_bias(&mut out, bias.values());
        }
        out
    }

    /// The same as a tensor, for what burn computes on it.
    fn forward_tensor(&self, x: &[f32]) -> Tensor<2> {
        let (out, columns) = (self.forward(x), self.weight.columns());
        let rows = out.len() / columns;
        tensor(out, [rows, columns], &device::cpu())
    }
}

impl Norm {
    fn new(norm: &nn::RmsNorm) -> Self {
        Self { weight: host(&norm.gamma.val()), epsilon: norm.epsilon as f32 }
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        RmsNorm { x, weight: self.weight.values(), epsilon: self.epsilon }.forward()
    }
}

fn host<const D: usize>(tensor: &Tensor<D>) -> Host {
    Host::of(OnCpu::of(tensor).expect("weights are packed on the CPU alone").plain())
}
