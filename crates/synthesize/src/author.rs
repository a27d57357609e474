//! The models used by imagination: an author writes questions, and rollouts of the policy measure how hard they are.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use dataset::{Input, seed_for};
use decoding::{AnyModel, Cost, ModelAt, Runtime, TextConfig};
use lm::{Prefixes, Sampling};
use policy::template::filled;
use policy::{Policy, PolicyConfig, StateRequest};
use serde::{Deserialize, Serialize};
use stage::{Failure, ResultExt};

use crate::operator::{Operator, Shares};
use crate::output::Spent;

/// How a model writes questions: the section `[writing]` of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WritingConfig {
    /// How requests become prompts, and where a question ends: as in text.toml, with a whole question as the option.
    pub policy: PolicyConfig,
    /// How tokens are sampled.
    pub sampling: Sampling,
    /// Number of questions that `{examples}` shows, 0 or more.
    pub examples: usize,
    /// The request for each operator. `{question}` stands for the question to start from, `{examples}` for others, and
    /// `{opening}` for the first two words of the question, for models that only continue a text. If a request ends
    /// with `{opening}`, these words become part of the new question.
    pub texts: BTreeMap<Operator, String>,
}

/// The placeholder for the words that the author continues.
const OPENING: &str = "{opening}";

impl WritingConfig {
    /// Whether the author's text continues the opening.
    fn goes_on(&self, operator: Operator) -> bool {
        self.texts.get(&operator).is_some_and(|text| text.ends_with(OPENING))
    }

    fn check(&self, shares: &Shares) -> Result<(), Failure> {
        let silent =
            |operator: Operator| operator.is_written() && !self.texts.contains_key(&operator);
        if shares.has(silent) {
            let names = shares.0.keys().filter(|one| silent(**one)).map(|one| one.name());
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(Failure::config(format!(
                "`writing.texts` does not say how to ask: {names}"
            )));
        }
        self.sampling.validate().map_err(|e| Failure::config(format!("`writing.sampling`: {e}")))
    }
}

/// How hard prompts should be for the policy, measured by rollouts: the section `[difficulty]` of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifficultyConfig {
    /// Rollouts per prompt, 2 or more.
    pub rollouts: u32,
    /// How their tokens are sampled.
    pub sampling: Sampling,
    /// The minimum share of rollouts that agree on an answer, 0 to 1. Below it there is no consistent answer.
    pub agreement_at_least: f64,
    /// The maximum share of rollouts that agree on an answer, 0 to 1. Above it there is little to learn. For a backward
    /// question, the share of rollouts that find the masked number; it has no minimum.
    pub agreement_at_most: f64,
}

impl DifficultyConfig {
    fn check(&self) -> Result<(), Failure> {
        let refuse = |what: &str| Err(Failure::config(format!("`difficulty.{what}")));
        // A single rollout always agrees with itself.
        if self.rollouts < 2 {
            return refuse(&format!("rollouts` is {}: it has to be 2 or more", self.rollouts));
        }
        let (least, most) = (self.agreement_at_least, self.agreement_at_most);
        if !(0.0..=1.0).contains(&least) || !(least..=1.0).contains(&most) {
            return refuse(&format!(
                "agreement_at_least` is {least} and `agreement_at_most` {most}: they have to be 0 to 1, in this order"
            ));
        }
        self.sampling.validate().or_else(|e| refuse(&format!("sampling`: {e}")))
    }
}

/// The settings that decide which models a preset needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) shares: &'a Shares,
    pub(crate) writing: Option<&'a WritingConfig>,
    pub(crate) difficulty: Option<&'a DifficultyConfig>,
}

impl Wanted<'_> {
    /// Whether any model has to write or try questions.
    pub(crate) fn models(&self) -> bool {
        self.writes() || self.difficulty.is_some()
    }

    /// Whether any operator in use is a model that writes.
    fn writes(&self) -> bool {
        self.shares.has(Operator::is_written)
    }

    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.writing {
            Some(writing) => writing.check(self.shares)?,
            None if self.writes() => {
                let message = "`operators` names some that a model writes";
                return Err(Failure::config(message).hint("say how in the section [writing]"));
            }
            None => {}
        }
        self.difficulty.map_or(Ok(()), DifficultyConfig::check)
    }
}

/// The models that write and try questions, not set up yet. A model that is not needed is not loaded.
pub(crate) struct Models {
    /// Tries questions, and writes them too if there is no author.
    policy: Option<AnyModel>,
    /// Writes questions, if it is not the policy.
    author: Option<AnyModel>,
    text: TextConfig,
}

