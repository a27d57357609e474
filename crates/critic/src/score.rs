//! Inference: solutions in, scores out.

use std::sync::Arc;

use lm::engine::ScoreRequest;
use lm::prefix::{PrefixCounts, scope_of};
use lm::{Engine, ModelConfig, Prefixes};
use policy::{Policy, PromptFormat};

use crate::encode::Encoded;
use crate::words::{HEADS, Reader, Said};
use crate::{CriticConfig, Encoder, Error, ORM, PRM, VALUE};

/// A solution to judge, whole or in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution<'a> {
    /// The question.
    pub question: &'a str,
    /// The options so far.
    pub options: Vec<String>,
    /// Whether the last option ends the solution.
    pub finished: bool,
    /// How many of the first options solutions to come may begin with.
    pub branch: usize,
}

/// What the critics say of a solution, all in `[0, 1]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    /// The value of the question alone, `v(s_0)`.
    pub root: f32,
    /// The value after each option; empty without a value head.
    pub values: Vec<f32>,
    /// The process reward of each option; empty without a PRM head.
    pub process: Vec<f32>,
    /// The outcome reward; none for an unfinished solution or without an ORM head.
    pub outcome: Option<f32>,
}

/// One model of the critic.
#[derive(Debug)]
struct Member {
    engine: Engine,
    encoder: Encoder,
    /// The tokens that all rows begin with.
    shared: Vec<u32>,
    value: Option<usize>,
    process: Option<usize>,
    outcome: Option<usize>,
}

/// The critics: one model for all heads, or one for each.
#[derive(Debug)]
pub struct Critic {
    members: Vec<Member>,
    readers: Vec<Reader>,
    config: CriticConfig,
}

/// What the models of a critic have read, and said in words.
#[derive(Debug, Default)]
pub struct Memory {
    members: Vec<Prefixes>,
    readers: Vec<(Prefixes, Said)>,
}

impl Memory {
    fn all(&self) -> impl Iterator<Item = &Prefixes> {
        self.members.iter().chain(self.readers.iter().map(|(prefixes, _)| prefixes))
    }

    /// What reading cost so far, and what it saved.
    pub fn counts(&self) -> PrefixCounts {
        let mut sum = PrefixCounts::default();
        for prefixes in self.all() {
            sum += prefixes.counts();
        }
        sum
    }

    /// Bytes of the keys, values and heads that are kept.
    pub fn bytes(&self) -> usize {
        self.all().map(Prefixes::bytes).sum()
    }

    /// Those of a scope.
    pub fn bytes_of(&self, scope: u64) -> usize {
        self.all().map(|prefixes| prefixes.bytes_of(scope)).sum()
    }

    /// Gives up what was read and said in a scope. Whoever needs it reads it again.
    pub fn forget(&mut self, scope: u64) {
        self.members.iter_mut().for_each(|prefixes| prefixes.forget(scope));
        for (prefixes, said) in &mut self.readers {
            prefixes.forget(scope);
            said.remove(&scope);
        }
    }
}

impl Critic {
    /// A critic of some models.
    ///
    /// # Errors
    /// [`Error::TwoHeads`] when two models have the same head, [`Error::Model`] when a mark is not one token or a chat
    /// template cannot be filled in, [`Error::Unknown`] for words of a critic that there is not.
    pub fn new(
        engines: Vec<Engine>,
        format: &PromptFormat,
        config: &CriticConfig,
    ) -> Result<Self, Error> {
        if let Some(head) = config.words.keys().find(|head| !HEADS.contains(&head.as_str())) {
            return Err(Error::Unknown(head.clone()));
        }
        let mut seen: Vec<String> = Vec::new();
        let mut members = Vec::with_capacity(engines.len());
        for engine in engines {
            for head in &engine.config().scalar_heads {
                if seen.contains(head) {
                    return Err(Error::TwoHeads(head.clone()));
                }
                seen.push(head.clone());
            }
            let prompt = format.prompt(engine.tokenizer(), engine.config())?;
            let encoder = Encoder::new(engine.tokenizer(), &prompt, config)?;
            let of = |name| head(engine.config(), name);
            let (value, process, outcome) = (of(VALUE), of(PRM), of(ORM));
            let shared = encoder.shared()?;
            members.push(Member { engine, encoder, shared, value, process, outcome });
        }
        Ok(Self { members, readers: Vec::new(), config: config.clone() })
    }

