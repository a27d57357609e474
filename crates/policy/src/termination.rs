//! Option terminations: the paper's function β (§4.3), as rules on the text.

use serde::{Deserialize, Serialize};

/// The rule that ends an option. The end of the text and the answer always end one.
///
/// In terms of the paper's Table 1, token-level search is `{ tokens = 1 }`, and sentence-level search is `sentence`, or
/// `line` if every sentence is on its own line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Termination {
    /// End of a line: the paper's choice for GSM8K.
    Line,
    /// An empty line, that is, the end of a paragraph.
    Paragraph,
    /// End of a paragraph, once the option contains a formula: the paper's choice for MATH. Without a formula the option
    /// continues to the end of the next paragraph. A formula is text between dollar signs, or between `<<` and `>>`.
    Formula,
    /// End of a sentence (a full stop, question mark or exclamation mark followed by a space) or of a line. The space
    /// belongs to whichever sentence the tokenizer's token puts it in.
    Sentence,
    /// A fixed number of tokens, at least 1.
    Tokens(usize),
    /// A string that the model itself writes to end an option: a learned termination.
    Mark(String),
}

/// Sentence endings, with the space that confirms them: `3.5` is not the end of a sentence.
const SENTENCE: [&str; 3] = [". ", "? ", "! "];

impl Termination {
    /// Returns the problem with the rule, if it cannot end an option.
    pub(crate) fn problem(&self, max_option_tokens: usize) -> Option<&'static str> {
        match self {
            Self::Tokens(0) => Some("is of 0 tokens; an option has at least 1"),
            Self::Tokens(count) if *count > max_option_tokens => {
                Some("is of more tokens than max_option_tokens")
            }
            Self::Mark(mark) if mark.is_empty() => Some("has an empty mark"),
            _ => None,
        }
    }

    /// Stop strings for generation. At each one the rule is checked again.
    pub(crate) fn stops(&self) -> Vec<String> {
        let stops: &[&str] = match self {
            Self::Line => &["\n"],
            Self::Paragraph | Self::Formula => &["\n\n"],
            Self::Sentence => &[SENTENCE[0], SENTENCE[1], SENTENCE[2], "\n"],
            Self::Tokens(_) => &[],
            Self::Mark(mark) => return vec![mark.clone()],
        };
        stops.iter().map(|&stop| stop.to_owned()).collect()
    }

    /// Byte offset of the end of the first option; `None` if the rule does not match. Always `None` for
    /// [`Termination::Tokens`], since token boundaries do not show in the text.
    pub(crate) fn end(&self, text: &str) -> Option<usize> {
        match self {
            Self::Line => after(text, "\n"),
            Self::Paragraph => after(text, "\n\n"),
            Self::Formula => {
                let ends = text.match_indices("\n\n").map(|(at, found)| at + found.len());
                ends.filter(|&end| text.get(..end).is_some_and(has_formula)).min()
            }
            Self::Sentence => {
                let sentences = SENTENCE.iter().filter_map(|mark| after(text, mark));
                sentences.chain(after(text, "\n")).min()
            }
            Self::Tokens(_) => None,
            Self::Mark(mark) => after(text, mark),
        }
    }

    /// Splits a text into options, each including its termination.
    pub(crate) fn cut(&self, text: &str) -> Vec<String> {
        let (mut options, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (option, next) = rest.split_at(self.end(rest).unwrap_or(rest.len()));
            options.push(option.to_owned());
            rest = next;
        }
        options
    }
}

/// Groups token texts into sentences. The space after a full stop stays with the token it belongs to.
pub(crate) fn sentences(tokens: &[String]) -> Vec<String> {
    let mut parts = vec![String::new()];
    for token in tokens {
        let last = parts.len() - 1;
        let ended = parts[last].ends_with(['.', '?', '!']) && token.starts_with(' ');
        let spaced = SENTENCE.iter().any(|mark| parts[last].ends_with(mark));
        if ended || spaced || parts[last].ends_with('\n') {
            parts.push(token.clone());
        } else {
            parts[last] += token;
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn after(text: &str, mark: &str) -> Option<usize> {
    text.find(mark).map(|at| at + mark.len())
}

/// Whether a line contains `$...$` or `<<...>>`, the released code's test for a formula.
fn has_formula(text: &str) -> bool {
    text.lines().any(|line| {
        let dollars = line.matches('$').count() >= 2;
        let angles = line.split_once("<<").and_then(|(_, rest)| rest.split_once(">>"));
        dollars || angles.is_some_and(|(inner, _)| !inner.is_empty() && !inner.contains(['<', '>']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATH: &str =
        "We begin.\n\nLet $x = 3$.\n\nNow 3.5 is more. Is it? Yes!\n\nSo <<1+1=2>>2.\n\n#### 2";

    #[test]
    fn texts_are_cut_at_every_rule_and_lose_nothing() {
        let cut = |rule: Termination, text: &str| {
            let options = rule.cut(text);
            assert_eq!(options.concat(), text, "{rule:?}");
            options
        };
        assert_eq!(cut(Termination::Line, "a\nb\n#### 1"), ["a\n", "b\n", "#### 1"]);
        assert_eq!(cut(Termination::Paragraph, MATH).len(), 5);
        assert_eq!(
            cut(Termination::Formula, MATH),
            [
                "We begin.\n\nLet $x = 3$.\n\n",
                "Now 3.5 is more. Is it? Yes!\n\nSo <<1+1=2>>2.\n\n",
                "#### 2"
            ]
        );
        assert_eq!(
            cut(Termination::Sentence, "Now 3.5 is more. Is it? Yes!\n#### 2"),
            ["Now 3.5 is more. ", "Is it? ", "Yes!\n", "#### 2"]
        );
        let mark = Termination::Mark("[end]".to_owned());
        assert_eq!(cut(mark, "one[end]two[end]"), ["one[end]", "two[end]"]);
        assert_eq!(cut(Termination::Tokens(1), "all of it"), ["all of it"]);
        assert!(cut(Termination::Line, "").is_empty());
    }

    #[test]
    fn sentences_take_the_space_that_their_tokens_have() {
        let cut = |text: &str| {
            let tokens: Vec<String> = text.split('|').map(str::to_owned).collect();
            sentences(&tokens).join("|")
        };
        assert_eq!(cut("It| is|.| So|?| Yes|\n|2"), "It is.| So?| Yes\n|2");
        assert_eq!(cut("It| is|. |So 3|.|5|! |Yes"), "It is. |So 3.5! |Yes");
        assert_eq!(cut(""), "");
    }

    #[test]
    fn rules_are_written_in_presets_by_their_names() {
        let read = |text: &str| serde_json::from_str::<Termination>(text).unwrap();
        assert_eq!(read("\"formula\""), Termination::Formula);
        assert_eq!(read("{\"tokens\": 1}"), Termination::Tokens(1));
        assert_eq!(read("{\"mark\": \"[end]\"}"), Termination::Mark("[end]".to_owned()));
        assert!(Termination::Tokens(0).problem(9).is_some());
        assert!(Termination::Tokens(10).problem(9).is_some());
        assert!(Termination::Line.problem(9).is_none());
    }
}
