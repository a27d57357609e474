//! A row being generated.

use std::sync::Arc;

use burn::tensor::activation::softmax;
use kernels::Kv;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::lookup::PromptLookup;
use crate::drawn::{Drawn, Excluded};
use crate::job::Generated;
use crate::requests::{Generation, GenerationRequest, Stop, StopReason};
use crate::tensors::{tensor, values};
use crate::{Tokenizer, device};

/// The tokenizer and sizes of the model.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) tokenizer: Tokenizer,
    /// Tokens that fit the model, `max_position_embeddings`.
    pub(crate) limit: usize,
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
}

impl Context {
    /// The probabilities of some tokens, from the logits of the whole vocabulary.
    pub(super) fn probabilities(&self, logits: &[f32], tokens: &[u32]) -> Vec<f32> {
        let logits = tensor(logits.to_vec(), [1, self.vocab_size], &device::cpu());
        let all = values(softmax::<2>(logits, 1));
        tokens.iter().map(|&token| all[token as usize]).collect()
    }
}

/// A row being generated.
pub(super) struct Row {
    pub(super) request: Arc<GenerationRequest>,
    rng: ChaCha8Rng,
    excluded: Excluded,
    drawn: Drawn,
    bytes: Vec<u8>,
    lookup: PromptLookup,
    stop: Option<StopReason>,
}

impl Row {
    pub(super) fn new(request: Arc<GenerationRequest>) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(request.seed),
            excluded: Excluded::new(&request.excluded),
            request,
            drawn: Drawn::default(),
            bytes: Vec::new(),
            lookup: PromptLookup::new(),
            stop: None,
        }
    }

    /// The token to run through the model next: the last generated one, or at first the last of the prompt.
    pub(super) fn last(&self) -> &[u32] {
        std::slice::from_ref(self.drawn.ids.last().or(self.request.prompt.last()).unwrap_or(&0))
    }

    /// That token and a draft of at most `most` tokens after it.
    pub(super) fn next(&self, most: usize, context: &Context) -> Vec<u32> {
        let GenerationRequest { prompt, stop, .. } = &*self.request;
        let length = prompt.len() + self.drawn.ids.len();
        // If all of a draft is accepted, the pass chooses one token more.
        let left = stop.max_new.saturating_sub(self.drawn.ids.len() + 1);
        let most = most.min(left).min(context.limit.saturating_sub(length + 1));
        let mut next = self.last().to_vec();
        if most > 0 {
            let row = [prompt.as_slice(), &self.drawn.ids].concat();
            next.extend(self.lookup.draft(&row, most));
        }
        next
    }

    /// Chooses tokens from the logits after [`Self::next`], `[tokens, vocab_size]`, as long as the row is open and the
    /// draft is right. Returns how many it has chosen.
    pub(super) fn follow(&mut self, next: &[u32], logits: &[f32], context: &Context) -> usize {
        let draft = &next[1..];
        let mut chosen = 0;
        for logits in logits.chunks_exact(context.vocab_size) {
            self.choose(logits, context);
            chosen += 1;
            if !self.is_open() || draft.get(chosen - 1) != self.drawn.ids.last() {
                break;
            }
        }
        self.lookup.learn(draft.len(), chosen - 1);
        chosen
    }

    /// The position of the last token in the row.
    pub(super) fn position(&self) -> usize {
        self.request.prompt.len() + self.drawn.ids.len() - 1
    }

    /// Whether the row has not stopped.
    pub(super) fn is_open(&self) -> bool {
        self.stop.is_none()
    }

    /// How many of its tokens' keys and values the request keeps: all that were run through the model, or none.
    pub(super) fn kept(&self) -> Option<usize> {
        self.request.keep.then_some(self.drawn.ids.len())
    }

    /// Samples a token from the logits.
    pub(super) fn choose(&mut self, logits: &[f32], context: &Context) {
        let taken = self.excluded.taken();
        let (token, logprob) = self.request.sampling.choose(logits, &taken, &mut self.rng);
        self.drawn.logprobs.push(logprob);
        let request = self.request.clone();
        self.push(token, context.tokenizer.token_bytes(token), &request.stop);
        let length = self.request.prompt.len() + self.drawn.ids.len();
        // Without a finite log-probability there is nothing to continue from; the engine reports the error.
        let lost = !logprob.is_finite();
        if lost || self.stop.is_none() && length >= context.limit {
            self.stop = Some(StopReason::Length);
        }
    }

    fn push(&mut self, token: u32, bytes: &[u8], stop: &Stop) {
        self.drawn.ids.push(token);
        self.excluded.follow(token);
        let known = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let ended_by = |s: &String| {
            // Search only where a match could end in the new bytes.
            let from = (known + 1).saturating_sub(s.len());
            !s.is_empty() && self.bytes[from..].windows(s.len()).any(|w| w == s.as_bytes())
        };
        self.stop = if stop.tokens.contains(&token) {
            Some(StopReason::Token)
        } else if stop.strings.iter().any(ended_by)
            || stop.until.as_ref().is_some_and(|until| until.holds(&self.bytes))
        {
            Some(StopReason::String)
        } else {
            (self.drawn.ids.len() >= stop.max_new).then_some(StopReason::Length)
        };
    }

    /// The result, once the row has stopped.
    pub(super) fn generated(self, kv: Option<Kv>) -> Generated {
        let stop = self.stop.expect("a row is generated until it stops");
        Generated { generation: Generation { drawn: self.drawn, stop }, kv }
    }
}
