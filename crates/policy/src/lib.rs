//! Something that proposes options: a language model here or behind a server, behind text.
//!
//! A state is a prompt and the text written so far; an option is the text up to a termination
//! (AlphaLLM §4.3). The policy does not know what an answer is worth. What it has read it keeps where
//! the caller says: the same requests with the same seeds are the same options.

mod draft;
mod ending;
mod error;
mod format;
mod local;
mod option;
mod server;
pub mod template;
mod termination;

use std::sync::Arc;

use lm::engine::StopReason;
use lm::{Drawn, Engine, Prefixes, Sampling};
use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::ending::Ending;
use crate::option::aligned;
use crate::server::{Job, Jobs};

pub use error::Error;
pub use format::{Chat, PromptFormat, PromptText, Solved, unknown_marks};
pub use option::{Part, TextOption, ended};
pub use server::{Server, ServerOptions};
pub use termination::Termination;

/// How a policy writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// How a question becomes the text to continue.
    pub format: PromptFormat,
    /// What ends an option.
    pub termination: Termination,
    /// The mark of the final answer: a solution is over with the line in which it first announces one, whatever the model
    /// would write after it ([`answer::end_of_answer`]).
    pub answer_mark: String,
    /// The most tokens of one option; what is longer is cut.
    pub max_option_tokens: usize,
    /// The most tokens of a completion to the end.
    pub max_solution_tokens: usize,
}

/// A state to go on from.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRequest<'a> {
    /// The question.
    pub question: &'a str,
    /// What has been written of the solution.
    pub written: String,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Whether to write to the end of the solution instead of one option.
    pub to_end: bool,
    /// Whether states to come may begin with what is written.
    pub keep: bool,
    /// What was drawn in this state before, and is not to be drawn again.
    pub excluded: Vec<Drawn>,
    /// Seed of the draws.
    pub seed: u64,
}

/// A text that ends where the policy is to say yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The question it is about: texts of one question share what was read.
    pub question: &'a str,
    /// The whole text.
    pub text: String,
}

/// How a model weighs two words after a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    /// How much likelier `yes` is than `no`, in [0, 1]: `P(yes) / (P(yes) + P(no))`.
    pub yes: f64,
    /// Where a server told of neither, the tokens that it told of instead, the likeliest first.
    pub told: Option<Vec<String>>,
}

impl Weighed {
    /// Of a text that is over the context: what cannot be read is not promising.
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
    /// The tokens that end what a model of this process writes.
    ends: Vec<u32>,
    /// The tokens that all prompts begin with.
    shared: Vec<u32>,
}

/// Where the model is.
#[derive(Debug)]
enum Writer {
    Local(Box<Engine>),
    Server(Server),
}

/// How far a row may go on.
struct Room {
    stops: Vec<String>,
    tokens: usize,
}

impl Policy {
    /// A policy over a model.
    ///
    /// # Errors
    /// [`lm::Error::Config`] when the model has no end token, so that solutions would never end, for a
    /// termination that cannot be, and for a chat template that cannot be filled in.
    pub fn new(engine: Engine, config: PolicyConfig) -> Result<Self, Error> {
        Self::of(Arc::new(Writer::Local(Box::new(engine))), config)
    }

    /// A policy over a model behind a server.
    ///
    /// # Errors
    /// As [`Self::new`]; a chat template has to be the preset's own.
    pub fn served(server: Server, config: PolicyConfig) -> Result<Self, Error> {
        Self::of(Arc::new(Writer::Server(server)), config)
    }

