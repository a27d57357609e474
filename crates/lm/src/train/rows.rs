//! Training units and the rows they need.

use super::example::{Example, Pair};

/// A unit of training: an example, or both solutions of a pair, which must be computed together.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit<'a> {
    /// An example.
    Example(&'a Example),
    /// A pair, and the starting model's margin `ln p(chosen) - ln p(rejected)`.
    Pair(&'a Pair, f32),
}

impl<'a> Unit<'a> {
    /// The unit's rows: one, or the chosen and then the rejected one.
    pub(super) fn rows(self) -> impl Iterator<Item = &'a [u32]> {
        let (first, second) = match self {
            Self::Example(example) => (&example.ids, None),
            Self::Pair(pair, _) => (&pair.chosen, Some(&pair.rejected)),
        };
        std::iter::once(first).chain(second).map(Vec::as_slice)
    }

    /// Length of the longest row, in tokens.
    pub(super) fn length(self) -> usize {
        self.rows().map(<[u32]>::len).max().unwrap_or(0)
    }

    /// Total length of all rows, in tokens.
    pub(super) fn tokens(self) -> usize {
        self.rows().map(<[u32]>::len).sum()
    }

    /// Weight in the batch's mean: an example's targets times its weight, or [`Pair::weight`].
    pub(super) fn weight(self) -> f32 {
        match self {
            Self::Example(example) => {
                (example.targets().len() + example.heads.len()) as f32 * example.weight
            }
            Self::Pair(pair, _) => pair.weight(),
        }
    }
}

/// Rows computed together: the examples' rows, then each pair's chosen and rejected rows.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    pub(super) examples: Vec<&'a Example>,
    pub(super) pairs: Vec<(&'a Pair, f32)>,
}

/// One solution of a pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Solution<'a> {
    /// Index of its row.
    pub(super) row: usize,
    /// The tokens of the prompt and the solution.
    pub(super) ids: &'a [u32],
    /// Number of prompt tokens.
    targets_from: usize,
}

impl Solution<'_> {
    /// Indices of the solution's own tokens.
    pub(super) fn targets(&self) -> std::ops::Range<usize> {
        self.targets_from..self.ids.len()
    }
}

impl<'a> FromIterator<Unit<'a>> for Rows<'a> {
    fn from_iter<I: IntoIterator<Item = Unit<'a>>>(units: I) -> Self {
        let mut rows = Self::default();
        for unit in units {
            match unit {
                Unit::Example(example) => rows.examples.push(example),
                Unit::Pair(pair, reference) => rows.pairs.push((pair, reference)),
            }
        }
        rows
    }
}

impl<'a> Rows<'a> {
    /// The tokens of every row.
    pub(super) fn ids(&self) -> Vec<&'a [u32]> {
        let examples = self.examples.iter().map(|example| Unit::Example(example));
        let pairs = self.pairs.iter().map(|(pair, reference)| Unit::Pair(pair, *reference));
        examples.chain(pairs).flat_map(Unit::rows).collect()
    }

    /// The chosen and then the rejected solution of every pair.
    pub(super) fn solutions(&self) -> impl Iterator<Item = Solution<'a>> {
        let pairs = self.pairs.iter().flat_map(|(pair, _)| {
            [&pair.chosen, &pair.rejected].map(|ids| (pair.targets_from, ids.as_slice()))
        });
        let rows = (self.examples.len()..).zip(pairs);
        rows.map(|(row, (targets_from, ids))| Solution { row, ids, targets_from })
    }
}
