//! The people and things in a text, and sentences moved from one text to the people and things of another.

use std::collections::BTreeSet;

use super::wording::{Changes, article, like, rewritten};
use crate::{CLASSES, Known, PEOPLE, known, words};

/// The people and things in a text, in order of appearance.
#[derive(Default)]
pub(super) struct Cast {
    people: Vec<usize>,
    /// Indices of class and noun.
    nouns: Vec<(usize, usize)>,
    /// Its words, in lower case.
    words: BTreeSet<String>,
    /// The stems of its content words.
    stems: BTreeSet<String>,
}

impl Cast {
    pub(super) fn of(text: &str) -> Self {
        let mut cast = Self::default();
        for word in words(text) {
            match known(word) {
                Some(Known::Name(person)) if !cast.people.contains(&person) => {
                    cast.people.push(person);
                }
                Some(Known::Noun { class, noun, .. }) if !cast.nouns.contains(&(class, noun)) => {
                    cast.nouns.push((class, noun));
                }
                _ => {}
            }
            cast.words.insert(word.to_lowercase());
            cast.stems.extend(stem(word));
        }
        cast
    }

    /// Whether a sentence mentions a person or thing that appears in `before` but not here.
    pub(super) fn lacks(&self, sentence: &str, before: &Self) -> bool {
        let strange = |word: &str| match known(word) {
            Some(Known::Name(person)) => {
                before.people.contains(&person) && !self.people.contains(&person)
            }
            Some(Known::Noun { class, noun, .. }) => {
                before.nouns.contains(&(class, noun)) && !self.nouns.contains(&(class, noun))
            }
            None => false,
        };
        words(sentence).any(strange) || self.lacks_definite(sentence, before)
    }

    /// Whether a sentence is about something that appears in `before` but not here.
    pub(super) fn lacks_topic(&self, sentence: &str, before: &Self) -> bool {
        let strange = |stem: String| before.stems.contains(&stem) && !self.stems.contains(&stem);
        words(sentence).filter_map(stem).any(strange)
    }

    /// Whether a sentence introduces a person or thing that this text does not mention.
    pub(super) fn is_added_to(&self, sentence: &str) -> bool {
        let new = |word: &str| match known(word) {
            Some(Known::Name(person)) => !self.people.contains(&person),
            Some(Known::Noun { class, noun, .. }) => !self.nouns.contains(&(class, noun)),
            None => false,
        };
        words(sentence).any(new)
    }

    /// Whether a sentence is about something in this text.
    fn shares(&self, sentence: &str) -> bool {
        words(sentence).filter_map(stem).any(|stem| self.stems.contains(&stem))
    }

    /// Whether a sentence mentions something definite, such as "the farm", that appears in `before` but not here.
    fn lacks_definite(&self, sentence: &str, before: &Self) -> bool {
        // Without the blanks, so that `the` and its noun are neighbours.
        let text: Vec<&str> = words(sentence).filter(|word| *word != " ").collect();
        text.windows(2).any(|pair| {
            let (the, of) = (pair[0].to_lowercase(), pair[1].to_lowercase());
            let definite = matches!(the.as_str(), "the" | "this" | "these" | "those");
            definite
                // Nouns of the lexicon do not count here, because callers compare them by class.
                && known(pair[1]).is_none()
                && before.words.contains(&of)
                && !self.words.contains(&of)
        })
    }
}

/// Words that do not show what a text is about.
const COMMON: &[&str] = &[
    "about",
    "after",
    "again",
    "all",
    "also",
    "altogether",
    "and",
    "another",
    "any",
    "are",
    "away",
    "back",
    "been",
    "before",
    "both",
    "buys",
    "can",
    "did",
    "does",
    "down",
    "each",
    "every",
    "fewer",
    "first",
    "for",
    "from",
    "get",
    "gets",
    "give",
    "gives",
    "goes",
    "had",
    "half",
    "has",
    "have",
    "her",
    "him",
    "his",
    "how",
    "into",
    "its",
    "later",
    "left",
    "less",
    "makes",
    "many",
    "may",
    "more",
    "most",
    "much",
    "need",
    "needs",
    "next",
    "not",
    "now",
    "one",
    "only",
    "other",
    "out",
    "over",
    "per",
    "put",
    "puts",
    "she",
    "sells",
    "sold",
    "some",
    "takes",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "times",
    "together",
    "too",
    "total",
    "two",
    "uses",
    "wants",
    "was",
    "were",
    "what",
    "when",
    "who",
    "will",
    "with",
    "would",
];
/// Words about money, which a text may also express by a sign.
const MONEY: &[&str] = &["$", "money", "dollar", "dollars", "cost", "costs", "price"];
/// Shortest content word, and length to which longer ones are cut to form a stem, in letters.
const STEM: (usize, usize) = (3, 4);

