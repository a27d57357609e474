//! Independent samples, judged by the critics: what self-consistency, best-of-n and the weighted vote
//! pick from.

use critic::Solution;
use dataset::seed_for;
use lm::{Prefixes, Sampling};
use policy::StateRequest;
use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::config::check_sampling;
use crate::{Error, Question, Searcher};

/// The section `[sample]` of `evaluate.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleConfig {
    /// Samples of a question, at least 1.
    pub samples: u32,
    /// How they are drawn.
    pub sampling: Sampling,
}

impl SampleConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting.
    pub fn validate(&self) -> Result<(), Error> {
        if self.samples == 0 {
            let problem = "is 0; leave the section out instead".to_owned();
            return Err(Error::Config { key: "sample.samples", problem });
        }
        check_sampling("sample.sampling", self.sampling)
    }
}

impl Searcher {
    /// Samples of every question, in the order of the questions.
    ///
    /// # Errors
    /// A model's failure.
    pub fn independent_samples(
        &self,
        questions: &[Question<'_>],
        config: &SampleConfig,
    ) -> Result<Vec<Vec<Candidate>>, Error> {
        let states: Vec<StateRequest<'_>> = questions
            .iter()
            .flat_map(|question| {
                (0..config.samples).map(move |i| StateRequest {
                    question: question.text,
                    written: String::new(),
                    sampling: config.sampling,
                    to_end: true,
                    seed: seed_for(question.seed, "sample", 0, &i.to_string()),
                })
            })
            .collect();
        let written = self.policy().write(&states, &mut Prefixes::default())?;
        let solutions: Vec<Solution<'_>> = states
            .iter()
            .zip(&written)
            .map(|(state, option)| Solution {
                question: state.question,
                options: self.policy().config().termination.cut(&option.text),
                finished: true,
                branch: 0,
            })
            .collect();
        let scores = self.critic().score(&solutions, &mut self.critic().prefixes())?;
        let candidates: Vec<Candidate> = written
            .into_iter()
            .zip(scores)
            .map(|(option, s)| Candidate::new(option.text, option.stop, s.outcome, option.tokens))
            .collect();
        Ok(candidates.chunks(config.samples as usize).map(<[Candidate]>::to_vec).collect())
    }
}
