//! Answers: where one stands in a text, when two agree, and whether the sums that lead to it hold.
//!
//! - [`mod@extract`]: where the answer of a solution stands, and where a solution ends.
//! - [`grading`]: exact grading and agreement, also of answers in LaTeX.
//! - [`calculator`]: finds and checks every arithmetic claim in a text. Its findings are an input of the critics and a filter;
//!   they are never a label.
//! - [`import`]: problems from outside, in GSM8K's format or any JSONL.
//! - [`rational`]: the exact numbers all of them compute with.
//!
//! Nothing here knows a language model or opens a file. No function panics on any input, because texts come from models.

pub mod calculator;
pub mod extract;
pub mod grading;
pub mod import;
mod latex;
mod quantity;
pub mod rational;
mod spelled;
mod tidy;
mod unit;

pub use calculator::{Check, Finding, check, finding, verdict};
pub use extract::{ANSWER_MARK, end_of_answer, extract};
pub use grading::{canonical, final_answer, grade, same};
pub use import::{ColumnMap, Doubt, Fields, ImportError, Imported, Rows};
pub use rational::Rational;
