//! Independent samples, judged by the critics: what self-consistency, best-of-n and the weighted vote
//! pick from.

use critic::Solution;
use dataset::seed_for;
use lm::Sampling;
use policy::StateRequest;
use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::config::check_sampling;
use crate::memory::{Found, Memory};
use crate::{Error, Question, Searcher};

/// The section `[sample]` of `evaluate.toml` and `compare.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleConfig {
    /// Samples of a question, each number a measurement of its own; at least one, each at least 1.
    pub samples: Vec<u32>,
    /// How they are drawn.
    pub sampling: Sampling,
}

impl SampleConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting.
    pub fn validate(&self) -> Result<(), Error> {
        if self.samples.is_empty() || self.samples.contains(&0) {
            let problem = "must be numbers from 1 on; leave the section out for none".to_owned();
            return Err(Error::Config { key: "sample.samples", problem });
        }
        check_sampling("sample.sampling", self.sampling)
    }
}

impl Searcher {
    /// `count` samples of every question. The first of many are the same as the first of few.
    ///
    /// # Errors
    /// A model's failure.
    pub fn independent_samples(
        &self,
        questions: &[Question<'_>],
        sampling: Sampling,
        count: u32,
    ) -> Result<Found<Vec<Candidate>>, Error> {
        let states: Vec<StateRequest<'_>> = questions
            .iter()
            .flat_map(|question| {
                (0..count).map(move |i| StateRequest {
                    question: question.text,
                    written: String::new(),
                    sampling,
                    to_end: true,
                    keep: false,
                    excluded: Vec::new(),
                    seed: seed_for(question.seed, "sample", 0, &i.to_string()),
                })
            })
            .collect();
        let mut memory = Memory::new(self.critic());
        let written = self.policy().write(&states, &mut memory.policy)?;
        let solutions: Vec<Solution<'_>> = states
            .iter()
            .zip(&written)
            .map(|(state, option)| Solution {
                question: state.question,
                options: option.texts().collect(),
                finished: true,
                branch: 0,
            })
            .collect();
        let scores = memory.judge(self.critic(), &solutions)?;
        let candidates: Vec<Candidate> = written
            .into_iter()
            .zip(scores)
            .map(|(option, s)| Candidate::new(option.text, option.stop, s.outcome, option.tokens))
            .collect();
        let found = candidates.chunks(count as usize).map(<[Candidate]>::to_vec).collect();
        Ok(Found { found, cost: memory.cost() })
    }
}
