//! Transformer models on burn: a Llama-family decoder, scalar heads, tokenizer, batched generation with a KV cache,
//! Hugging Face checkpoints and training.
//!
//! A [`Decoder`] is a burn module that learns. An [`Engine`] is the same model ready for inference: on the CPU with packed
//! weights and on slices alone (the `kernels` crate), on other devices in padded tensors.
//!
//! This crate deals in token ids and knows nothing of questions, options or critics. It never prints; anything a user
//! should know about a checkpoint is logged as a `tracing` event. Randomness comes in as one seed per row, so that
//! neither the composition of a batch, nor its size, nor the number of workers changes a result.

mod adapter;
mod allocator;
mod autodiff;
mod cache;
pub mod checkpoint;
pub mod config;
pub mod device;
mod drawn;
pub mod engine;
pub mod error;
mod fused;
mod inference;
mod job;
pub mod lora;
mod mask;
pub mod model;
mod plain;
mod precision;
pub mod prefix;
mod requests;
mod rotary;
pub mod sampling;
mod scheduler;
mod stored;
mod tensor_file;
mod tensors;
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
