//! A Llama-family decoder: RMS norm, rotary positions (rotate-half), grouped-query attention, `SwiGLU`.
//!
//! Fields are named as in a Hugging Face checkpoint, so a parameter's path is its tensor's name. Attention is matmul,
//! softmax, matmul with the query heads of a group folded into the rows, so keys and values are never repeated (burn's
//! own attention module repeats or copies them).

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Int, Tensor};

use crate::cache::Cache;
use crate::lora::Adapter;
use crate::packed::Packed;
use crate::rotary::Positions;
use crate::spans::Spans;
use crate::{Error, ModelConfig, Precision, fused};

/// A decoder with its output projection and, for critics, scalar heads.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) model: Backbone,
    /// `None` when the output projection is tied to the embedding.
    pub(crate) lm_head: Option<Projection>,
    /// One output per scalar head, `[hidden_size, heads]`; `None` for a plain language model.
    pub(crate) scalar_head: Option<Projection>,
    #[module(skip)]
    precision: Precision,
}

/// The embedding, the blocks and the final norm.
#[derive(Module, Debug)]
pub(crate) struct Backbone {
    pub(crate) embed_tokens: Embedding,
    pub(crate) layers: Vec<Block>,
    pub(crate) norm: RmsNorm,
}

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) input_layernorm: RmsNorm,
    pub(crate) self_attn: Attention,
    pub(crate) post_attention_layernorm: RmsNorm,
    pub(crate) mlp: Mlp,
}

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
    #[module(skip)]
    precision: Precision,
}

/// The feed-forward layer, `down(silu(gate(x)) * up(x))`.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "the names in a Hugging Face checkpoint")]
pub(crate) struct Mlp {
    pub(crate) gate_proj: Projection,
    pub(crate) up_proj: Projection,
    pub(crate) down_proj: Projection,
}

/// A linear layer.
#[derive(Module, Debug)]
pub(crate) struct Projection {
    /// `[inputs, outputs]`, or `[0, 0]` after packing: the packed copy replaces it, so a weight is not in memory twice.
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
    /// The `LoRA` adapter, while the model is trained with one.
    pub(crate) adapter: Option<Adapter>,
    #[module(skip)]
    packed: Option<Packed>,
    #[module(skip)]
    precision: Precision,
}

/// The context that the tokens of a forward pass attend to.
pub(crate) enum Past<'a, 'b> {
    /// Nothing before this pass: every row starts here. Holds the causal mask, `[1, 1, time, time]`, which is added to
    /// the scores.
    Nothing(&'a Tensor<4>),
    /// One KV cache per layer, the column to write the new tokens at, and the mask over all columns.
    Caches(&'a mut [Cache], usize, &'a Tensor<4>),
    /// CPU only: each row's cached keys and values, in place. The new tokens of all rows are one batch row, back to back.
    Spans(&'a mut Spans<'b>),
}

impl Decoder {
    /// Builds a decoder with all-zero weights, to be filled from a checkpoint or a seed.
    ///
    /// # Errors
    /// [`Error::Config`] when the configuration is not one this crate runs.
    pub fn zeros(config: &ModelConfig, device: &Device) -> Result<Self, Error> {
        config.validate()?;
        let (d, heads) = (config.hidden_size, config.scalar_heads.len());
        Ok(Self {
            model: Backbone {
                embed_tokens: EmbeddingConfig::new(config.vocab_size, d)
                    .with_initializer(burn::nn::Initializer::Zeros)
                    .init(device),
                layers: (0..config.num_hidden_layers)
                    .map(|_| Block::zeros(config, device))
                    .collect(),
                norm: norm(config, device),
            },
            lm_head: (!config.tie_word_embeddings)
                .then(|| Projection::zeros(d, config.vocab_size, device)),
            scalar_head: (heads > 0).then(|| Projection::zeros(d, heads, device)),
            precision: Precision::default(),
        })
    }

    /// Returns the final hidden states of a right-padded batch: `[batch, time]` to `[batch, time, hidden_size]`.
    pub(crate) fn hidden(
        &self,
        tokens: Tensor<2, Int>,
        positions: &Positions,
        past: &mut Past<'_, '_>,
    ) -> Tensor<3> {
        let mut x = self.model.embed_tokens.forward(tokens);
        for (layer, block) in self.model.layers.iter().enumerate() {
            x = block.forward(x, positions, (past, layer));
        }
        normed(&self.model.norm, x)
    }

