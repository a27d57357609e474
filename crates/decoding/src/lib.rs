//! Decoders: how a policy and its critics turn a question into answers, greedily or by eta-MCTS.
//!
//! The one place where the search tree meets the models: trees say what they need, many of them are
//! asked at once, and their needs go to the models in one batch. What comes out for a question does
//! not depend on the other questions.

mod error;
pub mod models;
mod picks;
mod search;
mod text;

pub use error::Error;
pub use models::{Models, Place};
pub use picks::{Origin, Picks, Solved};
pub use search::{Question, SearchConfig, Searched, Searcher};
pub use text::TextConfig;
