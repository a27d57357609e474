//! Operators of imagination that need no model: new questions out of old ones, from their texts alone.
//!
//! None of them knows an answer, a template or a solution, so any English question will do and no label can leak. What
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
