//! Something that proposes options: the local language model, behind text.
//!
//! A state is a prompt and the text written so far; an option is the text up to a termination
//! (AlphaLLM §4.3). The policy does not know what an answer is worth. What it has read it keeps where
//! the caller says: the same requests with the same seeds are the same options.

mod format;
mod option;
mod termination;

use lm::engine::{EmbedRequest, Generation, GenerationRequest, Stop, StopReason};
use lm::prefix::scope_of;
use lm::{Drawn, Engine, Error, Prefixes, Sampling};
use serde::{Deserialize, Serialize};

use crate::option::aligned;

pub use format::{Chat, PromptFormat, PromptText, Solved};
pub use option::{Part, TextOption};
pub use termination::Termination;

/// How a policy writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// How a question becomes the text to continue.
    pub format: PromptFormat,
    /// What ends an option.
    pub termination: Termination,
    /// The mark of the final answer: the option with the end of its line is terminal.
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
    engine: Engine,
    config: PolicyConfig,
    prompt: PromptText,
}

impl Policy {
    /// A policy over a model.
    ///
    /// # Errors
    /// [`Error::Config`] when the model has no end token, so that solutions would never end, for a
    /// termination that cannot be, and for a chat template that cannot be filled in.
    pub fn new(engine: Engine, config: PolicyConfig) -> Result<Self, Error> {
        if engine.config().end_tokens().is_empty() {
            let problem = "eos_token_id is missing: without it no solution ends";
            return Err(Error::Config(problem.to_owned()));
        }
        if let Some(problem) = config.termination.problem(config.max_option_tokens) {
            return Err(Error::Config(format!("termination {problem}")));
        }
        let prompt = config.format.prompt(engine.tokenizer(), engine.config())?;
        Ok(Self { engine, config, prompt })
    }