/// Returns the stem of a word; `None` for names and for words that do not show what a text is about.
fn stem(word: &str) -> Option<String> {
    if let Some(what) = known(word) {
        return match what {
            Known::Name(_) => None,
            Known::Noun { class, noun, .. } => Some(CLASSES[class].nouns[noun].one.to_owned()),
        };
    }
    let word = word.to_lowercase();
    if MONEY.contains(&word.as_str()) {
        return Some("$".to_owned());
    }
    let says = word.chars().count() >= STEM.0 && word.starts_with(char::is_alphabetic);
    let stem = word.trim_end_matches('s').chars().take(STEM.1);
    (says && !COMMON.contains(&word.as_str())).then(|| stem.collect())
}

fn is_pronoun(word: &str) -> bool {
    let pronouns = ["he", "she", "him", "his", "her", "hers", "himself", "herself"];
    pronouns.contains(&word.to_lowercase().as_str())
}

/// Rewrites a sentence of another text for the people and things of this one. `before` is the text before it there,
/// `here` the text before its new place. `None` if the sentence needs something that this text lacks, has nothing in
/// common with it, or would change the gender of a person.
pub(super) fn transplanted(sentence: &str, before: &str, here: &str) -> Option<String> {
    let (there, here) = (Cast::of(before), Cast::of(here));
    if here.lacks_definite(sentence, &there) {
        return None;
    }
    let text: Vec<&str> = words(sentence).collect();
    let (lead, new_lead) = (there.people.first(), here.people.first());
    // Pronouns are not rewritten, so the new person has to take the same ones.
    if text.iter().any(|word| is_pronoun(word)) {
        let feminine = |person: Option<&usize>| person.map(|person| PEOPLE[*person].feminine);
        if lead.is_none() || feminine(lead) != feminine(new_lead) {
            return None;
        }
    }
    let mut changes = Changes::new();
    for (at, word) in text.iter().enumerate() {
        match known(word) {
            Some(Known::Name(person)) if Some(&person) == lead => {
                changes.insert(at, PEOPLE[*new_lead?].name.to_owned());
            }
            // Anybody else of the other text has no counterpart here, and somebody of this text would be meant by mistake.
            Some(Known::Name(person))
                if there.people.contains(&person) || here.people.contains(&person) =>
            {
                return None;
            }
            Some(Known::Noun { class, noun, plural }) => {
                let (class, noun) = counterpart((class, noun), &there, &here)?;
                let new = &CLASSES[class].nouns[noun];
                changes.insert(at, like(word, if plural { new.many } else { new.one }));
                article(&text, at, new.article(), &mut changes);
            }
            Some(Known::Name(_)) | None => {}
        }
    }
    let told = rewritten(&text, &changes);
    here.shares(&told).then_some(told)
}

/// Returns the noun that replaces a noun of the other text: the first noun of the same class here, or the only one if
/// both texts have just one. A noun that does not appear in its own text before stays, unless this text already has it.
fn counterpart(of: (usize, usize), there: &Cast, here: &Cast) -> Option<(usize, usize)> {
    if !there.nouns.contains(&of) {
        return (!here.nouns.contains(&of)).then_some(of);
    }
    // Two different nouns would become the same one.
    if there.nouns.iter().filter(|noun| noun.0 == of.0).count() > 1 {
        return None;
    }
    let same_class = here.nouns.iter().find(|noun| noun.0 == of.0);
    let only = || here.nouns.first().filter(|_| there.nouns.len() == 1 && here.nouns.len() == 1);
    same_class.or_else(only).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_told_of_others() {
        let before = "Tom has 12 apples.";
        let told = |sentence: &str, here: &str| transplanted(sentence, before, here);
        let marbles = "Ben has 30 marbles.";
        assert_eq!(
            told("Then Tom gives 3 apples to his cousin.", marbles).as_deref(),
            Some("Then Ben gives 3 marbles to his cousin.")
        );
        assert_eq!(
            told("He eats an apple.", "Ben has 5 pears and 4 boxes.").as_deref(),
            Some("He eats a pear.")
        );
        // New people and things are kept as they are.
        assert_eq!(
            told("Anna gives Tom 2 boxes of apples.", marbles).as_deref(),
            Some("Anna gives Ben 2 boxes of marbles.")
        );
    }

    #[test]
    fn a_sentence_that_does_not_fit_is_not_told() {
        let before = "Tom has 12 apples and Omar has 3. They live on a farm.";
        for (sentence, here) in [
            ("He eats 3 apples.", "Anna has 30 marbles."),
            ("Omar gives him 3 apples.", "Ben has 30 marbles."),
            ("The farm has 3 cows.", "Ben has 30 marbles."),
            ("Tom eats 3 apples.", "There are 30 marbles."),
            ("Tom eats 3 apples.", "Ben has 3 marbles and 4 boxes."),
            ("Anna eats 3 apples.", "Ben and Anna have 4 pears."),
            ("The next day he sleeps 3 hours.", "Ben has 4 pears."),
        ] {
            assert_eq!(transplanted(sentence, before, here), None, "{sentence}");
        }
    }
}
