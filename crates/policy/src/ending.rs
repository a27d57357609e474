//! Where a solution is over: at its answer, or where the model begins another problem.

use crate::{PolicyConfig, PromptFormat, PromptText};

/// What ends the solutions of a policy, beside the end token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    mark: String,
    /// What the next problem would begin with.
    pub(crate) next: Option<String>,
    /// The thought that the prompt opens.
    thought: Option<&'static str>,
}

/// Where something that was written is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    /// In bytes of it; what comes after is cut off.
    pub(crate) at: usize,
    /// Why: `answer`, `end` or `length`.
    pub(crate) stop: &'static str,
}

impl Ending {
    pub(crate) fn new(config: &PolicyConfig, prompt: &PromptText) -> Self {
        let next = next_problem(&config.format);
        Self { mark: config.answer_mark.clone(), next, thought: prompt.open_thought() }
    }

    /// Whether a solution has its answer, and the whole of it.
    pub(crate) fn answered(&self, solution: &str) -> bool {
        answer::end_of_answer(&self.whole(solution, ""), &self.mark).is_some()
    }

    /// Where a text after what was written before is over, if it is.
    pub(crate) fn over(&self, written: &str, text: &str) -> Option<Over> {
        let whole = self.whole(written, text);
        let answer = answer::end_of_answer(&whole, &self.mark);
        let next = self.next.as_ref().and_then(|next| answer::extract::shown(&whole).find(next));
        let (end, stop) = match (answer, next) {
            // The line end before a problem may be that of the answer.
            (Some(answer), Some(next)) if next + 1 < answer => (next, "end"),
            (Some(answer), _) => (answer, "answer"),
            (None, next) => (next?, "end"),
        };
        Some(Over { at: end.saturating_sub(whole.len() - text.len()), stop })
    }

    /// The same for a text that was cut for its length: an answer whose line goes on may lack digits, so it is none, and nor
    /// is one in a thought that comes to no end.
    pub(crate) fn cut(&self, written: &str, text: &str) -> Option<Over> {
        let whole = self.whole(written, text);
        let before = whole.len() - text.len();
        let thinks = self.thought.is_some() && answer::extract::open_thought(&whole).is_some();
        let at = if thinks {
            before + answer::extract::start_of_answer(text)?
        } else {
            answer::extract::open_answer(&whole, &self.mark)?
        };
        Some(Over { at: at.saturating_sub(before), stop: "length" })
    }

    fn whole(&self, written: &str, text: &str) -> String {
        [self.thought.unwrap_or(""), written, text].concat()
    }
}

/// What a model writes that goes on with another problem after its solution: a line that begins as the format begins its
/// questions. None for a chat, which ends its turns, and where that would be a word that a solution may begin with.
fn next_problem(format: &PromptFormat) -> Option<String> {
    if format.chat.is_some() {
        return None;
    }
    let line = without_marks(&format.prefix);
    let line = line.trim_start_matches('\n').split_inclusive('\n').next()?;
    let text = if line.ends_with('\n') { line } else { line.trim_end() };
    let text = text.trim_start();
    let telling =
        text.ends_with(|c: char| !c.is_alphanumeric()) && text.contains(char::is_alphanumeric);
    telling.then(|| format!("\n{text}"))
}

/// A text without its special tokens, which a model does not write as text.
fn without_marks(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("<|") {
        let Some((_, next)) = after.split_once("|>") else { break };
        plain += before;
        rest = next;
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(next: Option<&str>, thought: Option<&'static str>) -> Ending {
        Ending { mark: "####".to_owned(), next: next.map(str::to_owned), thought }
    }

    #[test]
    fn a_solution_is_over_at_its_answer_or_before_the_next_problem() {
        let ending = ending(Some("\nQuestion:"), None);
        let over = |written, text: &'static str| {
            let over = ending.over(written, text)?;
            Some((text.get(..over.at).unwrap(), over.stop))
        };
        assert_eq!(over("", "It is 5.\n#### 5"), None, "or 50");
        assert_eq!(
            over("", "It is.\n#### 5\n\nQuestion: And"),
            Some(("It is.\n#### 5\n", "answer"))
        );
        assert_eq!(over("", "#### 5\nQuestion: And"), Some(("#### 5\n", "answer")));
        assert_eq!(over("", "It is 5.\n\nQuestion: And\n#### 6\n"), Some(("It is 5.\n", "end")));
        assert_eq!(over("It is.\n#### 1", "8 apples\nSo"), Some(("8 apples\n", "answer")));
        assert_eq!(over("It is 5.\n", "Question: And"), Some(("", "end")));
        assert_eq!(over("", "Question: How many?\n"), None, "what it was asked");
        assert_eq!(over("", "#### Step 1: add\n2 + 3\n"), None);
        assert!(ending.answered("#### 5\n") && !ending.answered("#### 5"));
    }

    #[test]
    fn nothing_is_over_in_a_thought() {
        let ending = ending(None, Some("<think>"));
        assert_eq!(ending.over("", "#### 3\n"), None);
        let cut = Over { at: 4, stop: "length" };
        assert_eq!(ending.cut("", "Hm.\n#### 3\nSo"), Some(cut), "nobody is graded by a thought");
        assert_eq!(
            ending.over("#### 3\n</think>", "#### 4\n."),
            Some(Over { at: 7, stop: "answer" })
        );
    }

    #[test]
    fn the_next_problem_begins_as_questions_do() {
        let of = |prefix: &str| {
            next_problem(&PromptFormat { prefix: prefix.to_owned(), ..PromptFormat::default() })
        };
        assert_eq!(of("Question: ").as_deref(), Some("\nQuestion:"));
        assert_eq!(of("<|bos|>Q: ").as_deref(), Some("\nQ:"));
        assert_eq!(of("\n## Problem\nSolve it: ").as_deref(), Some("\n## Problem\n"));
        for none in ["<|bos|>", "", "  ", "The", "- "] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
