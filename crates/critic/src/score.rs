//! Inference: solutions in, scores out.

use lm::engine::ScoreRequest;
use lm::prefix::scope_of;
use lm::{Engine, ModelConfig, Prefixes};
use policy::PromptFormat;

use crate::encode::Encoded;
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
    value: Option<usize>,
    process: Option<usize>,
    outcome: Option<usize>,
}

/// The critics: one model for all heads, or one for each.
#[derive(Debug)]
pub struct Critic {
    members: Vec<Member>,
}

impl Critic {
    /// A critic of some models.
    ///
    /// # Errors
    /// [`Error::TwoHeads`] when two models have the same head, [`Error::Mark`] when a mark is not one
    /// token, [`Error::Model`] when the model's chat template cannot be filled in.
    pub fn new(
        engines: Vec<Engine>,
        format: &PromptFormat,
        config: &CriticConfig,
    ) -> Result<Self, Error> {
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
            members.push(Member { engine, encoder, value, process, outcome });
        }
        Ok(Self { members })
    }

    /// Checks that the critic has a head.
    ///
    /// # Errors
    /// [`Error::MissingHead`] lists the heads there are.
    pub fn require(&self, name: &'static str) -> Result<(), Error> {
        let all = || self.members.iter().flat_map(|m| &m.engine.config().scalar_heads);
        if all().any(|head| head == name) {
            return Ok(());
        }
        let list: Vec<&str> = all().map(String::as_str).collect();
        Err(Error::MissingHead(name, list.join(", ")))
    }

    /// A place for what each model has read.
    pub fn prefixes(&self) -> Vec<Prefixes> {
        self.members.iter().map(|_| Prefixes::default()).collect()
    }

    /// Judges every solution, in order. Solutions of one question share what was read of it, now and
    /// in earlier calls with the same `prefixes`, which come from [`Self::prefixes`].
    ///
    /// # Errors
    /// [`Error::Model`] when a solution does not fit a model's context.
    pub fn score(
        &self,
        solutions: &[Solution<'_>],
        prefixes: &mut [Prefixes],
    ) -> Result<Vec<Scores>, Error> {
        let mut scores = vec![Scores::default(); solutions.len()];
        for (member, prefixes) in self.members.iter().zip(prefixes) {
            member.score(solutions, &mut scores, prefixes)?;
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
