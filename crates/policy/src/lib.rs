//! The policy: a language model, run in this process or reached over HTTP, that proposes options for the search.
//!
//! A state is the prompt plus the text written so far; an option is the text up to the next termination (AlphaLLM §4.3).
//! The policy does not judge answers; the critics do. It holds no state between calls except in the `Prefixes`
//! that the caller passes in, so the same requests with the same seeds give the same options.

mod draft;
mod ending;
mod error;
mod finish;
mod format;
mod local;
mod option;
mod server;
mod servers;
pub mod template;
mod termination;

use std::sync::Arc;

use lm::engine::StopReason;
use lm::prefix::scope_of;
use lm::{Drawn, Engine, Prefixes, Sampling};
use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::ending::Ending;
use crate::option::aligned;
use crate::server::{CompletionRequest, CompletionRequests};

pub use error::Error;
pub use finish::FinishReason;
pub use format::{Chat, PromptFormat, PromptText, WorkedExample, unknown_marks};
pub use option::{Continuation, Part};
pub use server::{Server, ServerOptions};
pub use servers::Servers;
pub use termination::Termination;

/// The `[policy]` section of the preset's `text.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// The text around a question.
    pub format: PromptFormat,
    /// Where an option ends.
    pub termination: Termination,
    /// The mark of the final answer, such as `####`. A solution ends with the line in which it first announces an answer
    /// ([`answer::end_of_answer`]); anything the model would write after that is dropped.
    pub answer_mark: String,
    /// Maximum length of one option, in tokens; longer options are cut.
    pub max_option_tokens: usize,
    /// Maximum length of a completion to the end of the solution, in tokens.
    pub max_solution_tokens: usize,
}

/// A state to continue from, and how to continue it.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRequest<'a> {
    /// The question.
    pub question: &'a str,
    /// The solution so far.
    pub written: String,
    /// How tokens are sampled.
    pub sampling: Sampling,
    /// Whether to write to the end of the solution rather than a single option.
    pub to_end: bool,
    /// Whether to keep the state's KV cache, because later states may extend what is written here.
    pub keep: bool,
    /// Options already drawn in this state, not to be drawn again (sampling without replacement).
    pub excluded: Vec<Drawn>,
    /// Random seed.
    pub seed: u64,
}

/// A text after which the policy is asked for one of two words, such as yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The question the text is about. Texts with the same question share cached prefixes.
    pub question: &'a str,
    /// The full text.
    pub text: String,
}

/// The relative probability of two words after a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    /// `P(yes) / (P(yes) + P(no))`, 0 to 1.
    pub yes: f64,
    /// The likeliest tokens, most probable first, where a server lists neither word among them.
    pub told: Option<Vec<String>>,
}

impl Weighed {
    /// The result for a text that exceeds the context: a state that cannot be read does not count as promising.
    fn unread() -> Self {
        Self { yes: 0.0, told: None }
    }
}

/// A language model that writes options.
#[derive(Debug)]
pub struct Policy {
    writer: Arc<Writer>,
    config: PolicyConfig,
    prompt: PromptText,
    ending: Arc<Ending>,
    /// Tokens that end a solution; empty for a served model.
    ends: Vec<u32>,
    /// The token prefix shared by all prompts; empty for a served model.
    shared: Vec<u32>,
}

/// Where the model runs.
#[derive(Debug)]
enum Writer {
    Local(Arc<Engine>),
    Server(Servers),
}

/// Limits for continuing one row.
struct Room {
    stops: Vec<String>,
    tokens: usize,
}

impl Policy {
    /// Builds a policy over a model in this process.
    ///
    /// # Errors
    /// [`lm::Error::Config`] if the model has no end token (solutions would never end), the termination is invalid, or
    /// the chat template cannot be rendered.
    pub fn new(engine: Arc<Engine>, config: PolicyConfig) -> Result<Self, Error> {
        Self::of(Arc::new(Writer::Local(engine)), config)
    }

    /// Builds a policy over a model behind one or more servers.
    ///
    /// # Errors
    /// As [`Self::new`]. A chat template must come from the preset: the model's own is not available here.
    pub fn served(servers: impl Into<Servers>, config: PolicyConfig) -> Result<Self, Error> {
        Self::of(Arc::new(Writer::Server(servers.into())), config)
    }

