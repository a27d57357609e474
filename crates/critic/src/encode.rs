//! A critic's input: the solution with the calculator's findings as marks.

use answer::Finding;
use lm::Tokenizer;
use policy::PromptText;

use crate::{CriticConfig, Error, Head, Marks};

/// The calculator's finding that a critic is shown as a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FindingMark {
    /// For one option.
    Option(Finding),
    /// For the whole solution, after its last option.
    Solution(Finding),
}

/// The findings after each option. With `finished`, the last one is for the whole solution.
fn finding_marks(options: &[String], finished: bool) -> Vec<FindingMark> {
    let mut all: Vec<FindingMark> =
        options.iter().map(|option| FindingMark::Option(answer::finding(option))).collect();
    if let Some(last) = all.last_mut().filter(|_| finished) {
        // Unlike the last option's finding, this one also checks the answer against the last claim.
        *last = FindingMark::Solution(answer::verdict(&options.concat()));
    }
    all
}

impl CriticConfig {
    /// For each option of a finished solution, the marks that the critic has read when it scores that option, in order.
    /// If two scores have the same marks, any difference between them comes from the critic itself and not from the
    /// calculator.
    pub fn shown(&self, options: &[String]) -> Vec<Vec<&str>> {
        let mut marks = Vec::with_capacity(options.len());
        let mut read = |mark: FindingMark| {
            marks.push(match mark {
                FindingMark::Option(finding) => self.option.of(finding),
                FindingMark::Solution(finding) => self.solution.of(finding),
            });
            marks.clone()
        };
        finding_marks(options, true).into_iter().map(&mut read).collect()
    }

    /// The same for a head that is answered in words. Each text is read on its own, so it contains at most one mark.
    pub fn shown_in_words(&self, head: Head, options: &[String]) -> Vec<Vec<&str>> {
        let asked = self.words.get(&head).is_some_and(|words| words.template.contains("{finding}"));
        let last = |read: Vec<_>| read.into_iter().next_back().filter(|_| asked);
        self.shown(options).into_iter().map(|read| last(read).into_iter().collect()).collect()
    }
}

/// Token ids of [`Marks`].
#[derive(Debug, Clone, Copy)]
struct MarkIds {
    holds: u32,
    fails: u32,
    nothing: u32,
}

/// Tokenizes solutions for a critic.
#[derive(Debug, Clone)]
pub struct Encoder {
    tokenizer: Tokenizer,
    prompt: PromptText,
    option: MarkIds,
    solution: MarkIds,
}

/// A tokenized solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) ids: Vec<u32>,
    /// Index of the question's last token, where the root value is read.
    pub(crate) root: usize,
    /// Index of the mark after each option, where the value and PRM heads are read; the ORM head is read at the last one.
    pub(crate) marks: Vec<usize>,
}

impl Encoder {
    /// An encoder for models with this tokenizer.
    ///
    /// # Errors
    /// [`Error::Model`] if a mark is not exactly one token.
    pub fn new(
        tokenizer: &Tokenizer,
        prompt: &PromptText,
        config: &CriticConfig,
    ) -> Result<Self, Error> {
        let ids = |marks: &Marks| {
            Ok::<_, Error>(MarkIds {
                holds: tokenizer.word(&marks.holds)?,
                fails: tokenizer.word(&marks.fails)?,
                nothing: tokenizer.word(&marks.nothing)?,
            })
        };
        Ok(Self {
            option: ids(&config.option)?,
            solution: ids(&config.solution)?,
            prompt: prompt.clone(),
            tokenizer: tokenizer.clone(),
        })
    }

    /// The token prefix shared by all inputs.
    pub(crate) fn shared(&self) -> Result<Vec<u32>, Error> {
        Ok(self.prompt.shared(&self.tokenizer)?)
    }

    /// Encodes a question and its options. `finished` says whether the last option ends the solution.
    pub(crate) fn encode(
        &self,
        question: &str,
        options: &[String],
        finished: bool,
    ) -> Result<Encoded, Error> {
        let mut ids = self.tokenizer.encode_whole(&self.prompt.render(question, ""))?;
        let root = ids.len().saturating_sub(1);
        let mut marks = Vec::with_capacity(options.len());
        for (option, mark) in options.iter().zip(finding_marks(options, finished)) {
            // Options are tokenized one by one, so that a partial solution is a token prefix of the whole and can share
            // its KV cache.
            ids.extend(self.tokenizer.encode_after(option)?);
            ids.push(match mark {
                FindingMark::Option(finding) => self.option.of(finding),
                FindingMark::Solution(finding) => self.solution.of(finding),
            });
            marks.push(ids.len() - 1);
        }
        Ok(Encoded { ids, root, marks })
    }
}

