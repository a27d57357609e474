//! Decoders: ways for a policy and its critics to answer a question, by eta-MCTS, by independent samples, or by step
//! searches without a tree.
//!
//! This is the only crate where search trees meet models. Each tree says which samples or scores it needs next. Many are in
//! progress at once, and a model runs together what they ask it at the same time. The result for a question does not depend
//! on the other questions.

mod active;
mod any_model;
pub mod candidate;
mod concurrent;
mod config;
mod error;
mod fitting;
#[cfg(test)]
mod fixtures;
mod grown;
mod leaves;
mod memory;
mod model;
pub mod models;
mod picks;
mod question;
mod runtime;
mod sample;
mod search;
mod searcher;
mod similarity;
mod solutions;
mod steps;
mod text;

pub use any_model::{AnyModel, ModelAt};
pub use candidate::Candidate;
pub use config::{RolloutsBy, SearchConfig, Settled, Similarity};
pub use critic::Head;
pub use critic::quality::Bar;
pub use error::Error;
pub use fitting::{ContextUse, Fitting};
pub use memory::{Cost, Costed};
pub use model::{Base, InitialModel, Model};
pub use models::Models;
pub use picks::{Origin, Pick, Picks, Searched, TreeSolution};
pub use policy::{FinishReason, Part};
pub use question::{Question, SearchProgress};
pub use runtime::Runtime;
pub use sample::{Sample, SampleBudget, SampleConfig, Sampled};
pub use searcher::{Sampler, Searcher, fitting};
pub use steps::{StepConfig, StepMethod, StepSolutions};
pub use text::TextConfig;
