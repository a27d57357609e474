//! Something that proposes options: the local language model, behind text.
//!
//! A state is a prompt and the text written so far; an option is the text up to a termination
//! (AlphaLLM §4.3). The policy does not know what an answer is worth. What it has read it keeps where
//! the caller says: the same requests with the same seeds are the same options.

use lm::engine::{GenerationRequest, Stop, StopReason};
use lm::prefix::scope_of;
use lm::{Engine, Error, Prefixes, Sampling};
use serde::{Deserialize, Serialize};

/// How a question becomes the text the model continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFormat {
    /// Put before the question; special tokens may be named by their text.
    pub prefix: String,
    /// Put between the question and the solution.
    pub suffix: String,
}

impl PromptFormat {
    /// The text the model continues: `prefix question suffix written`.
    pub fn render(&self, question: &str, written: &str) -> String {
        [&self.prefix, question, &self.suffix, written].concat()
    }
}

/// What ends an option (AlphaLLM §4.3, beta). The end of the text and the answer always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Termination {
    /// The end of a line: the paper's choice for GSM8K.
    Line,
    /// An empty line, which ends a paragraph.
    Paragraph,
}

impl Termination {
    fn mark(self) -> &'static str {
        match self {
            Self::Line => "\n",
            Self::Paragraph => "\n\n",
        }
    }

    /// Cuts a text into options, each with its termination.
    pub fn cut(self, text: &str) -> Vec<String> {
        text.split_inclusive(self.mark()).map(str::to_owned).collect()
    }
}

/// How a policy writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// How a question becomes the text to continue.
    pub format: PromptFormat,
    /// What ends an option.
    pub termination: Termination,
    /// The mark of the final answer: an option that holds it is terminal.
    pub answer_mark: String,
    /// The most tokens of one option; what is longer is cut.
    pub max_option_tokens: usize,
    /// The most tokens of a completion to the end.
    pub max_solution_tokens: usize,
}

/// A state to go on from.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRequest<'a> {
    /// The question.
    pub question: &'a str,
    /// What has been written of the solution.
    pub written: String,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Whether to write to the end of the solution instead of one option.
    pub to_end: bool,
    /// Seed of the draws.
    pub seed: u64,
}

/// What was written: one option, or all that was missing.
#[derive(Debug, Clone, PartialEq)]
pub struct TextOption {
    /// The text, with its termination.
    pub text: String,
    /// Tokens written.
    pub tokens: u32,
    /// Log-probability of the text, in nats.
    pub logprob: f32,
    /// Whether the solution is at its end.
    pub terminal: bool,
    /// Why it ended: `end`, `answer`, `termination` or `length`.
    pub stop: &'static str,
}

/// A language model that writes options.
#[derive(Debug)]
pub struct Policy {
    engine: Engine,
    config: PolicyConfig,
}

impl Policy {
    /// A policy over a model.
    ///
    /// # Errors
    /// [`Error::Config`] when the model has no end token: solutions would never end.
    pub fn new(engine: Engine, config: PolicyConfig) -> Result<Self, Error> {
        if engine.config().eos_token_id.is_none() {
            let problem = "eos_token_id is missing: without it no solution ends";
            return Err(Error::Config(problem.to_owned()));
        }
        Ok(Self { engine, config })
    }

