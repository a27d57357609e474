//! Requests to a server.

use lm::Sampling;
use serde_json::{Value, json};

use super::Draft;

/// A request for completions of one prompt.
#[derive(Debug, Clone)]
pub(crate) struct CompletionRequest {
    pub(crate) prompt: String,
    /// Number of completions.
    pub(crate) count: usize,
    pub(crate) sampling: Sampling,
    pub(crate) stops: Vec<String>,
    pub(crate) max_tokens: usize,
    pub(crate) seed: u64,
    /// How many of the likeliest tokens to return log-probabilities for.
    pub(crate) likeliest: usize,
    /// Hash of the question that the prompt is about: requests of one session share what was read.
    pub(crate) session: u64,
}

/// The most log-probabilities that servers return by default.
const LIKELIEST: usize = 20;

/// The bits of a seed that are sent.
const SEED_BITS: u64 = u64::MAX >> 1;

/// Most completions per request.
const MOST: usize = 64;

/// Groups rows into requests: rows that differ only in their seed become one request with `n` completions and the seed of the
/// first.
#[derive(Debug, Default)]
pub(crate) struct CompletionRequests {
    pub(crate) requests: Vec<CompletionRequest>,
    /// For each row, the request and the index among its completions.
    places: Vec<(usize, usize)>,
}

impl CompletionRequests {
    /// Adds a row. Identical greedy rows share one completion.
    pub(crate) fn add(&mut self, row: CompletionRequest) {
        let greedy = row.sampling == Sampling::Greedy;
        let fits =
            |request: &CompletionRequest| request.alike(&row) && (greedy || request.count < MOST);
        // From the back, where the newest request for the same prompt is.
        let at = match self.requests.iter().rposition(fits) {
            Some(place) if greedy => (place, 0),
            Some(place) => {
                let request = &mut self.requests[place];
                request.count += 1;
                (place, request.count - 1)
            }
            None => {
                self.requests.push(row);
                (self.requests.len() - 1, 0)
            }
        };
        self.places.push(at);
    }

    /// Returns the completion of every row.
    pub(crate) fn of_rows(&self, completions: &[Vec<Draft>]) -> Vec<Draft> {
        self.places.iter().map(|&(request, at)| completions[request][at].clone()).collect()
    }
}

impl CompletionRequest {
    /// A request for one greedy token after `text`, with the likeliest alternatives.
    pub(crate) fn of_one_token(text: &str) -> Self {
        let (prompt, stops, sampling) = (text.to_owned(), Vec::new(), Sampling::Greedy);
        let (count, max_tokens, seed, likeliest, session) = (1, 1, 0, LIKELIEST, 0);
        Self { prompt, count, sampling, stops, max_tokens, seed, likeliest, session }
    }

    /// Whether two requests differ only in seed and count.
    fn alike(&self, other: &Self) -> bool {
        (self.max_tokens, self.sampling) == (other.max_tokens, other.sampling)
            && (&self.prompt, &self.stops) == (&other.prompt, &other.stops)
    }

    /// The request body. `extended` adds settings beyond OpenAI's: some servers otherwise strip the stop string from the
    /// output, or apply their own default `top_k`, `min_p` or repetition penalty.
    pub(crate) fn body(&self, model: &str, extended: bool) -> Value {
        let (temperature, top_k, top_p) = match self.sampling {
            Sampling::Greedy => (0.0, None, 1.0),
            Sampling::Temperature { temperature } => (temperature, None, 1.0),
            Sampling::TopK { temperature, k } => (temperature, Some(k), 1.0),
            Sampling::TopP { temperature, p } => (temperature, None, p),
        };
        let mut body = json!({
            "model": model,
            "prompt": self.prompt,
            "n": self.count,
            "max_tokens": self.max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            // Servers parse the seed as a signed 64-bit integer. The low bits stay: seeds of continuations differ in them.
            "seed": self.seed & SEED_BITS,
            "logprobs": self.likeliest,
            "stream": false,
        });
        if !self.stops.is_empty() {
            body["stop"] = json!(self.stops);
        }
        if extended {
            body["top_k"] = top_k.map_or_else(|| json!(-1), |k| json!(k));
            body["min_p"] = json!(0.0);
            body["repetition_penalty"] = json!(1.0);
            body["repeat_penalty"] = json!(1.0);
            body["include_stop_str_in_output"] = json!(true);
            body["no_stop_trim"] = json!(true);
        }
        body
    }

    /// Whether the request needs a setting that OpenAI's API lacks.
    pub(crate) fn needs_extended(&self) -> bool {
        matches!(self.sampling, Sampling::TopK { .. })
    }
}
