//! What ends an option: the paper's termination function beta (§4.3), by rule.

use serde::{Deserialize, Serialize};

/// What ends an option. The end of the text and the answer always do.
///
/// Table 1 of the paper: token-level search is `{ tokens = 1 }`, sentence-level search is `sentence`, or
/// `line` where every sentence has a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Termination {
    /// The end of a line: the paper's choice for GSM8K.
    Line,
    /// An empty line, which ends a paragraph.
    Paragraph,
    /// The end of a paragraph with a formula in the option, the paper's choice for MATH: without one the
    /// option goes on to the end of the next paragraph. A formula is what stands between dollar signs, or
    /// between `<<` and `>>`.
    Formula,
    /// The end of a sentence (a full stop, question or exclamation mark before a space) or of a line. The space is the
    /// sentence's or the next one's, as the tokenizer has it.
    Sentence,
    /// So many tokens, at least 1.
    Tokens(usize),
    /// A text that the model writes where it holds that an option ends: a termination that is learned.
    Mark(String),
}

/// What ends a sentence, with the space that shows it.
const SENTENCE: [&str; 3] = [". ", "? ", "! "];

impl Termination {
    /// Why no option could end so, if that is so.
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

    /// The texts at which a model is to stop, to see whether the option is at its end.
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

    /// Where the first option of a text ends, in bytes; `None` if it does not end by this rule.
    /// [`Termination::Tokens`] never does: a text does not show its tokens.
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

    /// Cuts a text into options, each with its termination.
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

/// Cuts the texts of tokens into sentences. A space after the full stop goes with the token that it is a part of.
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

/// Whether a text holds `$...$` or `<<...>>` within a line, as the released code looks for formulas.
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
