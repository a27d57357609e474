//! Checks that labels contain both classes: labels that are all right, or all wrong, teach a constant and measure
//! nothing.

use serde::Serialize;

/// Share of the smaller class below which a warning is given: there is little to learn it from.
const RARE: f64 = 0.02;

/// Counts of right and wrong labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Classes {
    /// Number of labels.
    pub all: usize,
    /// Number of right labels.
    pub right: usize,
}

impl FromIterator<bool> for Classes {
    fn from_iter<I: IntoIterator<Item = bool>>(labels: I) -> Self {
        labels.into_iter().fold(Self::default(), |sum, right| Self {
            all: sum.all + 1,
            right: sum.right + usize::from(right),
        })
    }
}

impl Classes {
    /// A message if there are no labels or all are of one class; `None` if both classes occur. `labels` names the labels
    /// in the message.
    pub fn alike(&self, labels: &str) -> Option<String> {
        let Self { all, right } = *self;
        match () {
            () if all == 0 => Some(format!("there are no {labels}")),
            () if right == 0 => Some(format!("0 of {all} {labels} are right")),
            () if right == all => Some(format!("all of {all} {labels} are right")),
            () => None,
        }
    }

    /// A message if one of the two classes is rare; `None` if neither is, or if all labels are of one class.
    pub fn rare(&self, labels: &str) -> Option<String> {
        let Self { all, right } = *self;
        let wrong = all - right;
        let few = right.min(wrong);
        let rare = few > 0 && (few as f64) < RARE * all as f64;
        let kind = if right < wrong { "right" } else { "wrong" };
        rare.then(|| format!("only {few} of {all} {labels} are {kind}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(all: usize, right: usize) -> Classes {
        (0..all).map(|i| i < right).collect()
    }

    #[test]
    fn labels_of_one_kind_tell_nothing_apart() {
        let said = |all, right| classes(all, right).alike("solutions");
        assert_eq!(said(68, 0).as_deref(), Some("0 of 68 solutions are right"));
        assert_eq!(said(68, 68).as_deref(), Some("all of 68 solutions are right"));
        assert_eq!(said(0, 0).as_deref(), Some("there are no solutions"));
        assert_eq!((said(68, 1), said(68, 67)), (None, None));
    }

    #[test]
    fn a_kind_that_is_rare_is_worth_a_warning() {
        let said = |all, right| classes(all, right).rare("solutions");
        assert_eq!(said(100, 1).as_deref(), Some("only 1 of 100 solutions are right"));
        assert_eq!(said(100, 99).as_deref(), Some("only 1 of 100 solutions are wrong"));
        assert_eq!((said(100, 2), said(100, 0), said(0, 0)), (None, None, None));
    }
}
