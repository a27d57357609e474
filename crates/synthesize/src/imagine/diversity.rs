//! How different texts are from each other.

use std::collections::BTreeSet;

use task::world::shape;

use crate::text::words;

/// Words of an n-gram.
const NGRAM: usize = 3;

/// Texts, by what they have in common.
#[derive(Default)]
pub(super) struct Diversity {
    shapes: BTreeSet<String>,
    ngrams: BTreeSet<String>,
    total: usize,
}

impl Diversity {
    pub(super) fn add(&mut self, text: &str) {
        self.shapes.insert(shape(text));
        let words = words(text);
        self.total += words.len().saturating_sub(NGRAM - 1);
        self.ngrams.extend(words.windows(NGRAM).map(|gram| gram.join(" ")));
    }

    /// Texts that differ in more than names, objects and numbers; and how many of all trigrams are distinct, in percent.
    pub(super) fn counts(&self) -> [(&'static str, usize); 2] {
        let distinct = 100 * self.ngrams.len() / self.total.max(1);
        [("shapes", self.shapes.len()), ("distinct_3_percent", distinct)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_trigrams_are_counted_once() {
        let mut texts = Diversity::default();
        assert_eq!(texts.counts(), [("shapes", 0), ("distinct_3_percent", 0)]);
        // Four trigrams each; the second has one that the first has not, the third none.
        for text in ["Tom has 3 red apples.", "Tom has 3 red pears.", "Tom has 3 red pears?"] {
            texts.add(text);
        }
        assert_eq!(texts.counts(), [("shapes", 2), ("distinct_3_percent", 44)]);
    }
}
