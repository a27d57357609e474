//! A transformer block.

use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::{Device, Tensor};

use super::attention::Attention;
use super::mlp::Mlp;
use super::norm::{normed, stream_norm};
use super::pass::Pass;
use crate::ModelConfig;

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) input_layernorm: RmsNorm,
    pub(crate) self_attn: Attention,
    pub(crate) post_attention_layernorm: RmsNorm,
    pub(crate) mlp: Mlp,
}

impl Block {
    pub(super) fn zeros(config: &ModelConfig, device: &Device) -> Self {
        Self {
            input_layernorm: stream_norm(config, device),
            self_attn: Attention::zeros(config, device),
            post_attention_layernorm: stream_norm(config, device),
            mlp: Mlp::zeros(config, device),
        }
    }

    /// Runs block number `layer`, `[batch, time, hidden_size]` to the same shape.
    pub(crate) fn forward(&self, x: Tensor<3>, pass: &mut Pass<'_>, layer: usize) -> Tensor<3> {
        let x = self.attention_half(x, pass, layer);
        self.mlp_half(x, pass)
    }

    /// Attention with its norm and its residual connection.
    pub(super) fn attention_half(
        &self,
        x: Tensor<3>,
        pass: &mut Pass<'_>,
        layer: usize,
    ) -> Tensor<3> {
        let normed = normed(&self.input_layernorm, x.clone());
        x + self.self_attn.forward(normed, pass, layer)
    }

    /// The feed-forward layer with its norm and its residual connection.
    pub(super) fn mlp_half(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        let normed = normed(&self.post_attention_layernorm, x.clone());
        x + self.mlp.forward(normed, pass)
    }
}
