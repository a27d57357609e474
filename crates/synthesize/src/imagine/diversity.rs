//! Diversity of a set of texts.

use std::collections::BTreeSet;

use world::shape;

use crate::text::words;

/// Words per n-gram.
const NGRAM: usize = 3;

/// The shapes and n-grams of the texts so far.
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

    /// The number of distinct shapes (texts that differ in more than names, objects and numbers), the share of
    /// `of_seeds` that they cover, in percent, and the share of trigrams that are distinct, in percent.
    pub(super) fn counts(&self, of_seeds: &BTreeSet<String>) -> [(&'static str, usize); 3] {
        let covered = 100 * self.shapes.intersection(of_seeds).count() / of_seeds.len().max(1);
        let distinct = 100 * self.ngrams.len() / self.total.max(1);
        let shapes = self.shapes.len();
        [("shapes", shapes), ("coverage_percent", covered), ("distinct_3_percent", distinct)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_trigrams_are_counted_once() {
        let seeds =
            ["Tom has 8 red pears?", "Tom has 8 red pears and 2 old ones."].map(shape).into();
        let mut texts = Diversity::default();
        let none = [("shapes", 0), ("coverage_percent", 0), ("distinct_3_percent", 0)];
        assert_eq!(texts.counts(&seeds), none);
        assert_eq!(texts.counts(&BTreeSet::new()), none);
        // Four trigrams each; the second text adds one new trigram, the third none.
        for text in ["Tom has 3 red apples.", "Tom has 3 red pears.", "Tom has 3 red pears?"] {
            texts.add(text);
        }
        let some = [("shapes", 2), ("coverage_percent", 50), ("distinct_3_percent", 44)];
        assert_eq!(texts.counts(&seeds), some);
    }
}
