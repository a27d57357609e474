//! The words that change from problem to problem: people and the things they have.
//!
//! Every noun belongs to one class, and a swap stays inside its class, so that a mutated text remains plausible. No
//! script of the world contains one of these nouns literally (a test checks this). They only fill slots, so a swap can
//! never touch fixed wording.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A person that a problem can be about.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) feminine: bool,
}

impl Person {
    /// Returns the pronoun form named by its masculine word: `he`, `him`, `his` or `himself`.
    pub(crate) fn pronoun(&self, masculine: &str) -> Option<&'static str> {
        Some(match (masculine, self.feminine) {
            ("he", false) => "he",
            ("he", true) => "she",
            ("him", false) => "him",
            ("his", false) => "his",
            ("him" | "his", true) => "her",
            ("himself", false) => "himself",
            ("himself", true) => "herself",
            _ => return None,
        })
    }
}

/// A countable noun, in singular and plural.
#[derive(Debug)]
pub(crate) struct Noun {
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
}

impl Noun {
    /// Returns the indefinite article for the singular.
    pub(crate) fn article(&self) -> &'static str {
        // The letter is enough: none of these nouns is like `hour` or `unit`.
        if self.one.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
    }
}

/// Nouns that can replace one another.
#[derive(Debug)]
pub(crate) struct Class {
    /// The word that draws from this class in a script.
    pub(crate) kind: &'static str,
    pub(crate) nouns: &'static [Noun],
}

const MEN: &[&str] = &[
    "Tom", "Sam", "Ben", "Leo", "Max", "Jack", "Omar", "Ivan", "Luis", "Noah", "Adam", "Eric",
    "Paul", "Hugo", "Ravi", "John", "James", "David", "Carlos", "Kevin", "Peter", "Henry", "Oscar",
    "Felix",
];
const WOMEN: &[&str] = &[
    "Anna", "Mia", "Zoe", "Lily", "Emma", "Nora", "Ruth", "Sara", "Ella", "Maya", "Kate", "Rosa",
    "Jane", "Aisha", "Lena", "Mary", "Julia", "Alice", "Diana", "Sofia", "Laura", "Helen", "Clara",
    "Priya",
];

/// All people, men first.
pub(crate) static PEOPLE: LazyLock<Vec<Person>> = LazyLock::new(|| {
    let person = |feminine| move |&name| Person { name, feminine };
    MEN.iter().map(person(false)).chain(WOMEN.iter().map(person(true))).collect()
});

/// Nouns with a regular plural.
macro_rules! regular {
    ($($one:literal)*) => { &[$(Noun { one: $one, many: concat!($one, "s") }),*] };
}

/// Nouns with their plurals written out.
macro_rules! irregular {
    ($($one:literal $many:literal),*) => { &[$(Noun { one: $one, many: $many }),*] };
}

/// All classes; no noun is in two of them.
pub(crate) const CLASSES: &[Class] = &[
    Class {
        kind: "keepsake",
        nouns: regular!(
            "marble" "sticker" "card" "stamp" "shell" "coin" "bead" "button" "balloon" "crayon"
            "pencil" "magnet" "ribbon" "badge" "candle" "postcard" "eraser" "bracelet"
        ),
    },
    Class {
        kind: "fruit",
        nouns: regular!("apple" "orange" "pear" "lemon" "plum" "banana" "kiwi" "apricot" "lime" "fig"),
    },
    Class {
        kind: "good",
        nouns: regular!(
            "shirt" "hat" "lamp" "mug" "ball" "pen" "notebook" "mirror" "belt" "towel" "pillow" "vase"
            "puzzle" "kite" "clock" "umbrella" "blanket" "plate"
        ),
    },
    Class {
        kind: "pastry",
        nouns: regular!("cookie" "muffin" "cupcake" "bagel" "brownie" "tart" "waffle" "pancake"),
    },
    Class {
        kind: "crop",
        nouns: irregular!(
            "carrot" "carrots", "potato" "potatoes", "tomato" "tomatoes", "onion" "onions",
            "cabbage" "cabbages", "pumpkin" "pumpkins", "melon" "melons", "radish" "radishes",
            "cucumber" "cucumbers", "beet" "beets"
        ),
    },
    Class { kind: "laid", nouns: regular!("egg") },
    Class {
        kind: "flower",
        nouns: irregular!(
            "tulip" "tulips", "daisy" "daisies", "orchid" "orchids", "sunflower" "sunflowers",
            "poppy" "poppies", "violet" "violets"
        ),
    },
    Class {
        kind: "container",
        nouns: irregular!(
            "bag" "bags", "box" "boxes", "pack" "packs", "basket" "baskets", "crate" "crates", "tin" "tins"
        ),
    },
];

/// Returns the class with this name in scripts.
pub(crate) fn class(kind: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.kind == kind)
}

/// The role of a known word.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    /// A name, by its index in [`PEOPLE`].
    Name(usize),
    /// A noun: the indices of its class and of itself, and whether it is the plural.
    Noun { class: usize, noun: usize, plural: bool },
}

static WORDS: LazyLock<BTreeMap<&'static str, Known>> = LazyLock::new(|| {
    let names = PEOPLE.iter().enumerate().map(|(index, person)| (person.name, Known::Name(index)));
    let mut words: BTreeMap<_, _> = names.collect();
    for (class, group) in CLASSES.iter().enumerate() {
        for (noun, forms) in group.nouns.iter().enumerate() {
            words.insert(forms.one, Known::Noun { class, noun, plural: false });
            words.insert(forms.many, Known::Noun { class, noun, plural: true });
        }
    }
    words
});

/// Looks up a word as written; a capitalised noun at the start of a sentence is found by its lower-case form.
pub(crate) fn known(word: &str) -> Option<Known> {
    let noun = |word: &str| WORDS.get(word).filter(|known| matches!(known, Known::Noun { .. }));
    let capital = word.starts_with(char::is_uppercase);
    // Only nouns lose their capital: `Lily` is a name, but `lily` is not.
    let opening = || noun(&word.to_lowercase()).filter(|_| capital);
    WORDS.get(word).or_else(opening).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_word_means_two_things() {
        let nouns =
            CLASSES.iter().flat_map(|class| class.nouns).flat_map(|noun| [noun.one, noun.many]);
        let words: Vec<_> = PEOPLE.iter().map(|person| person.name).chain(nouns).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
    }

    #[test]
    fn articles_follow_the_sound() {
        let article = |one| Noun { one, many: "" }.article();
        assert_eq!((article("apple"), article("box"), article("umbrella")), ("an", "a", "an"));
    }

    #[test]
    fn a_noun_is_known_at_the_start_of_a_sentence_but_a_name_needs_its_capital() {
        assert!(matches!(known("Apples"), Some(Known::Noun { plural: true, .. })));
        assert!(known("tom").is_none() && known("lily").is_none());
    }
}
