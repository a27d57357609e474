//! The decoders. In tables their names may be followed by an `@` and the number of samples or the variant of a search.

use std::fmt;

use decoding::{Pick, StepMethod};
use serde::{Serialize, Serializer};

/// A way to answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decoder {
    /// Greedy decoding: always the most likely token. The baseline of every other decoder.
    Greedy,
    /// A single sample.
    Sampling,
    /// The most frequent answer among several samples.
    SelfConsistency,
    /// The sample with the highest ORM score.
    BestOfN,
    /// The sample with the highest score, by the sum that a search judges leaves with.
    BestLeaf,
    /// The answer with the largest sum of ORM scores among several samples.
    OrmVote,
    /// The ORM-weighted vote among the solutions of a step search.
    Steps(StepMethod),
    /// A pick among the solutions of eta-MCTS.
    Tree(Pick),
}

impl Decoder {
    /// All decoders, in the order in which they are shown.
    pub(crate) const ALL: [Self; 13] = [
        Self::Greedy,
        Self::Sampling,
        Self::SelfConsistency,
        Self::BestOfN,
        Self::BestLeaf,
        Self::OrmVote,
        Self::Steps(StepMethod::Beam),
        Self::Steps(StepMethod::Dvts),
        Self::Steps(StepMethod::Rebase),
        Self::Tree(Pick::Greedy),
        Self::Tree(Pick::Global),
        Self::Tree(Pick::Rerank),
        Self::Tree(Pick::Vote),
    ];

    /// The name, without a variant or a number of samples.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Greedy => "greedy",
            Self::Sampling => "sampling",
            Self::SelfConsistency => "self-consistency",
            Self::BestOfN => "best-of-n",
            Self::BestLeaf => "best-leaf",
            Self::OrmVote => "orm-vote",
            Self::Steps(method) => method.name(),
            Self::Tree(pick) => pick.name(),
        }
    }

    /// The decoder of a name in a table, with or without what follows an `@`. `None` for a decoder that this program does
    /// not have: evaluations may be from another one.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let kind = name.split_once('@').map_or(name, |(kind, _)| kind);
        Self::ALL.into_iter().find(|decoder| decoder.name() == kind)
    }

    /// Whether a name in a table is this decoder's, without a variant or a number of samples.
    pub(crate) fn is(self, name: &str) -> bool {
        self.name() == name
    }

    /// The decoder that picks from independent samples, by the same critics and in the same way, as this search picks
    /// from its solutions. `None` for greedy and for samples themselves.
    ///
    /// Comparing a search with a decoder that picks differently would measure the pick, not the search. Votes by ORM
    /// score, of a tree or of a step search, are matched by the same vote over samples, and the best solution by ORM by
    /// best-of-n. The leaf with the highest mean return is judged by value, PRM and ORM together, so neither of these
    /// matches it: its rival is the sample with the highest score by the same sum.
    pub(crate) fn rival(self) -> Option<Self> {
        match self {
            Self::Greedy
            | Self::Sampling
            | Self::SelfConsistency
            | Self::BestOfN
            | Self::BestLeaf
            | Self::OrmVote => None,
            Self::Steps(_) | Self::Tree(Pick::Vote) => Some(Self::OrmVote),
            Self::Tree(Pick::Rerank) => Some(Self::BestOfN),
            Self::Tree(Pick::Greedy | Pick::Global) => Some(Self::BestLeaf),
        }
    }
}

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Decoder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_search_has_a_rival_that_picks_as_it_does_and_nothing_else_has_one() {
        let rivals: Vec<(&str, Option<&str>)> = Decoder::ALL
            .into_iter()
            .map(|decoder| (decoder.name(), decoder.rival().map(Decoder::name)))
            .collect();
        let expected = [
            ("greedy", None),
            ("sampling", None),
            ("self-consistency", None),
            ("best-of-n", None),
            ("best-leaf", None),
            ("orm-vote", None),
            ("beam", Some("orm-vote")),
            ("dvts", Some("orm-vote")),
            ("rebase", Some("orm-vote")),
            ("mcts-greedy", Some("best-leaf")),
            ("mcts-global", Some("best-leaf")),
            ("mcts-rerank", Some("best-of-n")),
            ("mcts-vote", Some("orm-vote")),
        ];
        assert_eq!(rivals, expected);
    }

    #[test]
    fn a_name_is_read_without_its_variant() {
        let vote = Decoder::Tree(Pick::Vote);
        assert_eq!(Decoder::of("mcts-vote@large"), Some(vote), "it picks as the search does");
        assert!(vote.is("mcts-vote") && !vote.is("mcts-vote@large"));
        assert_eq!((Decoder::of("mcts"), Decoder::of("other@4")), (None, None));
    }
}
