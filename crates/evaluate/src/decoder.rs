//! Names of the decoders. After an `@` comes the number of samples or the variant of a search.

use decoding::{Picks, StepMethod};

/// Greedy decoding: always the most likely token. The baseline of every other decoder.
pub(crate) const GREEDY: &str = "greedy";
/// A single sample.
pub(crate) const SAMPLING: &str = "sampling";
/// The most frequent answer among several samples.
pub(crate) const SELF_CONSISTENCY: &str = "self-consistency";
/// The sample with the highest ORM score.
pub(crate) const BEST_OF_N: &str = "best-of-n";
/// The sample with the highest score, by the sum that a search judges leaves with.
pub(crate) const BEST_LEAF: &str = "best-leaf";
/// The answer with the largest sum of ORM scores among several samples.
pub(crate) const ORM_VOTE: &str = "orm-vote";

/// Common prefix of the eta-MCTS decoders.
pub(crate) const SEARCH: &str = "mcts";

/// The vote among the solutions of a tree, without a variant.
pub(crate) const VOTE: &str = Picks::NAMES[3];

/// All decoders, in the order in which they are shown.
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

/// The decoder that picks from independent samples, by the same critics and in the same way, as this search picks from
/// its solutions. `None` for greedy, for samples themselves, and for unknown decoders.
///
/// Comparing a search with a decoder that picks differently would measure the pick, not the search. Votes by ORM score,
/// of a tree or of a step search, are matched by the same vote over samples, and the best solution by ORM by best-of-n.
/// The leaf with the highest mean return is judged by value, PRM and ORM together, so neither of these matches it: its
/// rival is the sample with the highest score by the same sum.
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
