//! Decoding: generates one token at a time for the rows of a batch.
//!
//! On the CPU, a new row takes the place of one that has finished ([`Open`]). Other devices need tensors of a fixed
//! shape, so there a batch is decoded until all of its rows have finished ([`Padded`]).

mod open;
mod padded;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub(crate) use open::{Open, Queue};
pub(crate) use padded::Padded;

use crate::drawn::{Drawn, Excluded};
use crate::engine::{Engine, Generation, GenerationRequest, Stop, StopReason};
use crate::spans::Kv;

/// The result of decoding one row.
pub(crate) struct Written {
    pub(crate) generation: Generation,
    /// Keys and values of the last prompt token and all generated tokens but the last, if the request keeps them. (The
    /// last generated token was never fed to the model.)
    pub(crate) kv: Kv,
}

/// A row being decoded.
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

    /// The token to feed next: the last generated one, or at first the last of the prompt.
    fn last(&self) -> u32 {
        self.drawn.ids.last().or(self.request.prompt.last()).copied().unwrap_or(0)
    }

    /// The position of that token in the row.
    fn position(&self) -> usize {
        self.request.prompt.len() + self.drawn.ids.len() - 1
    }

    /// Samples a token from the logits.
    fn choose(&mut self, logits: &[f32], engine: &Engine) {
        let taken = self.excluded.taken();
        let (token, logprob) = self.request.sampling.choose(logits, &taken, &mut self.rng);
        self.drawn.logprobs.push(logprob);
        self.push(token, engine.tokenizer.token_bytes(token), &self.request.stop);
        let length = self.request.prompt.len() + self.drawn.ids.len();
        // Without a finite log-probability there is nothing to continue from; the engine reports the error.
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
    fn written(self, kv: Kv) -> Written {
        let stop = self.stop.expect("rows are written until they have ended");
        Written { generation: Generation { drawn: self.drawn, stop }, kv }
    }
}
