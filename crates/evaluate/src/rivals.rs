//! Finds the decoder of independent samples that a search is compared with at equal tokens, or the reason why there is
//! none.

use std::fmt;

use serde::Serialize;

use crate::decoder::Decoder;

/// The reason why a search has no rival at equal tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lacking {
    /// The decoder that picks from samples in the same way.
    pub rival: Decoder,
    /// The reason why it cannot be the rival.
    pub reason: Reason,
}

/// The reason why a decoder cannot be the rival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It was not measured.
    Unmeasured,
    /// It generates too few tokens, for every number of samples that was measured.
    Cheaper,
    /// The tokens of the search or of the rival were not recorded.
    Uncounted,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rival = self.rival;
        match self.reason {
            Reason::Unmeasured => write!(f, "no {rival} was measured"),
            Reason::Cheaper => write!(f, "every {rival} generates fewer tokens"),
            Reason::Uncounted => write!(f, "tokens were not recorded"),
        }
    }
}

/// A decoder of a model, with the tokens it generates per problem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Priced<'a> {
    pub(crate) decoder: &'a str,
    pub(crate) tokens: Option<f64>,
}

/// Picks the rival of a decoder among all decoders of its model: of the rival's sample counts, the cheapest that
/// generates at least `times` as many tokens. Returns its index in `all` and its tokens; `None` for decoders that have
/// no counterpart on samples.
///
/// At least as many tokens, not the nearest count, so that a search never wins because it was given more tokens. Without
/// such a decoder the result is `Err` with the reason, and no other decoder takes its place.
pub(crate) fn rival(
    this: Priced<'_>,
    times: f64,
    all: &[Priced<'_>],
) -> Option<Result<(usize, f64), Lacking>> {
    let rival = Decoder::of(this.decoder)?.rival()?;
    let lacks = |reason| Some(Err(Lacking { rival, reason }));
    let is_rival = |it: &Priced<'_>| Decoder::of(it.decoder) == Some(rival);
    let of_kind = all.iter().enumerate().filter(|(_, it)| is_rival(it));
    let of_kind: Vec<(usize, Option<f64>)> = of_kind.map(|(at, it)| (at, it.tokens)).collect();
    let priced = of_kind.iter().filter_map(|&(at, tokens)| Some((at, tokens?)));
    let Some(tokens) = this.tokens.filter(|_| priced.clone().next().is_some()) else {
        return lacks(if of_kind.is_empty() { Reason::Unmeasured } else { Reason::Uncounted });
    };
    let enough = priced.filter(|(_, price)| *price >= tokens * times);
    match enough.min_by(|a, b| a.1.total_cmp(&b.1)) {
        Some(found) => Some(Ok(found)),
        None => lacks(Reason::Cheaper),
    }
}

/// A decoder of a model, and the reason if it has no rival.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WithoutRival<'a> {
    pub(crate) model: &'a str,
    pub(crate) decoder: &'a str,
    pub(crate) lacking: Option<Lacking>,
}

/// Lists the decoders without a rival, with the reasons; `None` if every search has one. The model is named only if the
/// same decoder of another model differs.
pub(crate) fn lacking(all: &[WithoutRival<'_>]) -> Option<String> {
    // Not a map: the groups stay in the order of the rows.
    let mut groups: Vec<(Lacking, Vec<String>)> = Vec::new();
    for one in all {
        let Some(lacking) = one.lacking else { continue };
        let mut alike = all.iter().filter(|other| other.decoder == one.decoder);
        let name = if alike.all(|other| other.lacking == one.lacking) {
            one.decoder.to_owned()
        } else {
            format!("{} of {}", one.decoder, one.model)
        };
        match groups.iter_mut().find(|(reason, _)| *reason == lacking) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => groups.push((lacking, vec![name])),
        }
    }
    let said = groups.iter().map(|(lacking, names)| format!("{} ({lacking})", names.join(", ")));
    (!groups.is_empty()).then(|| said.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priced(decoder: &str, tokens: f64) -> Priced<'_> {
        Priced { decoder, tokens: Some(tokens) }
    }

    #[test]
    fn a_search_has_the_cheapest_rival_of_its_own_kind_that_generates_as_many() {
        let all = [
            priced("best-of-n@4", 200.0),
            priced("orm-vote@4", 200.0),
            priced("orm-vote@8", 400.0),
            priced("orm-vote@16", 800.0),
        ];
        let against = |decoder, tokens, times| rival(priced(decoder, tokens), times, &all);
        assert_eq!(against("mcts-vote", 200.0, 1.0), Some(Ok((1, 200.0))), "as many are enough");
        assert_eq!(against("mcts-vote@paper", 201.0, 1.0), Some(Ok((2, 400.0))));
        assert_eq!(against("beam", 201.0, 2.0), Some(Ok((3, 800.0))));
        assert_eq!(against("mcts-rerank", 150.0, 1.0), Some(Ok((0, 200.0))));
        let lacks = |rival, reason| Some(Err(Lacking { rival, reason }));
        assert_eq!(against("mcts-rerank", 201.0, 1.0), lacks(Decoder::BestOfN, Reason::Cheaper));
        assert_eq!(against("mcts-greedy", 1.0, 1.0), lacks(Decoder::BestLeaf, Reason::Unmeasured));
        for nobody in ["greedy", "sampling", "best-of-n@4", "orm-vote@8", "other"] {
            assert_eq!(against(nobody, 1.0, 1.0), None, "{nobody}");
        }
        let uncounted = Priced { decoder: "mcts-vote", tokens: None };
        assert_eq!(rival(uncounted, 1.0, &all), lacks(Decoder::OrmVote, Reason::Uncounted));
        let others = [Priced { decoder: "orm-vote@4", tokens: None }];
        let found = rival(priced("mcts-vote", 1.0), 1.0, &others);
        assert_eq!(found, lacks(Decoder::OrmVote, Reason::Uncounted));
    }

    #[test]
    fn who_lacks_a_rival_is_said_once() {
        let of = |model, decoder, reason: Option<Reason>| WithoutRival {
            model,
            decoder,
            lacking: reason.map(|reason| Lacking { rival: Decoder::OrmVote, reason }),
        };
        let all = [
            of("base", "mcts-vote", Some(Reason::Unmeasured)),
            of("base", "beam", Some(Reason::Cheaper)),
            of("round 1", "mcts-vote", Some(Reason::Unmeasured)),
            of("round 1", "beam", None),
            of("round 1", "dvts", Some(Reason::Unmeasured)),
        ];
        let said = "mcts-vote, dvts (no orm-vote was measured); beam of base (every orm-vote generates fewer tokens)";
        assert_eq!(lacking(&all).as_deref(), Some(said));
        assert_eq!(lacking(&all[3..4]), None);
    }
}
