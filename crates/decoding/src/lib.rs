//! Decoders: how a policy and its critics turn a question into answers: by eta-MCTS, by independent
//! samples, or by step searches without a tree.
//!
//! The one place where the search tree meets the models: trees say what they need, many of them are
//! asked at once, and their needs go to the models in one batch. What comes out for a question does
//! not depend on the other questions.

mod any_model;
pub mod candidate;
mod config;
mod error;
mod fitting;
#[cfg(test)]
mod fixtures;
mod grown;
mod leaves;
mod memory;
pub mod models;
mod picks;
mod pool;
mod sample;
mod search;
mod searcher;
mod similarity;
mod solutions;
mod steps;
mod text;

pub use any_model::{AnyModel, ModelAt};
pub use candidate::Candidate;
pub use config::{RolloutsBy, SearchConfig, Settled};
pub use critic::quality::Bar;
pub use error::Error;
pub use fitting::{Fitting, Taken};
pub use memory::{Cost, Found};
pub use models::{Models, Place};
pub use picks::{Origin, Picks, Solved};
pub use policy::Part;
pub use sample::{Sample, SampleBudget, SampleConfig, Sampled};
pub use search::{Pulse, Question, Searched};
pub use searcher::{Searcher, fitting};
pub use similarity::Similarity;
pub use steps::{StepConfig, StepMethod, Stepped};
pub use text::TextConfig;