    /// Returns the final hidden states at selected positions only, `[places, hidden_size]`, for rows `[batch, time]` that
    /// start with this pass. `places` indexes the flattened `[batch * time]` tokens. Other tokens are needed as keys and
    /// values but skip the last block's feed-forward layer and final norm: nobody reads their output.
    pub(crate) fn hidden_at(
        &self,
        tokens: Tensor<2, Int>,
        positions: &Positions,
        mask: &Tensor<4>,
        places: Tensor<1, Int>,
    ) -> Tensor<2> {
        let mut x = self.model.embed_tokens.forward(tokens);
        for (layer, block) in self.but_last().iter().enumerate() {
            x = block.forward(x, positions, (&mut Past::Nothing(mask), layer));
        }
        self.last_at(x, positions, mask, places)
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
        positions: &Positions,
        mask: &Tensor<4>,
        places: Tensor<1, Int>,
    ) -> Tensor<2> {
        let last = self.model.layers.last().expect("a model has blocks");
        let layer = self.model.layers.len() - 1;
        let x = last.attended(x, positions, (&mut Past::Nothing(mask), layer));
        let x: Tensor<2> = x.flatten(0, 1);
        let x = last.fed(x.select(0, places).unsqueeze());
        normed(&self.model.norm, x).flatten(0, 1)
    }

    /// Rounds the factors of the matrix products to `precision`. The scalar heads stay in `f32`.
    pub(crate) fn rounded(mut self, precision: Precision) -> Self {
        self.precision = precision;
        for block in &mut self.model.layers {
            block.self_attn.precision = precision;
            block.projections().into_iter().for_each(|it| it.precision = precision);
        }
        self.lm_head.iter_mut().for_each(|head| head.precision = precision);
        self
    }

    /// Repacks the weights into the layout of the CPU kernels, for inference only. Does nothing on other devices.
    pub(crate) fn packed(mut self) -> Self {
        for block in &mut self.model.layers {
            block.projections().into_iter().for_each(Projection::pack);
        }
        self.lm_head.iter_mut().chain(&mut self.scalar_head).for_each(Projection::pack);
        self
    }

    /// Projects hidden states to vocabulary logits: `[rows, hidden_size]` to `[rows, vocab_size]`.
    pub(crate) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => self.precision.matmul(hidden, self.model.embed_tokens.weight.val().transpose()),
        }
    }

    /// The weighted sum of the cross-entropies of hidden states `[rows, hidden_size]` against one target token per row.
    pub(crate) fn language_loss(
        &self,
        hidden: Tensor<2>,
        targets: &[u32],
        weights: &[f32],
    ) -> Tensor<1> {
        // The fused loss reads the head as a plain `f32` matrix, so with a bias, an adapter or rounding we build the
        // logits instead.
        let head = match &self.lm_head {
            Some(head) => head.plain().map(|weight| (weight, false)),
            None if self.precision == Precision::F32 => {
                learning(&self.model.embed_tokens.weight).map(|weight| (weight, true))
            }
            None => None,
        };
        head.and_then(|head| fused::language_loss(&hidden, head, targets, weights))
            .unwrap_or_else(|| fused::cross_entropy(self.logits(hidden), targets, weights))
    }
}

impl Block {
    fn zeros(config: &ModelConfig, device: &Device) -> Self {
        let (d, wide) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (
            config.num_attention_heads * config.head_width(),
            config.kv_heads() * config.head_width(),
        );
        let biases = config.biases();
        Self {
            input_layernorm: norm(config, device),
            self_attn: Attention {
                q_proj: Projection::zeros(d, q, device).biased(biases.inputs),
                k_proj: Projection::zeros(d, kv, device).biased(biases.inputs),
                v_proj: Projection::zeros(d, kv, device).biased(biases.inputs),
                o_proj: Projection::zeros(q, d, device).biased(biases.output),
                q_norm: config.has_head_norms().then(|| head_norm(config, device)),
                k_norm: config.has_head_norms().then(|| head_norm(config, device)),
                heads: config.num_attention_heads,
                kv_heads: config.kv_heads(),
                precision: Precision::default(),
            },
            post_attention_layernorm: norm(config, device),
            mlp: Mlp {
                gate_proj: Projection::zeros(d, wide, device),
                up_proj: Projection::zeros(d, wide, device),
                down_proj: Projection::zeros(wide, d, device),
            },
        }
    }

