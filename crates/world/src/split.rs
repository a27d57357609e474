//! Determines which split a question belongs to, from its text alone.
//!
//! The question is reduced to its skeleton, which does not change with names, pronouns or objects. The hash of the
//! skeleton selects a bucket, and the bucket a split. So the splits are disjoint however a question came about: two
//! texts that differ only in people and objects are always in the same split.

use super::lexicon::{self, Known};

/// Number of buckets: one per evaluation split, 3 for seeds, 4 for pretraining and 5 for fresh questions.
const BUCKETS: u64 = 16;

/// The purposes that problems are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// Raw texts without answers, for the pretraining corpus.
    Pretraining,
    /// The labelled problems to start from.
    Seeds,
    /// For choosing between settings.
    Validation,
    /// For the final report, used once.
    Test,
    /// Templates that no other split uses, 2 to 5 steps.
    OodTemplates,
    /// Longer chains, 6 to 8 steps, of the templates that the other splits use.
    OodChains,
    /// Unlabelled questions for the rounds of self-improvement.
    Fresh,
}

impl Split {
    /// Whether this is an evaluation split, whose problems no policy may ever learn from.
    #[must_use]
    pub fn is_evaluation(self) -> bool {
        matches!(self, Self::Validation | Self::Test | Self::OodTemplates | Self::OodChains)
    }
}

/// Returns the split that a question belongs to, whoever wrote it.
#[must_use]
pub fn split_of(question: &str) -> Split {
    // Must not change: the splits of data that is already written depend on it.
    match hash(&skeleton(question)) % BUCKETS {
        0 => Split::Validation,
        1 => Split::Test,
        2 => Split::OodTemplates,
        3 => Split::OodChains,
        4..7 => Split::Seeds,
        7..11 => Split::Pretraining,
        _ => Split::Fresh,
    }
}

/// Whether a question belongs to an evaluation split, so that no policy may learn from it.
#[must_use]
pub fn is_evaluation(question: &str) -> bool {
    split_of(question).is_evaluation()
}

/// Returns the question in lower case, with names, pronouns, articles and objects masked and words separated by one
/// space. Numbers stay.
#[must_use]
pub fn skeleton(question: &str) -> String {
    // Without the blanks, so that spacing cannot move a question to another split.
    let words = words(question).filter(|word| !word.trim().is_empty());
    words.map(masked).collect::<Vec<_>>().join(" ")
}

/// Returns the skeleton with its numbers masked as well, which is the same for all questions of one kind.
#[must_use]
pub fn shape(question: &str) -> String {
    let mask = |word: &str| match word.parse::<u64>() {
        Ok(_) => "#".to_owned(),
        Err(_) => word.to_owned(),
    };
    skeleton(question).split(' ').map(mask).collect::<Vec<_>>().join(" ")
}

fn masked(word: &str) -> String {
    match (lexicon::known(word), word.to_lowercase()) {
        (Some(Known::Name(_)), _) => "@name".to_owned(),
        (Some(Known::Noun { class, .. }), _) => format!("@{}", lexicon::CLASSES[class].kind),
        (None, lower) => match lower.as_str() {
            // One mask for all, because `her` stands for both `him` and `his`.
            "he" | "she" | "him" | "his" | "her" | "hers" | "himself" | "herself" => {
                "@pronoun".to_owned()
            }
            // `an apple` and `a pear` have one skeleton.
            "an" => "a".to_owned(),
            _ => lower,
        },
    }
}

/// Splits a text into words (letters), numbers (digits) and single other characters, which concatenate to the text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let kind = |letter: char| (letter.is_alphabetic(), letter.is_ascii_digit());
        let end = match kind(first) {
            (false, false) => first.len_utf8(),
            of => rest.find(|letter| kind(letter) != of).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// FNV-1a, followed by a mix, because the buckets use the low bits and every input bit must affect them. This must
/// never change: the splits depend on it.
#[must_use]
pub fn hash(text: &str) -> u64 {
    let fnv = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// The finalizer of `SplitMix64`.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skeleton_forgets_who_and_what_but_not_how_many() {
        let tom = skeleton("Tom has 12 apples.  He buys an orange for $3.");
        assert_eq!(tom, skeleton("Anna has 12 pears. She buys a lemon for $3."));
        assert_ne!(tom, skeleton("Tom has 13 apples.  He buys an orange for $3."));
        assert_eq!(tom, "@name has 12 @fruit . @pronoun buys a @fruit for $ 3 .");
    }

    #[test]
    fn the_shape_forgets_how_many_too() {
        let tom = shape("Tom has 12 apples for $3.50.");
        assert_eq!(tom, shape("Anna has 3 pears for $12.75."));
        assert_eq!(tom, "@name has # @fruit for $ # . # .");
        assert_ne!(tom, shape("Tom has 12 apples and $3.50."));
    }

    #[test]
    fn words_lose_nothing() {
        let text = "Zoë’s 12.5% of $1,000?";
        assert_eq!(words(text).collect::<String>(), text);
        assert_eq!(words("ab12 c.").collect::<Vec<_>>(), ["ab", "12", " ", "c", "."]);
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // Splits of data that has already been written depend on these values.
        assert_eq!(mix(0), 0);
        assert_eq!(hash(""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(hash("a"), mix(0xaf63_dc4c_8601_ec8c));
    }
}
