//! Independent samples, scored by the critics. Self-consistency, best-of-n and the weighted vote pick from them. With
//! `[samples]` in `search.toml` they become training data instead of a tree's trajectories.

use critic::{Scores, Solution};
use dataset::seed_for;
use lm::Sampling;
use policy::{Continuation, FinishReason, Part, StateRequest};
use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::concurrent::InProgress;
use crate::config::check_sampling;
use crate::memory::Costed;
use crate::{Error, Question, Sampler, SearchProgress};

/// The `[sample]` section of `evaluate.toml` and `compare.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleConfig {
    /// Sample counts, each measured separately; at least one count, each at least 1.
    pub samples: Vec<u32>,
    /// How samples are drawn.
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

/// The `[samples]` section of `search.toml`: independent samples instead of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleBudget {
    /// Maximum number of samples per question, at least 1.
    pub count: u32,
    /// Maximum number of tokens in all samples of a question, at least 1; absent for no limit. The first samples that fit
    /// are kept, and the very first always is.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// How samples are drawn.
    pub sampling: Sampling,
}

/// A sample with its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Text, answer and outcome reward.
    pub candidate: Candidate,
    /// The text split into options.
    pub parts: Vec<Part>,
    /// The value after each option, in `[0, 1]`; empty without a value head.
    pub values: Vec<f32>,
    /// The process reward of each option, in `[0, 1]`; empty without a PRM head.
    pub process: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
}

/// The samples of a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampled {
    /// The samples, in the order drawn.
    pub samples: Vec<Sample>,
    /// Tokens generated in total, including a sample that was dropped because it exceeded the budget.
    pub tokens: u64,
}

impl SampleBudget {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting.
    pub fn validate(&self) -> Result<(), Error> {
        for (holds, key, problem) in [
            (self.count > 0, "samples.count", "is 0; leave `samples` out to search trees"),
            (self.tokens != Some(0), "samples.tokens", "is 0; leave it out for no limit"),
        ] {
            if !holds {
                return Err(Error::Config { key, problem: problem.to_owned() });
            }
        }
        check_sampling("samples.sampling", self.sampling)
    }

    /// How many samples to draw next, given the lengths so far in tokens: as many as fit even if all have the maximum
    /// length, and at least one while there is room. So at most one sample per question is drawn in vain, and the number
    /// does not depend on other questions.
    fn wave(&self, lengths: &[u32], longest: usize) -> u32 {
        let more = self.count.saturating_sub(lengths.len() as u32);
        let Some(most) = self.tokens else { return more };
        match most.saturating_sub(total(lengths)) {
            0 => 0,
            left => (left / longest.max(1) as u64).max(1).min(u64::from(more)) as u32,
        }
    }

    /// How many of the samples drawn are within the budget.
    fn kept(&self, lengths: &[u32]) -> usize {
        let most = self.tokens.unwrap_or(u64::MAX);
        let fits = |count: &usize| total(&lengths[..*count]) <= most;
        // A long sample is not skipped for a shorter one drawn later: that would favour short solutions.
        (1..=lengths.len()).take_while(fits).count().max(1)
    }
}

fn total(lengths: &[u32]) -> u64 {
    lengths.iter().copied().map(u64::from).sum()
}

fn lengths(options: &[Continuation]) -> Vec<u32> {
    options.iter().map(|option| option.tokens).collect()
}

impl Sample {
    fn new(option: Continuation, scores: Scores, leaves: Option<&mcts::Config>) -> Self {
        let Continuation { text, parts, tokens, finish, .. } = option;
        let candidate = Candidate::new(text, finish, scores.outcome, tokens);
        Self {
            candidate: match leaves {
                Some(config) => candidate.scored(&scores, config),
                None => candidate,
            },
            parts,
            values: scores.values,
            process: scores.process,
            finish,
        }
    }
}