    /// The same with a model that answers for some heads in words.
    ///
    /// # Errors
    /// [`Error::TwoHeads`] when one of the heads is there already, [`Error::Unasked`] when the configuration does not say
    /// how it is asked.
    pub fn with_words(mut self, model: Arc<Policy>, heads: &[String]) -> Result<Self, Error> {
        if let Some(head) = heads.iter().find(|head| self.heads().any(|other| other == *head)) {
            return Err(Error::TwoHeads(head.clone()));
        }
        self.readers.push(Reader::new(model, heads, &self.config)?);
        Ok(self)
    }

    /// The heads there are.
    pub fn heads(&self) -> impl Iterator<Item = &String> {
        let of_members = self.members.iter().flat_map(|m| &m.engine.config().scalar_heads);
        of_members.chain(self.readers.iter().flat_map(Reader::heads))
    }

    /// Checks that the critic has a head.
    ///
    /// # Errors
    /// [`Error::MissingHead`] lists the heads there are.
    pub fn require(&self, name: &'static str) -> Result<(), Error> {
        if self.heads().any(|head| head == name) {
            return Ok(());
        }
        let list: Vec<&str> = self.heads().map(String::as_str).collect();
        Err(Error::MissingHead(name, list.join(", ")))
    }

    /// A place for what the models will have read.
    pub fn memory(&self) -> Memory {
        Memory {
            members: self.members.iter().map(|_| Prefixes::default()).collect(),
            readers: self.readers.iter().map(|_| Default::default()).collect(),
        }
    }

    /// Judges every solution, in order. Solutions of one question share what was read of it, now and
    /// in earlier calls with the same `memory`, which comes from [`Self::memory`].
    ///
    /// # Errors
    /// [`Error::Model`] when a solution does not fit a model's context, [`Error::Reader`] when a model that answers in words
    /// does not.
    pub fn score(
        &self,
        solutions: &[Solution<'_>],
        memory: &mut Memory,
    ) -> Result<Vec<Scores>, Error> {
        let mut scores = vec![Scores::default(); solutions.len()];
        for (member, prefixes) in self.members.iter().zip(&mut memory.members) {
            member.score(solutions, &mut scores, prefixes)?;
        }
        for (reader, (prefixes, said)) in self.readers.iter().zip(&mut memory.readers) {
            reader.score(solutions, &mut scores, &self.config, (prefixes, said))?;
        }
        Ok(scores)
    }
}

impl Member {
    fn score(
        &self,
        solutions: &[Solution<'_>],
        scores: &mut [Scores],
        prefixes: &mut Prefixes,
    ) -> Result<(), Error> {
        let encoded: Vec<Encoded> = solutions
            .iter()
            .map(|s| self.encoder.encode(s.question, &s.options, s.finished))
            .collect::<Result<_, _>>()?;
        let requests: Vec<ScoreRequest> = encoded
            .into_iter()
            .zip(solutions)
            .map(|(Encoded { ids, root, marks }, solution)| {
                let at: Vec<usize> = std::iter::once(root).chain(marks).collect();
                let keep = at[solution.branch.min(at.len() - 1)] + 1;
                ScoreRequest { ids, at, scope: scope_of(solution.question), keep }
            })
            .collect();
        self.engine.read_shared(&self.shared, prefixes);
        let read = self.engine.score(&requests, prefixes)?;
        for ((scores, solution), read) in scores.iter_mut().zip(solutions).zip(read) {
            let column = |head: usize| read[1..].iter().map(|at| at[head]).collect();
            if let Some(head) = self.value {
                scores.root = read[0][head];
                scores.values = column(head);
            }
            if let Some(head) = self.process {
                scores.process = column(head);
            }
            if let Some(head) = self.outcome.filter(|_| solution.finished) {
                scores.outcome = read[1..].last().map(|at| at[head]);
            }
        }
        Ok(())
    }
}

fn head(config: &ModelConfig, name: &str) -> Option<usize> {
    config.scalar_heads.iter().position(|head| head == name)
}
