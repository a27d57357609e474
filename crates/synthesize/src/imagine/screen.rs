//! Screens drafts: a prompt has to be new, well posed, of a shape that is not used up, and unlike anything that is
//! evaluated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stage::Failure;
use world::operators::flaw;
use world::shape;

use super::near::{Near, NearConfig};
use crate::avoid::{Avoid, Resemblance};
use crate::text::normalise;

/// Requirements on a prompt besides being new: the section `[quality]` of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityConfig {
    /// Drop questions that ask nothing, have no number, ask about somebody never mentioned, contradict themselves, or speak of
    /// the task instead of telling one.
    pub well_posed: bool,
    /// The maximum share of prompts with the same shape (equal except for names, objects and numbers), 0 to 1. At least
    /// one is always kept; 1 turns the limit off.
    pub most_of_a_shape: f64,
    /// Near-duplicates; if absent, only equal texts are duplicates.
    #[serde(default)]
    pub near_duplicates: Option<NearConfig>,
}

impl QualityConfig {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if !(0.0..=1.0).contains(&self.most_of_a_shape) {
            let share = self.most_of_a_shape;
            let message = format!("`quality.most_of_a_shape` is {share}: it has to be 0 to 1");
            return Err(Failure::config(message));
        }
        self.near_duplicates.as_ref().map_or(Ok(()), NearConfig::check)
    }
}

/// The reason why a draft did not become a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The operator made nothing.
    Unchanged,
    /// It cannot have an answer.
    Flawed,
    /// Its text exists already.
    Duplicate,
    /// A near-duplicate exists already.
    Near,
    /// Its shape has enough prompts.
    Crowded,
    /// It is an evaluation question about other people or objects.
    Skeleton,
    /// It shares too many n-grams with an evaluation question.
    Overlap,
    /// It falls into an evaluation split of the embedded world.
    World,
    /// The policy's rollouts do not agree on an answer.
    Inconsistent,
    /// The policy's rollouts agree too much: there is little to learn.
    Easy,
}

impl End {
    /// All reasons, with their names in the metrics.
    pub(crate) const ALL: [(Self, &'static str); 10] = [
        (Self::Unchanged, "unchanged"),
        (Self::Flawed, "flawed"),
        (Self::Duplicate, "duplicate"),
        (Self::Near, "near"),
        (Self::Crowded, "crowded"),
        (Self::Skeleton, "skeleton"),
        (Self::Overlap, "overlap"),
        (Self::World, "world"),
        (Self::Inconsistent, "inconsistent"),
        (Self::Easy, "easy"),
    ];
}

/// Decides which texts may become prompts, and remembers those it let through.
pub(crate) struct Screen<'a> {
    avoid: &'a Avoid,
    well_posed: bool,
    /// The maximum number of prompts per shape.
    most: usize,
    seen: BTreeSet<String>,
    near: Option<Near>,
    shapes: BTreeMap<String, usize>,
}

impl<'a> Screen<'a> {
    /// A screen for `count` prompts that must not repeat any of the texts in `before`.
    pub(crate) fn new(
        before: impl Iterator<Item = impl AsRef<str>>,
        avoid: &'a Avoid,
        quality: Option<&QualityConfig>,
        count: usize,
    ) -> Self {
        let mut near = quality.and_then(|quality| quality.near_duplicates.as_ref()).map(Near::new);
        let mut seen = BTreeSet::new();
        for text in before {
            seen.insert(normalise(text.as_ref()));
            if let Some(near) = &mut near {
                near.add(text.as_ref());
            }
        }
        let share = quality.map_or(1.0, |quality| quality.most_of_a_shape);
        Self {
            avoid,
            well_posed: quality.is_some_and(|quality| quality.well_posed),
            // At least one, or a small run could not keep any prompt.
            most: ((share * count as f64) as usize).max(1),
            seen,
            near,
            // The texts before do not count: the limit is a share of the prompts of this round.
            shapes: BTreeMap::new(),
        }
    }

    /// Returns the reason why a text must not become a prompt. `None` lets it through, and no later text may repeat it.
    pub(crate) fn pass(&mut self, text: &str) -> Option<End> {
        // A draft is counted under its first fault, so another order would change what the metrics say.
        if self.well_posed && flaw(text).is_some() {
            return Some(End::Flawed);
        }
        if self.seen.contains(&normalise(text)) {
            return Some(End::Duplicate);
        }
        if self.near.as_ref().is_some_and(|near| near.has(text)) {
            return Some(End::Near);
        }
        if self.shapes.get(&shape(text)).is_some_and(|count| *count >= self.most) {
            return Some(End::Crowded);
        }
        match self.avoid.resemblance(text) {
            Some(Resemblance::Skeleton) => return Some(End::Skeleton),
            Some(Resemblance::Overlap) => return Some(End::Overlap),
            Some(Resemblance::World) => return Some(End::World),
            None => {}
        }
        self.seen.insert(normalise(text));
        if let Some(near) = &mut self.near {
            near.add(text);
        }
        *self.shapes.entry(shape(text)).or_default() += 1;
        None
    }

    /// Frees the place that a text took in its shape, for texts that passed but were not used after all. The text
    /// itself stays known: a near-duplicate would end the same way and need not be tried.
    pub(crate) fn release(&mut self, text: &str) {
        self.shapes.entry(shape(text)).and_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avoid::AvoidConfig;

    const TOM: &str = "Tom has 3 apples and eats 2. How many are left?";

    fn avoid() -> Avoid {
        Avoid::new(&[], &[], &AvoidConfig { ngram: 8, overlap: 2.0, world: false })
    }

    fn quality(most_of_a_shape: f64) -> QualityConfig {
        let near_duplicates = Some(NearConfig { ngram: 2, similarity: 0.9 });
        QualityConfig { well_posed: true, most_of_a_shape, near_duplicates }
    }

    #[test]
    fn a_draft_is_refused_for_its_first_fault() {
        let (avoid, quality) = (avoid(), quality(1.0));
        let mut screen = Screen::new([TOM].into_iter(), &avoid, Some(&quality), 10);
        assert_eq!(screen.pass("Tom has 3 apples."), Some(End::Flawed));
        assert_eq!(screen.pass(&TOM.to_uppercase()), Some(End::Duplicate));
        assert_eq!(screen.pass(&TOM.replace('.', " !")), Some(End::Near));
        let other = TOM.replace('3', "5");
        assert_eq!(screen.pass(&other), None);
        assert_eq!(screen.pass(&other), Some(End::Duplicate));
    }

    #[test]
    fn a_shape_has_its_share_and_no_more() {
        let (avoid, quality) = (avoid(), quality(0.2));
        let mut screen = Screen::new([""; 0].into_iter(), &avoid, Some(&quality), 10);
        let [first, second, third] = ["7", "8", "9"].map(|number| TOM.replace('3', number));
        assert_eq!([screen.pass(&first), screen.pass(&second)], [None, None]);
        assert_eq!(screen.pass(&third), Some(End::Crowded));
        screen.release(&second);
        assert_eq!(screen.pass(&third), None);
        // A released text is not made again.
        assert_eq!(screen.pass(&second), Some(End::Duplicate));
    }

    #[test]
    fn impossible_shares_are_refused_by_name() {
        for share in [-0.1, 1.5, f64::NAN] {
            let failure = quality(share).check().unwrap_err();
            assert!(failure.to_string().contains("`quality.most_of_a_shape`"), "{failure}");
        }
    }
}
