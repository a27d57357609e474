//! Imagination: the source of prompts (AlphaLLM §4.2, `x = g(x_1, ..., x_m)`).
//!
//! - `world`: labelled problems of the embedded world, split by split. The policy only learns from the labels of the
//!   seeds.
//! - `corpus`: raw text of that world to pretrain a policy on, without a single worked question.
//! - `prompts`: new questions derived from seed questions and from prompts kept in earlier rounds, drawn anew, or
//!   written by a model. No label is read or written.
//! - `drafts`: what models write for those prompts and say of them, where several processes ask them.
//! - `import`: problems from outside, as GSM8K's format, JSONL or Parquet.
//!
//! Every command writes one dataset, with rows sorted by id. Prompts that belong to an evaluation split, or resemble a
//! question of one, are never made.

mod args;
mod author;
mod avoid;
mod corpus;
mod drafts;
mod earlier;
mod imagine;
mod import;
mod operator;
mod output;
mod prompts;
mod text;
mod world;

pub use args::{
    Args, Command, CorpusArgs, DraftsArgs, Format, ImportArgs, PromptsArgs, WorldArgs, WorldSplit,
};
pub use author::{DifficultyConfig, WritingConfig};
pub use avoid::AvoidConfig;
pub use corpus::CorpusConfig;
pub use imagine::{NearConfig, QualityConfig};
pub use import::ImportConfig;
pub use operator::{Operator, Shares};
pub use prompts::{CurriculumConfig, PromptsConfig};
pub use world::{Counts, WorldConfig};

use stage::Failure;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::World(args) => world::run(&args),
        Command::Corpus(args) => corpus::run(&args),
        Command::Prompts(args) => prompts::run(&args),
        Command::Drafts(args) => drafts::run(&args),
        Command::Import(args) => import::run(&args),
    }
}