impl Models {
    pub(crate) fn load(
        policy: &ModelAt,
        author: Option<&ModelAt>,
        text: TextConfig,
        wanted: Wanted<'_>,
        runtime: &Runtime,
    ) -> Result<Self, Failure> {
        // An author that is the policy is not loaded a second time.
        let author = author.filter(|at| wanted.writes() && *at != policy);
        let tries = wanted.difficulty.is_some() || author.is_none();
        let load = |name: &str, at: &ModelAt| AnyModel::at(name, at, runtime);
        Ok(Self {
            policy: tries.then(|| load("policy", policy)).transpose()?,
            author: author.map(|at| load("author", at)).transpose()?,
            text,
        })
    }

    pub(crate) fn inputs(&self) -> Vec<Input> {
        [&self.policy, &self.author].into_iter().flatten().map(|any| any.input().clone()).collect()
    }

    /// The models, ready to answer what is not known yet.
    pub(crate) fn author<'a>(
        &self,
        wanted: Wanted<'a>,
        known: Known,
    ) -> Result<Author<'a>, Failure> {
        let ready = |any: &AnyModel| any.policy(&self.text);
        let policy = self.policy.as_ref().map(ready).transpose()?;
        let author = self.author.as_ref().map(ready).transpose()?;
        let write = |(policy, writing): (&Policy, &'a WritingConfig)| {
            let policy = policy.with(writing.policy.clone()).or_config("[writing.policy]")?;
            Ok::<_, Failure>((policy, writing))
        };
        let writing = wanted.writing.filter(|_| wanted.writes());
        let writer = author.as_ref().or(policy.as_ref()).zip(writing).map(write).transpose()?;
        let prober = policy.zip(wanted.difficulty);
        Ok(Author { writer, prober, spent: Cell::default(), known: known.into() })
    }
}

/// A question to write.
pub(crate) struct Commission<'q> {
    pub(crate) operator: Operator,
    pub(crate) question: &'q str,
    /// Other questions to show.
    pub(crate) examples: Vec<&'q str>,
    pub(crate) seed: u64,
}

/// A question whose difficulty is to be measured.
pub(crate) struct Probe<'q> {
    pub(crate) question: &'q str,
    /// The answer that must come out, if known.
    pub(crate) expected: Option<&'q str>,
    pub(crate) seed: u64,
}

/// The verdict of the rollouts on a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// No answer reaches the minimum share.
    Inconsistent,
    /// Some answer exceeds the maximum share.
    Easy,
    /// In between. The difficulty is the share of rollouts that do not agree with the most frequent answer, 0 to 1 (with
    /// the masked number, for a backward question); `None` if nothing was tried.
    Fits(Option<f64>),
}

/// The answers of the models about a draft.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// Whether a model was asked to write the text.
    pub(crate) written: bool,
    /// The text that it wrote; `None` if that did not come to an end.
    pub(crate) text: Option<String>,
    /// The verdict of the rollouts.
    pub(crate) verdict: Option<Verdict>,
}

/// Answers of the models, by the seeds of drafts. A draft has the same seed wherever it is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(pub(crate) BTreeMap<u64, Answer>);