    /// How the policy writes.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// Writes on from every state; results are in the order of the requests. States of one question
    /// share what was read of it, now and in earlier calls with the same `prefixes`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a state that fills the model's context.
    pub fn write(
        &self,
        requests: &[StateRequest<'_>],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<TextOption>, Error> {
        let mut drafts = vec![Draft::default(); requests.len()];
        let mut open: Vec<usize> = (0..requests.len()).collect();
        while !open.is_empty() {
            let row = |&i: &usize| self.row(&requests[i], &drafts[i]);
            let rows: Vec<GenerationRequest> = open.iter().map(row).collect::<Result<_, _>>()?;
            for (&i, generation) in open.iter().zip(self.engine.generate(&rows, prefixes)?) {
                drafts[i].extend(generation);
            }
            open.retain(|&i| self.goes_on(&requests[i], &drafts[i]));
        }
        Ok(requests
            .iter()
            .zip(&drafts)
            .map(|(request, draft)| self.option(request, draft))
            .collect())
    }

    /// Whether the model stopped where the option is not at its end.
    fn goes_on(&self, request: &StateRequest<'_>, draft: &Draft) -> bool {
        let limit = self.config.max_option_tokens;
        if request.to_end || draft.stop == Some(StopReason::Token) || draft.drawn.ids.len() >= limit
        {
            return false;
        }
        let text = self.engine.tokenizer().decode(&draft.drawn.ids);
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
        let answer = solution.split_once(&self.config.answer_mark);
        answer.is_some_and(|(_, rest)| rest.contains('\n'))
    }

    /// Cuts what was written into options.
    fn parts(&self, drawn: &Drawn) -> Vec<Part> {
        let tokenizer = self.engine.tokenizer();
        let texts = match &self.config.termination {
            Termination::Tokens(count) => tokenizer.cut(&drawn.ids, *count),
            Termination::Sentence => termination::sentences(&tokenizer.cut(&drawn.ids, 1)),
            rule => rule.cut(&tokenizer.decode(&drawn.ids)),
        };
        aligned(texts, drawn, tokenizer)
    }

    fn option(&self, request: &StateRequest<'_>, draft: &Draft) -> TextOption {
        let drawn = &draft.drawn;
        let parts = match draft.stop {
            _ if request.to_end => self.parts(drawn),
            Some(StopReason::String) => self.parts(drawn).into_iter().take(1).collect(),
            _ => {
                let text = self.engine.tokenizer().decode(&drawn.ids);
                vec![Part { text, drawn: drawn.clone() }]
            }
        };
        let text: String = parts.iter().map(|part| part.text.as_str()).collect();
        let counted = match self.config.termination {
            Termination::Tokens(count) if drawn.ids.len() >= count => !request.to_end,
            _ => false,
        };
        let (terminal, stop) = match draft.stop {
            Some(StopReason::Token) => (true, "end"),
            _ if self.answered(&[request.written.as_str(), &text].concat()) => (true, "answer"),
            Some(StopReason::String) => (false, "termination"),
            _ if counted => (false, "termination"),
            _ => (request.to_end, "length"),
        };
        let tokens = drawn.ids.len() as u32;
        TextOption { text, parts, tokens, terminal, stop }
    }

    /// The last hidden state after every state, a question and the text written: `[states][hidden_size]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a state that fills the model's context.
    pub fn embed(
        &self,
        states: &[(&str, String)],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let row = |(question, written): &(&str, String)| {
            let text = self.prompt.render(question, written);
            let ids = self.engine.tokenizer().encode(&text)?;
            Ok(EmbedRequest { ids, scope: scope_of(question) })
        };
        let rows: Vec<EmbedRequest> = states.iter().map(row).collect::<Result<_, Error>>()?;
        self.engine.embed(&rows, prefixes)
    }

    /// How much likelier every text goes on with `yes` than with `no`: `P(yes) / (P(yes) + P(no))`.
    ///
    /// # Errors
    /// [`Error::Config`] when one of the two is not a single token, [`Error::TooLong`] for a text that fills the
    /// model's context.
    pub fn choose(
        &self,
        choices: &[Choice<'_>],
        yes: &str,
        no: &str,
        prefixes: &mut Prefixes,
    ) -> Result<Vec<f64>, Error> {
        let token = |text: &str| match self.engine.tokenizer().encode(text)?.as_slice() {
            [token] => Ok(*token),
            tokens => {
                let count = tokens.len();
                Err(Error::Config(format!("`{text}` is {count} tokens of the policy, not one")))
            }
        };
        let answers = [token(yes)?, token(no)?];
        let row = |choice: &Choice<'_>| {
            let ids = self.engine.tokenizer().encode(&choice.text)?;
            Ok(EmbedRequest { ids, scope: scope_of(choice.question) })
        };
        let rows: Vec<EmbedRequest> = choices.iter().map(row).collect::<Result<_, Error>>()?;
        let shares = self.engine.next_token(&rows, &answers, prefixes)?;
        let share = |p: &Vec<f32>| {
            let (yes, no) = (f64::from(p[0]), f64::from(p[1]));
            yes / (yes + no).max(f64::MIN_POSITIVE)
        };
        Ok(shares.iter().map(share).collect())
    }

    /// Whether a question leaves room in the model's context for so many tokens of solution.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer fails.
    pub fn fits(&self, question: &str, solution_tokens: usize) -> Result<bool, Error> {
        let text = self.prompt.render(question, "");
        let tokens = self.engine.tokenizer().encode(&text)?.len();
        Ok(tokens + solution_tokens < self.engine.config().max_position_embeddings)
    }

    fn row(&self, request: &StateRequest<'_>, draft: &Draft) -> Result<GenerationRequest, Error> {
        let text = self.prompt.render(request.question, &request.written);
        let ends = self.engine.config().end_tokens();
        let rule = &self.config.termination;
        let ids = &draft.drawn.ids;
        let written = ids.len();
        let (strings, max_new) = match *rule {
            _ if request.to_end => (Vec::new(), self.config.max_solution_tokens),
            Termination::Tokens(count) => (Vec::new(), count.saturating_sub(written).max(1)),
            _ => (rule.stops(), self.config.max_option_tokens - written),
        };
        let mut prompt = self.engine.tokenizer().encode(&text)?;
        prompt.extend(ids);
        // Of what began as this did, the rest.
        let same = request.excluded.iter().filter(|drawn| drawn.ids.starts_with(ids));
        Ok(GenerationRequest {
            prompt,
            sampling: request.sampling,
            stop: Stop { tokens: ends.to_vec(), strings, max_new },
            // Draws that go on are others than those before.
            seed: request.seed.wrapping_add(written as u64),
            scope: scope_of(request.question),
            keep: request.keep,
            excluded: same.map(|drawn| drawn.after(written)).collect(),
        })
    }
}

/// What has been written of an option.
#[derive(Debug, Clone, Default)]
struct Draft {
    drawn: Drawn,
    stop: Option<StopReason>,
}

impl Draft {
    fn extend(&mut self, more: Generation) {
        self.drawn.ids.extend(more.drawn.ids);
        self.drawn.logprobs.extend(more.drawn.logprobs);
        self.stop = Some(more.stop);
    }
}

#[cfg(test)]
mod tests;
