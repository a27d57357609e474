//! Special tokens that a preset names by their text. A model that lacks one would tokenize it as plain text.

use lm::{Error, Tokenizer};

use super::PromptFormat;

/// Common special tokens that are not written between `<|` and `|>`.
const OTHERS: [&str; 6] = ["<s>", "</s>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"];
/// The delimiters of special tokens.
const BARS: [[&str; 2]; 2] = [["<|", "|>"], ["<\u{ff5c}", "\u{ff5c}>"]];
/// Number of the model's own special tokens that an error lists.
const MOST_NAMED: usize = 8;

/// The special tokens named in a text, sorted and without duplicates.
pub(crate) fn named_marks(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for [open, close] in BARS {
        for piece in text.split(open).skip(1) {
            let name = piece.split_once(close).map(|(name, _)| name);
            let name = name.filter(|name| !name.is_empty() && !name.contains(char::is_whitespace));
            found.extend(name.map(|name| [open, name, close].concat()));
        }
    }
    let others = OTHERS.iter().filter(|other| text.contains(**other));
    found.extend(others.map(|&other| other.to_owned()));
    found.sort();
    found.dedup();
    found
}

/// Returns an error message if the text names a special token that the model lacks. `key` is the preset's key for the
/// text.
pub fn unknown_marks(key: &str, text: &str, tokenizer: &Tokenizer) -> Option<String> {
    let unknown = named_marks(text).into_iter().find(|mark| tokenizer.id(mark).is_none())?;
    let special = (0..tokenizer.len() as u32).filter(|&id| tokenizer.token_bytes(id).is_empty());
    let named: Vec<String> =
        special.filter_map(|id| tokenizer.token(id)).take(MOST_NAMED).collect();
    let has = if named.is_empty() { "none".to_owned() } else { named.join(" ") };
    Some(format!(
        "`{key}`: `{unknown}` is no token of the model and would go in as text; its special tokens are {has}"
    ))
}

impl PromptFormat {
    /// The texts of the format, with their keys in the preset.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let examples = self.examples.iter().flat_map(|example| {
            let question = ("policy.format.examples.question", example.question.as_str());
            [question, ("policy.format.examples.solution", example.solution.as_str())]
        });
        let own = [
            ("policy.format.prefix", self.prefix.as_str()),
            ("policy.format.suffix", self.suffix.as_str()),
            ("policy.format.system", self.system.as_str()),
            ("policy.format.separator", self.separator.as_str()),
        ];
        own.into_iter().chain(examples)
    }

    /// Checks that the model has the special tokens the preset names. For the chat template this is only a warning, since
    /// some models were trained on templates whose marks are plain text.
    pub(super) fn known_marks(&self, tokenizer: &Tokenizer) -> Result<(), Error> {
        let mut unknown =
            self.texts().filter_map(|(key, text)| unknown_marks(key, text, tokenizer));
        if let Some(problem) = unknown.next() {
            return Err(Error::Config(problem));
        }
        let template = self.chat.as_ref().and_then(|chat| chat.template.as_deref());
        let key = "policy.format.chat.template";
        if let Some(problem) = template.and_then(|text| unknown_marks(key, text, tokenizer)) {
            tracing::warn!("{problem}");
        }
        Ok(())
    }
}
