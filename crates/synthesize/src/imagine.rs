//! The operators of imagination (AlphaLLM §4.2), and the loop that turns them into prompts.
//!
//! It is given questions and makes questions. There is no answer here: not in what is read, and not in what is drawn,
//! where the world's own answer is thrown away at once.
//!
//! Every draw has a seed of its own, which derives from the run's seed, the round, the operator, the prompt wanted and
//! the attempt. So another round gives other prompts, and asking for more of them leaves those of an operator as they
//! were, as far as no duplicate is in the way.

use std::collections::BTreeSet;

use dataset::seed_for;
use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use schema::{Prompt, Question};
use serde::{Deserialize, Serialize};
use stage::{Failure, Progress};
use task::mutate::mutate;
use task::world::{Split, draw};

use crate::avoid::{Avoid, Resemblance};
use crate::output::Tally;
use crate::text::{normalise, prompt_id};

/// How much each operator contributes: the section `[operators]` of a preset. Shares are relative: 3 and 1 are the same
/// as 0.75 and 0.25.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operators {
    /// A seed question with other numbers, people and objects; 0 or more.
    pub mutate: f64,
    /// A new question of the embedded world, from templates and without its answer; 0 or more.
    pub fresh: f64,
}

impl Operators {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let shares = [("mutate", self.mutate), ("fresh", self.fresh)];
        if let Some((name, share)) =
            shares.iter().find(|(_, share)| !share.is_finite() || *share < 0.0)
        {
            let expected = "it has to be 0 or more";
            return Err(Failure::config(format!("`operators.{name}` is {share}: {expected}")));
        }
        if shares.iter().all(|(_, share)| *share == 0.0) {
            return Err(Failure::config("every share of `operators` is 0"));
        }
        Ok(())
    }

    /// How many of `count` prompts each operator makes.
    fn split(&self, count: usize) -> [(Operator, usize); 2] {
        let mutated = (count as f64 * (self.mutate / (self.mutate + self.fresh))).round() as usize;
        let mutated = mutated.min(count);
        [(Operator::Mutate, mutated), (Operator::Fresh, count - mutated)]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Mutate,
    Fresh,
}

impl Operator {
    /// The name in the column `operator`.
    fn name(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Fresh => "fresh",
        }
    }
}

/// What decides the prompts.
pub(crate) struct Imagination<'a> {
    pub(crate) operators: &'a Operators,
    pub(crate) templates: usize,
    pub(crate) count: usize,
    pub(crate) attempts: usize,
    pub(crate) seed: u64,
    pub(crate) round: i32,
}

/// A question that an operator proposes.
struct Draft {
    text: String,
    parents: Vec<String>,
}

/// How the draws of one operator ended.
#[derive(Default)]
struct Ends {
    draws: usize,
    unchanged: usize,
    duplicate: usize,
    skeleton: usize,
    overlap: usize,
    world: usize,
    kept: usize,
    missing: usize,
}

impl Ends {
    fn tally(&self, operator: Operator) -> Tally {
        let counts = vec![
            ("draws", self.draws),
            ("unchanged", self.unchanged),
            ("duplicate", self.duplicate),
            ("skeleton", self.skeleton),
            ("overlap", self.overlap),
            ("world", self.world),
            ("kept", self.kept),
            ("missing", self.missing),
        ];
        Tally { about: "operator", name: operator.name().to_owned(), counts }
    }
}

/// Makes prompts from seed questions. There are fewer than asked for where every attempt at one ended in nothing new.
pub(crate) fn imagine(
    plan: &Imagination<'_>,
    seeds: &[Question],
    avoid: &Avoid,
) -> (Vec<Prompt>, Vec<Tally>) {
    let mut screen = Screen::new(seeds, avoid);
    let order = plan.order(seeds);
    let progress = Progress::new("prompts", plan.count as u64);
    let (mut prompts, mut tallies) = (Vec::with_capacity(plan.count), Vec::new());
    for (operator, count) in plan.operators.split(plan.count) {
        let mut ends = Ends::default();
        for slot in 0..count {
            prompts.extend(plan.prompt((operator, slot), &order, &mut screen, &mut ends));
            progress.add(1);
        }
        tallies.push(ends.tally(operator));
    }
    (prompts, tallies)
}

