//! Imagination: where prompts come from (AlphaLLM §4.2, `x = g(x_1, ..., x_m)`).
//!
//! - `world`: labelled problems of the embedded world, split by split. The policy learns from no labels but the seeds'.
//! - `corpus`: raw text of that world to pretrain a policy on, without a single worked question.
//! - `prompts`: new questions out of seed questions and of what earlier rounds kept, drawn afresh, or written by a
//!   model. No label is read and none is written.
//! - `import`: problems from outside, in GSM8K's format, as JSONL or as Parquet.
//!
//! Every command writes one dataset, whose rows are sorted by their ids. A prompt that belongs to an evaluation split,
//! or resembles a question of one, is never made.

mod args;
mod author;
mod avoid;
mod corpus;
mod earlier;
mod imagine;
mod import;
mod output;
mod prompts;
mod text;
mod world;

pub use args::{Args, Command, CorpusArgs, Format, ImportArgs, PromptsArgs, WorldArgs, WorldSplit};
pub use author::{DifficultyConfig, WritingConfig};
pub use avoid::AvoidConfig;
pub use corpus::CorpusConfig;
pub use imagine::{NearConfig, Operator, QualityConfig, Shares};
pub use import::ImportConfig;
pub use prompts::{CurriculumConfig, PromptsConfig};
pub use world::{Counts, WorldConfig};

use stage::Failure;

/// Runs the command of the arguments.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::World(args) => world::run(&args),
        Command::Corpus(args) => corpus::run(&args),
        Command::Prompts(args) => prompts::run(&args),
        Command::Import(args) => import::run(&args),
    }
}
