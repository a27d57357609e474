//! Speculative decoding by prompt lookup: a row's next tokens are drafted from its own text, and one pass through the model
//! verifies the draft.
//!
//! With few rows, a pass takes as long as reading the weights from memory, and a few more tokens cost little. A draft is
//! only ever verified: a row chooses from the logits of its own tokens, and is the same, bit by bit, with and without it.

/// Lengths of the last tokens that are looked up, the longest first.
const CONTEXT: std::ops::RangeInclusive<usize> = 2..=4;

/// Drafts what followed a row's last tokens when they occurred before.
#[derive(Debug)]
pub(super) struct PromptLookup {
    /// Maximum length of a draft. It grows while drafts are right, and falls to the length of the right part otherwise.
    reach: usize,
}

impl PromptLookup {
    pub(super) fn new() -> Self {
        Self { reach: 2 }
    }

    /// At most `most` tokens that may follow a row.
    pub(super) fn draft(&self, row: &[u32], most: usize) -> Vec<u32> {
        let most = most.min(self.reach);
        let followed = CONTEXT.rev().find_map(|length| {
            let (before, last) = row.split_at_checked(row.len().checked_sub(length)?)?;
            let at = before.windows(length).rposition(|tokens| tokens == last)?;
            Some(&row[at + length..])
        });
        // Around again, since what is repeated once may be repeated often.
        followed.unwrap_or_default().iter().copied().cycle().take(most).collect()
    }

    /// Learns how many tokens of its draft the row chose.
    pub(super) fn learn(&mut self, drafted: usize, accepted: usize) {
        if accepted < drafted {
            self.reach = accepted.max(1);
        } else if drafted > 0 {
            self.reach = 2 * self.reach.min(drafted) + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_and_latest_occurrence_is_continued() {
        let mut lookup = PromptLookup::new();
        assert!(lookup.draft(&[], 9).is_empty());
        assert!(lookup.draft(&[1, 2, 3], 9).is_empty());
        assert_eq!(lookup.draft(&[1, 2, 7, 8, 1, 2], 9), [7, 8]);
        assert_eq!(lookup.draft(&[1, 2, 7, 1, 2, 8, 1, 2], 9), [8, 1]);
        assert_eq!(lookup.draft(&[5, 1, 2, 7, 9, 1, 2, 8, 5, 1, 2], 1), [7]);
        lookup.learn(2, 2);
        assert_eq!(lookup.draft(&[1, 2, 3, 1, 2, 3, 1, 2], 9), [3, 1, 2, 3, 1], "again and again");
    }

    #[test]
    fn a_draft_is_as_long_as_the_last_ones_were_right() {
        let mut lookup = PromptLookup::new();
        let row: Vec<u32> = (0..30).chain(0..4).collect();
        let count = |lookup: &PromptLookup| lookup.draft(&row, 9).len();
        assert_eq!(count(&lookup), 2);
        lookup.learn(2, 2);
        assert_eq!(count(&lookup), 5);
        lookup.learn(5, 5);
        assert_eq!(count(&lookup), 9);
        lookup.learn(9, 3);
        assert_eq!(count(&lookup), 3);
        lookup.learn(3, 0);
        assert_eq!(count(&lookup), 1);
        lookup.learn(0, 0);
        assert_eq!(count(&lookup), 1);
    }
}
