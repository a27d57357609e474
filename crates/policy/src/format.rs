//! How a question becomes the text that a model continues: plainly, after solved examples, or as a chat.

mod chat;
mod jinja;
mod json;
mod marks;
mod methods;
mod turns;

use std::borrow::Cow;

use lm::{Error, ModelConfig, Tokenizer};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

pub use chat::Chat;
pub(crate) use marks::named_marks;
pub use marks::unknown_marks;

/// How a question becomes text, as a preset says it.
///
/// Plainly the text is `system`, every example as `prefix question suffix solution separator`, then
/// `prefix question suffix`. As a chat it is what the template makes of the same parts as messages. Special tokens may be
/// named by their text everywhere, if the model has them; the one that its tokenizer puts before a text is there anyway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFormat {
    /// Put before the question.
    pub prefix: String,
    /// Put after the question.
    pub suffix: String,
    /// Put before everything else, in a chat as the system's message; empty is none.
    #[serde(default)]
    pub system: String,
    /// Solved problems to learn from: few-shot prompting.
    #[serde(default)]
    pub examples: Vec<Solved>,
    /// Put after the solution of an example, where there is no chat.
    #[serde(default = "empty_line")]
    pub separator: String,
    /// The messages' template; absent is plain text.
    #[serde(default)]
    pub chat: Option<Chat>,
}

/// An example of a solved problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solved {
    /// The question.
    pub question: String,
    /// Its solution, as the policy is to write them.
    pub solution: String,
}

/// The text around a question, for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptText {
    before: String,
    after: String,
    /// What a chat puts after a solution.
    closing: String,
}

/// Stands for the question while the template is filled in: a character for private use, which no template writes.
const QUESTION: &str = "\u{f8ff}";
/// The same for a solution.
const SOLUTION: &str = "\u{f8fe}";

fn empty_line() -> String {
    "\n\n".to_owned()
}

impl Default for PromptFormat {
    /// The question alone.
    fn default() -> Self {
        let (prefix, suffix, system) = Default::default();
        Self { prefix, suffix, system, examples: Vec::new(), separator: empty_line(), chat: None }
    }
}

impl PromptFormat {
    /// The text around a question, for a model with this tokenizer and configuration.
    ///
    /// # Errors
    /// [`Error::Config`] says what is wrong with the chat template: the model has none, it does not parse, fails, takes too
    /// long, or does not put the question into the text once as it is. It also names special tokens that the model lacks:
    /// they would go in as text.
    pub fn prompt(&self, tokenizer: &Tokenizer, config: &ModelConfig) -> Result<PromptText, Error> {
        self.known_marks(tokenizer)?;
        let token = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).unwrap_or_default();
        let ends = config.end_tokens().first().copied();
        self.around(tokenizer.chat_template(), &[token(config.bos_token_id), token(ends)])
    }

    /// The same for a model of which nothing is known here: a chat needs a template of its own, for which `bos_token` and
    /// `eos_token` are empty.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub fn prompt_without_model(&self) -> Result<PromptText, Error> {
        self.around(None, &Default::default())
    }

    fn around(&self, own: Option<&str>, ends: &[String; 2]) -> Result<PromptText, Error> {
        let refused = |problem: String| Error::Config(format!("chat template: {problem}"));
        let template = match &self.chat {
            None => None,
            Some(chat) => {
                let none = || "the model has none; give one in `policy.format.chat`".to_owned();
                let text = chat.template.as_deref().or(own).ok_or_else(none).map_err(refused)?;
                Some((text, &chat.variables))
            }
        };
        let Some((template, variables)) = template else {
            return split(&self.plain(), String::new()).map_err(refused);
        };
        let fill = |solved: bool| {
            let variables = Value::from(Serde(variables));
            let [bos_token, eos_token] = ends;
            let values = context! {
                messages => self.messages(solved),
                add_generation_prompt => !solved,
                bos_token,
                eos_token,
                ..variables
            };
            jinja::filled(template, &values)
        };
        // A template may refuse a chat that has its answer.
        let solved = fill(true).unwrap_or_default();
        let closing = solved.rsplit_once(SOLUTION).map_or("", |(_, closing)| closing);
        fill(false).and_then(|text| split(&text, closing.to_owned())).map_err(refused)
    }

    fn wrapped(&self, question: &str) -> String {
        [&self.prefix, question, &self.suffix].concat()
    }

    fn plain(&self) -> String {
        [self.system.as_str(), &self.solved(), &self.wrapped(QUESTION)].concat()
    }

    /// The examples as plain text.
    fn solved(&self) -> String {
        let example = |solved: &Solved| {
            [&self.wrapped(&solved.question), solved.solution.as_str(), &self.separator].concat()
        };
        self.examples.iter().map(example).collect()
    }

    /// The parts as messages, with a solution where the chat has its answer.
    fn messages(&self, solved: bool) -> Vec<Value> {
        let message = |role: &str, content: String| context! { role, content };
        let mut messages = Vec::with_capacity(2 * self.examples.len() + 3);
        if !self.system.is_empty() {
            messages.push(message("system", self.system.clone()));
        }
        for example in &self.examples {
            messages.push(message("user", self.wrapped(&example.question)));
            messages.push(message("assistant", example.solution.clone()));
        }
        messages.push(message("user", self.wrapped(QUESTION)));
        if solved {
            messages.push(message("assistant", SOLUTION.to_owned()));
        }
        messages
    }
}

