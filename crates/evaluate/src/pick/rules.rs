//! Rules that pick one of a problem's solutions.

use decoding::candidate::{elected, heaviest};

use super::judges::Judge;
use super::solutions::Solutions;

/// How a solution is picked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule<'a> {
    /// The one with the highest score.
    Best(&'a Judge),
    /// The heaviest one of the answer with the largest total weight. A solution weighs its score, or as much as any other,
    /// times the policy's probability of it to the power `likelihood`.
    Vote {
        /// Whose scores are the weights; all weigh the same without one.
        judge: Option<&'a Judge>,
        /// The power of the probability; at 0 it does not count.
        likelihood: f64,
    },
}

impl PartialEq for Judge {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<'a> Rule<'a> {
    /// All rules of these judges: the best by each, a plain vote, and votes weighed by each whose scores can be weights, without
    /// and with the probability to the power `likelihood`.
    pub(super) fn all(judges: &'a [Judge], likelihood: f64) -> Vec<Self> {
        let best = judges.iter().map(Rule::Best);
        let voters: Vec<Option<&Judge>> =
            [None].into_iter().chain(judges.iter().filter(|one| one.weighs()).map(Some)).collect();
        let votes = |likelihood| {
            voters.clone().into_iter().map(move |judge| Rule::Vote { judge, likelihood })
        };
        let likely = votes(likelihood).filter(|_| likelihood > 0.0);
        best.chain(votes(0.0)).chain(likely).collect()
    }

    /// The name, such as `best orm`, `vote`, or `vote orm p^0.25`.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Best(judge) => format!("best {}", judge.name),
            Self::Vote { judge, likelihood } => {
                let judge = judge.map_or_else(String::new, |judge| format!(" {}", judge.name));
                let power =
                    if *likelihood > 0.0 { format!(" p^{likelihood}") } else { String::new() };
                format!("vote{judge}{power}")
            }
        }
    }

    /// Picks among the solutions at these places.
    pub(super) fn pick(&self, solutions: &Solutions, places: &[usize]) -> Option<usize> {
        let weighed = places.iter().map(|&at| {
            let trajectory = &solutions.all[at].trajectory;
            (trajectory.answer.as_deref(), self.weight(at, trajectory.logprob))
        });
        let weighed: Vec<_> = weighed.collect();
        let picked = match self {
            Self::Best(_) => heaviest(&weighed),
            Self::Vote { .. } => elected(&weighed),
        };
        picked.map(|at| places[at])
    }

    fn weight(&self, at: usize, logprob: Option<f32>) -> f64 {
        match self {
            Self::Best(judge) => judge.scores[at],
            Self::Vote { judge, likelihood } => {
                let logprob = logprob.map_or(0.0, f64::from);
                judge.map_or(1.0, |judge| judge.scores[at]) * (likelihood * logprob).exp()
            }
        }
    }
}