    /// How the policy writes.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// Writes on from every state; results are in the order of the requests. States of one question
    /// share what was read of it, now and in earlier calls with the same `prefixes`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a state that fills the model's context.
    pub fn write(
        &self,
        requests: &[StateRequest<'_>],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<TextOption>, Error> {
        let rows: Vec<GenerationRequest> =
            requests.iter().map(|request| self.row(request)).collect::<Result<_, _>>()?;
        let generations = self.engine.generate(&rows, prefixes)?;
        let options = generations.iter().zip(requests).map(|(generation, request)| {
            let text = self.engine.tokenizer().decode(&generation.ids);
            let answered =
                [request.written.as_str(), &text].concat().contains(&self.config.answer_mark);
            let (terminal, stop) = match generation.stop {
                StopReason::Token => (true, "end"),
                _ if answered => (true, "answer"),
                StopReason::String => (false, "termination"),
                StopReason::Length => (request.to_end, "length"),
            };
            let tokens = generation.ids.len() as u32;
            TextOption { text, tokens, logprob: generation.logprob, terminal, stop }
        });
        Ok(options.collect())
    }

    /// Whether a question leaves room in the model's context for so many tokens of solution.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the tokenizer fails.
    pub fn fits(&self, question: &str, solution_tokens: usize) -> Result<bool, Error> {
        let text = self.config.format.render(question, "");
        let tokens = self.engine.tokenizer().encode(&text)?.len();
        Ok(tokens + solution_tokens < self.engine.config().max_position_embeddings)
    }

    fn row(&self, request: &StateRequest<'_>) -> Result<GenerationRequest, Error> {
        let text = self.config.format.render(request.question, &request.written);
        let eos = self.engine.config().eos_token_id;
        let strings = if request.to_end {
            Vec::new()
        } else {
            vec![self.config.termination.mark().to_owned()]
        };
        let max_new = if request.to_end {
            self.config.max_solution_tokens
        } else {
            self.config.max_option_tokens
        };
        Ok(GenerationRequest {
            prompt: self.engine.tokenizer().encode(&text)?,
            sampling: request.sampling,
            stop: Stop { tokens: eos.into_iter().collect(), strings, max_new },
            seed: request.seed,
            scope: scope_of(request.question),
            keep: !request.to_end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm::engine::EngineOptions;
    use lm::train::{Decay, Example, TrainConfig, Training};
    use lm::{Checkpoint, Tokenizer, device};

    const QUESTION: &str = "Tom has 2 bags of 3 apples and eats 1. How many are left?";
    const SOLUTION: &str = "Tom has 2 * 3 = 6 apples.\nHe has 6 - 1 = 5 left.\n#### 5";

    fn config() -> PolicyConfig {
        PolicyConfig {
            format: PromptFormat { prefix: "<|bos|>".to_owned(), suffix: "<|answer|>".to_owned() },
            termination: Termination::Line,
            answer_mark: "####".to_owned(),
            max_option_tokens: 40,
            max_solution_tokens: 80,
        }
    }

    /// A policy that knows one solution by heart.
    fn policy() -> Policy {
        let special = ["<|bos|>", "<|eos|>", "<|answer|>"].map(str::to_owned);
        let tokenizer = Tokenizer::train([QUESTION, SOLUTION].into_iter(), 320, &special).unwrap();
        let model = serde_json::from_value(serde_json::json!({
            "vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1,
        }))
        .unwrap();
        let checkpoint = Checkpoint::fresh(model, tokenizer, 1, &device::cpu()).unwrap();
        let text = config().format.render(QUESTION, SOLUTION) + "<|eos|>";
        let ids = checkpoint.tokenizer.encode(&text).unwrap();
        let from = ids.iter().position(|&id| id == 2).unwrap() + 1;
        let example = Example { ids, targets_from: Some(from), heads: vec![], weight: 1.0 };
        let train = TrainConfig {
            epochs: 150.0,
            learning_rate: 1e-2,
            final_share: 0.1,
            warmup_share: 0.1,
            decay: Decay::Linear,
            weight_decay: 0.0,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
            batch_tokens: 512,
            micro_batches: 1,
            validate_every: 0,
            patience: 0,
            save_every: 1000,
        };
        let training = Training {
            checkpoint: &checkpoint,
            examples: &[example],
            validation: &[],
            config: &train,
            updates: None,
            seed: 0,
            workers: 1,
        };
        let learned = training.run::<Error>(&device::cpu(), None, &mut |_| Ok(())).unwrap();
        let checkpoint = Checkpoint { model: learned.model, ..checkpoint };
        let options = EngineOptions { workers: 1, rows: 8 };
        Policy::new(Engine::new(&checkpoint, &device::cpu(), options), config()).unwrap()
    }

    #[test]
    fn options_end_at_lines_and_add_up_to_the_solution() {
        let policy = policy();
        let request = |written: &str, to_end| StateRequest {
            question: QUESTION,
            written: written.to_owned(),
            sampling: Sampling::Greedy,
            to_end,
            seed: 0,
        };
        let mut written = String::new();
        let mut stops = Vec::new();
        let mut prefixes = Prefixes::default();
        loop {
            let option =
                policy.write(&[request(&written, false)], &mut prefixes).unwrap().remove(0);
            written += &option.text;
            stops.push(option.stop);
            if option.terminal {
                break;
            }
        }
        assert_eq!(written, SOLUTION);
        assert_eq!(stops, ["termination", "termination", "end"]);
        let cut = Termination::Line.cut(SOLUTION);
        assert_eq!(cut.len(), 3);
        assert_eq!(cut.concat(), SOLUTION);
        let mut write = |request| policy.write(&[request], &mut prefixes).unwrap().remove(0);
        let rest = write(request(&cut[0], true));
        assert_eq!([cut[0].as_str(), &rest.text].concat(), SOLUTION);
        assert!(rest.terminal);
    }

    #[test]
    fn a_question_that_fills_the_context_does_not_fit() {
        let policy = policy();
        assert!(policy.fits(QUESTION, 80).unwrap());
        assert!(!policy.fits(&QUESTION.repeat(12), 80).unwrap());
    }
}
