//! Something that proposes options: the local language model, behind text.
//!
//! A state is a prompt and the text written so far; an option is the text up to a termination
//! (AlphaLLM §4.3). The policy does not know what an answer is worth. What it has read it keeps where
//! the caller says: the same requests with the same seeds are the same options.

mod termination;

use lm::engine::{EmbedRequest, Generation, GenerationRequest, Stop, StopReason};
use lm::prefix::scope_of;
use lm::{Drawn, Engine, Error, Prefixes, Sampling, Tokenizer};
use serde::{Deserialize, Serialize};

pub use termination::Termination;

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

/// How a policy writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// How a question becomes the text to continue.
    pub format: PromptFormat,
    /// What ends an option.
    pub termination: Termination,
    /// The mark of the final answer: the option with the end of its line is terminal.
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
    /// Whether states to come may begin with what is written.
    pub keep: bool,
    /// What was drawn in this state before, and is not to be drawn again.
    pub excluded: Vec<Drawn>,
    /// Seed of the draws.
    pub seed: u64,
}

/// An option as it was drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The text, with its termination.
    pub text: String,
    /// Its tokens. One that ends this option and begins the next is this one's.
    pub drawn: Drawn,
}

/// A text that ends where the policy is to say yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The question it is about: texts of one question share what was read.
    pub question: &'a str,
    /// The whole text.
    pub text: String,
}

