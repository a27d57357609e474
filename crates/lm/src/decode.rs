//! Decoding: one token after another for the rows of a batch.
//!
//! On the CPU a row takes the place of one that has ended ([`Open`]). Other devices want tensors of one shape: there a
//! batch of rows is decoded until all of them have ended ([`Padded`]).

mod open;
mod padded;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub(crate) use open::{Open, Queue};
pub(crate) use padded::Padded;

use crate::drawn::{Drawn, Excluded};
use crate::engine::{Engine, Generation, GenerationRequest, Stop, StopReason};
use crate::spans::Kv;

/// What was written after a prompt.
pub(crate) struct Written {
    pub(crate) generation: Generation,
    /// Of the last token of the prompt and of all generated ones but the last, if they are kept.
    pub(crate) kv: Kv,
}

/// A row that is being written.
struct Row<'a> {
    request: &'a GenerationRequest,
    rng: ChaCha8Rng,
    excluded: Excluded<'a>,
    drawn: Drawn,
    bytes: Vec<u8>,
    stop: Option<StopReason>,
}

impl<'a> Row<'a> {
    fn new(request: &'a GenerationRequest) -> Self {
        Self {
            request,
            rng: ChaCha8Rng::seed_from_u64(request.seed),
            excluded: Excluded::new(&request.excluded),
            drawn: Drawn::default(),
            bytes: Vec::new(),
            stop: None,
        }
    }

    /// The token to feed next: at first the last of the prompt.
    fn last(&self) -> u32 {
        self.drawn.ids.last().or(self.request.prompt.last()).copied().unwrap_or(0)
    }

    /// Where that token stands in the row.
    fn position(&self) -> usize {
        self.request.prompt.len() + self.drawn.ids.len() - 1
    }

    /// Chooses a token by its scores.
    fn choose(&mut self, logits: &[f32], engine: &Engine) {
        let taken = self.excluded.taken();
        let (token, logprob) = self.request.sampling.choose(logits, &taken, &mut self.rng);
        self.drawn.logprobs.push(logprob);
        self.push(token, engine.tokenizer.token_bytes(token), &self.request.stop);
        let length = self.request.prompt.len() + self.drawn.ids.len();
        // There is nothing to go on from; the engine says so.
        let lost = !logprob.is_finite();
        if lost || self.stop.is_none() && length >= engine.config.max_position_embeddings {
            self.stop = Some(StopReason::Length);
        }
    }

    fn push(&mut self, token: u32, bytes: &[u8], stop: &Stop) {
        self.drawn.ids.push(token);
        self.excluded.follow(token);
        let known = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let ended_by = |s: &String| {
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

    /// What was written, once it has ended.
    fn written(self, kv: Kv) -> Written {
        let stop = self.stop.expect("rows are written until they have ended");
        Written { generation: Generation { drawn: self.drawn, stop }, kv }
    }
}
