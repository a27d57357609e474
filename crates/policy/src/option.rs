//! Options as written by a policy, with the tokens they were drawn as.

use lm::Drawn;

use crate::FinishReason;
use crate::draft::Draft;

/// One option within the written text.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The text, with its termination.
    pub text: String,
    /// Its tokens. A token that spans two options belongs to the first.
    pub drawn: Drawn,
}

/// The result of one request: a single option, or the whole rest of a solution.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    /// The text, with its termination.
    pub text: String,
    /// The text split into options; more than one only if the rest of the solution was written.
    pub parts: Vec<Part>,
    /// Tokens generated, which is the cost: including those that only showed that the option had ended, and those cut
    /// off.
    pub tokens: u32,
    /// Whether the solution ends here.
    pub terminal: bool,
    /// Why it ended.
    pub finish: FinishReason,
}

impl Continuation {
    /// Log-probability of the text, in nats, without tokens that only showed the end of the option.
    pub fn logprob(&self) -> f32 {
        self.parts.iter().map(|part| part.drawn.logprob()).sum()
    }

    /// The texts of the parts.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.parts.iter().map(|part| part.text.clone())
    }
}

/// Assigns tokens to the texts they were split into. The last part also gets trailing tokens without text, such as the
/// end token.
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
