//! The three critics (AlphaLLM §4.3): value, process reward (PRM) and outcome reward (ORM).
//!
//! All three read the question, the options and, after each option, a mark with the calculator's finding. This is the
//! paper's tool-augmented ORM, extended to every critic. Findings are inputs, never labels. One model may carry several
//! heads; the caller decides which models make up a critic.
//!
//! Nothing here reads gold answers: targets are passed in as numbers.

pub mod agreement;
mod classes;
pub mod confidence;
mod encode;
mod error;
pub mod quality;
mod score;
pub mod targets;
pub mod words;

pub use classes::Classes;
pub use confidence::{Confidence, Evidence};
pub use encode::{CriticConfig, Encoder, Marks};
pub use error::Error;
pub use score::{Critic, Memory, Scores, Solution};
pub use words::Words;

/// Name of the value head: the probability that the final answer will be right, read after each option.
pub const VALUE: &str = "value";
/// Name of the process reward head: whether the last option is right.
pub const PRM: &str = "prm";
/// Name of the outcome reward head: whether the final answer is right.
pub const ORM: &str = "orm";