    fn projections(&mut self) -> [&mut Projection; 7] {
        let Attention { q_proj, k_proj, v_proj, o_proj, .. } = &mut self.self_attn;
        let Mlp { gate_proj, up_proj, down_proj } = &mut self.mlp;
        [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]
    }

    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        positions: &Positions,
        past: (&mut Past<'_, '_>, usize),
    ) -> Tensor<3> {
        self.fed(self.attended(x, positions, past))
    }

    /// The attention half of the block, with its residual connection.
    fn attended(
        &self,
        x: Tensor<3>,
        positions: &Positions,
        past: (&mut Past<'_, '_>, usize),
    ) -> Tensor<3> {
        let found =
            self.self_attn.forward(normed(&self.input_layernorm, x.clone()), positions, past);
        x + found
    }

    /// The feed-forward half of the block, with its residual connection.
    fn fed(&self, x: Tensor<3>) -> Tensor<3> {
        let found = self.mlp.forward(normed(&self.post_attention_layernorm, x.clone()));
        x + found
    }
}

impl Attention {
    /// `softmax(q k^T / sqrt(d_head) + mask) v` for every head, then the output projection.
    fn forward(
        &self,
        x: Tensor<3>,
        positions: &Positions,
        (past, layer): (&mut Past<'_, '_>, usize),
    ) -> Tensor<3> {
        if let Past::Nothing(_) = past
            && let Some(found) = self.fused(&x, positions)
        {
            return found;
        }
        let turn = |x: Tensor<3>, norm: &Option<RmsNorm>, heads: usize| {
            let x = match norm {
                Some(norm) => {
                    let [batch, time, width] = x.dims();
                    let of_heads = x.reshape([batch, time, heads, width / heads]);
                    normed(norm, of_heads).reshape([batch, time, width])
                }
                None => x,
            };
            fused::rotary(x, positions.cos.clone(), positions.sin.clone(), heads)
        };
        let q = turn(self.q_proj.forward(x.clone()), &self.q_norm, self.heads);
        let k = turn(self.k_proj.forward(x.clone()), &self.k_norm, self.kv_heads);
        let v = self.v_proj.forward(x);
        let found = match past {
            Past::Nothing(mask) => self.attend(q, k, split(v, self.kv_heads), mask),
            Past::Caches(caches, at, mask) => {
                let (k, v) = caches[layer].write(k, split(v, self.kv_heads), *at);
                self.attend(q, k, v, mask)
            }
            Past::Spans(spans) => fused::attend(spans, layer, &q, &k, &v),
        };
        self.o_proj.forward(found)
    }

    /// The same as one fused operation, for CPU rows that start with this pass. `None` for models with head norms, biases
    /// or adapters, which the fused kernel does not handle.
    fn fused(&self, x: &Tensor<3>, positions: &Positions) -> Option<Tensor<3>> {
        if self.q_norm.is_some() || self.k_norm.is_some() {
            return None;
        }
        let Self { q_proj, k_proj, v_proj, o_proj, .. } = self;
        let weights = [q_proj.plain()?, k_proj.plain()?, v_proj.plain()?, o_proj.plain()?];
        let angles = [&positions.cos, &positions.sin];
        fused::self_attention(x, weights, angles, [self.heads, self.kv_heads])
    }

    /// Grouped-query attention: queries `[batch, heads, time, d_head]`, keys and values `[batch, kv_heads, keys, d_head]`
    /// to `[batch, time, heads * d_head]`.
    fn attend(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &Tensor<4>) -> Tensor<3> {
        let [batch, heads, time, d_head] = q.dims();
        let keys = k.dims()[2];
        // Query heads that share a key head are adjacent, so a reshape groups them as [batch, kv_heads, group * time,
        // d_head].
        let q = q.reshape([batch, self.kv_heads, heads / self.kv_heads * time, d_head]);
        let scale = 1.0 / f64::from(d_head as u32).sqrt();
        // The mask is per [time, keys], so the group dimension has to be unfolded before it is added.
        let scores = self.precision.matmul(q, k.swap_dims(2, 3));
        let scores = scores.reshape([batch, heads, time, keys]);
        let weights = fused::masked_softmax(scores, mask.clone(), scale);
        let weights = weights.reshape([batch, self.kv_heads, heads / self.kv_heads * time, keys]);
        let mixed = self.precision.matmul(weights, v).reshape([batch, heads, time, d_head]);
        mixed.swap_dims(1, 2).reshape([batch, time, heads * d_head])
    }
}

