//! What is learned at once, and the rows that it takes.

use super::{Example, Pair};

/// What is learned at once: an example, or both solutions of a pair.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit<'a> {
    /// An example.
    Example(&'a Example),
    /// A pair, and `ln p(chosen) - ln p(rejected)` of the model at the start of the run.
    Pair(&'a Pair, f32),
}

impl<'a> Unit<'a> {
    /// One row, or that of the chosen and that of the rejected solution.
    pub(super) fn rows(self) -> impl Iterator<Item = &'a [u32]> {
        let (first, second) = match self {
            Self::Example(example) => (&example.ids, None),
            Self::Pair(pair, _) => (&pair.chosen, Some(&pair.rejected)),
        };
        std::iter::once(first).chain(second).map(Vec::as_slice)
    }

    /// Tokens of the longest row.
    pub(super) fn length(self) -> usize {
        self.rows().map(<[u32]>::len).max().unwrap_or(0)
    }

    /// Tokens of all rows.
    pub(super) fn tokens(self) -> usize {
        self.rows().map(<[u32]>::len).sum()
    }

    /// What it counts in a mean: weighted targets, of a pair [`Pair::weight`].
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
    /// The tokens that are targets of the language modelling loss; the first of a row has nothing before it.
    pub(super) fn targets(&self) -> std::ops::Range<usize> {
        let from = self.targets_from.map_or(self.ids.len(), |from| from.max(1));
        from..self.ids.len().max(from)
    }
}

impl Pair {
    /// What a pair counts in a batch, and what its loss is multiplied by: the tokens of the chosen solution.
    ///
    /// A batch's loss is a mean over tokens. So a pair takes part like an example with that solution, its own loss in the
    /// place of the mean over the solution's tokens: the scale at which the two are added up where preferences are learned
    /// beside a likelihood (Pang et al., 2024), and `sft_weight` = 1 makes a chosen solution count as an example does.
    /// As one target among many, a pair would weigh as little as a token.
    pub(super) fn weight(&self) -> f32 {
        self.chosen.len().saturating_sub(self.targets_from) as f32
    }

    /// Whether both solutions have tokens, after at least one of a prompt.
    pub(super) fn is_whole(&self) -> bool {
        self.targets_from > 0 && self.chosen.len().min(self.rejected.len()) > self.targets_from
    }
}

/// What is computed together: first the examples' rows, then of every pair the chosen and the rejected one.
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

    /// The chosen and then the rejected solution of every pair: its row, where its targets begin, and the tokens.
    pub(super) fn solutions(&self) -> impl Iterator<Item = (usize, (usize, &'a [u32]))> {
        let pairs = self.pairs.iter().flat_map(|(pair, _)| {
            [&pair.chosen, &pair.rejected].map(|ids| (pair.targets_from, ids.as_slice()))
        });
        (self.examples.len()..).zip(pairs)
    }
}