/// What stands before and after the question; the error says what is wrong with the text.
fn split(text: &str, closing: String) -> Result<PromptText, String> {
    let mut around = text.split(QUESTION);
    if let (Some(before), Some(after), None) = (around.next(), around.next(), around.next()) {
        return Ok(PromptText { before: before.to_owned(), after: after.to_owned(), closing });
    }
    let count = text.matches(QUESTION).count();
    Err(format!("it writes the user's last message {count} times, not once"))
}

impl PromptText {
    /// The text the model continues: the question in its place, and what has been written.
    pub fn render(&self, question: &str, written: &str) -> String {
        [&self.before, question, &self.after, written].concat()
    }

    /// What opens the thought in which the text leaves the model, if it does: the template of a model that thinks may.
    pub fn open_thought(&self) -> Option<&'static str> {
        answer::extract::open_thought(&self.after)
    }

    /// A solution as the model is to write it: where the prompt opens a thought and the solution closes none, that is closed
    /// first, as one without a word.
    pub fn learned<'a>(&self, solution: &'a str) -> Cow<'a, str> {
        let close = self.open_thought().and_then(answer::extract::closes_thought);
        match close.filter(|close| !solution.contains(close)) {
            None => Cow::Borrowed(solution),
            Some(close) => {
                let line = if self.after.ends_with('\n') { "\n" } else { "\n\n" };
                Cow::Owned([line, close, "\n\n", solution].concat())
            }
        }
    }

    /// The token with which a turn ends: what the template puts after a solution, or in plain text the first of the
    /// configuration's end tokens.
    pub fn turn_end(&self, tokenizer: &Tokenizer, config: &ModelConfig) -> Option<u32> {
        let text = self.closing.trim_start();
        let ends = config.end_tokens();
        let ids = tokenizer.encode(text).unwrap_or_default();
        // Not a word that the template writes, such as the name of who speaks next.
        let closes = |id: &u32| {
            let special = tokenizer.token_bytes(*id).is_empty() || ends.contains(id);
            special && tokenizer.token(*id).is_some_and(|token| text.starts_with(&token))
        };
        ids.first().copied().filter(closes).or(ends.first().copied())
    }

    /// The tokens that end what the model writes: those of the configuration, and the one that ends a turn.
    pub fn ends(&self, tokenizer: &Tokenizer, config: &ModelConfig) -> Vec<u32> {
        let mut ends = config.end_tokens().to_vec();
        let turn_end = self.turn_end(tokenizer, config);
        ends.extend(turn_end.filter(|end| !ends.contains(end)));
        ends
    }

    /// The tokens that every rendered text begins with. The last one of what comes before a question may be another where
    /// the question goes on from it.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer fails.
    pub fn shared(&self, tokenizer: &Tokenizer) -> Result<Vec<u32>, Error> {
        let mut ids = tokenizer.encode_whole(&self.before)?;
        ids.pop();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests;
