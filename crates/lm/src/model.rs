//! A Llama-family decoder: RMS norm, rotary positions (rotate-half), grouped-query attention, `SwiGLU`.
//!
//! Fields are named as in a Hugging Face checkpoint, so a parameter's path is its tensor's name.
//! Attention is matmul, softmax, matmul with the query group folded into the rows: keys and values
//! are never repeated (burn's own attention module repeats or copies them).

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::beginnings::{Beginning, Runs};
use crate::weights::values;
use crate::{Error, ModelConfig, fused};

/// What is added to the score of a key that a query must not see. Every query sees at least its own
/// key, so no row of scores is all infinite; and the exponential of a large finite number is slow.
pub(crate) const MASKED: f32 = f32::NEG_INFINITY;

/// A decoder with its output projection and, for critics, scalar heads.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) model: Backbone,
    /// Absent when tied to the embedding.
    pub(crate) lm_head: Option<Linear>,
    /// One output per scalar head, `[hidden_size, heads]`.
    pub(crate) scalar_head: Option<Linear>,
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
    pub(crate) q_proj: Linear,
    pub(crate) k_proj: Linear,
    pub(crate) v_proj: Linear,
    pub(crate) o_proj: Linear,
    heads: usize,
    kv_heads: usize,
}

/// `down(silu(gate(x)) * up(x))`.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "the names in a Hugging Face checkpoint")]
pub(crate) struct Mlp {
    pub(crate) gate_proj: Linear,
    pub(crate) up_proj: Linear,
    pub(crate) down_proj: Linear,
}

/// Cosines and sines of the rotary angles of some positions, and the mask of a forward pass.
pub(crate) struct Positions {
    /// `[batch or 1, 1, time, d_head / 2]`.
    pub(crate) cos: Tensor<4>,
    /// `[batch or 1, 1, time, d_head / 2]`.
    pub(crate) sin: Tensor<4>,
    /// Added to the scores, `[batch or 1, 1, time or 1, keys]`.
    pub(crate) mask: Tensor<4>,
    /// Which rows begin with what their caches share; the mask begins with its columns.
    pub(crate) runs: Option<Runs>,
}

/// Keys and values of one block, preallocated: `[batch, kv_heads, capacity, d_head]`.
pub(crate) struct Cache {
    /// What rows have before that, in common with others.
    beginnings: Vec<Beginning>,
    /// Taken and put back at every write: a uniquely owned tensor is written in place.
    pub(crate) keys: Option<Tensor<4>>,
    pub(crate) values: Option<Tensor<4>>,
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
            lm_head: (!config.tie_word_embeddings).then(|| linear(d, config.vocab_size, device)),
            scalar_head: (heads > 0).then(|| linear(d, heads, device)),
        })
    }

    /// The last hidden states of a right-padded batch, `[batch, time]` to `[batch, time, hidden_size]`.
    pub(crate) fn hidden(&self, tokens: Tensor<2, Int>, positions: &Positions) -> Tensor<3> {
        let mut x = self.model.embed_tokens.forward(tokens);
        for layer in &self.model.layers {
            x = layer.forward(x, positions, None);
        }
        normed(&self.model.norm, x)
    }

    /// As [`Self::hidden`], with the keys and values written to `caches` at column `at`.
    pub(crate) fn hidden_cached(
        &self,
        tokens: Tensor<2, Int>,
        positions: &Positions,
        caches: &mut [Cache],
        at: usize,
    ) -> Tensor<3> {
        let mut x = self.model.embed_tokens.forward(tokens);
        for (layer, cache) in self.model.layers.iter().zip(caches) {
            x = layer.forward(x, positions, Some((cache, at)));
        }
        normed(&self.model.norm, x)
    }

    /// Scores of the vocabulary for some hidden states, `[rows, hidden_size]` to `[rows, vocab_size]`.
    pub(crate) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => hidden.matmul(self.model.embed_tokens.weight.val().transpose()),
        }
    }
}

impl Block {
    fn zeros(config: &ModelConfig, device: &Device) -> Self {
        let (d, wide) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (
            config.num_attention_heads * config.head_width(),
            config.kv_heads() * config.head_width(),
        );
        Self {
            input_layernorm: norm(config, device),
            self_attn: Attention {
                q_proj: linear(d, q, device),
                k_proj: linear(d, kv, device),
                v_proj: linear(d, kv, device),
                o_proj: linear(q, d, device),
                heads: config.num_attention_heads,
                kv_heads: config.kv_heads(),
            },
            post_attention_layernorm: norm(config, device),
            mlp: Mlp {
                gate_proj: linear(d, wide, device),
                up_proj: linear(d, wide, device),
                down_proj: linear(wide, d, device),
            },
        }
    }

