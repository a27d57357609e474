//! What a policy writes: options, with the tokens they were drawn as.

use lm::Drawn;

use crate::draft::Draft;

/// An option as it was drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The text, with its termination.
    pub text: String,
    /// Its tokens. One that ends this option and begins the next is this one's.
    pub drawn: Drawn,
}

/// What was written: one option, or all that was missing.
#[derive(Debug, Clone, PartialEq)]
pub struct TextOption {
    /// The text, with its termination.
    pub text: String,
    /// The text as options: more than one where all that was missing was written.
    pub parts: Vec<Part>,
    /// Tokens written, with those that only showed that the option had ended and those that were cut off: what it cost.
    pub tokens: u32,
    /// Whether the solution is at its end.
    pub terminal: bool,
    /// Why it ended: `end`, `answer`, `termination` or `length`.
    pub stop: &'static str,
}

/// Whether a text that ended for the reason `stop` ended for itself: one that was cut for its length did not.
#[must_use]
pub fn ended(stop: &str) -> bool {
    stop != "length"
}

impl TextOption {
    /// Log-probability of its text, in nats: without what only showed that it had ended.
    pub fn logprob(&self) -> f32 {
        self.parts.iter().map(|part| part.drawn.logprob()).sum()
    }

    /// The texts of the parts.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.parts.iter().map(|part| part.text.clone())
    }
}

/// Gives the texts that some tokens were cut into their tokens: the last also those without a text, such as the end.
pub(crate) fn aligned(texts: Vec<String>, draft: &Draft) -> Vec<Part> {
    let drawn = &draft.drawn;
    let (count, mut parts) = (texts.len(), Vec::with_capacity(texts.len()));
    let (mut from, mut read, mut end) = (0, 0, 0);
    for (i, text) in texts.into_iter().enumerate() {
        end += text.len();
        let mut to = from;
        while to < drawn.ids.len() && (read < end || i + 1 == count) {
            read += draft.bytes[to].len();
            to += 1;
        }
        let of_text = Drawn {
            ids: drawn.ids[from..to].to_vec(),
            logprobs: drawn.logprobs[from..to].to_vec(),
        };
        parts.push(Part { text, drawn: of_text });
        from = to;
    }
    parts
}
