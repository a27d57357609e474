//! The layers of a packed decoder.

use burn::tensor::Tensor;
use kernels::spans::{Projected, Spans};
use kernels::{Gated, Left, Packed, RmsNorm, RotaryShape, Team};

use super::{ModelTensors, Weights};
use crate::lora::MATRICES;
use crate::rotary::HostAngles;
use crate::tensors::tensor;
use crate::{ModelConfig, device};

#[derive(Debug)]
pub(super) struct PackedBlock {
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

/// A forward pass.
pub(super) struct PackedPass<'a> {
    /// Rotary angles of the new tokens.
    pub(super) angles: &'a HostAngles,
    /// The rows, with the keys and values before the new tokens.
    pub(super) spans: &'a mut Spans,
    pub(super) team: &'a Team,
}

/// A packed weight and its bias.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Packed,
    bias: Option<Vec<f32>>,
}

/// The parameters of an RMS norm.
#[derive(Debug)]
pub(super) struct Norm {
    weight: Vec<f32>,
    epsilon: f32,
}

impl PackedBlock {
    pub(super) fn new(weights: &Weights<'_>, layer: usize, config: &ModelConfig) -> Self {
        let at = |part: &str| format!("model.layers.{layer}.{part}");
        let linear = |part: &str| Linear::new(weights, &at(part));
        let norm = |part: &str| Norm::new(weights, &at(part), config.rms_norm_eps);
        let head_norm = |part: &str| config.has_head_norms().then(|| norm(part));
        Self {
            attention_norm: norm("input_layernorm"),
            attention: PackedAttention {
                query: linear("self_attn.q_proj"),
                key: linear("self_attn.k_proj"),
                value: linear("self_attn.v_proj"),
                output: linear("self_attn.o_proj"),
                query_norm: head_norm("self_attn.q_norm"),
                key_norm: head_norm("self_attn.k_norm"),
                width: config.head_width(),
            },
            mlp_norm: norm("post_attention_layernorm"),
            mlp: PackedMlp {
                gate: linear("mlp.gate_proj"),
                up: linear("mlp.up_proj"),
                down: linear("mlp.down_proj"),
            },
        }
    }

    /// Size of its matrices in bytes.
    pub(super) fn bytes(&self) -> usize {
        let PackedAttention { query, key, value, output, .. } = &self.attention;
        let PackedMlp { gate, up, down } = &self.mlp;
        [query, key, value, output, gate, up, down].into_iter().map(Linear::bytes).sum()
    }

    /// Adds the block's outputs to the residual stream `x`, `[tokens, hidden_size]`. The keys and values of the tokens go
    /// to layer `layer` of the spans.
    pub(super) fn forward(&self, x: &mut [f32], pass: &mut PackedPass<'_>, layer: usize) {
        let normed = self.attention_norm.forward(x, pass.team);
        let more = self.attention.forward(&normed, pass, layer);
        add(x, &more, pass.team);
        let normed = self.mlp_norm.forward(x, pass.team);
        let more = self.mlp.forward(&normed, pass.team);
        add(x, &more, pass.team);
    }
}

/// Adds values to the residual stream.
fn add(x: &mut [f32], more: &[f32], team: &Team) {
    team.update_rows(x, more, 1, |x, more| {
        kernels::add(x, more);
    });
}

impl PackedAttention {
    /// Writes the new tokens' keys and values to the spans, and attends.
    fn forward(&self, x: &[f32], pass: &mut PackedPass<'_>, layer: usize) -> Vec<f32> {
        let PackedPass { angles, spans, team } = pass;
        let left = self.query.weight.left(x, team);
        let [queries, keys, values] =
            [&self.query, &self.key, &self.value].map(|linear| linear.of_left(&left, team));
        let queries = self.rotated(&self.query, queries, self.query_norm.as_ref(), angles);
        let keys = self.rotated(&self.key, keys, self.key_norm.as_ref(), angles);
        let new = Projected { queries: &queries, keys: &keys, values: &values };
        self.output.forward(&spans.attend(layer, new, team), team)
    }

