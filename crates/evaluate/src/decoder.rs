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
/// The answer of some samples with the largest sum of outcome rewards.
pub(crate) const ORM_VOTE: &str = "orm-vote";

/// How the decoders begin that search with eta-MCTS.
pub(crate) const SEARCH: &str = "mcts";

/// The vote of the solutions of a tree, without a variant.
pub(crate) const VOTE: &str = Picks::NAMES[3];

/// All of them, in the order in which they are shown.
pub(crate) const ALL: [&str; 12] = [
    GREEDY,
    SAMPLING,
    SELF_CONSISTENCY,
    BEST_OF_N,
    ORM_VOTE,
    StepMethod::Beam.name(),
    StepMethod::Dvts.name(),
    StepMethod::Rebase.name(),
    Picks::NAMES[0],
    Picks::NAMES[1],
    Picks::NAMES[2],
    Picks::NAMES[3],
];