    /// The same model, writing in another way.
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
                server.reads_marks(&config.format, &prompt)?;
                (prompt, Vec::new(), Vec::new())
            }
        };
        let ending = Arc::new(Ending::new(&config, &prompt));
        Ok(Self { writer, config, prompt, ending, ends, shared })
    }

    /// How the policy writes.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// Whether the model is behind a server: then it shows neither its hidden states nor the probabilities of what it did
    /// not write, and nothing can be kept from being drawn again.
    pub fn is_served(&self) -> bool {
        matches!(*self.writer, Writer::Server(_))
    }

    /// Writes on from every state; results are in the order of the requests. States of one question
    /// share what was read of it, now and in earlier calls with the same `prefixes`.
    ///
    /// # Errors
    /// A server's failure. After a state that fills the model's context nothing is written, for its length.
    pub fn write(
        &self,
        requests: &[StateRequest<'_>],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<TextOption>, Error> {
        let mut drafts = vec![Draft::default(); requests.len()];
        let mut open: Vec<usize> = (0..requests.len()).collect();
        while !open.is_empty() {
            let rows: Vec<_> = open.iter().map(|&i| (&requests[i], &drafts[i])).collect();
            let written = match &*self.writer {
                Writer::Local(engine) => self.write_here(engine, &rows, prefixes)?,
                Writer::Server(server) => self.write_there(server, &rows, prefixes)?,
            };
            // A row that nothing was added to would go on for ever.
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

    /// Lets a server go on with every row.
    fn write_there(
        &self,
        server: &Server,
        rows: &[(&StateRequest<'_>, &Draft)],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Draft>, Error> {
        let mut jobs = Jobs::default();
        for (request, draft) in rows {
            let written = [request.written.as_str(), &draft.text()].concat();
            let Room { stops, tokens: max_tokens } = self.room(request, draft);
            let prompt = self.prompt.render(request.question, &written);
            let (seed, sampling) = (seed_of(request, draft), request.sampling);
            jobs.add(Job { prompt, count: 1, sampling, stops, max_tokens, seed, likeliest: 1 });
        }
        let (completions, used) = server.complete(&jobs.jobs)?;
        prefixes.count(used);
        Ok(jobs.of_rows(&completions))
    }

    /// Where a row is to stop.
    fn room(&self, request: &StateRequest<'_>, draft: &Draft) -> Room {
        let (rule, written) = (&self.config.termination, draft.len());
        let (stops, tokens) = match *rule {
            _ if request.to_end => {
                let next = self.ending.next.iter().cloned();
                (next.collect(), self.config.max_solution_tokens - written)
            }
            Termination::Tokens(count) => (Vec::new(), count.saturating_sub(written).max(1)),
            _ => (rule.stops(), self.config.max_option_tokens - written),
        };
        Room { stops, tokens }
    }

    /// Whether the model stopped where neither the option nor the solution is at its end.
    fn goes_on(&self, request: &StateRequest<'_>, draft: &Draft) -> bool {
        let PolicyConfig { max_option_tokens, max_solution_tokens, .. } = self.config;
        let limit = if request.to_end { max_solution_tokens } else { max_option_tokens };
        if draft.stop == Some(StopReason::Token) || draft.len() >= limit {
            return false;
        }
        let text = draft.text();
        match (&self.config.termination, draft.stop) {
            _ if self.ending.over(&request.written, &text).is_some() => false,
            // What stands in a thought ends nothing.
            (_, stop) if request.to_end => stop == Some(StopReason::String),
            // A character may be of several tokens.
            (Termination::Tokens(_), _) => text.ends_with(char::REPLACEMENT_CHARACTER),
            (rule, Some(StopReason::String)) => rule.end(&text).is_none(),
            _ => false,
        }
    }

    /// Whether a solution has its answer, and the whole of it: digits may follow until the line ends.
    pub fn answered(&self, solution: &str) -> bool {
        self.ending.answered(solution)
    }

    /// Cuts what was written into options.
    fn parts(&self, draft: &Draft) -> Vec<Part> {
        let texts = match &self.config.termination {
            Termination::Tokens(count) => draft.cut(*count),
            Termination::Sentence => termination::sentences(&draft.cut(1)),
            rule => rule.cut(&draft.text()),
        };
        aligned(texts, draft)
    }

    fn option(&self, request: &StateRequest<'_>, draft: &Draft) -> TextOption {
        let (tokens, text) = (draft.len() as u32, draft.text());
        let length = draft.stop == Some(StopReason::Length) && request.to_end;
        let over = self.ending.over(&request.written, &text);
        let over =
            over.or_else(|| if length { self.ending.cut(&request.written, &text) } else { None });
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
        let counted = match self.config.termination {
            Termination::Tokens(count) if draft.len() >= count => !request.to_end,
            _ => false,
        };
        let (terminal, stop) = match (over, draft.stop) {
            (Some(over), _) => (true, over.stop),
            (None, Some(StopReason::Token)) => (true, "end"),
            (None, Some(StopReason::String)) => (false, "termination"),
            _ if counted => (false, "termination"),
            _ => (request.to_end, "length"),
        };
        TextOption { text, parts, tokens, terminal, stop }
    }
}

/// Draws that go on are others than those before.
fn seed_of(request: &StateRequest<'_>, draft: &Draft) -> u64 {
    request.seed.wrapping_add(draft.len() as u64)
}

#[cfg(test)]
mod tests;
