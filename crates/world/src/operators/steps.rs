//! Operators that add a step, remove a step, or change the question at the end.

use super::cast::{Cast, transplanted};
use super::figures::is_number;
use super::wording::sentences_in;
use crate::{pick, shape, words};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

fn tells_a_number(sentence: &str) -> bool {
    !sentence.ends_with('?') && words(sentence).any(is_number)
}

/// Adds a step to the question: a sentence with a number from another question, rewritten for the people and things of
/// this one and inserted between its first sentence and its final question. `None` if none fits.
pub fn extend(question: &str, other: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    let (mut here, there) = (sentences_in(question), sentences_in(other));
    // Not the first sentence, which introduces people and things, and not the question.
    let steps: Vec<usize> =
        (1..there.len().saturating_sub(1)).filter(|&at| tells_a_number(there[at])).collect();
    let step = *pick(rng, &steps)?;
    let at = (here.len() > 1).then(|| rng.random_range(1..here.len()))?;
    // Few draws become a prompt: in one round, 1990 of 21 257 (docs/results/imagination.md).
    let told = transplanted(there[step], &there[..step].join(" "), &here[..at].join(" "))?;
    if here.contains(&told.as_str()) {
        return None;
    }
    here.insert(at, &told);
    Some(here.join(" "))
}

/// Removes a step from the question: a sentence with a number, between the first sentence and the final question, that
/// introduces nothing that a later sentence needs. `None` if there is none.
pub fn shorten(question: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    let mut told = sentences_in(question);
    let spare = |&at: &usize| {
        let (without, with) = (Cast::of(&told[..at].join(" ")), Cast::of(&told[..=at].join(" ")));
        // Names and nouns of the lexicon are not all: `There is a farm of 5 acres. How large is the farm?`
        let needs = |sentence: &&str| {
            without.lacks(sentence, &with) || without.lacks_topic(sentence, &with)
        };
        tells_a_number(told[at]) && !told[at + 1..].iter().any(needs)
    };
    let spare: Vec<usize> = (1..told.len().saturating_sub(1)).filter(spare).collect();
    told.remove(*pick(rng, &spare)?);
    Some(told.join(" "))
}

/// Asks about another quantity: takes the final question of another problem and rewrites it for the people and things
/// of this one. `None` if it asks the same thing, or about something that this question does not mention.
pub fn requestion(question: &str, other: &str) -> Option<String> {
    let (mut here, there) = (sentences_in(question), sentences_in(other));
    let (own, (asked, before)) = (here.pop()?, there.split_last()?);
    if here.is_empty() || !asked.ends_with('?') {
        return None;
    }
    let told = here.join(" ");
    let asked = transplanted(asked, &before.join(" "), &told)?;
    // Few draws become a prompt: in one round, 1971 of 23 793 (docs/results/imagination.md).
    let another = shape(&asked) != shape(own) && !Cast::of(&told).is_added_to(&asked);
    another.then(|| format!("{told} {asked}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Split, draw_many};
    use rand::SeedableRng;

    const TOM: &str =
        "Tom has 12 apples. Then he buys 5 more apples. How many apples does Tom have?";
    const BEN: &str = "Ben has 30 marbles. He gives 7 marbles to a friend. \
                       Does Ben have fewer marbles than before?";

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    #[test]
    fn a_step_of_another_question_is_taken_over() {
        let told = |at: &str| Some(at.to_owned());
        let all: Vec<_> = (0..20).map(|seed| extend(TOM, BEN, &mut rng(seed))).collect();
        for expected in [
            "Tom has 12 apples. He gives 7 apples to a friend. Then he buys 5 more apples. How many apples does Tom have?",
            "Tom has 12 apples. Then he buys 5 more apples. He gives 7 apples to a friend. How many apples does Tom have?",
        ] {
            assert!(all.contains(&told(expected)), "{all:?}");
        }
        assert!(all.iter().flatten().count() == 20);
        assert_eq!(extend("How many?", BEN, &mut rng(1)), None);
        assert_eq!(extend(TOM, "Ben has 3 marbles. How many?", &mut rng(1)), None);
    }

    #[test]
    fn a_step_that_nothing_needs_is_left_out() {
        let short = "Tom has 12 apples. How many apples does Tom have?";
        assert_eq!(shorten(TOM, &mut rng(1)).as_deref(), Some(short));
        assert_eq!(shorten(short, &mut rng(1)), None);
        let needed = "Tom has 12 apples. Anna has 5 boxes. How many boxes does Anna have?";
        assert_eq!(shorten(needed, &mut rng(1)), None);
        let farm = "Tom works. There is a farm of 5 acres. How large is the farm?";
        assert_eq!(shorten(farm, &mut rng(1)), None);
    }

    #[test]
    fn another_question_is_asked_of_the_same_story() {
        assert_eq!(
            requestion(TOM, BEN).as_deref(),
            Some(
                "Tom has 12 apples. Then he buys 5 more apples. Does Tom have fewer apples than before?"
            )
        );
        // The same question, no question, and a question about something that is not mentioned.
        for other in [
            "Ben has 3 marbles. How many marbles does Ben have?",
            "Ben has 3 marbles. He is glad.",
            "Ben has 3 marbles. How many boxes does Ben need?",
        ] {
            assert_eq!(requestion(TOM, other), None, "{other}");
        }
    }

    #[test]
    fn questions_of_the_world_have_a_step_more_or_less() {
        let problems = draw_many(Split::Seeds, 200, 3);
        let (mut longer, mut shorter, mut others) = (0, 0, 0);
        for (pair, seed) in problems.windows(2).zip(0..) {
            let (question, other) = (&pair[0].question, &pair[1].question);
            let sentences = sentences_in(question).len();
            if let Some(text) = extend(question, other, &mut rng(seed)) {
                assert_eq!(sentences_in(&text).len(), sentences + 1, "{text}");
                longer += 1;
            }
            if let Some(text) = shorten(question, &mut rng(seed)) {
                assert_eq!(sentences_in(&text).len(), sentences - 1, "{text}");
                shorter += 1;
            }
            others += usize::from(requestion(question, other).is_some());
        }
        assert!(longer >= 10 && shorter >= 60 && others >= 3, "{longer} {shorter} {others}");
    }
}