    fn forward(
        &self,
        x: Tensor<3>,
        positions: &Positions,
        cache: Option<(&mut Cache, usize)>,
    ) -> Tensor<3> {
        let attended =
            self.self_attn.forward(normed(&self.input_layernorm, x.clone()), positions, cache);
        let x = x + attended;
        let fed = self.mlp.forward(normed(&self.post_attention_layernorm, x.clone()));
        x + fed
    }
}

impl Attention {
    /// `softmax(q k^T / sqrt(d_head) + mask) v`, heads in groups over the key heads.
    fn forward(
        &self,
        x: Tensor<3>,
        positions: &Positions,
        cache: Option<(&mut Cache, usize)>,
    ) -> Tensor<3> {
        let [batch, time, _] = x.dims();
        let turn = |x: Tensor<3>, heads: usize| {
            fused::rotary(x, positions.cos.clone(), positions.sin.clone(), heads)
        };
        let q = turn(self.q_proj.forward(x.clone()), self.heads);
        let k = turn(self.k_proj.forward(x.clone()), self.kv_heads);
        let v = split(self.v_proj.forward(x), self.kv_heads);
        let (k, v, beginnings) = match cache {
            Some((cache, at)) => {
                let (k, v) = cache.write(k, v, at);
                (k, v, positions.runs.as_ref().map(|runs| (runs, cache.beginnings.as_slice())))
            }
            None => (k, v, None),
        };
        let [_, _, _, d_head] = k.dims();
        let group = self.heads / self.kv_heads;
        // Query heads of one key head are neighbours: [batch, kv_heads, group * time, d_head].
        let q = q.reshape([batch, self.kv_heads, group * time, d_head]);
        let scale = 1.0 / f64::from(d_head as u32).sqrt();
        let mut scores = q.clone().matmul(k.swap_dims(2, 3));
        if let Some((runs, beginnings)) = beginnings {
            scores = Tensor::cat(vec![runs.scores(&q, beginnings), scores], 3);
        }
        let keys = scores.dims()[3];
        // The mask speaks of [time, keys]: unfold the group to add it.
        let scores = scores.reshape([batch, self.kv_heads * group, time, keys]);
        let weights = fused::masked_softmax(scores, positions.mask.clone(), scale);
        let weights = weights.reshape([batch, self.kv_heads, group * time, keys]);
        let mixed = match beginnings {
            None => weights.matmul(v),
            Some((runs, beginnings)) => {
                let columns = runs.columns();
                let own = weights.clone().narrow(3, columns, keys - columns).matmul(v);
                own + runs.mixed(&weights.narrow(3, 0, columns), beginnings)
            }
        };
        // [batch, heads, time, d_head] -> [batch, time, heads * d_head].
        let mixed = mixed.reshape([batch, self.heads, time, d_head]).swap_dims(1, 2).reshape([
            batch,
            time,
            self.heads * d_head,
        ]);
        self.o_proj.forward(mixed)
    }
}

impl Mlp {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = self.gate_proj.forward(x.clone());
        self.down_proj.forward(fused::swiglu(gate, self.up_proj.forward(x)))
    }
}

impl Cache {
    /// A cache with some columns written, after beginnings that rows share.
    pub(crate) fn new(keys: Tensor<4>, values: Tensor<4>, beginnings: Vec<Beginning>) -> Self {
        Self { beginnings, keys: Some(keys), values: Some(values) }
    }

    /// Room for more columns.
    pub(crate) fn grow(&mut self, columns: usize) {
        for slot in [&mut self.keys, &mut self.values] {
            *slot = slot.take().map(|whole| {
                let [rows, heads, _, width] = whole.dims();
                let more = Tensor::zeros([rows, heads, columns, width], &whole.device());
                Tensor::cat(vec![whole, more], 2)
            });
        }
    }

