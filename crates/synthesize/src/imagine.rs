//! Imagination (AlphaLLM §4.2): turns questions into new prompts.
//!
//! No labels are involved: they are not read from the seeds, and the world's own answer to a drawn question is
//! discarded at once. Answers that an earlier round found are not labels either.
//!
//! Every draw has its own seed, derived from the run's seed, the round, the operator, the index of the prompt and the
//! attempt. So another round gives other prompts, and asking for more leaves an operator's existing prompts as they
//! were, unless duplicates or the limit on shapes interfere. Attempts are made together, so that models that write or
//! try questions get full batches.

mod diversity;
mod near;
mod screen;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use dataset::seed_for;
use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use schema::{Prompt, Question};
use stage::{Failure, Progress};
use world::operators::{backward, compose, extend, mutate, requestion, shorten};
use world::{Split, draw, shape};

use crate::author::{Author, Commission, Probe, Verdict};
use crate::avoid::Avoid;
use crate::earlier::Parent;
use crate::operator::{Operator, Shares};
use crate::output::Tally;
use crate::text::prompt_id;
use diversity::Diversity;
use screen::{End, Screen};

pub use near::NearConfig;
pub use screen::QualityConfig;

/// The settings that determine the prompts.
pub(crate) struct Imagination<'a> {
    pub(crate) shares: &'a Shares,
    pub(crate) quality: Option<&'a QualityConfig>,
    pub(crate) templates: usize,
    pub(crate) count: usize,
    pub(crate) attempts: usize,
    pub(crate) seed: u64,
    pub(crate) round: i32,
    /// The models, if any operator or difficulty setting needs one.
    pub(crate) author: Option<Author<'a>>,
}

/// The questions that prompts are made from.
pub(crate) struct Material<'a> {
    pub(crate) seeds: &'a [Question],
    /// Prompts of earlier rounds that serve as parents besides the seeds.
    pub(crate) kept: &'a [Parent],
    /// Prompts of earlier rounds with a found answer.
    pub(crate) answered: &'a [Parent],
    /// The texts of all prompts of earlier rounds.
    pub(crate) earlier: &'a [String],
}

impl<'a> Material<'a> {
    /// The texts that must not be made again.
    fn texts(&self) -> impl Iterator<Item = &'a str> {
        let seeds = self.seeds.iter().map(|seed| seed.prompt.as_str());
        let kept = self.kept.iter().chain(self.answered).map(|parent| parent.text.as_str());
        seeds.chain(kept).chain(self.earlier.iter().map(String::as_str))
    }
}

/// One requested prompt of an operator.
#[derive(Debug, Clone, Copy)]
struct Slot {
    operator: Operator,
    index: usize,
}

/// A question that an operator proposes for a slot.
struct Draft {
    slot: Slot,
    seed: u64,
    text: String,
    parents: Vec<String>,
    /// The answer that must come out if the answer found earlier is right.
    expected: Option<String>,
    difficulty: Option<f64>,
}

impl Draft {
    fn probe(&self) -> Probe<'_> {
        Probe { question: &self.text, expected: self.expected.as_deref(), seed: self.seed }
    }
}

/// Counts of how the draws of one operator ended.
#[derive(Default)]
struct Ends {
    dropped: BTreeMap<End, usize>,
    kept: usize,
    missing: usize,
    diversity: Diversity,
}

impl Ends {
    fn count(&mut self, end: End) {
        *self.dropped.entry(end).or_default() += 1;
    }

    fn tally(&self, operator: &str, shapes_of_seeds: &BTreeSet<String>) -> Tally {
        let ends =
            End::ALL.map(|(end, name)| (name, self.dropped.get(&end).copied().unwrap_or_default()));
        let mut counts = vec![("draws", self.kept + self.dropped.values().sum::<usize>())];
        counts.extend(ends);
        counts.extend([("kept", self.kept), ("missing", self.missing)]);
        counts.extend(self.diversity.counts(shapes_of_seeds));
        Tally { about: "operator", name: operator.to_owned(), counts }
    }
}

/// Makes prompts. Returns fewer than requested if all attempts at some of them failed.
pub(crate) fn imagine(
    plan: &Imagination<'_>,
    material: &Material<'_>,
    avoid: &Avoid,
) -> Result<(Vec<Prompt>, Vec<Tally>), Failure> {
    imagine_some(plan, 0..plan.count, material, avoid)
}