impl Projection {
    fn zeros(input: usize, output: usize, device: &Device) -> Self {
        let weight = burn::nn::Initializer::Zeros.init([input, output], device);
        Self { weight, bias: None, adapter: None, packed: None, precision: Precision::default() }
    }

    /// Adds a zero bias if `biased` is set.
    fn biased(self, biased: bool) -> Self {
        let weight = self.weight.val();
        let bias = || burn::nn::Initializer::Zeros.init([weight.dims()[1]], &weight.device());
        Self { bias: biased.then(bias), ..self }
    }

    /// Wraps a weight `[inputs, outputs]`.
    pub(crate) fn of(weight: Tensor<2>) -> Self {
        let weight = Param::from_tensor(weight);
        Self { weight, bias: None, adapter: None, packed: None, precision: Precision::default() }
    }

    /// Packs the weight for inference.
    pub(crate) fn packed(mut self) -> Self {
        self.pack();
        self
    }

    /// Whether the weight is packed, which happens on the CPU only.
    pub(crate) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        if let Some(packed) = &self.packed {
            // An adapter is merged into the weight before inference, so the packed path has none to add.
            let product = fused::product(&x, packed);
            return match bias {
                Some(bias) => product + bias.unsqueeze(),
                None => product,
            };
        }
        let product = self.precision.linear(x.clone(), self.weight.val(), bias);
        match &self.adapter {
            Some(adapter) => product + adapter.forward(x, self.precision),
            None => product,
        }
    }

    /// The raw weight, if the layer has nothing else: no bias, adapter, packing or rounding.
    fn plain(&self) -> Option<Tensor<2>> {
        let alone = self.bias.is_none() && self.adapter.is_none() && self.packed.is_none();
        (alone && self.precision == Precision::F32).then(|| learning(&self.weight))?
    }

    /// Packs the weight and frees the original, on the CPU. Leaves the layer as it is on other devices.
    fn pack(&mut self) {
        self.packed = fused::packed(&self.weight.val());
        if self.packed.is_some() {
            let device = self.weight.val().device();
            self.weight = Param::from_tensor(Tensor::zeros([0, 0], &device));
        }
    }
}

impl Mlp {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if let Some(fed) = self.fused(&x) {
            return fed;
        }
        let gate = self.gate_proj.forward(x.clone());
        self.down_proj.forward(fused::swiglu(gate, self.up_proj.forward(x)))
    }

    /// The same as one fused operation, on the CPU.
    fn fused(&self, x: &Tensor<3>) -> Option<Tensor<3>> {
        let Self { gate_proj, up_proj, down_proj } = self;
        fused::mlp(x, [gate_proj.plain()?, up_proj.plain()?, down_proj.plain()?])
    }
}

/// Returns a weight, or `None` if it is frozen during training: a fused operation computes the gradients of all its
/// weights, which would be wasted work for a frozen one.
fn learning(weight: &Param<Tensor<2>>) -> Option<Tensor<2>> {
    let weight = weight.val();
    (weight.is_require_grad() || !weight.device().is_autodiff()).then_some(weight)
}

/// Splits heads: `[batch, time, heads * d_head]` to `[batch, heads, time, d_head]`.
fn split(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, time, width] = x.dims();
    x.reshape([batch, time, heads, width / heads]).swap_dims(1, 2)
}

pub(crate) fn normed<const D: usize>(norm: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
    fused::rms_norm(x, norm.gamma.val(), norm.epsilon)
}

fn norm(config: &ModelConfig, device: &Device) -> RmsNorm {
    RmsNormConfig::new(config.hidden_size).with_epsilon(config.rms_norm_eps).init(device)
}

fn head_norm(config: &ModelConfig, device: &Device) -> RmsNorm {
    RmsNormConfig::new(config.head_width()).with_epsilon(config.rms_norm_eps).init(device)
}