/// What was written: one option, or all that was missing.
#[derive(Debug, Clone, PartialEq)]
pub struct TextOption {
    /// The text, with its termination.
    pub text: String,
    /// The text as options: more than one where all that was missing was written.
    pub parts: Vec<Part>,
    /// Tokens written, with those that only showed that the option had ended.
    pub tokens: u32,
    /// Whether the solution is at its end.
    pub terminal: bool,
    /// Why it ended: `end`, `answer`, `termination` or `length`.
    pub stop: &'static str,
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
    /// [`Error::Config`] when the model has no end token, so that solutions would never end, and for a
    /// termination that cannot be.
    pub fn new(engine: Engine, config: PolicyConfig) -> Result<Self, Error> {
        if engine.config().eos_token_id.is_none() {
            let problem = "eos_token_id is missing: without it no solution ends";
            return Err(Error::Config(problem.to_owned()));
        }
        if let Some(problem) = config.termination.problem(config.max_option_tokens) {
            return Err(Error::Config(format!("termination {problem}")));
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
        let mut drafts = vec![Draft::default(); requests.len()];
        let mut open: Vec<usize> = (0..requests.len()).collect();
        while !open.is_empty() {
            let row = |&i: &usize| self.row(&requests[i], &drafts[i]);
            let rows: Vec<GenerationRequest> = open.iter().map(row).collect::<Result<_, _>>()?;
            for (&i, generation) in open.iter().zip(self.engine.generate(&rows, prefixes)?) {
                drafts[i].extend(generation);
            }
            open.retain(|&i| self.goes_on(&requests[i], &drafts[i]));
        }
        Ok(requests
            .iter()
            .zip(&drafts)
            .map(|(request, draft)| self.option(request, draft))
            .collect())
    }

    /// Whether the model stopped where the option is not at its end.
    fn goes_on(&self, request: &StateRequest<'_>, draft: &Draft) -> bool {
        let limit = self.config.max_option_tokens;
        if request.to_end || draft.stop == Some(StopReason::Token) || draft.drawn.ids.len() >= limit
        {
            return false;
        }
        let text = self.engine.tokenizer().decode(&draft.drawn.ids);
        match (&self.config.termination, draft.stop) {
            _ if self.answered(&[request.written.as_str(), &text].concat()) => false,
            // A character may be of several tokens.
            (Termination::Tokens(_), _) => text.ends_with(char::REPLACEMENT_CHARACTER),
            (rule, Some(StopReason::String)) => rule.end(&text).is_none(),
            _ => false,
        }
    }

    /// Whether a solution has its answer, and the whole of it: digits may follow until the line ends.
    pub fn answered(&self, solution: &str) -> bool {
        let answer = solution.split_once(&self.config.answer_mark);
        answer.is_some_and(|(_, rest)| rest.contains('\n'))
    }

    /// Cuts what was written into options.
    fn parts(&self, drawn: &Drawn) -> Vec<Part> {
        let tokenizer = self.engine.tokenizer();
        let texts = match &self.config.termination {
            Termination::Tokens(count) => tokenizer.cut(&drawn.ids, *count),
            Termination::Sentence => termination::sentences(&tokenizer.cut(&drawn.ids, 1)),
            rule => rule.cut(&tokenizer.decode(&drawn.ids)),
        };
        aligned(texts, drawn, tokenizer)
    }

    fn option(&self, request: &StateRequest<'_>, draft: &Draft) -> TextOption {
        let drawn = &draft.drawn;
        let parts = match draft.stop {
            _ if request.to_end => self.parts(drawn),
            Some(StopReason::String) => self.parts(drawn).into_iter().take(1).collect(),
            _ => {
                let text = self.engine.tokenizer().decode(&drawn.ids);
                vec![Part { text, drawn: drawn.clone() }]
            }
        };
        let text: String = parts.iter().map(|part| part.text.as_str()).collect();
        let counted = match self.config.termination {
            Termination::Tokens(count) if drawn.ids.len() >= count => !request.to_end,
            _ => false,
        };
        let (terminal, stop) = match draft.stop {
            Some(StopReason::Token) => (true, "end"),
            _ if self.answered(&[request.written.as_str(), &text].concat()) => (true, "answer"),
            Some(StopReason::String) => (false, "termination"),
            _ if counted => (false, "termination"),
            _ => (request.to_end, "length"),
        };
        let tokens = drawn.ids.len() as u32;
        TextOption { text, parts, tokens, terminal, stop }
    }

    /// The last hidden state after every state, a question and the text written: `[states][hidden_size]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a state that fills the model's context.
    pub fn embed(
        &self,
        states: &[(&str, String)],
        prefixes: &mut Prefixes,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let row = |(question, written): &(&str, String)| {
            let text = self.config.format.render(question, written);
            let ids = self.engine.tokenizer().encode(&text)?;
            Ok(EmbedRequest { ids, scope: scope_of(question) })
        };
        let rows: Vec<EmbedRequest> = states.iter().map(row).collect::<Result<_, Error>>()?;
        self.engine.embed(&rows, prefixes)
    }

    /// How much likelier every text goes on with `yes` than with `no`: `P(yes) / (P(yes) + P(no))`.
    ///
    /// # Errors
    /// [`Error::Config`] when one of the two is not a single token, [`Error::TooLong`] for a text that fills the
    /// model's context.
    pub fn choose(
        &self,
        choices: &[Choice<'_>],
        yes: &str,
        no: &str,
        prefixes: &mut Prefixes,
    ) -> Result<Vec<f64>, Error> {
        let token = |text: &str| match self.engine.tokenizer().encode(text)?.as_slice() {
            [token] => Ok(*token),
            tokens => {
                let count = tokens.len();
                Err(Error::Config(format!("`{text}` is {count} tokens of the policy, not one")))
            }
        };
        let answers = [token(yes)?, token(no)?];
        let row = |choice: &Choice<'_>| {
            let ids = self.engine.tokenizer().encode(&choice.text)?;
            Ok(EmbedRequest { ids, scope: scope_of(choice.question) })
        };
        let rows: Vec<EmbedRequest> = choices.iter().map(row).collect::<Result<_, Error>>()?;
        let shares = self.engine.next_token(&rows, &answers, prefixes)?;
        let share = |p: &Vec<f32>| {
            let (yes, no) = (f64::from(p[0]), f64::from(p[1]));
            yes / (yes + no).max(f64::MIN_POSITIVE)
        };
        Ok(shares.iter().map(share).collect())
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

    fn row(&self, request: &StateRequest<'_>, draft: &Draft) -> Result<GenerationRequest, Error> {
        let text = self.config.format.render(request.question, &request.written);
        let eos = self.engine.config().eos_token_id;
        let rule = &self.config.termination;
        let ids = &draft.drawn.ids;
        let written = ids.len();
        let (strings, max_new) = match *rule {
            _ if request.to_end => (Vec::new(), self.config.max_solution_tokens),
            Termination::Tokens(count) => (Vec::new(), count.saturating_sub(written).max(1)),
            _ => (rule.stops(), self.config.max_option_tokens - written),
        };
        let mut prompt = self.engine.tokenizer().encode(&text)?;
        prompt.extend(ids);
        // Of what began as this did, the rest.
        let same = request.excluded.iter().filter(|drawn| drawn.ids.starts_with(ids));
        Ok(GenerationRequest {
            prompt,
            sampling: request.sampling,
            stop: Stop { tokens: eos.into_iter().collect(), strings, max_new },
            // Draws that go on are others than those before.
            seed: request.seed.wrapping_add(written as u64),
            scope: scope_of(request.question),
            keep: request.keep,
            excluded: same.map(|drawn| drawn.after(written)).collect(),
        })
    }
}

/// What has been written of an option.
#[derive(Debug, Clone, Default)]
struct Draft {
    drawn: Drawn,
    stop: Option<StopReason>,
}

impl Draft {
    fn extend(&mut self, more: Generation) {
        self.drawn.ids.extend(more.drawn.ids);
        self.drawn.logprobs.extend(more.drawn.logprobs);
        self.stop = Some(more.stop);
    }
}

/// Gives the texts that some tokens were cut into their tokens: the last also those without a text, such as the end.
fn aligned(texts: Vec<String>, drawn: &Drawn, tokenizer: &Tokenizer) -> Vec<Part> {
    let (count, mut parts) = (texts.len(), Vec::with_capacity(texts.len()));
    let (mut from, mut read, mut end) = (0, 0, 0);
    for (i, text) in texts.into_iter().enumerate() {
        end += text.len();
        let mut to = from;
        while to < drawn.ids.len() && (read < end || i + 1 == count) {
            read += tokenizer.token_bytes(drawn.ids[to]).len();
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
            keep: !to_end,
            excluded: Vec::new(),
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
        let mut write = |request| policy.write(&[request], &mut prefixes).unwrap().remove(0);
        let whole = write(request("", true));
        assert_eq!(whole.parts.len(), 3);
        assert_eq!(
            (whole.texts().collect::<String>().as_str(), whole.text.as_str()),
            (SOLUTION, SOLUTION)
        );
        let tokens: usize = whole.parts.iter().map(|part| part.drawn.ids.len()).sum();
        assert_eq!(tokens, whole.tokens as usize);
        assert!(whole.logprob() > -0.5, "known by heart: {}", whole.logprob());
        let first = &whole.parts[0];
        let rest = write(request(&first.text, true));
        assert_eq!([first.text.as_str(), &rest.text].concat(), SOLUTION);
        assert!(rest.terminal);
    }

    /// The policy knows one solution by heart, and still says something else when it must not say that.
    #[test]
    fn what_was_drawn_is_not_said_again() {
        let policy = policy();
        let mut seen = std::collections::BTreeSet::new();
        let mut excluded = Vec::new();
        for seed in 0..12 {
            let request = StateRequest {
                question: QUESTION,
                written: String::new(),
                sampling: Sampling::Temperature { temperature: 1.0 },
                to_end: false,
                keep: true,
                excluded: excluded.clone(),
                seed,
            };
            let option = policy.write(&[request], &mut Prefixes::default()).unwrap().remove(0);
            let drawn = option.parts[0].drawn.clone();
            assert!(seen.insert(drawn.ids.clone()), "{seed}: {}", option.text);
            excluded.push(drawn);
        }
        assert!(excluded[0].logprob() > -0.1, "the first is what it knows");
    }

    /// Token-level and sentence-level search are options of another termination (Table 1).
    #[test]
    fn terminations_cut_a_solution_into_other_options() {
        let mut policy = policy();
        let mut options = |rule: Termination, most: usize| {
            policy.config.termination = rule;
            let mut written = String::new();
            let mut all: Vec<TextOption> = Vec::new();
            while all.len() < most && !all.last().is_some_and(|option| option.terminal) {
                let request = StateRequest {
                    question: QUESTION,
                    written: written.clone(),
                    sampling: Sampling::Greedy,
                    to_end: false,
                    keep: true,
                    excluded: Vec::new(),
                    seed: 0,
                };
                all.push(policy.write(&[request], &mut Prefixes::default()).unwrap().remove(0));
                written += &all[all.len() - 1].text;
            }
            let unfinished = all.iter().filter(|option| !option.terminal);
            assert!(unfinished.into_iter().all(|option| option.stop == "termination"), "{all:?}");
            (all, written)
        };
        let mark = Termination::Mark("left.".to_owned());
        let (line, paragraph) = (Termination::Line, Termination::Paragraph);
        for (rule, count) in [(line, 3), (Termination::Sentence, 3), (paragraph, 1), (mark, 2)] {
            let (all, written) = options(rule, 9);
            assert_eq!((all.len(), written.as_str()), (count, SOLUTION));
        }
        // Cut between tokens, a text may be read as others: what is written then is another matter.
        for count in [1, 2] {
            let (all, _) = options(Termination::Tokens(count), 3);
            assert!(all.iter().all(|option| option.tokens as usize == count), "{all:?}");
        }
    }

    #[test]
    fn an_answer_is_whole_when_its_line_is() {
        let policy = policy();
        assert!(!policy.answered("It is 5.\n"));
        assert!(!policy.answered("#### 1"), "or 18");
        assert!(policy.answered("#### 18\n"));
    }

    #[test]
    fn a_question_that_fills_the_context_does_not_fit() {
        let policy = policy();
        assert!(policy.fits(QUESTION, 80).unwrap());
        assert!(!policy.fits(&QUESTION.repeat(12), 80).unwrap());
    }
}
