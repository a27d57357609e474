//! A Llama-family decoder: RMS norm, rotary positions (rotate-half), grouped-query attention, `SwiGLU`.
//!
//! Fields are named as in a Hugging Face checkpoint, so a parameter's path is its tensor's name.
//! Attention is matmul, softmax, matmul with the query group folded into the rows: keys and values
//! are never repeated (burn's own attention module repeats or copies them).

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::cache::Cache;
use crate::lora::Adapter;
use crate::packed::Packed;
use crate::rotary::Positions;
use crate::spans::Spans;
use crate::{Error, ModelConfig, Precision, fused};

/// What is added to the score of a key that a query must not see. Every query sees at least its own
/// key, so no row of scores is all infinite; and the exponential of a large finite number is slow.
pub(crate) const MASKED: f32 = f32::NEG_INFINITY;

/// A decoder with its output projection and, for critics, scalar heads.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) model: Backbone,
    /// Absent when tied to the embedding.
    pub(crate) lm_head: Option<Projection>,
    /// One output per scalar head, `[hidden_size, heads]`.
    pub(crate) scalar_head: Option<Projection>,
    #[module(skip)]
    precision: Precision,
}

/// Embedding, blocks and the final norm.
#[derive(Module, Debug)]
pub(crate) struct Backbone {
    pub(crate) embed_tokens: Embedding,
    pub(crate) layers: Vec<Block>,
    pub(crate) norm: RmsNorm,
}

/// One pre-norm block.
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
    /// Of every head's queries, in Qwen3.
    pub(crate) q_norm: Option<RmsNorm>,
    /// Of every head's keys.
    pub(crate) k_norm: Option<RmsNorm>,
    heads: usize,
    kv_heads: usize,
    #[module(skip)]
    precision: Precision,
}

/// `down(silu(gate(x)) * up(x))`.
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
    /// `[inputs, outputs]`; `[0, 0]` once it is packed.
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
    /// What learns beside it, while it is trained so.
    pub(crate) adapter: Option<Adapter>,
    #[module(skip)]
    packed: Option<Packed>,
    #[module(skip)]
    precision: Precision,
}

/// What the tokens of a pass see.
pub(crate) enum Past<'a, 'b> {
    /// Those before them in rows that begin with the pass: the causal mask that is added to the scores,
    /// `[1, 1, time, time]`.
    Nothing(&'a Tensor<4>),
    /// What a cache for every layer holds, to which they are written at a column, under such a mask.
    Caches(&'a mut [Cache], usize, &'a Tensor<4>),
    /// The pieces of their rows, on the CPU: a batch of one row, in which those of the pass follow each other.
    Spans(&'a mut Spans<'b>),
}

impl Decoder {
    /// A decoder with all weights zero: the caller fills them from a checkpoint or a seed.
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

    /// The last hidden states of a right-padded batch, `[batch, time]` to `[batch, time, hidden_size]`.
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

    /// The last hidden states of rows that begin with the pass, `[batch, time]` under their causal mask, at some places of
    /// the rows one after another, `[places]`: `[places, hidden_size]`. Other tokens leave the last block after its attention.
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

    /// All blocks but the last.
    pub(crate) fn but_last(&self) -> &[Block] {
        let (_, blocks) = self.model.layers.split_last().expect("a model has blocks");
        blocks
    }

    /// [`Self::hidden_at`] from what comes out of all blocks but the last.
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

    /// The same model with factors of its products rounded; its scalar heads are not.
    pub(crate) fn rounded(mut self, precision: Precision) -> Self {
        self.precision = precision;
        for block in &mut self.model.layers {
            block.self_attn.precision = precision;
            block.projections().into_iter().for_each(|it| it.precision = precision);
        }
        self.lm_head.iter_mut().for_each(|head| head.precision = precision);
        self
    }

    /// The same model for inference alone, its weights in the order that the CPU's products want; on other devices as it
    /// is.
    pub(crate) fn packed(mut self) -> Self {
        for block in &mut self.model.layers {
            block.projections().into_iter().for_each(Projection::pack);
        }
        self.lm_head.iter_mut().chain(&mut self.scalar_head).for_each(Projection::pack);
        self
    }

