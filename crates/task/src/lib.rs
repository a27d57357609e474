//! Everything about the problems themselves: finding the answer in a solution, grading it, and checking the arithmetic.
//!
//! - [`mod@extract`]: finds the answer in a solution, and the point where the solution ends.
//! - [`answer`]: exact grading and agreement of answers, including answers in LaTeX.
//! - [`calculator`]: finds and checks every arithmetic claim in a text. Its findings are an input of the critics and a
//!   filter; they are never a label.
//! - [`import`]: reads problems from GSM8K's format or from any JSONL.
//! - [`rational`]: the exact numbers that all of these compute with.
//! - [`world`]: the embedded word problems, and [`operators`], which make new questions from old ones.
//!
//! Nothing here knows about a language model, opens a file by name or draws a random number except from a generator
//! that the caller passes in. No function panics on any input, because the texts come from models.

pub mod answer;
pub mod calculator;
pub mod extract;
pub mod import;
mod latex;
pub mod operators;
pub mod rational;
mod spelled;
mod tidy;
mod unit;
pub mod world;

pub use answer::{ANSWER_MARK, canonical, grade, same};
pub use calculator::{Check, Finding, check, finding, verdict};
pub use extract::{end_of_answer, extract};
pub use import::{ColumnMap, Doubt, Fields, ImportError, Imported, Rows};
pub use rational::Rational;
