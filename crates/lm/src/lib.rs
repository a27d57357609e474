//! The transformer on burn: a Llama-family decoder, scalar heads, tokenizer, batched generation with
//! a KV cache, Hugging Face checkpoints and training.
//!
//! This crate knows token ids. It does not know what a question, an option or a critic is, and it
//! never prints; what a user should know of a checkpoint is an event of `tracing`. Randomness comes in as seeds, one per row, so that the composition of a batch, its
//! size and the number of workers never change a result.

mod allocator;
mod cache;
mod causal;
pub mod checkpoint;
pub mod config;
mod decode;
pub mod device;
mod drawn;
pub mod engine;
pub mod error;
mod fused;
mod kernels;
pub mod lora;
pub mod model;
mod packed;
mod plain;
mod precision;
pub mod prefix;
mod product;
mod rotary;
pub mod sampling;
mod spans;
pub mod tokenizer;
pub mod train;
mod weights;

pub use checkpoint::Checkpoint;
pub use config::ModelConfig;
pub use drawn::Drawn;
pub use engine::{Engine, Generation, GenerationRequest, ScoreRequest, Stop, Until};
pub use error::Error;
pub use lora::LoraConfig;
pub use model::Decoder;
pub use precision::Precision;
pub use prefix::Prefixes;
pub use sampling::Sampling;
pub use tokenizer::Tokenizer;
