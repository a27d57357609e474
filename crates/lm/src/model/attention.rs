//! Grouped-query self-attention.
//!
//! It is matmul, softmax, matmul with the query heads of a group folded into the rows, so keys and values are never
//! repeated (burn's own attention module repeats or copies them).

use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::{Device, Tensor};

use super::norm::{head_norm, normed};
use super::pass::{AttentionPath, Pass};
use super::projection::Projection;
use crate::fused::{self, AttentionWeights};
use crate::rotary::Positions;
use crate::{ModelConfig, Precision};

/// Grouped-query self-attention.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q_proj: Projection,
    pub(crate) k_proj: Projection,
    pub(crate) v_proj: Projection,
    pub(crate) o_proj: Projection,
    /// Norm over each query head (Qwen3 only).
    pub(crate) q_norm: Option<RmsNorm>,
    /// Norm over each key head (Qwen3 only).
    pub(crate) k_norm: Option<RmsNorm>,
    heads: usize,
    kv_heads: usize,
}

/// Rotated queries `[batch, heads, time, d_head]` and keys `[batch, kv_heads, time, d_head]`, and values like the keys.
struct Projected {
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl Attention {
    pub(super) fn zeros(config: &ModelConfig, device: &Device) -> Self {
        let (d, width) = (config.hidden_size, config.head_width());
        let (q, kv) = (config.num_attention_heads * width, config.kv_heads() * width);
        let biases = config.biases();
        let head_norm = || config.has_head_norms().then(|| head_norm(config, device));
        Self {
            q_proj: Projection::zeros(d, q, biases.inputs, device),
            k_proj: Projection::zeros(d, kv, biases.inputs, device),
            v_proj: Projection::zeros(d, kv, biases.inputs, device),
            o_proj: Projection::zeros(q, d, biases.output, device),
            q_norm: head_norm(),
            k_norm: head_norm(),
            heads: config.num_attention_heads,
            kv_heads: config.kv_heads(),
        }
    }

    /// `softmax(q k^T / sqrt(d_head) + mask) v` for every head, then the output projection.
    pub(super) fn forward(&self, x: Tensor<3>, pass: &mut Pass<'_>, layer: usize) -> Tensor<3> {
        let Pass { positions, precision, attention, .. } = pass;
        let precision = *precision;
        let output = match attention {
            AttentionPath::Fused => return self.fused(&x, positions, precision),
            AttentionPath::Causal => {
                let [queries, keys, values] = self.projections(x, precision);
                let projected = [&queries, &keys, &values];
                fused::causal_attention(projected, positions, self.heads, self.kv_heads)
            }
            AttentionPath::Whole(mask) => {
                let projected = self.project(x, positions, precision);
                self.attend(projected, mask, precision)
            }
            AttentionPath::Cached { caches, column, mask } => {
                let Projected { queries, keys, values } = self.project(x, positions, precision);
                let all = caches.write(layer, *column, keys, values);
                let projected = Projected { queries, keys: all.keys, values: all.values };
                self.attend(projected, mask, precision)
            }
        };
        self.o_proj.forward(output, precision)
    }

    /// Whether [`AttentionPath::Fused`] can compute it, on the CPU.
    pub(super) fn is_fusible(&self) -> bool {
        let Self { q_proj, k_proj, v_proj, o_proj, q_norm, k_norm, .. } = self;
        q_norm.is_none()
            && k_norm.is_none()
            && [q_proj, k_proj, v_proj, o_proj].into_iter().all(Projection::is_fusible)
    }

    fn fused(&self, x: &Tensor<3>, positions: &Positions, precision: Precision) -> Tensor<3> {
        let weights = AttentionWeights {
            query: self.q_proj.weight.val(),
            key: self.k_proj.weight.val(),
            value: self.v_proj.weight.val(),
            output: self.o_proj.weight.val(),
            factors: precision.of_weights(),
        };
        fused::self_attention(x, &weights, positions, self.heads, self.kv_heads)
    }

    /// Queries `[batch, time, heads * d_head]`, and keys and values `[batch, time, kv_heads * d_head]`, not rotated yet.
    fn projections(&self, x: Tensor<3>, precision: Precision) -> [Tensor<3>; 3] {
        let normed = |x: Tensor<3>, norm: &Option<RmsNorm>, heads: usize| match norm {
            Some(norm) => {
                let [batch, time, width] = x.dims();
                let of_heads = x.reshape([batch, time, heads, width / heads]);
                normed(norm, of_heads).reshape([batch, time, width])
            }
            None => x,
        };
        let queries = self.q_proj.forward(x.clone(), precision);
        let keys = self.k_proj.forward(x.clone(), precision);
        [
            normed(queries, &self.q_norm, self.heads),
            normed(keys, &self.k_norm, self.kv_heads),
            self.v_proj.forward(x, precision),
        ]
    }

    fn project(&self, x: Tensor<3>, positions: &Positions, precision: Precision) -> Projected {
        let rotated =
            |x, heads| fused::rotary(x, positions.cos.clone(), positions.sin.clone(), heads);
        let [queries, keys, values] = self.projections(x, precision);
        Projected {
            queries: rotated(queries, self.heads),
            keys: rotated(keys, self.kv_heads),
            values: split_heads(values, self.kv_heads),
        }
    }

    /// The attention output before its projection, `[batch, time, heads * d_head]`. There may be more keys and values
    /// than queries.
    fn attend(&self, projected: Projected, mask: &Tensor<4>, precision: Precision) -> Tensor<3> {
        let Projected { queries, keys, values } = projected;
        let [batch, heads, time, d_head] = queries.dims();
        let columns = keys.dims()[2];
        // Query heads that share a key head are adjacent, so a reshape groups them as [batch, kv_heads, group * time,
        // d_head].
        let group = heads / self.kv_heads * time;
        // Not burn's attention module (0.22.1): with grouped heads it gives NaN under autodiff, and on CUDA it reads keys by
        // query head.
        let queries = queries.reshape([batch, self.kv_heads, group, d_head]);
        let scale = 1.0 / f64::from(d_head as u32).sqrt();
        // The mask is per [time, columns], so the group dimension has to be unfolded before it is added.
        let scores = precision.matmul(queries, keys.swap_dims(2, 3));
        let scores = scores.reshape([batch, heads, time, columns]);
        let weights = fused::masked_softmax(scores, mask.clone(), scale);
        let weights = weights.reshape([batch, self.kv_heads, group, columns]);
        let mixed = precision.matmul(weights, values).reshape([batch, heads, time, d_head]);
        mixed.swap_dims(1, 2).reshape([batch, time, heads * d_head])
    }
}

/// Splits heads: `[batch, time, heads * d_head]` to `[batch, heads, time, d_head]`.
fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, time, width] = x.dims();
    x.reshape([batch, time, heads, width / heads]).swap_dims(1, 2)
}
