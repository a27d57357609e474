//! Checks which questions fit the models' contexts, and reports those that do not.
//!
//! A question fits if every model has room for it and for one option of maximum length. The length of a whole path is not
//! known in advance; a path that runs out of room is cut there.

use std::collections::BTreeSet;

use stage::Failure;

use crate::Error;

/// Room that a question takes in a model's context, before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextUse {
    /// The model: `policy`, `fast policy` or `critic`.
    pub model: &'static str,
    /// Length of the formatted question and context length, both in tokens. `None` if a server's model has no room for
    /// the question but reports no numbers.
    pub of: Option<(usize, usize)>,
}

/// The questions that are too long.
#[derive(Debug, Clone, Default)]
pub struct Fitting {
    questions: usize,
    /// Ids of the questions that are too long, in order.
    too_long: Vec<String>,
    ids: BTreeSet<String>,
    /// The question that exceeds a context by most.
    longest: Option<(String, ContextUse)>,
    /// Tokens to leave for an option.
    room: usize,
}

/// Number of ids listed in a message.
const NAMED: usize = 3;

impl ContextUse {
    /// Number of tokens missing when `room` tokens are to be left.
    fn lacks(self, room: usize) -> usize {
        self.of.map_or(usize::MAX, |(tokens, context)| (tokens + room).saturating_sub(context))
    }

    /// Describes how the question is too long.
    fn told(self, room: usize) -> String {
        let model = self.model;
        match self.of {
            Some((tokens, context)) => format!(
                "{tokens} tokens with the format around it and {room} for an option are more than the {context} of the {model}'s \
                 context"
            ),
            None => format!("with an option it is more than the {model}'s server takes"),
        }
    }
}

impl Fitting {
    /// Checks questions given as (id, text). `taken` returns the room that a question takes in every model whose context
    /// is known; `room` is the number of tokens to leave for an option.
    ///
    /// # Errors
    /// The errors of `taken`.
    pub fn of<'q>(
        questions: impl IntoIterator<Item = (&'q str, &'q str)>,
        room: usize,
        taken: impl Fn(&str) -> Result<Vec<ContextUse>, Error>,
    ) -> Result<Self, Error> {
        let mut fitting = Self { room, ..Self::default() };
        for (id, question) in questions {
            fitting.questions += 1;
            let tightest = taken(question)?.into_iter().max_by_key(|taken| taken.lacks(room));
            let Some(tightest) = tightest.filter(|taken| taken.lacks(room) > 0) else { continue };
            fitting.too_long.push(id.to_owned());
            fitting.ids.insert(id.to_owned());
            let more = |(_, other): &(String, ContextUse)| other.lacks(room) < tightest.lacks(room);
            if fitting.longest.as_ref().is_none_or(more) {
                fitting.longest = Some((id.to_owned(), tightest));
            }
        }
        Ok(fitting)
    }

    /// Whether the question with this id fits all contexts.
    pub fn holds(&self, id: &str) -> bool {
        !self.ids.contains(id)
    }

    /// Number of questions that are too long.
    pub fn too_long(&self) -> usize {
        self.too_long.len()
    }

    /// Warns about the questions that are skipped; `what` names them in the message (`prompts`). If they are more than
    /// half, the settings are probably wrong, so that is an error.
    ///
    /// # Errors
    /// Exit 65 with the counts, the longest question, the context length and advice.
    pub fn require(&self, what: &str) -> Result<(), Failure> {
        let Some((id, taken)) = &self.longest else { return Ok(()) };
        let (long, all, room) = (self.too_long.len(), self.questions, self.room);
        let first = self.too_long.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>();
        let more = long.saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "{long} of {all} {what} are too long for the models: {}{more}. The longest is {id}: {}",
            first.join(", "),
            taken.told(room),
        );
        if 2 * long > all {
            return Err(Failure::data(message).hint(
                "take models with a longer context, shorter prompts, fewer solved examples ([[policy.format.examples]] of \
                 text.toml) or a smaller policy.max_option_tokens",
            ));
        }
        tracing::warn!("{message}: skipped");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks questions of different lengths against contexts of 10 and 12 tokens, one token per character.
    fn fitting(questions: &[&str]) -> Fitting {
        let taken = |question: &str| {
            let of = |model, context| ContextUse { model, of: Some((question.len(), context)) };
            Ok(vec![of("policy", 12), of("critic", 10)])
        };
        Fitting::of(questions.iter().map(|&question| (question, question)), 4, taken).unwrap()
    }

    #[test]
    fn a_question_needs_room_for_an_option_in_every_model() {
        let some = fitting(&["abc", "abcdef", "abcdefg", "ab"]);
        assert!(some.holds("abcdef"), "exactly full");
        assert!(!some.holds("abcdefg"));
        assert_eq!(some.too_long(), 1);
        some.require("prompts").unwrap();
        assert!(fitting(&[]).require("prompts").is_ok());
    }

    #[test]
    fn it_is_an_error_when_most_do_not_fit() {
        let half = fitting(&["abc", "abcdefgh"]);
        half.require("prompts").unwrap();
        let most = fitting(&["abcdefgh", "abcdefghijkl", "ab"]);
        let failure = most.require("prompts").unwrap_err();
        assert_eq!(failure.exit(), stage::Exit::Data);
        let message = failure.to_string();
        for word in [
            "2 of 3 prompts",
            "The longest is abcdefghijkl: 12 tokens",
            "4 for an option",
            "the 10 of the critic's",
        ] {
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_server_may_tell_no_more_than_that_it_is_too_long() {
        let refused = |_: &str| Ok(vec![ContextUse { model: "policy", of: None }]);
        let fitting = Fitting::of([("a", "How many?")], 4, refused).unwrap();
        let message = fitting.require("prompts").unwrap_err().to_string();
        assert!(!fitting.holds("a") && message.contains("the policy's server"), "{message}");
    }

    #[test]
    fn where_no_context_is_known_everything_fits() {
        let unknown = Fitting::of([("a", "How many?")], 99, |_| Ok(Vec::new())).unwrap();
        assert!(unknown.holds("a") && unknown.too_long() == 0);
    }
}
