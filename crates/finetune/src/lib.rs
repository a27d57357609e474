//! Fine-tuning: trains a checkpoint on examples, for any role.
//!
//! - `finetune pretrain`: a base model from raw text, with its tokenizer.
//! - `finetune policy`: a policy or fast policy from labelled seeds and kept trajectories, by the loss on completions
//!   (AlphaLLM §4.4); also the control, which makes as many updates on the seeds alone.
//! - `finetune critic`: value, PRM and ORM heads from labels, and figures on how far to trust them.
//! - `finetune merge`: a whole model from adapters and their base, for programs that read no adapters.
//!
//! A killed run resumes from its last saved state and writes the same bytes.

mod critics;
mod external;
mod merge;
mod policies;
mod pretrain;
mod training;
mod training_text;
mod writer;

use stage::Failure;

/// Trains a checkpoint.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Trains a base model from scratch on raw text.
    Pretrain(pretrain::Args),
    /// Fine-tunes a policy on labelled seeds and kept trajectories.
    Policy(policies::Args),
    /// Trains critic heads on labels.
    Critic(critics::Args),
    /// Adds the adapters of a checkpoint to the weights of its base.
    Merge(merge::Args),
}

/// Runs the stage.
///
/// # Errors
/// Bad settings (78), bad inputs (65), a locked output (75), a full disk (74).
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Pretrain(args) => pretrain::run(&args),
        Command::Policy(args) => policies::run(&args),
        Command::Critic(args) => critics::run(&args),
        Command::Merge(args) => merge::run(&args),
    }
}
