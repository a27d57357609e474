//! Near-duplicates: texts that share most of their n-grams.
//!
//! `MinHash` finds the candidates. For a random hash function, the probability that two texts have the same minimum
//! hash equals their share of common n-grams, so texts that agree in a whole band of hash functions are worth
//! comparing. The decision is made by the share itself (Jaccard): chance can make the filter miss a near-duplicate, but
//! never drop a text wrongly.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stage::Failure;
use world::{hash, mix};

use crate::text::ngrams;

/// When two texts count as near-duplicates: `[quality.near_duplicates]` of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearConfig {
    /// Words per n-gram, 1 or more.
    pub ngram: usize,
    /// The share of common n-grams, over the n-grams that occur in either, from which two texts are near-duplicates;
    /// above 0, at most 1.
    pub similarity: f64,
}

impl NearConfig {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.ngram == 0 {
            let message = "`quality.near_duplicates.ngram` is 0: it has to be 1 or more";
            return Err(Failure::config(message));
        }
        if !(self.similarity > 0.0 && self.similarity <= 1.0) {
            let (value, range) = (self.similarity, "above 0 and at most 1");
            let message =
                format!("`quality.near_duplicates.similarity` is {value}: it has to be {range}");
            return Err(Failure::config(message));
        }
        Ok(())
    }
}

/// Hash functions per signature.
const FUNCTIONS: usize = 128;
/// The share of near-duplicates exactly at the threshold that may be missed.
const OVERLOOKED: f64 = 0.01;

/// The texts so far, indexed.
pub(crate) struct Near {
    config: NearConfig,
    /// Hash functions per band.
    rows: usize,
    texts: Vec<BTreeSet<u64>>,
    /// The texts with each band's hash, by band.
    bands: BTreeMap<(usize, u64), Vec<usize>>,
}

impl Near {
    pub(crate) fn new(config: &NearConfig) -> Self {
        let rows = rows(config.similarity);
        Self { config: config.clone(), rows, texts: Vec::new(), bands: BTreeMap::new() }
    }

    /// Whether the text is a near-duplicate of one of the texts so far.
    pub(crate) fn has(&self, text: &str) -> bool {
        let grams = self.grams(text);
        let found = self.bands_of(&grams).into_iter().filter_map(|band| self.bands.get(&band));
        let candidates: BTreeSet<usize> = found.flatten().copied().collect();
        let near = |other: usize| jaccard(&grams, &self.texts[other]) >= self.config.similarity;
        candidates.into_iter().any(near)
    }

    pub(crate) fn add(&mut self, text: &str) {
        let (grams, index) = (self.grams(text), self.texts.len());
        for band in self.bands_of(&grams) {
            self.bands.entry(band).or_default().push(index);
        }
        self.texts.push(grams);
    }

    fn grams(&self, text: &str) -> BTreeSet<u64> {
        ngrams(text, self.config.ngram).iter().map(|gram| hash(gram)).collect()
    }

    fn bands_of(&self, grams: &BTreeSet<u64>) -> Vec<(usize, u64)> {
        let least = |function: usize| {
            // Plus one, because `mix` maps 0 to 0.
            grams.iter().map(|gram| mix(gram ^ mix(function as u64 + 1))).min().unwrap_or(0)
        };
        let signature: Vec<u64> = (0..FUNCTIONS).map(least).collect();
        let bands = signature.chunks_exact(self.rows).enumerate();
        bands.map(|(at, band)| (at, band.iter().fold(0, |sum, least| mix(sum ^ least)))).collect()
    }
}

/// The longest band with which at most `OVERLOOKED` of the pairs at the threshold are missed. Longer bands give fewer
/// false candidates.
fn rows(similarity: f64) -> usize {
    let overlooked = |rows: usize| {
        let (band, bands) = (similarity.powi(rows as i32), (FUNCTIONS / rows) as i32);
        (1.0 - band).powi(bands)
    };
    // Longer bands overlook more pairs, so the first that overlooks too many ends the search.
    (1..=FUNCTIONS).take_while(|&rows| overlooked(rows) <= OVERLOOKED).last().unwrap_or(1)
}

fn jaccard(one: &BTreeSet<u64>, other: &BTreeSet<u64>) -> f64 {
    let common = one.intersection(other).count();
    // Not 0 / 0 for two texts without words, which share every band.
    common as f64 / (one.len() + other.len() - common).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(similarity: f64, texts: &[&str]) -> Near {
        let mut near = Near::new(&NearConfig { ngram: 1, similarity });
        for text in texts {
            near.add(text);
        }
        near
    }

    #[test]
    fn the_share_of_common_words_decides() {
        // Nine of the eleven words of the two texts are common: a similarity of 0.818.
        let one = "a b c d e f g h i j";
        let other = "a b c d e f g h i k";
        assert!(near(0.81, &["x y", one]).has(other));
        assert!(!near(0.82, &["x y", one]).has(other));
        assert!(near(1.0, &[one]).has("J, i h g f e d c b a!"));
        assert!(!near(0.1, &[]).has(one));
    }

    #[test]
    fn bands_are_as_long_as_the_threshold_allows() {
        assert_eq!(rows(1.0), FUNCTIONS);
        assert!(rows(0.9) > rows(0.5) && rows(0.01) == 1);
    }

    #[test]
    fn few_near_duplicates_are_overlooked() {
        // One of the 40 words of each text differs: 39 of 41 are common, above 0.9.
        let words = |from: usize| {
            (from..from + 40).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
        };
        let texts: Vec<String> = (0..300).map(|text| words(1000 * text)).collect();
        let all = near(0.9, &texts.iter().map(String::as_str).collect::<Vec<_>>());
        let changed = texts.iter().map(|text| text.replacen('w', "v", 1));
        let found = changed.filter(|text| all.has(text)).count();
        assert!(found >= 297, "{found} of 300");
        assert!(!all.has(&words(500)));
    }

    #[test]
    fn impossible_settings_are_refused_by_name() {
        for (ngram, similarity, name) in [
            (0, 0.9, "ngram"),
            (3, 0.0, "similarity"),
            (3, 1.1, "similarity"),
            (3, f64::NAN, "similarity"),
        ] {
            let failure = NearConfig { ngram, similarity }.check().unwrap_err();
            assert!(failure.to_string().contains(name), "{failure}");
        }
    }
}
