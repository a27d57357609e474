//! Requests to a server.

use lm::Sampling;
use serde_json::{Value, json};

use super::Draft;

/// A request for completions of one prompt.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) prompt: String,
    /// Number of completions.
    pub(crate) count: usize,
    pub(crate) sampling: Sampling,
    pub(crate) stops: Vec<String>,
    pub(crate) max_tokens: usize,
    pub(crate) seed: u64,
    /// How many of the likeliest tokens to return log-probabilities for.
    pub(crate) likeliest: usize,
}

/// The most log-probabilities that servers return by default.
const LIKELIEST: usize = 20;

/// Most completions per request.
const MOST: usize = 64;

/// Groups rows into jobs: rows that differ only in their seed become one job with `n` completions and the seed of the
/// first.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) jobs: Vec<Job>,
    /// For each row, the job and the index among its completions.
    places: Vec<(usize, usize)>,
}

impl Jobs {
    /// Adds a row. Identical greedy rows share one completion.
    pub(crate) fn add(&mut self, row: Job) {
        let greedy = row.sampling == Sampling::Greedy;
        let fits = |job: &Job| job.alike(&row) && (greedy || job.count < MOST);
        // From the back, where the newest job for the same prompt is.
        let at = match self.jobs.iter().rposition(fits) {
            Some(place) if greedy => (place, 0),
            Some(place) => {
                let job = &mut self.jobs[place];
                job.count += 1;
                (place, job.count - 1)
            }
            None => {
                self.jobs.push(row);
                (self.jobs.len() - 1, 0)
            }
        };
        self.places.push(at);
    }

    /// Returns the completion of every row.
    pub(crate) fn of_rows(&self, completions: &[Vec<Draft>]) -> Vec<Draft> {
        self.places.iter().map(|&(job, at)| completions[job][at].clone()).collect()
    }
}

impl Job {
    /// A request for one greedy token after `text`, with the likeliest alternatives.
    pub(crate) fn of_one_token(text: &str) -> Self {
        let (prompt, stops, sampling) = (text.to_owned(), Vec::new(), Sampling::Greedy);
        let (count, max_tokens, seed, likeliest) = (1, 1, 0, LIKELIEST);
        Self { prompt, count, sampling, stops, max_tokens, seed, likeliest }
    }

    /// Whether two jobs differ only in seed and count.
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
            // Servers parse the seed as a signed 64-bit integer.
            "seed": self.seed >> 1,
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

    /// Whether the job needs a setting that OpenAI's API lacks.
    pub(crate) fn needs_extended(&self) -> bool {
        matches!(self.sampling, Sampling::TopK { .. })
    }
}
