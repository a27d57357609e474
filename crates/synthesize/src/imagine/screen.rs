//! What a draft has to be to become a prompt: new, well-posed, of no kind that there is enough of, and like nothing that is
//! evaluated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stage::Failure;
use world::operators::flaw;
use world::shape;

use super::near::{Near, NearConfig};
use crate::avoid::{Avoid, Resemblance};
use crate::text::normalise;

/// What is asked of a prompt besides being new: the section `[quality]` of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityConfig {
    /// Drop what asks nothing, has no number, asks about somebody of whom nothing was told, or contradicts itself.
    pub well_posed: bool,
    /// Of all prompts, the share of those that differ in nothing but names, objects and numbers, at most; 0 to 1. At least
    /// one is always kept. 1 turns it off.
    pub most_of_a_shape: f64,
    /// Near-duplicates; without the section only equal texts are duplicates.
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

/// Why a draft became no prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The operator made nothing.
    Unchanged,
    /// It cannot have an answer.
    Flawed,
    /// There is one with the same text.
    Duplicate,
    /// There is one with nearly the same text.
    Near,
    /// There are enough of its shape.
    Crowded,
    /// It is an evaluated question about others.
    Skeleton,
    /// It has too much of an evaluated question.
    Overlap,
    /// It belongs to an evaluation split of the embedded world.
    World,
    /// The policy's rollouts do not agree on an answer.
    Inconsistent,
    /// The policy's rollouts agree too much: there is little to learn.
    Easy,
}

impl End {
    /// All there are, with their names in the metrics.
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

/// Lets through what may become a prompt, and remembers it.
pub(crate) struct Screen<'a> {
    avoid: &'a Avoid,
    well_posed: bool,
    /// How many prompts a shape may have.
    most: usize,
    seen: BTreeSet<String>,
    near: Option<Near>,
    shapes: BTreeMap<String, usize>,
}

impl<'a> Screen<'a> {
    /// A screen for `count` prompts that are not to repeat what there is.
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
            most: ((share * count as f64) as usize).max(1),
            seen,
            near,
            shapes: BTreeMap::new(),
        }
    }

    /// Why a text must not become a prompt, or nothing: then no later text may be like it.
    pub(crate) fn pass(&mut self, text: &str) -> Option<End> {
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

    /// Makes room for another of the shape of a text that passed and was not used after all. What is nearly the same would end
    /// as it did, and is not tried.
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
        // What was released is not made again.
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