impl MarkIds {
    fn of(self, finding: Finding) -> u32 {
        match finding {
            Finding::Holds => self.holds,
            Finding::Fails => self.fails,
            Finding::Nothing => self.nothing,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use policy::PromptFormat;

    use super::*;
    use crate::Words;

    pub(crate) fn config() -> CriticConfig {
        let marks = |kind: &str| Marks {
            holds: format!("<|{kind}-holds|>"),
            fails: format!("<|{kind}-fails|>"),
            nothing: format!("<|{kind}-nothing|>"),
        };
        CriticConfig {
            option: marks("option"),
            solution: marks("solution"),
            words: BTreeMap::new(),
        }
    }

    fn prompt() -> PromptText {
        let format = PromptFormat {
            prefix: "<|bos|>".to_owned(),
            suffix: "<|answer|>".to_owned(),
            ..PromptFormat::default()
        };
        let model = serde_json::from_value(serde_json::json!({
            "model_type": "llama", "vocab_size": 300, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 1, "max_position_embeddings": 8, "rms_norm_eps": 1e-5,
        }));
        format.prompt(&tokenizer(), &model.unwrap()).unwrap()
    }

    pub(crate) fn tokenizer() -> Tokenizer {
        let config = config();
        let marks = [config.option, config.solution].map(|m| [m.holds, m.fails, m.nothing]);
        let special = ["<|bos|>", "<|eos|>", "<|answer|>"].map(str::to_owned);
        let special: Vec<String> = special.into_iter().chain(marks.concat()).collect();
        Tokenizer::train(["2 + 3 = 5 apples.\n#### 5"].into_iter(), 300, &special).unwrap()
    }

    #[test]
    fn the_findings_stand_after_the_options_they_are_of() {
        let tokenizer = tokenizer();
        let encoder = Encoder::new(&tokenizer, &prompt(), &config()).unwrap();
        let options =
            ["Tom has 2 + 3 = 5.\n", "So 5 * 2 = 11.\n", "Well.\n", "#### 11"].map(str::to_owned);
        let encoded = encoder.encode("How many?", &options, true).unwrap();
        let mark = |i: usize| tokenizer.token(encoded.ids[encoded.marks[i]]).unwrap();
        let marks: Vec<String> = (0..4).map(mark).collect();
        let expected =
            ["<|option-holds|>", "<|option-fails|>", "<|option-nothing|>", "<|solution-fails|>"];
        assert_eq!(marks, expected);
        assert_eq!(tokenizer.token(encoded.ids[encoded.root]).unwrap(), "<|answer|>");
        let open = encoder.encode("How many?", &options[..1], false).unwrap();
        assert_eq!(open.ids[..], encoded.ids[..=encoded.marks[0]], "a prefix reads the same");
    }

    /// Figures group scores by exactly the marks that the critic's input contains.
    #[test]
    fn what_a_critic_was_shown_are_all_marks_up_to_its_judgement() {
        let (tokenizer, config) = (tokenizer(), config());
        let encoder = Encoder::new(&tokenizer, &prompt(), &config).unwrap();
        let options = ["Tom has 2 + 3 = 5.\n", "So 5 * 2 = 11.\n", "Well.\n", "#### 11"];
        let options = options.map(str::to_owned);
        let encoded = encoder.encode("How many?", &options, true).unwrap();
        let read: Vec<String> =
            encoded.marks.iter().map(|&at| tokenizer.token(encoded.ids[at]).unwrap()).collect();
        let shown = config.shown(&options);
        for (i, shown) in shown.iter().enumerate() {
            assert_eq!(shown[..], read[..=i]);
        }
        // The same line after a different first line, in a different solution, has different marks.
        let other = [options[1].clone(), options[1].clone(), "#### 11".to_owned()];
        assert_ne!(config.shown(&other)[1], shown[1]);
        let blind = Marks {
            holds: "<|option|>".to_owned(),
            fails: "<|option|>".to_owned(),
            nothing: "<|option|>".to_owned(),
        };
        let blind = CriticConfig { option: blind.clone(), solution: blind, ..config };
        assert_eq!(blind.shown(&other)[1], blind.shown(&options)[1], "it was told nothing");
    }

    #[test]
    fn a_critic_in_words_is_shown_one_finding_if_its_text_has_a_place_for_it() {
        let words = |template: &str| Words {
            template: template.to_owned(),
            yes: "y".to_owned(),
            no: "n".to_owned(),
        };
        let all = [(Head::Value, "{solution}?"), (Head::Prm, "{before}{option}{finding}?")];
        let words = all.map(|(head, text)| (head, words(text))).into();
        let config = CriticConfig { words, ..config() };
        let options = ["Tom has 2 + 3 = 5.\n", "#### 6"].map(str::to_owned);
        let none: Vec<Vec<&str>> = vec![vec![], vec![]];
        assert_eq!(config.shown_in_words(Head::Value, &options), none);
        let last = [vec!["<|option-holds|>"], vec!["<|solution-fails|>"]];
        assert_eq!(config.shown_in_words(Head::Prm, &options), last);
    }

    #[test]
    fn a_mark_of_several_tokens_is_refused() {
        let mut config = config();
        config.option.holds = "[arithmetic holds]".to_owned();
        let error = Encoder::new(&tokenizer(), &prompt(), &config).unwrap_err().to_string();
        assert!(error.contains("`[arithmetic holds]` is"), "{error}");
    }
}
