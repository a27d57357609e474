//! How a question becomes the text that a model continues: plainly, after solved examples, or as a chat.

mod turns;

use lm::{Error, ModelConfig, Tokenizer};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error as TemplateError, ErrorKind, context};
use serde::{Deserialize, Serialize};

/// How a question becomes text, as a preset says it.
///
/// Plainly the text is `system`, every example as `prefix question suffix solution separator`, then
/// `prefix question suffix`. As a chat it is what the template makes of the same parts as messages. Special tokens may be
/// named by their text everywhere; a tokenizer adds none by itself.
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

/// Where the template of a chat comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chat {
    /// The model's own: `chat_template.jinja` or `tokenizer_config.json` in its directory.
    Model,
    /// This one, in Jinja. It sees `messages` (each with `role` and `content`), `add_generation_prompt`, `bos_token` and
    /// `eos_token`.
    Template(String),
}

/// The text around a question, for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptText {
    before: String,
    after: String,
}

/// Operations that a template may take: far more than a chat of a hundred messages needs.
const FUEL: u64 = 1_000_000;
/// The longest text that a template may make, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// Stands for the question while the template is filled in: a character for private use, which no template writes.
const QUESTION: &str = "\u{f8ff}";

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
    /// long, or does not put the question into the text once as it is.
    pub fn prompt(&self, tokenizer: &Tokenizer, config: &ModelConfig) -> Result<PromptText, Error> {
        let token = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).unwrap_or_default();
        let ends = config.end_tokens().first().copied();
        self.around(tokenizer.chat_template(), [token(config.bos_token_id), token(ends)])
    }

    /// The same for a model of which nothing is known here: a chat needs a template of its own, for which `bos_token` and
    /// `eos_token` are empty.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub fn prompt_without_model(&self) -> Result<PromptText, Error> {
        self.around(None, Default::default())
    }

    fn around(&self, own: Option<&str>, ends: [String; 2]) -> Result<PromptText, Error> {
        let refused = |problem: String| Error::Config(format!("chat template: {problem}"));
        let template = match &self.chat {
            None => None,
            Some(Chat::Template(text)) => Some(text.as_str()),
            Some(Chat::Model) if own.is_none() => {
                let problem = "the model has none; give one in `policy.format.chat`";
                return Err(refused(problem.to_owned()));
            }
            Some(Chat::Model) => own,
        };
        let text = match template {
            None => self.plain(),
            Some(template) => self.fill(template, ends).map_err(refused)?,
        };
        let mut around = text.split(QUESTION);
        if let (Some(before), Some(after), None) = (around.next(), around.next(), around.next()) {
            return Ok(PromptText { before: before.to_owned(), after: after.to_owned() });
        }
        let count = text.matches(QUESTION).count();
        Err(refused(format!("it writes the user's last message {count} times, not once")))
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

    /// What a template makes of the messages; the error says what is wrong with it.
    fn fill(&self, template: &str, [bos, eos]: [String; 2]) -> Result<String, String> {
        let message = |role: &str, content: String| context! { role, content };
        let mut messages = Vec::with_capacity(2 * self.examples.len() + 2);
        if !self.system.is_empty() {
            messages.push(message("system", self.system.clone()));
        }
        for solved in &self.examples {
            messages.push(message("user", self.wrapped(&solved.question)));
            messages.push(message("assistant", solved.solution.clone()));
        }
        messages.push(message("user", self.wrapped(QUESTION)));
        let environment = environment();
        let template = environment.template_from_str(template).map_err(|e| told(&e))?;
        let values = context! {
            messages,
            add_generation_prompt => true,
            bos_token => bos,
            eos_token => eos,
        };
        let mut text = Bounded(Vec::new());
        template.render_captured_to(values, &mut text).map_err(|e| told(&e))?;
        String::from_utf8(text.0).map_err(|e| e.to_string())
    }
}

impl PromptText {
    /// The text the model continues: the question in its place, and what has been written.
    pub fn render(&self, question: &str, written: &str) -> String {
        [&self.before, question, &self.after, written].concat()
    }

    /// The tokens that every rendered text begins with. The last one of what comes before a question may be another where
    /// the question goes on from it.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer fails.
    pub fn shared(&self, tokenizer: &Tokenizer) -> Result<Vec<u32>, Error> {
        let mut ids = tokenizer.encode(&self.before)?;
        ids.pop();
        Ok(ids)
    }
}

/// As `transformers` sets it up: blocks take the line end after them and the spaces before them with them, Python's
/// methods of strings are there, and a template may refuse its messages.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the marks of blocks are Jinja's own"));
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    let raise = |message: String| -> Result<String, TemplateError> {
        Err(TemplateError::new(ErrorKind::InvalidOperation, message))
    };
    environment.add_function("raise_exception", raise);
    environment
}

fn told(error: &TemplateError) -> String {
    let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("it does not come to an end in {FUEL} steps"),
        (ErrorKind::WriteFailure, _) => format!("it writes more than {MOST_BYTES} bytes"),
        (kind, Some(detail)) => format!("{kind}: {detail}{line}"),
        (kind, None) => format!("{kind}{line}"),
    }
}

/// A text that does not grow without end.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
