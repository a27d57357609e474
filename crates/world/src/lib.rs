//! The embedded world: grade-school word problems with solutions, generated from templates.
//!
//! It replaces a dataset such as GSM8K where there is no network and no large model. It is small enough to be learned
//! from scratch in minutes, and varied enough that a model must generalise to new numbers, people, objects, phrasings
//! and combinations. A problem is a question, a solution with one `a op b = c` per line, and the answer, which is the
//! last result. Everything is a pure function of the random generator that is passed in.
//!
//! [`operators`] make new questions out of old ones, without a model.
//!
//! Splits are disjoint by construction ([`split_of`]): no split ever draws a question that belongs to another.

mod groups;
mod lexicon;
pub mod operators;
mod script;
mod split;
mod stories;
mod teller;
mod text;
mod topics;

pub(crate) use lexicon::{CLASSES, Known, PEOPLE, known};
pub(crate) use split::words;
pub use split::{Split, hash, is_evaluation, mix, shape, skeleton, split_of};
pub(crate) use teller::{gcd, pick};
pub use text::{CorpusMix, arithmetic_line, corpus, story};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use script::{Beat, Template, Topic, count, names};
use std::collections::BTreeSet;
use teller::{Teller, capitalise};

/// Names of the templates that all splits except [`Split::OodTemplates`] draw from.
pub const TEMPLATES: &[&str] = &names::<{ count(topics::TRAINING) }>(topics::TRAINING);

/// Names of the templates of [`Split::OodTemplates`].
pub const HELD_OUT: &[&str] = &names::<{ count(topics::UNSEEN) }>(topics::UNSEEN);

/// Numbers of steps and their weights for the training splits: mostly two to four steps.
const STEPS: &[(usize, u32)] = &[(2, 25), (3, 30), (4, 25), (5, 15), (6, 5)];
/// Numbers of steps and their weights for the held-out templates.
const STEPS_OF_TEMPLATES: &[(usize, u32)] = &[(2, 25), (3, 35), (4, 25), (5, 15)];
/// Numbers of steps and their weights for the longer chains.
const STEPS_OF_CHAINS: &[(usize, u32)] = &[(6, 1), (7, 1), (8, 1)];
/// How often numbers are drawn for one arrangement of beats before another arrangement is tried.
const DRAWS: usize = 30;
/// How often beats are arranged for one template and number of steps before others are chosen.
const ARRANGEMENTS: usize = 30;

/// A word problem and its solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The text, which ends with a question.
    pub question: String,
    /// The lines of the solution, each with one equation, without the answer line.
    pub steps: Vec<String>,
    /// The result of the last step, 2 to 999.
    pub answer: i64,
    /// The name of the template, one of [`TEMPLATES`] or [`HELD_OUT`].
    pub template: &'static str,
    /// The topic of the template, such as `shopping`.
    pub topic: &'static str,
}

impl Problem {
    /// Returns the steps, one per line, and the line `#### answer`.
    #[must_use]
    pub fn solution(&self) -> String {
        format!("{}\n#### {}", self.steps.join("\n"), self.answer)
    }

    /// Returns the number of steps in the solution.
    #[must_use]
    pub fn difficulty(&self) -> usize {
        self.steps.len()
    }
}

/// Draws a problem of a split from the first `templates` templates. They are taken from the topics in turn, so that
/// even a small world has all topics. It retries until a problem is valid and belongs to the split, which in practice
/// takes a few dozen attempts.
///
/// # Panics
/// If `templates` is 0.
pub fn draw(split: Split, templates: usize, rng: &mut ChaCha8Rng) -> Problem {
    let (topics, steps) = match split {
        Split::OodTemplates => (topics::UNSEEN, STEPS_OF_TEMPLATES),
        Split::OodChains => (topics::TRAINING, STEPS_OF_CHAINS),
        _ => (topics::TRAINING, STEPS),
    };
    loop {
        // The template and the number of steps survive rejected numbers; otherwise templates whose numbers rarely fit
        // would be drawn less often.
        let template = any_template(topics, templates, rng);
        let steps = weighted(steps, rng);
        let problem = (0..ARRANGEMENTS).find_map(|_| {
            let beats = arrange(template.1, steps, rng)?;
            // Only the finished text decides its split, so problems of the other splits are told and thrown away.
            let valid = |_| {
                tell(template, &beats, rng).filter(|problem| split_of(&problem.question) == split)
            };
            (0..DRAWS).find_map(valid)
        });
        if let Some(problem) = problem {
            return problem;
        }
    }
}

