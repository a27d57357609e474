//! Questions with an unknown: a question asked backwards, and two questions in a row.

use super::figures::{Figure, figures, sentences};
use super::wording::{Changes, rewritten};
use crate::{pick, words};
use rand_chacha::ChaCha8Rng;

/// A question asked backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backward {
    /// The question: one number is replaced by x, the answer is given, and x is asked for.
    pub question: String,
    /// The number that x replaced, and so the answer if the given answer was correct. It is part of the original
    /// question, so it is not a label: a solution that arrives at it confirms the given answer.
    pub expected: String,
}

/// Asks the question backwards, given an answer to it (FOBAR, self-verification). `None` if there is no number to ask
/// for, or an x already.
///
/// The resulting question contains the answer, so the answer must not be a label.
pub fn backward(question: &str, answer: &str, rng: &mut ChaCha8Rng) -> Option<Backward> {
    let (masked, figure) = masked(question, "x", |_| true, rng)?;
    let expected = figure.value.to_string();
    let question = format!("{masked} The answer to this question is {answer}. What is x?");
    Some(Backward { question, expected })
}

/// Combines two questions: the answer of the first replaces a number in the second. `None` if the second has no
/// suitable number, or if one of them already has an unknown.
pub fn compose(first: &str, second: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    // Only the first: `masked` looks for an x in the second.
    if words(first).any(|word| word.eq_ignore_ascii_case("x")) {
        return None;
    }
    // The answer may be any number, but a percentage may not.
    let (second, _) = masked(second, "X", |figure| !figure.percent, rng)?;
    Some(format!("{first} Let X be the answer to this question. {second}"))
}

/// Replaces one of the question's numbers by a word. Returns the new text and the number.
fn masked(
    question: &str,
    word: &str,
    fits: impl Fn(&Figure) -> bool,
    rng: &mut ChaCha8Rng,
) -> Option<(String, Figure)> {
    let text: Vec<&str> = words(question).collect();
    // One unknown at a time, or nobody knows which x is asked for.
    if text.iter().any(|other| other.eq_ignore_ascii_case(word)) {
        return None;
    }
    let figures: Vec<Figure> =
        figures(&text, &sentences(&text)).into_iter().filter(|figure| fits(figure)).collect();
    let figure = *pick(rng, &figures)?;
    Some((rewritten(&text, &Changes::from([(figure.at, word.to_owned())])), figure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const BAG: &str = "Tom has 12 apples and eats 25% of them. How many are left?";

    #[test]
    fn a_number_is_asked_for_after_the_answer() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let all: Vec<Backward> = (0..20).filter_map(|_| backward(BAG, "9", &mut rng)).collect();
        for (text, expected) in [
            ("Tom has x apples and eats 25% of them.", "12"),
            ("Tom has 12 apples and eats x% of them.", "25"),
        ] {
            let question =
                format!("{text} How many are left? The answer to this question is 9. What is x?");
            assert!(all.contains(&Backward { question, expected: expected.to_owned() }));
        }
        assert_eq!(backward("What is left of 1 or 2.5?", "9", &mut rng), None);
    }

    #[test]
    fn two_questions_become_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(
            compose("What is 3 + 4?", BAG, &mut rng).as_deref(),
            Some(
                "What is 3 + 4? Let X be the answer to this question. \
                 Tom has X apples and eats 25% of them. How many are left?"
            )
        );
        assert_eq!(compose(BAG, "How many are 10%?", &mut rng), None);
        // Only one unknown at a time.
        let unknown = "Let X be 3. What is X + 4?";
        assert_eq!(compose(unknown, BAG, &mut rng), None);
        assert_eq!(compose(BAG, unknown, &mut rng), None);
        assert_eq!(backward(unknown, "7", &mut rng), None);
    }
}