    /// Some columns of some rows on the host, keys and values, each `[rows, kv_heads, count, d_head]`.
    pub(crate) fn read(&self, rows: &Tensor<1, Int>, from: usize, count: usize) -> [Vec<f32>; 2] {
        [&self.keys, &self.values].map(|slot| {
            let whole = slot.as_ref().expect("every write puts the tensor back");
            values(whole.clone().narrow(2, from, count).select(0, rows.clone()))
        })
    }

    /// Writes at column `at` and gives back all columns written so far.
    fn write(&mut self, k: Tensor<4>, v: Tensor<4>, at: usize) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, time, d_head] = k.dims();
        let put = |slot: &mut Option<Tensor<4>>, new: Tensor<4>| {
            let whole = slot.take().expect("every write puts the tensor back");
            let whole = whole.slice_assign([0..batch, 0..heads, at..at + time, 0..d_head], new);
            let seen = whole.clone().narrow(2, 0, at + time);
            *slot = Some(whole);
            seen
        };
        (put(&mut self.keys, k), put(&mut self.values, v))
    }

    /// Keeps some rows, in the order given.
    pub(crate) fn select(&mut self, rows: &Tensor<1, Int>) {
        for slot in [&mut self.keys, &mut self.values] {
            *slot = slot.take().map(|whole| whole.select(0, rows.clone()));
        }
    }
}

/// `[batch, time, heads * d_head]` to `[batch, heads, time, d_head]`.
fn split(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, time, width] = x.dims();
    x.reshape([batch, time, heads, width / heads]).swap_dims(1, 2)
}

fn normed(norm: &RmsNorm, x: Tensor<3>) -> Tensor<3> {
    fused::rms_norm(x, norm.gamma.val(), norm.epsilon)
}

fn linear(input: usize, output: usize, device: &Device) -> Linear {
    LinearConfig::new(input, output)
        .with_bias(false)
        .with_initializer(burn::nn::Initializer::Zeros)
        .init(device)
}

fn norm(config: &ModelConfig, device: &Device) -> RmsNorm {
    RmsNormConfig::new(config.hidden_size).with_epsilon(config.rms_norm_eps).init(device)
}

/// Rotary tables and masks of a model, computed once on the host.
#[derive(Debug, Clone)]
pub(crate) struct Rotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rotary {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let half = config.head_width() / 2;
        let angle = |position: usize, i: usize| {
            let frequency = config.rope_base().powf(-(i as f64) / half as f64);
            position as f64 * frequency
        };
        let table = |f: fn(f64) -> f64| {
            (0..config.max_position_embeddings)
                .flat_map(|p| (0..half).map(move |i| (p, i)))
                .map(|(p, i)| f(angle(p, i)) as f32)
                .collect()
        };
        Self { cos: table(f64::cos), sin: table(f64::sin), half }
    }

    /// Positions `0..time` under a causal mask, shared by every row of a right-padded batch.
    pub(crate) fn causal(&self, time: usize, device: &Device) -> Positions {
        let mask = (0..time)
            .flat_map(|query| (0..time).map(move |key| if key <= query { 0.0 } else { MASKED }))
            .collect();
        Positions {
            cos: tensor(self.cos[..time * self.half].to_vec(), [1, 1, time, self.half], device),
            sin: tensor(self.sin[..time * self.half].to_vec(), [1, 1, time, self.half], device),
            mask: tensor(mask, [1, 1, time, time], device),
            runs: None,
        }
    }

    /// `time` new tokens per row, each row from its own position on, under a mask of the rows' own columns
    /// `[rows, 1, time or 1, keys]`, after the beginnings of some runs. Padding beyond the context gets the last
    /// position.
    pub(crate) fn after(
        &self,
        starts: &[usize],
        time: usize,
        mask: Tensor<4>,
        runs: Option<&Runs>,
    ) -> Positions {
        let device = &mask.device();
        let last = self.cos.len() / self.half - 1;
        let gather = |table: &[f32]| {
            let data = starts
                .iter()
                .flat_map(|&start| (start..start + time).map(|position| position.min(last)))
                .flat_map(|p| table[p * self.half..(p + 1) * self.half].iter().copied())
                .collect();
            tensor(data, [starts.len(), 1, time, self.half], device)
        };
        let (cos, sin) = (gather(&self.cos), gather(&self.sin));
        let mask = match runs {
            Some(runs) => runs.masked(mask),
            None => mask,
        };
        Positions { cos, sin, mask, runs: runs.cloned() }
    }
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
