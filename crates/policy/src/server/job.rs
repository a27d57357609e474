//! What a server is asked for.

use lm::Sampling;
use serde_json::{Value, json};

use super::Draft;

/// Completions of one text.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) prompt: String,
    /// How many are wanted.
    pub(crate) count: usize,
    pub(crate) sampling: Sampling,
    pub(crate) stops: Vec<String>,
    pub(crate) max_tokens: usize,
    pub(crate) seed: u64,
    /// Of how many of the likeliest tokens the probability is asked for.
    pub(crate) likeliest: usize,
}

/// The most of them that servers tell of by default.
const LIKELIEST: usize = 20;

/// The most completions that one request asks for.
const MOST: usize = 64;

/// Jobs for rows: those that differ in their seeds alone are one, with the seed of the first.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) jobs: Vec<Job>,
    /// For each row its job, and its place among the completions of that.
    places: Vec<(usize, usize)>,
}

impl Jobs {
    /// Adds a row. Greedy rows that are alike are one completion.
    pub(crate) fn add(&mut self, row: Job) {
        let greedy = row.sampling == Sampling::Greedy;
        let fits = |job: &Job| job.alike(&row) && (greedy || job.count < MOST);
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

    /// The completion of every row.
    pub(crate) fn of_rows(&self, completions: &[Vec<Draft>]) -> Vec<Draft> {
        self.places.iter().map(|&(job, at)| completions[job][at].clone()).collect()
    }
}

impl Job {
    /// A token after a text, with the likeliest others.
    pub(crate) fn of_one_token(text: &str) -> Self {
        let (prompt, stops, sampling) = (text.to_owned(), Vec::new(), Sampling::Greedy);
        let (count, max_tokens, seed, likeliest) = (1, 1, 0, LIKELIEST);
        Self { prompt, count, sampling, stops, max_tokens, seed, likeliest }
    }

    /// Whether two differ in their seeds and counts alone.
    fn alike(&self, other: &Self) -> bool {
        (self.max_tokens, self.sampling) == (other.max_tokens, other.sampling)
            && (&self.prompt, &self.stops) == (&other.prompt, &other.stops)
    }

    /// The request. Beside OpenAI's settings there are those without which some servers cut off what they stopped at, or
    /// sample from fewer tokens than they were told to.
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
            // Servers read it as a signed number.
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

    /// Whether the server has to take settings beside OpenAI's for it.
    pub(crate) fn needs_extended(&self) -> bool {
        matches!(self.sampling, Sampling::TopK { .. })
    }
}
