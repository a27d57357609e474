//! Imagination operators that need no model: they make new questions from the text of old ones (paper §4.2).
//!
//! None of them knows a template or a solution, so they work on any English question and cannot leak a label. Only
//! [`backward()`] is given an answer, and its caller must not take that answer from a label. The result is often, but
//! not always, a question with an answer. [`flaw()`] finds the defects that show in the text; the rest is left to the
//! models that try to solve it.

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

    /// Texts come from models, so no operator may panic, whatever the text.
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
