//! Something that proposes options: a language model here or behind a server, behind text.
//!
//! A state is a prompt and the text written so far; an option is the text up to a termination
//! (AlphaLLM §4.3). The policy does not know what an answer is worth. What it has read it keeps where
//! the caller says: the same requests with the same seeds are the same options.

mod draft;
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
use crate::option::aligned;
use crate::server::{Job, Jobs};

pub use error::Error;
pub use format::{Chat, PromptFormat, PromptText, Solved};
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
    /// The mark of the final answer: the option with the end of its line is terminal. Of a mark that ends in an open brace
    /// it is the line of the brace that closes it.
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

/// A language model that writes options.
#[derive(Debug)]
pub struct Policy {
    writer: Arc<Writer>,
    config: PolicyConfig,
    prompt: PromptText,
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
        if engine.config().end_tokens().is_empty() {
            let problem = "eos_token_id is missing: without it no solution ends";
            return Err(lm::Error::Config(problem.to_owned()).into());
        }
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
        let (prompt, shared) = match &*writer {
            Writer::Local(engine) => {
                let prompt = config.format.prompt(engine.tokenizer(), engine.config())?;
                let shared = prompt.shared(engine.tokenizer())?;
                (prompt, shared)
            }
            Writer::Server(_) => (config.format.prompt_without_model()?, Vec::new()),
        };
        Ok(Self { writer, config, prompt, shared })
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
            _ if request.to_end => (Vec::new(), self.config.max_solution_tokens),
            Termination::Tokens(count) => (Vec::new(), count.saturating_sub(written).max(1)),
            _ => (rule.stops(), self.config.max_option_tokens - written),
        };
        Room { stops, tokens }
    }

    /// Whether the model stopped where the option is not at its end.
    fn goes_on(&self, request: &StateRequest<'_>, draft: &Draft) -> bool {
        let limit = self.config.max_option_tokens;
        if request.to_end || draft.stop == Some(StopReason::Token) || draft.len() >= limit {
            return false;
        }
        let text = draft.text();
        match (&self.config.termination, draft.stop) {
            _ if self.answered(&[request.written.as_str(), &text].concat()) => false,
            // A character may be of several tokens.
            (Termination::Tokens(_), _) => text.ends_with(char::REPLACEMENT_CHARACTER),
            (rule, Some(StopReason::String)) => rule.end(&text).is_none(),
            _ => false,
        }
    }

    /// Whether a solution has its answer, and the whole of it: digits may follow until the line ends.
    pub fn answered(&self, solution: &str) -> bool {
        let mark = &self.config.answer_mark;
        let answer = solution.split_once(mark).and_then(|(_, rest)| {
            if mark.ends_with('{') { behind_brace(rest) } else { Some(rest) }
        });
        answer.is_some_and(|rest| rest.contains('\n'))
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
        let parts = match draft.stop {
            _ if request.to_end => self.parts(draft),
            Some(StopReason::String) => self.parts(draft).into_iter().take(1).collect(),
            _ => vec![Part { text: draft.text(), drawn: draft.drawn.clone() }],
        };
        let text: String = parts.iter().map(|part| part.text.as_str()).collect();
        let counted = match self.config.termination {
            Termination::Tokens(count) if draft.len() >= count => !request.to_end,
            _ => false,
        };
        let (terminal, stop) = match draft.stop {
            Some(StopReason::Token) => (true, "end"),
            _ if self.answered(&[request.written.as_str(), &text].concat()) => (true, "answer"),
            Some(StopReason::String) => (false, "termination"),
            _ if counted => (false, "termination"),
            _ => (request.to_end, "length"),
        };
        TextOption { text, parts, tokens: draft.len() as u32, terminal, stop }
    }
}

/// What comes after the brace that closes an open one: an answer in braces may be of several lines.
fn behind_brace(text: &str) -> Option<&str> {
    let mut open = 1_usize;
    let close = text.char_indices().find(|(_, c)| {
        open = match c {
            '{' => open + 1,
            '}' => open - 1,
            _ => open,
        };
        open == 0
    });
    close.and_then(|(at, brace)| text.get(at + brace.len_utf8()..))
}

/// Draws that go on are others than those before.
fn seed_of(request: &StateRequest<'_>, draft: &Draft) -> u64 {
    request.seed.wrapping_add(draft.len() as u64)
}

#[cfg(test)]
mod tests;