/// Makes the prompts at some places among all that are requested, as if there were no others.
pub(crate) fn imagine_some(
    plan: &Imagination<'_>,
    places: Range<usize>,
    material: &Material<'_>,
    avoid: &Avoid,
) -> Result<(Vec<Prompt>, Vec<Tally>), Failure> {
    let counts = plan.shares.split(plan.count);
    let slots = |(operator, count): &(Operator, usize)| {
        let operator = *operator;
        (0..*count).map(move |index| Slot { operator, index })
    };
    let open = counts.iter().flat_map(slots);
    let mut open: Vec<Slot> = open.skip(places.start).take(places.len()).collect();
    let mut making = Making {
        screen: Screen::new(material.texts(), avoid, plan.quality, plan.count),
        ends: counts.iter().map(|(operator, _)| (*operator, Ends::default())).collect(),
        prompts: Vec::new(),
    };
    let (pool, progress) = (plan.pool(material), Progress::new("prompts", open.len() as u64));
    for attempt in 0..plan.attempts {
        if open.is_empty() {
            break;
        }
        let drafts = plan.drafts(&open, attempt, &pool)?;
        let left = making.judge(plan, drafts)?;
        progress.add((open.len() - left.len()) as u64);
        open = left;
    }
    for slot in open {
        making.ends(slot.operator).missing += 1;
    }
    Ok(making.finish(material.seeds))
}

/// The prompts made so far, with the state needed to judge more.
struct Making<'a> {
    screen: Screen<'a>,
    ends: BTreeMap<Operator, Ends>,
    prompts: Vec<Prompt>,
}

impl Making<'_> {
    fn ends(&mut self, operator: Operator) -> &mut Ends {
        self.ends.entry(operator).or_default()
    }

    /// Keeps the drafts that qualify and returns the slots of those that do not.
    fn judge(
        &mut self,
        plan: &Imagination<'_>,
        drafts: Vec<Result<Draft, Slot>>,
    ) -> Result<Vec<Slot>, Failure> {
        let (mut passed, mut left) = (Vec::new(), Vec::new());
        for draft in drafts {
            let (slot, end) = match draft {
                Err(slot) => (slot, End::Unchanged),
                Ok(draft) => {
                    let Some(end) = self.screen.pass(&draft.text) else {
                        passed.push(draft);
                        continue;
                    };
                    (draft.slot, end)
                }
            };
            self.ends(slot.operator).count(end);
            left.push(slot);
        }
        // Rollouts come last: they are the only check that costs model time.
        for (draft, verdict) in plan.probed(passed)? {
            let (slot, end) = match verdict {
                Verdict::Fits(difficulty) => {
                    self.keep(plan, Draft { difficulty, ..draft });
                    continue;
                }
                Verdict::Easy => (draft.slot, End::Easy),
                Verdict::Inconsistent => (draft.slot, End::Inconsistent),
            };
            self.screen.release(&draft.text);
            self.ends(slot.operator).count(end);
            left.push(slot);
        }
        Ok(left)
    }

    fn keep(&mut self, plan: &Imagination<'_>, draft: Draft) {
        let ends = self.ends(draft.slot.operator);
        ends.kept += 1;
        ends.diversity.add(&draft.text);
        self.prompts.push(plan.row(draft));
    }

    fn finish(self, seeds: &[Question]) -> (Vec<Prompt>, Vec<Tally>) {
        let shapes = seeds.iter().map(|seed| shape(&seed.prompt)).collect();
        let tally = |(operator, ends): (&Operator, &Ends)| ends.tally(operator.name(), &shapes);
        (self.prompts, self.ends.iter().map(tally).collect())
    }
}

/// The questions that drafts are made from, in the order of this round.
struct Pool<'a> {
    parents: Vec<(&'a str, &'a str)>,
    answered: Vec<&'a Parent>,
}

/// A question that an operator made without a model.
struct Made {
    text: String,
    /// The ids of the questions that it was made from.
    parents: Vec<String>,
    /// The answer that must come out if the answer found earlier is right.
    expected: Option<String>,
}

/// An attempt at a slot, which decides whose turn it is to be the parent.
#[derive(Debug, Clone, Copy)]
struct Turn {
    slot: Slot,
    attempt: usize,
}

