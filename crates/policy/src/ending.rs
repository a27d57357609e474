//! The end of a solution: its answer, or the start of another problem.

use crate::{FinishReason, PolicyConfig, PromptFormat, PromptText};

/// The rules that end a solution, besides the end token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    mark: String,
    /// The start of another problem, such as `\nQuestion:`; used as a stop string.
    pub(crate) next: Option<String>,
    /// The tag of a thought that the prompt leaves open.
    thought: Option<&'static str>,
}

/// The end of a solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    /// Byte offset into the text; the rest is cut off.
    pub(crate) at: usize,
    /// Why it ended there.
    pub(crate) finish: FinishReason,
}

impl Ending {
    pub(crate) fn new(config: &PolicyConfig, prompt: &PromptText) -> Self {
        let next = next_problem(&config.format);
        Self { mark: config.answer_mark.clone(), next, thought: prompt.open_thought() }
    }

    /// Whether a solution contains its complete answer.
    pub(crate) fn answered(&self, solution: &str) -> bool {
        answer::end_of_answer(&self.whole(solution, ""), &self.mark).is_some()
    }

    /// Where `text` ends the solution, given the text before it; `None` if it does not.
    pub(crate) fn over(&self, written: &str, text: &str) -> Option<Over> {
        let whole = self.whole(written, text);
        let answer = answer::end_of_answer(&whole, &self.mark);
        let next = self.next.as_ref().and_then(|next| answer::extract::shown(&whole).find(next));
        let (end, finish) = match (answer, next) {
            // The newline before the next problem may be the one that ends the answer.
            (Some(answer), Some(next)) if next + 1 < answer => (next, FinishReason::End),
            (Some(answer), _) => (answer, FinishReason::Answer),
            (None, next) => (next?, FinishReason::End),
        };
        Some(Over { at: end.saturating_sub(whole.len() - text.len()), finish })
    }

    /// The same for a text that was cut at the token limit. An answer whose line is not finished may lack digits, so it
    /// is dropped; an answer in an unfinished thought is dropped as well.
    pub(crate) fn cut(&self, written: &str, text: &str) -> Option<Over> {
        let whole = self.whole(written, text);
        let before = whole.len() - text.len();
        let thinks = self.thought.is_some() && answer::extract::open_thought(&whole).is_some();
        let at = if thinks {
            before + answer::extract::start_of_answer(text)?
        } else {
            answer::extract::open_answer(&whole, &self.mark)?
        };
        Some(Over { at: at.saturating_sub(before), finish: FinishReason::Length })
    }

    fn whole(&self, written: &str, text: &str) -> String {
        [self.thought.unwrap_or(""), written, text].concat()
    }
}

/// The string that starts another problem: a newline and the beginning of the format's prefix. Base models often write
/// one after their solution. `None` for a chat, which has end-of-turn tokens, and if a solution could plausibly start a
/// line with the same text.
fn next_problem(format: &PromptFormat) -> Option<String> {
    if format.chat.is_some() {
        return None;
    }
    let line = without_marks(&format.prefix);
    let line = line.trim_start_matches('\n').split_inclusive('\n').next()?;
    let text = if line.ends_with('\n') { line } else { line.trim_end() };
    let text = text.trim_start();
    // `Question:` is distinctive. `The` or `- ` could also begin a line of a solution.
    let telling =
        text.ends_with(|c: char| !c.is_alphanumeric()) && text.contains(char::is_alphanumeric);
    telling.then(|| format!("\n{text}"))
}

/// Removes special tokens, which a model does not write as text.
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
            Some((text.get(..over.at).unwrap(), over.finish.name()))
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
        let cut = Over { at: 4, finish: FinishReason::Length };
        assert_eq!(ending.cut("", "Hm.\n#### 3\nSo"), Some(cut), "nobody is graded by a thought");
        assert_eq!(
            ending.over("#### 3\n</think>", "#### 4\n."),
            Some(Over { at: 7, finish: FinishReason::Answer })
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
