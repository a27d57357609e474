//! The names of the decoders. What follows an `@` is a number of samples, or a variant of a search.

use decoding::{Picks, StepMethod};

/// Always the likeliest token: what search is compared with.
pub(crate) const GREEDY: &str = "greedy";
/// A single sample.
pub(crate) const SAMPLING: &str = "sampling";
/// The most frequent answer of some samples.
pub(crate) const SELF_CONSISTENCY: &str = "self-consistency";
/// The best of some samples by the ORM.
pub(crate) const BEST_OF_N: &str = "best-of-n";
/// The best of some samples as the search would judge them as leaves.
pub(crate) const BEST_LEAF: &str = "best-leaf";
/// The answer of some samples with the largest sum of outcome rewards.
pub(crate) const ORM_VOTE: &str = "orm-vote";

/// How the decoders begin that search with eta-MCTS.
pub(crate) const SEARCH: &str = "mcts";

/// The vote of the solutions of a tree, without a variant.
pub(crate) const VOTE: &str = Picks::NAMES[3];

/// All of them, in the order in which they are shown.
pub(crate) const ALL: [&str; 13] = [
    GREEDY,
    SAMPLING,
    SELF_CONSISTENCY,
    BEST_OF_N,
    BEST_LEAF,
    ORM_VOTE,
    StepMethod::Beam.name(),
    StepMethod::Dvts.name(),
    StepMethod::Rebase.name(),
    Picks::NAMES[0],
    Picks::NAMES[1],
    Picks::NAMES[2],
    Picks::NAMES[3],
];

/// What picks an answer from independent samples as this decoder picks one from what it found: by the same judges, in the
/// same way. It is what a search has to be compared with for its search to be what is measured, and not its pick. None for
/// greedy, for samples themselves, and for a decoder that is not known.
///
/// A vote by outcome rewards has the vote of samples by theirs, be it of a tree or of a step search; the best solution by
/// the ORM has best-of-n. The leaf of the largest mean return is judged by value, PRM and ORM together, so neither of these
/// is its like: its rival is the sample that the same sum ranks first.
pub(crate) fn rival(decoder: &str) -> Option<&'static str> {
    const STEPS: [&str; 3] =
        [StepMethod::Beam.name(), StepMethod::Dvts.name(), StepMethod::Rebase.name()];
    let [greedy, global, rerank, vote] = Picks::NAMES;
    match kind(decoder) {
        pick if pick == vote || STEPS.contains(&pick) => Some(ORM_VOTE),
        pick if pick == rerank => Some(BEST_OF_N),
        pick if pick == greedy || pick == global => Some(BEST_LEAF),
        _ => None,
    }
}

/// A decoder's name without its variant or number of samples.
pub(crate) fn kind(decoder: &str) -> &str {
    decoder.split_once('@').map_or(decoder, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_search_has_a_rival_that_picks_as_it_does_and_nothing_else_has_one() {
        let rivals: Vec<(&str, Option<&str>)> =
            ALL.into_iter().map(|decoder| (decoder, rival(decoder))).collect();
        let expected = [
            (GREEDY, None),
            (SAMPLING, None),
            (SELF_CONSISTENCY, None),
            (BEST_OF_N, None),
            (BEST_LEAF, None),
            (ORM_VOTE, None),
            ("beam", Some(ORM_VOTE)),
            ("dvts", Some(ORM_VOTE)),
            ("rebase", Some(ORM_VOTE)),
            ("mcts-greedy", Some(BEST_LEAF)),
            ("mcts-global", Some(BEST_LEAF)),
            ("mcts-rerank", Some(BEST_OF_N)),
            ("mcts-vote", Some(ORM_VOTE)),
        ];
        assert_eq!(rivals, expected);
        assert_eq!(rival("mcts-vote@large"), Some(ORM_VOTE), "a variant picks as the search does");
        assert_eq!((rival("mcts"), rival("other@4")), (None, None));
    }
}