impl Turn {
    /// Picks the parent. First attempts take turns, so that every parent is used before any is used twice; later attempts
    /// pick at random.
    fn parent<'p, T>(self, parents: &'p [T], rng: &mut ChaCha8Rng) -> Option<&'p T> {
        match self.attempt {
            0 if !parents.is_empty() => parents.get(self.slot.index % parents.len()),
            _ => parents.choose(rng),
        }
    }
}

impl Pool<'_> {
    /// Makes a question of one parent.
    fn of_one(
        &self,
        turn: Turn,
        rng: &mut ChaCha8Rng,
        make: impl FnOnce(&str, &mut ChaCha8Rng) -> Option<String>,
    ) -> Option<Made> {
        let (id, text) = *turn.parent(&self.parents, rng)?;
        Some(Made { text: make(text, rng)?, parents: vec![id.to_owned()], expected: None })
    }

    /// Makes a question of two different parents.
    fn of_two(
        &self,
        turn: Turn,
        rng: &mut ChaCha8Rng,
        make: impl FnOnce(&str, &str, &mut ChaCha8Rng) -> Option<String>,
    ) -> Option<Made> {
        let (id, text) = *turn.parent(&self.parents, rng)?;
        // Not drawn until it differs: with a single parent that would never end. The slot gets another attempt instead.
        let (other_id, other) = *self.parents.choose(rng).filter(|other| other.0 != id)?;
        let parents = vec![id.to_owned(), other_id.to_owned()];
        Some(Made { text: make(text, other, rng)?, parents, expected: None })
    }

    /// Makes a backward question of a parent with a found answer.
    fn backward(&self, turn: Turn, rng: &mut ChaCha8Rng) -> Option<Made> {
        let parent = *turn.parent(&self.answered, rng)?;
        let made = backward(&parent.text, parent.found.as_deref()?, rng)?;
        let (text, parents) = (made.question, vec![parent.id.clone()]);
        Some(Made { text, parents, expected: Some(made.expected) })
    }
}

