//! Operators of imagination that need no model: new questions out of old ones, from their texts alone.
//!
//! None of them knows a template or a solution, and [`backward()`] alone is told an answer, which whoever calls it must not have
//! from a label; so any English question will do and no label can leak. What
//! comes out is often, not always, a question that has an answer: [`flaw()`] finds what can be seen in the text, and the rest
//! is left to those who try to solve it.

mod backward;
mod cast;
mod figures;
mod flaw;
mod mutate;
mod steps;
mod wording;

pub use backward::{Backward, backward, compose};
pub use flaw::{Flaw, flaw};
pub use mutate::mutate;
pub use steps::{extend, requestion, shorten};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Texts come from models: whatever they are, no operator panics.
    fn try_all(one: &str, other: &str) {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        for text in [
            mutate(one, rng),
            extend(one, other, rng),
            shorten(one, rng),
            requestion(one, other),
            compose(one, other, rng),
            backward(one, other, rng).map(|made| made.question),
        ] {
            assert!(text.is_none_or(|text| !text.is_empty()));
        }
        let _: Option<Flaw> = flaw(one);
    }

    #[test]
    fn degenerate_texts_are_texts() {
        let halves = "half of 9 ".repeat(100);
        let marks = ".?! ".repeat(500);
        for text in [&halves, &marks, "", "é. Ünïcödé? 9", "99999999999999999999999 apples?", "9"]
        {
            for other in [&halves, &marks, "Tom has 9. He eats 5. Why?"] {
                try_all(text, other);
                try_all(other, text);
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_an_operator_panic(one in ".{0,80}", other in "([A-Za-z0-9.?! é½]{0,12}[.?] ?){0,6}") {
            try_all(&one, &other);
            try_all(&other, &one);
        }
    }
}