    /// Scores of the vocabulary for some hidden states, `[rows, hidden_size]` to `[rows, vocab_size]`.
    pub(crate) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => self.precision.matmul(hidden, self.model.embed_tokens.weight.val().transpose()),
        }
    }

    /// The sum of the weighted cross-entropies of the vocabulary's scores, for hidden states `[rows, hidden_size]`, against one
    /// target each.
    pub(crate) fn language_loss(
        &self,
        hidden: Tensor<2>,
        targets: &[u32],
        weights: &[f32],
    ) -> Tensor<1> {
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

    /// The first half.
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

    /// The second half.
    fn fed(&self, x: Tensor<3>) -> Tensor<3> {
        let found = self.mlp.forward(normed(&self.post_attention_layernorm, x.clone()));
        x + found
    }
}

impl Attention {
    /// `softmax(q k^T / sqrt(d_head) + mask) v` for every head, and their projection.
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

    /// The same in one operation where rows begin with the pass, on the CPU and without what Llama has not.
    fn fused(&self, x: &Tensor<3>, positions: &Positions) -> Option<Tensor<3>> {
        if self.q_norm.is_some() || self.k_norm.is_some() {
            return None;
        }
        let Self { q_proj, k_proj, v_proj, o_proj, .. } = self;
        let weights = [q_proj.plain()?, k_proj.plain()?, v_proj.plain()?, o_proj.plain()?];
        let angles = [&positions.cos, &positions.sin];
        fused::self_attention(x, weights, angles, [self.heads, self.kv_heads])
    }

    /// Heads in groups over the key heads: queries `[batch, heads, time, d_head]`, keys and values
    /// `[batch, kv_heads, keys, d_head]` to `[batch, time, heads * d_head]`.
    fn attend(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &Tensor<4>) -> Tensor<3> {
        let [batch, heads, time, d_head] = q.dims();
        let keys = k.dims()[2];
        // Query heads of one key head are neighbours: [batch, kv_heads, group * time, d_head].
        let q = q.reshape([batch, self.kv_heads, heads / self.kv_heads * time, d_head]);
        let scale = 1.0 / f64::from(d_head as u32).sqrt();
        // The mask speaks of [time, keys]: unfold the group to add it.
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

    /// With a bias of zeros, if there is one.
    fn biased(self, biased: bool) -> Self {
        let weight = self.weight.val();
        let bias = || burn::nn::Initializer::Zeros.init([weight.dims()[1]], &weight.device());
        Self { bias: biased.then(bias), ..self }
    }

    /// With a weight `[inputs, outputs]`.
    pub(crate) fn of(weight: Tensor<2>) -> Self {
        let weight = Param::from_tensor(weight);
        Self { weight, bias: None, adapter: None, packed: None, precision: Precision::default() }
    }

    /// Ready for inference.
    pub(crate) fn packed(mut self) -> Self {
        self.pack();
        self
    }

    /// Whether it is, on the CPU.
    pub(crate) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        if let Some(packed) = &self.packed {
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

    /// The weight, if it is all there is to it.
    fn plain(&self) -> Option<Tensor<2>> {
        let alone = self.bias.is_none() && self.adapter.is_none() && self.packed.is_none();
        (alone && self.precision == Precision::F32).then(|| learning(&self.weight))?
    }

    /// Packs the weight and lets go of it, on the CPU.
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

    /// The same in one operation, on the CPU.
    fn fused(&self, x: &Tensor<3>) -> Option<Tensor<3>> {
        let Self { gate_proj, up_proj, down_proj } = self;
        fused::mlp(x, [gate_proj.plain()?, up_proj.plain()?, down_proj.plain()?])
    }
}

/// A weight unless it is frozen in a pass with a history: operations that have several weights work out the gradients of all.
fn learning(weight: &Param<Tensor<2>>) -> Option<Tensor<2>> {
    let weight = weight.val();
    (weight.is_require_grad() || !weight.device().is_autodiff()).then_some(weight)
}

/// `[batch, time, heads * d_head]` to `[batch, heads, time, d_head]`.
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

/// The causal mask of rows that begin with the pass, `[1, 1, time, time]`.
pub(crate) fn causal_mask(time: usize, device: &Device) -> Tensor<4> {
    let mask = (0..time)
        .flat_map(|query| (0..time).map(move |key| if key <= query { 0.0 } else { MASKED }))
        .collect();
    tensor(mask, [1, 1, time, time], device)
}

/// A tensor from host values, row-major.
pub(crate) fn tensor<const D: usize>(
    data: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data, shape), device)
}

/// Token ids on the device; ids fit `i32`, burn's integer type.
pub(crate) fn ids<const D: usize>(
    data: &[u32],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Int> {
    let data: Vec<i32> = data.iter().map(|&id| id as i32).collect();
    Tensor::from_data(TensorData::new(data, shape), device)
}
