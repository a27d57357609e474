//! Turns rows into training data: tokens, or text for another program.

use lm::train::{Example, Pair};
use lm::{Checkpoint, Tokenizer};
use policy::{PromptFormat, PromptText};
use stage::{Failure, ResultExt};

use crate::external::Line;
use crate::training::{self, NamedRow};
use crate::training_text::{PairText, SolutionText, TrainingText};

/// Formats rows with a model's tokenizer and prompt.
pub(crate) struct Writer {
    tokenizer: Tokenizer,
    prompt: PromptText,
    end: u32,
    /// The model's context, in tokens.
    limit: usize,
}

impl Writer {
    /// Creates a writer. If anything is learned, also makes the end token that is learned the checkpoint's first.
    pub(crate) fn first(
        checkpoint: &mut Checkpoint,
        format: &PromptFormat,
        learns: bool,
    ) -> Result<Self, Failure> {
        let writer = Self::new(checkpoint, format)?;
        if learns {
            // Readers of the saved checkpoint take the first end token for the one that ends a turn.
            checkpoint.config = checkpoint.config.clone().ending_first(writer.end);
        }
        Ok(writer)
    }

    fn new(checkpoint: &Checkpoint, format: &PromptFormat) -> Result<Self, Failure> {
        let prompt =
            format.prompt(&checkpoint.tokenizer, &checkpoint.config).or_config("text.toml")?;
        let end = prompt.turn_end(&checkpoint.tokenizer, &checkpoint.config);
        let end =
            end.ok_or_else(|| Failure::data("the checkpoint's config.json has no eos_token_id"))?;
        let limit = checkpoint.config.max_position_embeddings;
        Ok(Self { tokenizer: checkpoint.tokenizer.clone(), prompt, end, limit })
    }

    /// The part of the texts that fits the model's context, and the number of rows and pairs that do not.
    pub(crate) fn fitting(&self, texts: TrainingText) -> Result<(TrainingText, usize), Failure> {
        let rows = |rows: Vec<SolutionText>| {
            let examples = self.examples(&rows)?;
            let rows = rows.into_iter().zip(examples);
            let named = rows.map(|(row, example)| NamedRow {
                name: row.name.clone(),
                tokens: example.ids.len(),
                row,
            });
            training::fitting(named.collect(), self.limit)
        };
        let (rows, validation) = (rows(texts.rows)?, rows(texts.validation)?);
        let pairs = self.pairs(&texts.pairs)?;
        // A pair only fits if both of its solutions do.
        let pairs = texts.pairs.into_iter().zip(pairs).map(|(text, pair)| NamedRow {
            name: text.name.clone(),
            tokens: pair.chosen.len().max(pair.rejected.len()),
            row: text,
        });
        let pairs = training::fitting(pairs.collect(), self.limit)?;
        let too_long = rows.1 + validation.1 + pairs.1;
        Ok((TrainingText { rows: rows.0, pairs: pairs.0, validation: validation.0 }, too_long))
    }

    /// The chat template with which other programs render a conversation to the same text.
    pub(crate) fn chat_template(&self, format: &PromptFormat) -> Option<String> {
        let end = self.tokenizer.token(self.end).unwrap_or_default();
        format.chat_template(self.tokenizer.chat_template(), &end)
    }

    /// The rows as tokens; only the solution's tokens are targets.
    pub(crate) fn examples(&self, rows: &[SolutionText]) -> Result<Vec<Example>, Failure> {
        let example = |row: &SolutionText| {
            let mut ids = self.prompt(&row.question)?;
            let targets_from = Some(ids.len());
            ids.extend(self.solution(&row.solution)?);
            Ok(Example { ids, targets_from, heads: Vec::new(), weight: row.weight })
        };
        rows.iter().map(example).collect()
    }

    /// The number of tokens in `rows`.
    pub(crate) fn tokens(&self, rows: &[SolutionText]) -> Result<usize, Failure> {
        Ok(self.examples(rows)?.iter().map(|example| example.ids.len()).sum())
    }

    /// The pairs as tokens; only the solutions' tokens are compared.
    pub(crate) fn pairs(&self, pairs: &[PairText]) -> Result<Vec<Pair>, Failure> {
        let pair = |pair: &PairText| {
            let prompt = self.prompt(&pair.question)?;
            let [chosen, rejected] = [&pair.chosen, &pair.rejected].map(|text| self.solution(text));
            Ok(Pair {
                chosen: [&prompt[..], &chosen?].concat(),
                rejected: [&prompt[..], &rejected?].concat(),
                targets_from: prompt.len(),
            })
        };
        pairs.iter().map(pair).collect()
    }

    /// The tokens before a solution.
    fn prompt(&self, question: &str) -> Result<Vec<u32>, Failure> {
        self.tokenizer.encode_whole(&self.prompt.render(question, "")).or_data("tokenizer")
    }

    /// The tokens of a solution, ending in the end token.
    fn solution(&self, solution: &str) -> Result<Vec<u32>, Failure> {
        let solution = self.prompt.learned(solution);
        // Tokenized apart from the prompt, as in generation, where the prompt's tokens are fixed before the solution begins.
        let mut ids = self.tokenizer.encode_after(&solution).or_data("tokenizer")?;
        ids.push(self.end);
        Ok(ids)
    }

