//! Training units and the rows they need.

use super::{Example, Pair};

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

impl Example {
    /// Indices of the tokens that the language modelling loss predicts. The first token of a row has no context and is
    /// never one.
    pub(super) fn targets(&self) -> std::ops::Range<usize> {
        let from = self.targets_from.map_or(self.ids.len(), |from| from.max(1));
        from..self.ids.len().max(from)
    }
}

impl Pair {
    /// A pair's weight in the batch's mean, which also multiplies its loss: the number of chosen tokens.
    ///
    /// A batch's loss is a mean over tokens. Weighted this way, a pair counts like an example of its chosen solution,
    /// with the pair's loss in place of the mean over the solution's tokens. That is the scale at which Pang et al.
    /// (2024) add the two, and `sft_weight = 1` makes a chosen solution count as an example does. As a single target, a
    /// pair would weigh no more than one token.
    pub(super) fn weight(&self) -> f32 {
        self.chosen.len().saturating_sub(self.targets_from) as f32
    }

    /// Whether the pair has a prompt and both solutions have tokens.
    pub(super) fn is_whole(&self) -> bool {
        self.targets_from > 0 && self.chosen.len().min(self.rejected.len()) > self.targets_from
    }
}

/// Rows computed together: the examples' rows, then each pair's chosen and rejected rows.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    pub(super) examples: Vec<&'a Example>,
    pub(super) pairs: Vec<(&'a Pair, f32)>,
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

    /// The chosen and then the rejected solution of every pair, as (row, (start of its targets, tokens)).
    pub(super) fn solutions(&self) -> impl Iterator<Item = (usize, (usize, &'a [u32]))> {
        let pairs = self.pairs.iter().flat_map(|(pair, _)| {
            [&pair.chosen, &pair.rejected].map(|ids| (pair.targets_from, ids.as_slice()))
        });
        (self.examples.len()..).zip(pairs)
    }
}