    /// Norms each head of projected queries or keys if the model has such norms, and rotates it: `[tokens, heads * width]`
    /// to `[heads, tokens, width]`.
    fn rotated(
        &self,
        projection: &Linear,
        x: Vec<f32>,
        norm: Option<&Norm>,
        angles: &HostAngles,
    ) -> Vec<f32> {
        let x = match norm {
            Some(norm) => norm.forward(&x, &Team::alone()),
            None => x,
        };
        let (stride, width) = (projection.weight.columns(), self.width);
        let (time, heads) = (x.len() / stride, stride / width);
        let shape = RotaryShape { batch: 1, time, heads, width, stride, per_row: false };
        kernels::rotary(&x, angles.as_slices(), shape)
    }
}

impl PackedMlp {
    fn forward(&self, x: &[f32], team: &Team) -> Vec<f32> {
        let gated = Gated { gate: &self.gate.weight, up: &self.up.weight };
        let left = gated.forward(&self.gate.weight.left(x, team), team);
        self.down.of_left(&left, team)
    }
}

impl Linear {
    /// Packs a projection `[outputs, inputs]`, with its bias and its adapter if it has them.
    pub(super) fn new(weights: &Weights<'_>, name: &str) -> Self {
        let Weights { model: ModelTensors { tensors, lora }, precision } = *weights;
        let weight = &tensors[&format!("{name}.weight")];
        let &[outputs, inputs] = weight.shape.as_slice() else {
            unreachable!("the shape was checked when the file was opened")
        };
        let packed = Packed::new(inputs, outputs, precision.of_weights(), |output, to| {
            weight.read(output * inputs, to);
        });
        weight.forget();
        let [a, b] = MATRICES.map(|end| tensors.get(&format!("{name}.{end}")));
        let packed = match (lora, a.zip(b)) {
            (Some(lora), Some((a, b))) => packed.with_low_rank(
                lora.rank,
                |row, to| a.read(row * inputs, to),
                |output, to| {
                    b.read(output * lora.rank, to);
                    for value in to {
                        *value *= lora.scale() as f32;
                    }
                },
            ),
            _ => packed,
        };
        let bias = tensors.get(&format!("{name}.bias"));
        Self { weight: packed, bias: bias.map(|bias| bias.to_host().data) }
    }

    /// Size of the matrix in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.weight.bytes()
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(super) fn forward(&self, x: &[f32], team: &Team) -> Vec<f32> {
        self.of_left(&self.weight.left(x, team), team)
    }

    /// The same for rows that several layers read.
    fn of_left(&self, left: &Left, team: &Team) -> Vec<f32> {
        let mut out = self.weight.product(left, team);
        if let Some(bias) = &self.bias {
            kernels::add_bias(&mut out, bias);
        }
        out
    }

    /// The same for many outputs, in place of what is in `out`.
    pub(super) fn forward_into(&self, x: &[f32], out: &mut Vec<f32>, team: &Team) {
        self.weight.product_into(&self.weight.left(x, team), out, team);
        if let Some(bias) = &self.bias {
            kernels::add_bias(out, bias);
        }
    }

    /// The same as a tensor, for what burn computes on it.
    pub(super) fn forward_tensor(&self, x: &[f32], team: &Team) -> Tensor<2> {
        let (out, columns) = (self.forward(x, team), self.weight.columns());
        let rows = out.len() / columns;
        tensor(out, [rows, columns], &device::cpu())
    }
}

impl Norm {
    pub(super) fn new(weights: &Weights<'_>, name: &str, epsilon: f64) -> Self {
        let weight = weights.model.tensors[&format!("{name}.weight")].to_host().data;
        Self { weight, epsilon: epsilon as f32 }
    }

    pub(super) fn forward(&self, x: &[f32], team: &Team) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        team.update_rows(&mut out, x, self.weight.len(), |out, x| {
            RmsNorm { x, weight: &self.weight, epsilon: self.epsilon }.forward_into(out);
        });
        out
    }
}