    /// The rows as text.
    pub(crate) fn lines(&self, rows: &[SolutionText]) -> Result<Vec<Line>, Failure> {
        let end = self.tokenizer.token(self.end);
        let end =
            end.ok_or_else(|| Failure::data("the end token has no entry in tokenizer.json"))?;
        let line = |row: &SolutionText| Line {
            prompt: self.prompt.render(&row.question, ""),
            completion: [&*self.prompt.learned(&row.solution), &end].concat(),
            weight: row.weight,
        };
        Ok(rows.iter().map(line).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use decoding::TextConfig;
    use schema::{Message, Preference};
    use stage::Preset;

    use super::*;

    /// One of three problems is too long to read. It is left out and the others stay as they are.
    #[test]
    fn what_the_model_cannot_read_is_left_out() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/base/policy");
        let checkpoint = Checkpoint::load(&dir, &lm::device::cpu()).unwrap();
        let text = dir.join("../../../pipelines/smoke/text.toml");
        let text: Preset<TextConfig> = stage::load(&text, &[]).unwrap();
        let writer = Writer::new(&checkpoint, &text.value.policy.format).unwrap();
        let row = |name: &str, times: usize| SolutionText {
            name: name.to_owned(),
            question: "How many? ".repeat(times),
            solution: "2 + 2 = 4\n#### 4".to_owned(),
            weight: 1.0,
        };
        let pair = |name: &str, times: usize| PairText {
            name: name.to_owned(),
            question: "How many?".to_owned(),
            chosen: "4".to_owned(),
            rejected: "5 ".repeat(times),
        };
        let texts = |rows| TrainingText {
            rows,
            pairs: vec![pair("short", 1), pair("long", 9000)],
            validation: vec![row("v", 1)],
        };
        let all = texts(vec![row("a", 1), row("b", 9000), row("c", 2)]);
        let (fitting, too_long) = writer.fitting(all).unwrap();
        let names: Vec<&str> = fitting.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!((names, too_long), (vec!["a", "c"], 2));
        assert_eq!((fitting.pairs.len(), fitting.validation.len()), (1, 1));
        let most = texts(vec![row("seeds: problem b", 9000)]);
        let error = writer.fitting(most).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("1 of 1 rows") && error.contains("seeds: problem b has"), "{error}");
    }

    /// The first end token of the configuration need not be the one with which the chat template ends a turn.
    #[test]
    fn the_end_of_a_turn_is_learned_and_a_thought_is_closed() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/base/policy");
        let mut checkpoint = Checkpoint::load(&dir, &lm::device::cpu()).unwrap();
        let ends = checkpoint.config.end_tokens().to_vec();
        let template = "{% for m in messages %}{{ m.content }}<|pad|>\n{% endfor %}\
                        {% if add_generation_prompt %}<think>\n{% endif %}";
        let chat = Some(policy::Chat::template(template));
        let format = PromptFormat { chat, ..PromptFormat::default() };
        Writer::first(&mut checkpoint, &format, false).unwrap();
        assert_eq!(checkpoint.config.end_tokens(), ends, "nothing is learned");
        let writer = Writer::first(&mut checkpoint, &format, true).unwrap();
        let pad = checkpoint.tokenizer.id("<|pad|>").unwrap();
        assert_eq!(checkpoint.config.end_tokens(), [&[pad][..], &ends].concat());
        let (question, solution) = ("How many?".to_owned(), "2 + 2 = 4\n#### 4".to_owned());
        let rows = [SolutionText { name: "a".to_owned(), question, solution, weight: 1.0 }];
        let example = writer.examples(&rows).unwrap().remove(0);
        assert_eq!(example.ids.last(), Some(&pad));
        let learned = checkpoint.tokenizer.decode(&example.ids[example.targets_from.unwrap()..]);
        assert_eq!(learned, "\n</think>\n\n2 + 2 = 4\n#### 4");
        let line = writer.lines(&rows).unwrap().remove(0);
        assert_eq!(line.completion, "\n</think>\n\n2 + 2 = 4\n#### 4<|pad|>");
        assert!(line.prompt.ends_with("<|pad|>\n<think>\n"), "{}", line.prompt);
    }

    #[test]
    fn a_pair_becomes_two_rows_with_one_prompt() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/base/policy");
        let checkpoint = Checkpoint::load(&dir, &lm::device::cpu()).unwrap();
        let text = dir.join("../../../pipelines/smoke/text.toml");
        let text: Preset<TextConfig> = stage::load(&text, &[]).unwrap();
        let writer = Writer::new(&checkpoint, &text.value.policy.format).unwrap();
        let row = Preference {
            prompt: vec![Message::user("How many?")],
            chosen: vec![Message::assistant("2 + 2 = 4\n#### 4")],
            rejected: vec![Message::assistant("5\n#### 5")],
            ..Preference::default()
        };
        let pairs = writer.pairs(&[PairText::of(&row, &dir)]).unwrap();
        let [pair] = &pairs[..] else { panic!("{pairs:?}") };
        for (ids, solution) in [(&pair.chosen, "2 + 2 = 4\n#### 4"), (&pair.rejected, "5\n#### 5")]
        {
            let row = SolutionText {
                name: String::new(),
                question: "How many?".to_owned(),
                solution: solution.to_owned(),
                weight: 1.0,
            };
            let example = writer.examples(&[row]).unwrap().remove(0);
            assert_eq!((ids, Some(pair.targets_from)), (&example.ids, example.targets_from));
            assert_eq!(ids.last(), Some(&writer.end));
        }
    }
}
