//! Agreement of a prompt's solutions on their answer.

use std::collections::BTreeMap;

/// A solution with a voting weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Voter<'a> {
    /// The group within which answers compete: the prompt.
    pub group: &'a str,
    /// The answer, if it has one.
    pub answer: Option<&'a str>,
    /// The weight of its vote, at least 0.
    pub weight: f64,
}

/// For every solution with an answer, the share of its group's total weight that its answer has, in `[0, 1]`. Solutions
/// without an answer do not vote. The share is 0 if the total is 0.
pub fn shares(voters: &[Voter<'_>]) -> Vec<Option<f64>> {
    let (mut answers, mut groups) = (BTreeMap::<_, f64>::new(), BTreeMap::<_, f64>::new());
    for &Voter { group, answer, weight } in voters {
        let Some(answer) = answer else { continue };
        *answers.entry((group, answer)).or_default() += weight;
        *groups.entry(group).or_default() += weight;
    }
    let share = |voter: &Voter<'_>| {
        let (answer, all) = (answers[&(voter.group, voter.answer?)], groups[voter.group]);
        // A group weighs nothing if the critic gives all of its solutions an outcome of 0.
        Some(if all > 0.0 { answer / all } else { 0.0 })
    };
    voters.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_share_what_their_group_weighs() {
        let voter = |group, answer, weight| Voter { group, answer, weight };
        let all = [
            voter("a", Some("5"), 0.25),
            voter("a", Some("7"), 0.5),
            voter("a", Some("5"), 0.25),
            voter("a", None, 9.0),
            voter("b", Some("5"), 0.0),
        ];
        assert_eq!(shares(&all), [Some(0.5), Some(0.5), Some(0.5), None, Some(0.0)]);
    }
}