impl Imagination<'_> {
    /// The seeds in an order of this round, so that a few prompts are not always made from the same ones. It does not
    /// depend on how the seeds are stored.
    fn order<'q>(&self, seeds: &'q [Question]) -> Vec<&'q Question> {
        let mut order: Vec<&Question> = seeds.iter().collect();
        order.sort_by(|a, b| a.prompt_id.cmp(&b.prompt_id));
        let seed = seed_for(self.seed, "synthesize/order", self.round, "");
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        order
    }

    /// The prompt of one slot, from the first attempt that gives something new.
    fn prompt(
        &self,
        (operator, slot): (Operator, usize),
        order: &[&Question],
        screen: &mut Screen<'_>,
        ends: &mut Ends,
    ) -> Option<Prompt> {
        let stream = format!("synthesize/{}", operator.name());
        for attempt in 0..self.attempts {
            let seed = seed_for(self.seed, &stream, self.round, &format!("{slot}.{attempt}"));
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let draft = match operator {
                Operator::Fresh => Some(self.fresh(&mut rng)),
                // Each seed has its turn before any has a second one; a seed that gave nothing is not asked again.
                Operator::Mutate if attempt == 0 => mutated(order[slot % order.len()], &mut rng),
                Operator::Mutate => order.choose(&mut rng).and_then(|of| mutated(of, &mut rng)),
            };
            ends.draws += 1;
            if let Some(draft) = screen.pass(draft, ends) {
                return Some(self.row(operator, draft, seed));
            }
        }
        ends.missing += 1;
        None
    }

    fn fresh(&self, rng: &mut ChaCha8Rng) -> Draft {
        Draft { text: draw(Split::Fresh, self.templates, rng).question, parents: Vec::new() }
    }

    fn row(&self, operator: Operator, draft: Draft, seed: u64) -> Prompt {
        Prompt {
            prompt_id: prompt_id(&draft.text),
            prompt: draft.text,
            answer: None,
            solution: None,
            source: "synthesize".to_owned(),
            split: "train".to_owned(),
            parent_ids: draft.parents,
            operator: Some(operator.name().to_owned()),
            difficulty: None,
            seed: Some(seed as i64),
            round: self.round,
        }
    }
}

fn mutated(of: &Question, rng: &mut ChaCha8Rng) -> Option<Draft> {
    let text = mutate(&of.prompt, rng)?;
    Some(Draft { text, parents: vec![of.prompt_id.clone()] })
}

/// Lets through what is new and resembles nothing that is evaluated.
struct Screen<'a> {
    seen: BTreeSet<String>,
    avoid: &'a Avoid,
}

impl<'a> Screen<'a> {
    fn new(seeds: &[Question], avoid: &'a Avoid) -> Self {
        Self { seen: seeds.iter().map(|seed| normalise(&seed.prompt)).collect(), avoid }
    }

    fn pass(&mut self, draft: Option<Draft>, ends: &mut Ends) -> Option<Draft> {
        let Some(draft) = draft else {
            ends.unchanged += 1;
            return None;
        };
        let text = normalise(&draft.text);
        let reason = if self.seen.contains(&text) {
            &mut ends.duplicate
        } else {
            match self.avoid.resemblance(&draft.text) {
                Some(Resemblance::Skeleton) => &mut ends.skeleton,
                Some(Resemblance::Overlap) => &mut ends.overlap,
                Some(Resemblance::World) => &mut ends.world,
                None => {
                    self.seen.insert(text);
                    ends.kept += 1;
                    return Some(draft);
                }
            }
        };
        *reason += 1;
        None
    }
}

#[cfg(test)]
#[path = "imagine_tests.rs"]
mod tests;
