//! The three critics (AlphaLLM §4.3): value, process reward (PRM) and outcome reward (ORM).
//!
//! With scalar heads, all three read the question, the options and, after each option, a mark with the calculator's
//! finding. This is the paper's tool-augmented ORM, extended to every critic. Critics that answer in words read what their
//! templates say. Findings are inputs, never labels. One model may carry several heads; the caller decides which models
//! make up a critic.
//!
//! Nothing here reads gold answers: targets are passed in as numbers.

pub mod agreement;
mod classes;
pub mod confidence;
mod config;
mod encode;
mod error;
mod head;
pub mod quality;
mod score;
mod solution;
pub mod targets;
pub mod words;

pub use classes::Classes;
pub use confidence::{Confidence, Evidence};
pub use config::{CriticConfig, Marks, Words};
pub use encode::Encoder;
pub use error::Error;
pub use head::{Head, UnknownHead};
pub use score::{Critic, Memory};
pub use solution::{Scores, Solution};