impl Imagination<'_> {
    /// Shuffles the parents for this round, so that a few prompts are not always made from the same ones. They are
    /// sorted first, so the result does not depend on how they are stored.
    fn pool<'m>(&self, material: &Material<'m>) -> Pool<'m> {
        let shuffled =
            || ChaCha8Rng::seed_from_u64(seed_for(self.seed, "synthesize/order", self.round, ""));
        let seeds =
            material.seeds.iter().map(|seed| (seed.prompt_id.as_str(), seed.prompt.as_str()));
        let kept = material.kept.iter().map(|kept| (kept.id.as_str(), kept.text.as_str()));
        let mut parents: Vec<_> = seeds.chain(kept).collect();
        parents.sort_unstable();
        parents.dedup();
        parents.shuffle(&mut shuffled());
        let mut answered: Vec<&Parent> =
            material.answered.iter().filter(|parent| parent.found.is_some()).collect();
        // Already in the order of their ids (`Earlier::kept`).
        answered.shuffle(&mut shuffled());
        Pool { parents, answered }
    }

    /// Makes a draft for each slot, or returns the slot if its operator made nothing. Drafts that need no model come
    /// first.
    fn drafts(
        &self,
        open: &[Slot],
        attempt: usize,
        pool: &Pool<'_>,
    ) -> Result<Vec<Result<Draft, Slot>>, Failure> {
        let (written, others): (Vec<Slot>, Vec<Slot>) =
            open.iter().partition(|slot| slot.operator.is_written());
        let alone = |slot: Slot| self.draft(slot, attempt, pool).ok_or(slot);
        let mut drafts: Vec<_> = others.into_iter().map(alone).collect();
        drafts.extend(self.written(written, attempt, pool)?);
        Ok(drafts)
    }

    /// Has the author write a draft for each slot.
    fn written(
        &self,
        slots: Vec<Slot>,
        attempt: usize,
        pool: &Pool<'_>,
    ) -> Result<Vec<Result<Draft, Slot>>, Failure> {
        let Some(author) = &self.author else { return Ok(slots.into_iter().map(Err).collect()) };
        let (mut drafts, mut begun, mut commissions) = (Vec::new(), Vec::new(), Vec::new());
        for slot in slots {
            match self.commission(author, slot, attempt, pool) {
                Some((draft, commission)) => {
                    begun.push(draft);
                    commissions.push(commission);
                }
                None => drafts.push(Err(slot)),
            }
        }
        let texts = author.write(&commissions)?;
        drafts.extend(begun.into_iter().zip(texts).map(|(draft, text)| match text {
            Some(text) => Ok(Draft { text, ..draft }),
            None => Err(draft.slot),
        }));
        Ok(drafts)
    }

    /// The seed of an attempt at a slot.
    fn seed(&self, slot: Slot, attempt: usize) -> u64 {
        let stream = format!("synthesize/{}", slot.operator.name());
        seed_for(self.seed, &stream, self.round, &format!("{}.{attempt}", slot.index))
    }

    /// Makes a draft without a model. `None` if the operator made nothing of its parents, or if it needs a model.
    fn draft(&self, slot: Slot, attempt: usize, pool: &Pool<'_>) -> Option<Draft> {
        let seed = self.seed(slot, attempt);
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let turn = Turn { slot, attempt };
        let made = match slot.operator {
            Operator::Fresh => {
                // The answer is dropped in the expression that draws it, so it can reach no file.
                let text = draw(Split::Fresh, self.templates, rng).question;
                Made { text, parents: Vec::new(), expected: None }
            }
            Operator::Backward => pool.backward(turn, rng)?,
            Operator::Mutate => pool.of_one(turn, rng, mutate)?,
            Operator::Shorten => pool.of_one(turn, rng, shorten)?,
            Operator::Extend => pool.of_two(turn, rng, extend)?,
            Operator::Requestion => {
                pool.of_two(turn, rng, |text, other, _| requestion(text, other))?
            }
            Operator::Compose => pool.of_two(turn, rng, compose)?,
            Operator::Rephrase | Operator::SelfInstruct | Operator::Deepen | Operator::Widen => {
                return None;
            }
        };
        let Made { text, parents, expected } = made;
        Some(Draft { slot, seed, text, parents, expected, difficulty: None })
    }

    /// Prepares a draft and the commission for its text.
    fn commission<'q>(
        &self,
        author: &Author<'_>,
        slot: Slot,
        attempt: usize,
        pool: &Pool<'q>,
    ) -> Option<(Draft, Commission<'q>)> {
        let seed = self.seed(slot, attempt);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (id, question) = *Turn { slot, attempt }.parent(&pool.parents, &mut rng)?;
        let (starts, shown) = author.needs(slot.operator);
        // One more than needed, in case the parent itself is among them.
        let others = pool.parents.choose_multiple(&mut rng, shown + 1).copied();
        let shown: Vec<(&str, &str)> = others.filter(|other| other.0 != id).take(shown).collect();
        let start = starts.then(|| id.to_owned());
        let parents =
            start.into_iter().chain(shown.iter().map(|(id, _)| (*id).to_owned())).collect();
        let (text, expected, difficulty) = (String::new(), None, None);
        let draft = Draft { slot, seed, text, parents, expected, difficulty };
        let examples = shown.into_iter().map(|(_, text)| text).collect();
        Some((draft, Commission { operator: slot.operator, question, examples, seed }))
    }

    /// Measures the difficulty of drafts with rollouts of the policy.
    fn probed(&self, drafts: Vec<Draft>) -> Result<Vec<(Draft, Verdict)>, Failure> {
        let verdicts = match &self.author {
            Some(author) => author.probe(&drafts.iter().map(Draft::probe).collect::<Vec<_>>())?,
            None => vec![Verdict::Fits(None); drafts.len()],
        };
        Ok(drafts.into_iter().zip(verdicts).collect())
    }

    fn row(&self, draft: Draft) -> Prompt {
        Prompt {
            prompt_id: prompt_id(&draft.text),
            prompt: draft.text,
            answer: None,
            solution: None,
            source: "synthesize".to_owned(),
            split: "train".to_owned(),
            parent_ids: draft.parents,
            operator: Some(draft.slot.operator.name().to_owned()),
            expected: draft.expected,
            difficulty: draft.difficulty.map(|difficulty| difficulty as f32),
            seed: Some(draft.seed as i64),
            round: self.round,
        }
    }
}

#[cfg(test)]
mod tests;
