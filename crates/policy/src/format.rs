//! The prompt format: how a question becomes the text that the model continues, as plain text, few-shot or as a chat.

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

/// The `[policy.format]` section of a preset.
///
/// In plain text the prompt is `system`, then `prefix question suffix solution separator` for every example, then
/// `prefix question suffix`. In a chat the same parts are messages, rendered by the template. Any text may contain
/// special tokens that the model has. The one that its tokenizer puts first (such as `<|begin_of_text|>`) is added if
/// missing; behind a server leave it out, since the server adds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFormat {
    /// Text before the question.
    pub prefix: String,
    /// Text after the question.
    pub suffix: String,
    /// Text before everything else, or the system message of a chat. Empty for none.
    #[serde(default)]
    pub system: String,
    /// Solved examples (few-shot prompting).
    #[serde(default)]
    pub examples: Vec<WorkedExample>,
    /// Text after the solution of an example; not used in a chat.
    #[serde(default = "empty_line")]
    pub separator: String,
    /// The chat template; absent for plain text.
    #[serde(default)]
    pub chat: Option<Chat>,
}

/// A solved example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkedExample {
    /// The question.
    pub question: String,
    /// Its solution, written as the policy should write solutions.
    pub solution: String,
}

/// The rendered prompt around a question, for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptText {
    before: String,
    after: String,
    /// The chat template's text after a solution.
    closing: String,
}

/// Placeholder for the question while the template is rendered: a private-use character, which no template writes.
const QUESTION: &str = "\u{f8ff}";
/// Placeholder for a solution.
const SOLUTION: &str = "\u{f8fe}";

fn empty_line() -> String {
    "\n\n".to_owned()
}

impl Default for PromptFormat {
    /// The bare question, as plain text.
    fn default() -> Self {
        let (prefix, suffix, system) = Default::default();
        Self { prefix, suffix, system, examples: Vec::new(), separator: empty_line(), chat: None }
    }
}

impl PromptFormat {
    /// Renders the prompt for a model with this tokenizer and configuration.
    ///
    /// # Errors
    /// [`Error::Config`] if the chat template is missing, does not parse, fails, takes too long, or does not contain the
    /// question exactly once, verbatim; or if the preset names special tokens that the model lacks, which would be
    /// tokenized as plain text.
    pub fn prompt(&self, tokenizer: &Tokenizer, config: &ModelConfig) -> Result<PromptText, Error> {
        self.known_marks(tokenizer)?;
        let token = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).unwrap_or_default();
        let ends = config.end_tokens().first().copied();
        self.around(tokenizer.chat_template(), &[token(config.bos_token_id), token(ends)])
    }

    /// Renders the prompt for a model whose files are not available here. A chat then needs a template in the preset,
    /// which sees empty `bos_token` and `eos_token`.
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
        // A template may refuse a conversation that ends with the assistant, so a failure is fine here.
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
        let example = |solved: &WorkedExample| {
            [&self.wrapped(&solved.question), solved.solution.as_str(), &self.separator].concat()
        };
        self.examples.iter().map(example).collect()
    }

    /// The prompt as messages; with `solved`, followed by an assistant message.
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

/// Splits the text at the question. The error says how often the template wrote it.
fn split(text: &str, closing: String) -> Result<PromptText, String> {
    let mut around = text.split(QUESTION);
    if let (Some(before), Some(after), None) = (around.next(), around.next(), around.next()) {
        return Ok(PromptText { before: before.to_owned(), after: after.to_owned(), closing });
    }
    let count = text.matches(QUESTION).count();
    Err(format!("it writes the user's last message {count} times, not once"))
}

impl PromptText {
    /// The full prompt: the question in its place, followed by the text written so far.
    pub fn render(&self, question: &str, written: &str) -> String {
        [&self.before, question, &self.after, written].concat()
    }

    /// The tag of a thought that the prompt leaves open, such as `<think>`. Templates of reasoning models may end with
    /// one.
    pub fn open_thought(&self) -> Option<&'static str> {
        answer::extract::open_thought(&self.after)
    }

    /// The solution as the model should learn it. If the prompt opens a thought that the solution does not close, an
    /// empty thought is closed first.
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

    /// The token that ends a turn: the one the template writes after a solution, or in plain text the first end token of
    /// the model's configuration.
    pub fn turn_end(&self, tokenizer: &Tokenizer, config: &ModelConfig) -> Option<u32> {
        let text = self.closing.trim_start();
        let ends = config.end_tokens();
        let ids = tokenizer.encode(text).unwrap_or_default();
        // Only a special token counts, not a word that the template writes there, such as the name of the next speaker.
        let closes = |id: &u32| {
            let special = tokenizer.token_bytes(*id).is_empty() || ends.contains(id);
            special && tokenizer.token(*id).is_some_and(|token| text.starts_with(&token))
        };
        ids.first().copied().filter(closes).or(ends.first().copied())
    }

    /// All tokens that end a solution: the configuration's end tokens and the token that ends a turn.
    pub fn ends(&self, tokenizer: &Tokenizer, config: &ModelConfig) -> Vec<u32> {
        let mut ends = config.end_tokens().to_vec();
        let turn_end = self.turn_end(tokenizer, config);
        ends.extend(turn_end.filter(|end| !ends.contains(end)));
        ends
    }

    /// The token prefix shared by all rendered prompts. The last token before the question is left out, because it may
    /// merge with the first characters of the question.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer fails.
    pub fn shared(&self, tokenizer: &Tokenizer) -> Result<Vec<u32>, Error> {
        let mut ids = tokenizer.encode_whole(&self.before)?;
        ids.pop();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests;