impl Sampler {
    /// Answers every question greedily; results are in order. Reports progress to `watch`.
    ///
    /// # Errors
    /// An error of the policy.
    pub fn greedy(
        &self,
        questions: &[Question<'_>],
        watch: &mut dyn FnMut(SearchProgress),
    ) -> Result<Costed<Continuation>, Error> {
        self.for_each_question(questions, watch, |work, question| {
            // Greedy decoding draws nothing.
            let state = StateRequest { seed: 0, ..sample_of(&question, Sampling::Greedy, 0) };
            let written = self.policy.write(&[state], &mut work.memory.policy)?;
            let answer = written.into_iter().next().expect("a policy continues every state");
            work.step(SearchProgress { tokens: answer.tokens.into(), ..SearchProgress::default() });
            Ok(answer)
        })
    }

    /// Draws samples for every question within the budget and scores them. A smaller budget gives a prefix of the samples
    /// of a larger one. With the settings of a search they are also scored as its leaves. Reports progress to `watch`.
    ///
    /// # Errors
    /// An error of a model.
    pub fn samples(
        &self,
        questions: &[Question<'_>],
        budget: &SampleBudget,
        leaves: Option<&mcts::Config>,
        watch: &mut dyn FnMut(SearchProgress),
    ) -> Result<Costed<Sampled>, Error> {
        self.for_each_question(questions, watch, |work, question| {
            let drawn = self.draw_samples(question, budget, work)?;
            let tokens = total(&lengths(&drawn));
            let kept = budget.kept(&lengths(&drawn)).min(drawn.len());
            // Judged after the budget is applied: a sample that is dropped costs no critic tokens.
            let solutions = solutions(&question, &drawn[..kept]);
            let scores = work.memory.judge(self.critic(), &solutions)?;
            let each = drawn.into_iter().zip(scores);
            let sample = |(option, scores)| Sample::new(option, scores, leaves);
            Ok(Sampled { samples: each.map(sample).collect(), tokens })
        })
    }

    /// Draws samples for a question until none fits the budget any more.
    fn draw_samples(
        &self,
        question: Question<'_>,
        budget: &SampleBudget,
        work: &mut InProgress<'_>,
    ) -> Result<Vec<Continuation>, Error> {
        let longest = self.policy().config().max_solution_tokens;
        let mut drawn = Vec::<Continuation>::new();
        loop {
            let first = drawn.len() as u32;
            let wave = first..first + budget.wave(&lengths(&drawn), longest);
            if wave.is_empty() {
                return Ok(drawn);
            }
            let states: Vec<StateRequest<'_>> =
                wave.map(|i| sample_of(&question, budget.sampling, i)).collect();
            drawn.extend(self.policy().write(&states, &mut work.memory.policy)?);
            let (samples, tokens) = (drawn.len() as u64, total(&lengths(&drawn)));
            work.step(SearchProgress { samples, tokens, ..SearchProgress::default() });
        }
    }
}

/// The samples as the critics read them.
fn solutions<'a>(question: &Question<'a>, options: &[Continuation]) -> Vec<Solution<'a>> {
    let solution = |option: &Continuation| Solution {
        question: question.text,
        options: option.texts().collect(),
        finished: true,
        // Samples share nothing but the question.
        branch: 0,
    };
    options.iter().map(solution).collect()
}

/// The request for sample `i` of a question.
fn sample_of<'a>(question: &Question<'a>, sampling: Sampling, i: u32) -> StateRequest<'a> {
    StateRequest {
        question: question.text,
        written: String::new(),
        sampling,
        to_end: true,
        keep: false,
        excluded: Vec::new(),
        // By the sample's own number, so that 4 samples are the first 4 of 16, in whatever waves they are drawn.
        seed: seed_for(question.seed, "sample", 0, &i.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(count: u32, tokens: Option<u64>) -> SampleBudget {
        SampleBudget { count, tokens, sampling: Sampling::Greedy }
    }

    #[test]
    fn samples_are_kept_while_they_fit_and_the_first_always() {
        let kept = |tokens, lengths: &[u32]| budget(8, tokens).kept(lengths);
        assert_eq!(kept(None, &[40, 50, 60]), 3);
        assert_eq!(kept(Some(90), &[40, 50, 60]), 2, "exactly full");
        assert_eq!(kept(Some(89), &[40, 50, 60]), 1);
        assert_eq!(kept(Some(99), &[40, 60, 10]), 1, "none is skipped for a shorter one after it");
        assert_eq!(kept(Some(10), &[40]), 1);
    }

    #[test]
    fn a_wave_draws_what_surely_fits_and_one_more_while_there_is_room() {
        let wave = |count, tokens, lengths: &[u32]| budget(count, tokens).wave(lengths, 50);
        assert_eq!(wave(5, None, &[]), 5, "all at once");
        assert_eq!(wave(5, None, &[9; 5]), 0);
        assert_eq!(wave(9, Some(210), &[]), 4);
        assert_eq!(wave(3, Some(210), &[]), 3);
        assert_eq!(wave(9, Some(210), &[20; 4]), 2);
        assert_eq!(wave(9, Some(210), &[20; 10]), 0, "no more than so many samples");
        assert_eq!(wave(99, Some(210), &[20; 10]), 1, "perhaps in vain");
        assert_eq!(wave(9, Some(210), &[50, 50, 50, 60]), 0, "full");
        assert_eq!(wave(9, Some(10), &[40]), 0, "over");
    }

    #[test]
    fn settings_out_of_range_are_named() {
        budget(1, None).validate().unwrap();
        let hot = Sampling::Temperature { temperature: 0.0 };
        for (wrong, word) in [
            (budget(0, None), "samples.count"),
            (budget(1, Some(0)), "samples.tokens"),
            (SampleBudget { sampling: hot, ..budget(1, None) }, "samples.sampling"),
        ] {
            let message = wrong.validate().unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
