//! Guesses at the tokens that a row will choose next, so that one pass through the model can check several of them.
//!
//! With few rows, a pass takes as long as reading the weights from memory, and a few more tokens cost little. A guess is
//! only ever checked: a row chooses from the logits of its own tokens, and is the same, bit by bit, with and without guesses.

/// Most tokens that two occurrences are compared by, and least.
const CONTEXT: std::ops::RangeInclusive<usize> = 2..=4;

/// Guesses that what followed the last tokens of a row before will follow them again (prompt lookup).
#[derive(Debug)]
pub(super) struct Guesser {
    /// Number of tokens to guess: more as long as all are right, fewer after the first that is not.
    reach: usize,
}

impl Guesser {
    pub(super) fn new() -> Self {
        Self { reach: 2 }
    }

    /// At most `most` tokens that may follow a row.
    pub(super) fn guess(&self, row: &[u32], most: usize) -> Vec<u32> {
        let most = most.min(self.reach);
        let followed = CONTEXT.rev().find_map(|length| {
            let (before, last) = row.split_at_checked(row.len().checked_sub(length)?)?;
            let at = before.windows(length).rposition(|tokens| tokens == last)?;
            Some(&row[at + length..])
        });
        // Around again, since what is repeated once may be repeated often.
        followed.unwrap_or_default().iter().copied().cycle().take(most).collect()
    }

    /// Learns how many of its guesses the row chose.
    pub(super) fn learn(&mut self, guesses: usize, right: usize) {
        if right < guesses {
            self.reach = right.max(1);
        } else if guesses > 0 {
            self.reach = 2 * self.reach.min(guesses) + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_and_latest_occurrence_is_continued() {
        let mut guesser = Guesser::new();
        assert!(guesser.guess(&[], 9).is_empty());
        assert!(guesser.guess(&[1, 2, 3], 9).is_empty());
        assert_eq!(guesser.guess(&[1, 2, 7, 8, 1, 2], 9), [7, 8]);
        assert_eq!(guesser.guess(&[1, 2, 7, 1, 2, 8, 1, 2], 9), [8, 1]);
        assert_eq!(guesser.guess(&[5, 1, 2, 7, 9, 1, 2, 8, 5, 1, 2], 1), [7]);
        guesser.learn(2, 2);
        assert_eq!(guesser.guess(&[1, 2, 3, 1, 2, 3, 1, 2], 9), [3, 1, 2, 3, 1], "again and again");
    }

    #[test]
    fn its_reach_follows_how_often_it_is_right() {
        let mut guesser = Guesser::new();
        let row: Vec<u32> = (0..30).chain(0..4).collect();
        let count = |guesser: &Guesser| guesser.guess(&row, 9).len();
        assert_eq!(count(&guesser), 2);
        guesser.learn(2, 2);
        assert_eq!(count(&guesser), 5);
        guesser.learn(5, 5);
        assert_eq!(count(&guesser), 9);
        guesser.learn(9, 3);
        assert_eq!(count(&guesser), 3);
        guesser.learn(3, 0);
        assert_eq!(count(&guesser), 1);
        guesser.learn(0, 0);
        assert_eq!(count(&guesser), 1);
    }
}