/// The models, ready to write and to try questions.
pub(crate) struct Author<'a> {
    writer: Option<(Policy, &'a WritingConfig)>,
    prober: Option<(Policy, &'a DifficultyConfig)>,
    spent: Cell<Spent>,
    /// Answers that are known already, and are not asked for again.
    known: RefCell<Known>,
}

impl Author<'_> {
    /// The cost so far.
    pub(crate) fn spent(&self) -> Spent {
        self.spent.get()
    }

    /// Takes what is known out of the author.
    pub(crate) fn forget(&self) -> Known {
        self.known.take()
    }

    /// Whether an operator's request starts from a question, and how many others it shows.
    pub(crate) fn needs(&self, operator: Operator) -> (bool, usize) {
        let text = self
            .writer
            .as_ref()
            .and_then(|(_, writing)| Some((writing, writing.texts.get(&operator)?)));
        let Some((writing, text)) = text else { return (false, 0) };
        let starts = text.contains("{question}") || text.contains(OPENING);
        (starts, if text.contains("{examples}") { writing.examples } else { 0 })
    }

    /// Writes one question per commission; `None` if the text did not come to an end.
    pub(crate) fn write(&self, wanted: &[Commission<'_>]) -> Result<Vec<Option<String>>, Failure> {
        let known = |one: &Commission<'_>| {
            let known = self.known.borrow();
            known.0.get(&one.seed).filter(|answer| answer.written).map(|answer| answer.text.clone())
        };
        let unknown: Vec<&Commission<'_>> =
            wanted.iter().filter(|one| known(one).is_none()).collect();
        let texts = self.write_anew(&unknown)?;
        for (one, text) in unknown.iter().zip(texts) {
            let mut known = self.known.borrow_mut();
            let answer = known.0.entry(one.seed).or_default();
            (answer.written, answer.text) = (true, text);
        }
        Ok(wanted.iter().map(|one| known(one).flatten()).collect())
    }

    fn write_anew(&self, wanted: &[&Commission<'_>]) -> Result<Vec<Option<String>>, Failure> {
        let Some((policy, writing)) = &self.writer else {
            return Ok(vec![None; wanted.len()]);
        };
        let asked: Vec<String> = wanted.iter().map(|one| asked(writing, one)).collect();
        let requests: Vec<StateRequest<'_>> = wanted
            .iter()
            .zip(&asked)
            .map(|(one, question)| request(question, writing.sampling, one.seed))
            .collect();
        let written = self.batches(policy, &requests, 1)?;
        let question = |(one, option): (&&Commission<'_>, Option<policy::Continuation>)| {
            let option = option?;
            // The author only continued these words, so its text does not have them.
            let begun = if writing.goes_on(one.operator) { opening(one.question) } else { "" };
            let text = [begun, &option.text].concat();
            // A text that was cut off by a limit is not a whole question.
            let whole = option.finish.is_natural() && !option.text.trim().is_empty();
            whole.then(|| text.trim().to_owned())
        };
        Ok(wanted.iter().zip(written).map(question).collect())
    }

    /// Measures the difficulty of each question by rollouts. Without a policy for this, every question fits.
    pub(crate) fn probe(&self, questions: &[Probe<'_>]) -> Result<Vec<Verdict>, Failure> {
        let Some((policy, difficulty)) = &self.prober else {
            return Ok(vec![Verdict::Fits(None); questions.len()]);
        };
        let known = |one: &Probe<'_>| {
            self.known.borrow().0.get(&one.seed).and_then(|answer| answer.verdict)
        };
        let unknown: Vec<&Probe<'_>> =
            questions.iter().filter(|one| known(one).is_none()).collect();
        let verdicts = self.probe_anew(policy, difficulty, &unknown)?;
        for (one, verdict) in unknown.iter().zip(verdicts) {
            self.known.borrow_mut().0.entry(one.seed).or_default().verdict = Some(verdict);
        }
        let verdict = |one| known(one).expect("all are known by now");
        Ok(questions.iter().map(verdict).collect())
    }

    fn probe_anew(
        &self,
        policy: &Policy,
        difficulty: &DifficultyConfig,
        questions: &[&Probe<'_>],
    ) -> Result<Vec<Verdict>, Failure> {
        let rollouts = difficulty.rollouts as usize;
        let mut states = Vec::new();
        for probe in questions {
            for rollout in 0..difficulty.rollouts {
                // From the draft's own seed, so that a verdict does not depend on the drafts beside it.
                let seed = seed_for(probe.seed, "probe", 0, &rollout.to_string());
                let request = request(probe.question, difficulty.sampling, seed);
                states.push(StateRequest { to_end: true, ..request });
            }
        }
        let written = self.batches(policy, &states, rollouts)?;
        let solutions = written.chunks(rollouts);
        let verdict = |(probe, solutions): (&&Probe<'_>, &[Option<policy::Continuation>])| {
            let answers = solutions.iter().map(|one| answer::extract(&one.as_ref()?.text));
            difficulty.verdict(&answers.collect::<Vec<_>>(), probe.expected)
        };
        Ok(questions.iter().zip(solutions).map(verdict).collect())
    }

    /// Generates from every state, in batches of whole questions with `rows` states each; `None` if a question leaves
    /// no room in the model's context.
    fn batches(
        &self,
        policy: &Policy,
        states: &[StateRequest<'_>],
        rows: usize,
    ) -> Result<Vec<Option<policy::Continuation>>, Failure> {
        let mut all = Vec::with_capacity(states.len());
        for states in states.chunks(TOGETHER * rows) {
            let (mut fitting, mut fits) = (Vec::new(), Vec::new());
            for state in states {
                let config = policy.config();
                // A text longer than the context is cut off there, because its length is not known in advance.
                let room = config.max_option_tokens.min(config.max_solution_tokens);
                let fit = policy.fits(state.question, room).map_err(decoding::Error::from)?;
                fits.push(fit);
                fitting.extend(fit.then(|| state.clone()));
            }
            let mut prefixes = Prefixes::default();
            let written = policy.write(&fitting, &mut prefixes).map_err(decoding::Error::from)?;
            let mut spent = self.spent.get();
            spent.cost += Cost::of_policy(prefixes.counts());
            spent.tokens += written.iter().map(|option| u64::from(option.tokens)).sum::<u64>();
            self.spent.set(spent);
            let mut written = written.into_iter();
            all.extend(fits.into_iter().map(|fit| if fit { written.next() } else { None }));
        }
        Ok(all)
    }
}

impl DifficultyConfig {
    /// Turns the answers of rollouts into a verdict. `None` stands for a rollout without an answer.
    fn verdict(&self, answers: &[Option<&str>], expected: Option<&str>) -> Verdict {
        let like = |answer: &str| {
            let same = |other: &&&str| answer::same(answer, other);
            answers.iter().flatten().filter(same).count()
        };
        let agreeing = match expected {
            Some(expected) => like(expected),
            None => answers.iter().flatten().map(|answer| like(answer)).max().unwrap_or(0),
        };
        // Of all rollouts: one without an answer agrees with nobody.
        let share = agreeing as f64 / answers.len() as f64;
        // A backward question has its answer, however few rollouts find it, so only the upper bound applies to it.
        if share > self.agreement_at_most {
            Verdict::Easy
        } else if expected.is_none() && share < self.agreement_at_least {
            Verdict::Inconsistent
        } else {
            Verdict::Fits(Some(1.0 - share))
        }
    }
}

/// Number of questions whose rows are generated together. The KV cache is dropped after each batch.
const TOGETHER: usize = 256;

/// The start state of a question or of a solution.
fn request(question: &str, sampling: Sampling, seed: u64) -> StateRequest<'_> {
    StateRequest {
        question,
        written: String::new(),
        sampling,
        to_end: false,
        keep: false,
        excluded: Vec::new(),
        seed,
    }
}

/// The request to the author, with all placeholders filled.
fn asked(writing: &WritingConfig, one: &Commission<'_>) -> String {
    let template = writing.texts.get(&one.operator).map_or("", String::as_str);
    let examples = one.examples.join("\n\n");
    let places =
        [("question", one.question), ("examples", &examples), ("opening", opening(one.question))];
    filled(template, &places)
}

/// The first two words of a text, with its spacing.
fn opening(text: &str) -> &str {
    let spaces = text.trim_start().match_indices(char::is_whitespace);
    let mut ends = spaces.map(|(at, _)| text.len() - text.trim_start().len() + at);
    let second =
        |end: &usize| text.get(..*end).is_some_and(|head| head.split_whitespace().count() == 2);
    ends.find(second).and_then(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difficulty() -> DifficultyConfig {
        DifficultyConfig {
            rollouts: 4,
            sampling: Sampling::Temperature { temperature: 1.0 },
            agreement_at_least: 0.5,
            agreement_at_most: 0.75,
        }
    }

    fn answers<const N: usize>(of: [&str; N]) -> [Option<&str>; N] {
        of.map(|answer| (!answer.is_empty()).then_some(answer))
    }

    #[test]
    fn rollouts_that_half_agree_are_wanted() {
        for (said, expected, verdict) in [
            (["7", "7.0", "8", ""], None, Verdict::Fits(Some(0.5))),
            (["7", "7", "14/2", "8"], None, Verdict::Fits(Some(0.25))),
            (["7", "7", "7", "7"], None, Verdict::Easy),
            (["7", "8", "9", ""], None, Verdict::Inconsistent),
            (["", "", "", ""], None, Verdict::Inconsistent),
            // Against a known answer, agreement on a different one counts for nothing.
            (["7", "7", "7", "7"], Some("8"), Verdict::Fits(Some(1.0))),
            (["7", "7", "7", "8"], Some("8"), Verdict::Fits(Some(0.75))),
            (["8", "8", "8", "8"], Some("8"), Verdict::Easy),
        ] {
            assert_eq!(difficulty().verdict(&answers(said), expected), verdict, "{said:?}");
        }
    }

    #[test]
    fn an_opening_is_two_words() {
        for (text, expected) in [
            ("Tom has 3 apples.", "Tom has"),
            (" Zoë  isst", " Zoë  isst"),
            ("Why?", "Why?"),
            ("", ""),
        ] {
            assert_eq!(opening(text), expected);
        }
    }

    #[test]
    fn impossible_difficulties_are_refused_by_name() {
        let nothing = Shares(BTreeMap::from([(Operator::Mutate, 1.0)]));
        let check = |difficulty: &DifficultyConfig| {
            let wanted = Wanted { shares: &nothing, writing: None, difficulty: Some(difficulty) };
            wanted.check()
        };
        assert!(check(&difficulty()).is_ok());
        for (name, wrong) in [
            ("rollouts", DifficultyConfig { rollouts: 1, ..difficulty() }),
            ("agreement_at_least", DifficultyConfig { agreement_at_least: 0.8, ..difficulty() }),
            ("agreement_at_most", DifficultyConfig { agreement_at_most: 1.1, ..difficulty() }),
            (
                "sampling",
                DifficultyConfig {
                    sampling: Sampling::Temperature { temperature: 0.0 },
                    ..difficulty()
                },
            ),
        ] {
            let failure = check(&wrong).unwrap_err();
            assert!(failure.to_string().contains(name), "{failure}");
        }
    }
}
