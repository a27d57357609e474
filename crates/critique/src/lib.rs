//! The critique stage (AlphaLLM §4.3).
//!
//! - `critique score` judges trajectories with the critics and the calculator.
//! - `critique label` samples solutions of the labelled seeds and turns them into training targets for the critics.
//! - `critique calibrate` fits P(correct) for a judged solution.
//!
//! `score` reads no gold answer. `label` reads those of the labelled seeds, and both `label` and `calibrate` those of the
//! validation problems: these are the only labels in the loop.

mod calibrate;
mod label;
mod score;
mod targets;

use stage::Failure;

/// Scores trajectories, samples and labels the critics' training data, or calibrates confidence.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Judges every trajectory with the critics and the calculator.
    Score(score::Args),
    /// Fits the probability that a solution is right, on searched problems with known answers.
    Calibrate(calibrate::Args),
    /// Samples solutions of labelled problems and derives the critics' targets.
    Label(label::Args),
}

/// Runs the stage.
///
/// # Errors
/// Bad settings (78), bad inputs (65), a locked output (75), a full disk (74).
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Score(args) => score::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Label(args) => label::run(&args),
    }
}
