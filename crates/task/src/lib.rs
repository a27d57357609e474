//! What a problem is: where its answer stands, when an answer is right, and whether the sums in a solution hold.
//!
//! - [`mod@extract`]: where the answer of a solution stands, and where a solution ends.
//! - [`answer`]: grading and agreement, exact; also of answers in LaTeX.
//! - [`calculator`]: every arithmetic claim in a text, found and checked. Its findings are an input of the critics
//!   and a filter; they are never a label.
//! - [`import`]: problems from outside, in GSM8K's format or any JSONL.
//! - [`rational`]: the exact numbers all of them compute with.
//! - [`world`]: the embedded word problems, and [`operators`], which make new questions from old ones.
//!
//! Nothing here knows a language model, reads a file by name or draws a random number it was not handed. No
//! function panics on any input: texts come from models.

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