    /// Returns a policy over the same model with another configuration. The weights are shared.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(&self, config: PolicyConfig) -> Result<Self, Error> {
        Self::of(self.writer.clone(), config)
    }

    fn of(writer: Arc<Writer>, config: PolicyConfig) -> Result<Self, Error> {
        if let Some(problem) = config.termination.problem(config.max_option_tokens) {
            return Err(lm::Error::Config(format!("termination {problem}")).into());
        }
        let (prompt, ends, shared) = match &*writer {
            Writer::Local(engine) => {
                let (tokenizer, model) = (engine.tokenizer(), engine.config());
                let prompt = config.format.prompt(tokenizer, model)?;
                let (ends, shared) = (prompt.ends(tokenizer, model), prompt.shared(tokenizer)?);
                if ends.is_empty() {
                    let problem = "eos_token_id is missing: without it no solution ends";
                    return Err(lm::Error::Config(problem.to_owned()).into());
                }
                (prompt, ends, shared)
            }
            Writer::Server(server) => {
                let prompt = config.format.prompt_without_model()?;
                // The tokenizer is on the server, so ask it whether it knows the special tokens.
                server.reads_marks(&config.format, &prompt)?;
                (prompt, Vec::new(), Vec::new())
            }
        };
        let ending = Arc::new(Ending::new(&config, &prompt));
        Ok(Self { writer, config, prompt, ending, ends, shared })
    }

    /// The configuration.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// Whether the model is behind a server. A server exposes neither hidden states nor the probabilities of tokens it
    /// did not write, and it cannot be told to exclude earlier draws.
    pub fn is_served(&self) -> bool {
        matches!(*self.writer, Writer::Server(_))
    }

    /// Continues every state; results are in request order. States of one question share cached prefixes, within this
    /// call and with earlier calls that passed the same `prefixes`.
    ///
    /// # Errors
    /// Fails if the server fails. A state that already fills the model's context is not an error: its option is empty and
    /// ends for [`FinishReason::Length`].
    pub fn write(
        &self,
        requests: &[StateRequest<'_>],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Continuation>, Error> {
        let mut drafts = vec![Draft::default(); requests.len()];
        let mut open: Vec<usize> = (0..requests.len()).collect();
        while !open.is_empty() {
            let rows: Vec<_> = open.iter().map(|&i| (&requests[i], &drafts[i])).collect();
            let written = match &*self.writer {
                Writer::Local(engine) => self.write_here(engine, &rows, prefixes)?,
                Writer::Server(server) => self.write_there(server, &rows, prefixes)?,
            };
            // A row that gained no tokens would loop for ever.
            let grows: Vec<bool> = written.iter().map(|written| written.len() > 0).collect();
            for (&i, written) in open.iter().zip(written) {
                drafts[i].extend(written);
            }
            let mut grows = grows.into_iter();
            open.retain(|&i| grows.next() == Some(true) && self.goes_on(&requests[i], &drafts[i]));
        }
        Ok(requests
            .iter()
            .zip(&drafts)
            .map(|(request, draft)| self.option(request, draft))
            .collect())
    }

    /// Continues every row on a server.
    fn write_there(
        &self,
        server: &Servers,
        rows: &[(&StateRequest<'_>, &Draft)],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Draft>, Error> {
        let mut requests = CompletionRequests::default();
        for (request, draft) in rows {
            let written = [request.written.as_str(), &draft.text()].concat();
            let Room { stops, tokens: max_tokens } = self.room(request, draft);
            let prompt = self.prompt.render(request.question, &written);
            let (seed, sampling) = (seed_of(request, draft), request.sampling);
            requests.add(CompletionRequest {
                prompt,
                count: 1,
                sampling,
                stops,
                max_tokens,
                seed,
                likeliest: 1,
                session: scope_of(request.question),
            });
        }
        let (completions, used) = server.complete(&requests.requests)?;
        prefixes.count(used);
        Ok(requests.of_rows(&completions))
    }

    /// The stop strings and the token limit for the next request of a row.
    fn room(&self, request: &StateRequest<'_>, draft: &Draft) -> Room {
        let (rule, written) = (&self.config.termination, draft.len());
        let (stops, tokens) = match *rule {
            _ if request.to_end => {
                // Saves the tokens of another problem, which would be cut off anyway.
                let next = self.ending.next.iter().cloned();
                (next.collect(), self.config.max_solution_tokens - written)
            }
            // Past `count` tokens only to finish a character, one token at a time.
            Termination::Tokens(count) => (Vec::new(), count.saturating_sub(written).max(1)),
            _ => (rule.stops(), self.config.max_option_tokens - written),
        };
        Room { stops, tokens }
    }

    /// Whether to continue a row: the model stopped before the end of the option or solution.
    fn goes_on(&self, request: &StateRequest<'_>, draft: &Draft) -> bool {
        let PolicyConfig { max_option_tokens, max_solution_tokens, .. } = self.config;
        let limit = if request.to_end { max_solution_tokens } else { max_option_tokens };
        if draft.stop == Some(StopReason::Token) || draft.len() >= limit {
            return false;
        }
        let text = draft.text();
        match (&self.config.termination, draft.stop) {
            _ if self.ending.over(&request.written, &text).is_some() => false,
            // A stop string inside a thought does not end the solution.
            (_, stop) if request.to_end => stop == Some(StopReason::String),
            // A character may span several tokens: finish it, so that the option is valid UTF-8.
            (Termination::Tokens(_), _) => text.ends_with(char::REPLACEMENT_CHARACTER),
            (rule, Some(StopReason::String)) => rule.end(&text).is_none(),
            _ => false,
        }
    }

    /// Whether a solution contains its complete answer. The line must be finished, because more digits could follow.
    pub fn answered(&self, solution: &str) -> bool {
        self.ending.answered(solution)
    }

    /// Splits the text into options.
    fn parts(&self, draft: &Draft) -> Vec<Part> {
        let texts = match &self.config.termination {
            Termination::Tokens(count) => draft.cut(*count),
            Termination::Sentence => termination::sentences(&draft.cut(1)),
            rule => rule.cut(&draft.text()),
        };
        aligned(texts, draft)
    }

    fn option(&self, request: &StateRequest<'_>, draft: &Draft) -> Continuation {
        let (tokens, text) = (draft.len() as u32, draft.text());
        let length = draft.stop == Some(StopReason::Length) && request.to_end;
        let over = self.ending.over(&request.written, &text);
        let over =
            over.or_else(|| if length { self.ending.cut(&request.written, &text) } else { None });
        // The parts hold what is kept. `tokens` counts what was generated, since that is the cost.
        let kept = over.map(|over| draft.until(over.at));
        let kept = kept.as_ref().unwrap_or(draft);
        let parts = match draft.stop {
            _ if request.to_end => self.parts(kept),
            Some(StopReason::String) if over.is_none() => {
                self.parts(kept).into_iter().take(1).collect()
            }
            _ => vec![Part { text: kept.text(), drawn: kept.drawn.clone() }],
        };
        let text: String = parts.iter().map(|part| part.text.as_str()).collect();
        // With `{ tokens = n }` the option ends at n tokens, however the model itself stopped.
        let counted = match self.config.termination {
            Termination::Tokens(count) if draft.len() >= count => !request.to_end,
            _ => false,
        };
        let (terminal, finish) = match (over, draft.stop) {
            (Some(over), _) => (true, over.finish),
            (None, Some(StopReason::Token)) => (true, FinishReason::End),
            (None, Some(StopReason::String)) => (false, FinishReason::Termination),
            (None, Some(StopReason::Length) | None) if counted => {
                (false, FinishReason::Termination)
            }
            (None, Some(StopReason::Length) | None) => (request.to_end, FinishReason::Length),
        };
        Continuation { text, parts, tokens, terminal, finish }
    }
}

/// Continuation requests get their own seed, so that they do not repeat the draws of the first request.
fn seed_of(request: &StateRequest<'_>, draft: &Draft) -> u64 {
    request.seed.wrapping_add(draft.len() as u64)
}

#[cfg(test)]
mod tests;