/// Draws `n` problems of a split, from all templates, with distinct questions. The i-th problem's generator is derived
/// from `(seed, split, i)`, so a larger `n` only appends problems.
#[must_use]
pub fn draw_many(split: Split, n: usize, seed: u64) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let fresh = |index: usize| {
        // The position of a split in its enum is part of the seed, so the order there must not change.
        let mut rng = derived(seed, split as u64, index as u64);
        loop {
            let problem = draw(split, TEMPLATES.len(), &mut rng);
            if seen.insert(problem.question.clone()) {
                return problem;
            }
        }
    };
    (0..n).map(fresh).collect()
}

/// Returns the random generator for one item of one kind.
fn derived(seed: u64, kind: u64, index: u64) -> ChaCha8Rng {
    // Plus one, because `mix` maps 0 to 0.
    ChaCha8Rng::seed_from_u64(mix(mix(mix(seed) ^ (kind + 1)) ^ (index + 1)))
}

/// Returns one of the first templates and its topic, all equally likely.
fn any_template(
    topics: &'static [Topic],
    templates: usize,
    rng: &mut ChaCha8Rng,
) -> (&'static Topic, &'static Template) {
    let turn = |turn: usize| {
        topics.iter().filter_map(move |topic| Some((topic, topic.templates.get(turn)?)))
    };
    // `OodTemplates` has fewer templates than a preset may ask for.
    let index = rng.random_range(0..count(topics).min(templates));
    (0..).flat_map(turn).nth(index).expect("the index is below the count of templates")
}

/// Draws a value with a probability proportional to its weight.
fn weighted(values: &[(usize, u32)], rng: &mut ChaCha8Rng) -> usize {
    let mut left = rng.random_range(0..values.iter().map(|(_, weight)| weight).sum());
    let mut chosen = 0;
    for &(value, weight) in values {
        chosen = value;
        if left < weight {
            break;
        }
        left -= weight;
    }
    chosen
}

/// Returns beats of a template, in order, that make exactly this many steps; `None` if the end that was drawn does not
/// allow it. No tail is used twice.
fn arrange(
    template: &'static Template,
    steps: usize,
    rng: &mut ChaCha8Rng,
) -> Option<Vec<&'static Beat>> {
    let end = pick(rng, template.group.ends)?;
    let mut needed = steps.checked_sub(template.opening.steps.len() + end.steps.len())?;
    let mut tails: Vec<_> = template.group.tails.iter().collect();
    tails.shuffle(rng);
    let mut beats = vec![&template.opening];
    // Whatever is too long is skipped, since a shorter tail after it may still fit.
    for tail in tails {
        if let Some(rest) = needed.checked_sub(tail.steps.len()) {
            needed = rest;
            beats.push(tail);
        }
    }
    beats.push(end);
    (needed == 0).then_some(beats)
}

/// Tells the beats once; `None` if the numbers that were drawn do not fit.
fn tell(of: (&Topic, &Template), beats: &[&Beat], rng: &mut ChaCha8Rng) -> Option<Problem> {
    let mut teller = Teller::new(rng);
    beats.iter().try_for_each(|beat| teller.tell(beat))?;
    Some(Problem {
        question: capitalise(&teller.text.join(" ")),
        steps: teller.steps,
        answer: teller.last,
        template: of.1.name,
        topic: of.0.name,
    })
}
