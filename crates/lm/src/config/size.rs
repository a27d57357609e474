//! The size of a model and the cost of a token, from the configuration.

use super::ModelConfig;

impl ModelConfig {
    /// Floating point operations to run one token through all layers: two per matrix weight. Attention over the context
    /// is left out; a context of `c` tokens adds `4 · c` times the total width of the query heads per layer.
    pub fn layer_flops(&self) -> u64 {
        2 * self.block_weights() as u64 * self.num_hidden_layers as u64
    }

    /// Number of matrix weights in a block: the query, key, value and output projections, then gate, up and down.
    fn block_weights(&self) -> u128 {
        // In 128 bits: three sizes of up to 2^24 each overflow 64, and the files have not confirmed them yet.
        let [hidden, width, wide, heads] = [
            self.hidden_size,
            self.head_width(),
            self.intermediate_size,
            self.num_attention_heads + self.kv_heads(),
        ]
        .map(|size| size as u128);
        2 * heads * width * hidden + 3 * hidden * wide
    }

    /// Number of weights in the blocks' matrices and the embedding: a lower bound for the model, and close to it, since
    /// norms, biases and heads are small.
    pub(crate) fn least_weights(&self) -> u128 {
        let embedding = self.hidden_size as u128 * self.vocab_size as u128;
        self.block_weights() * self.num_hidden_layers as u128 + embedding
    }

    /// Floating point operations to compute the logits of one token.
    pub fn logit_flops(&self) -> u64 {
        2 * self.hidden_size as u64 * self.vocab_size as u64
    }
}
