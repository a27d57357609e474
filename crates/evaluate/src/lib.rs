//! Evaluation (AlphaLLM §5): `evaluate run` measures a policy, greedy and with eta-MCTS;
//! `evaluate compare` puts several models side by side, with intervals and paired tests; `evaluate report` does so over
//! several seeds, with tables and plots; `evaluate audit` grades what a filter kept; `evaluate check` compares a device
//! with the CPU.
//!
//! The one stage that reads the gold answers of the test splits, and only to grade with them.

mod audit;
mod bill;
mod check;
pub mod compare;
mod config;
mod decode;
mod decoder;
mod decoders;
mod format;
mod measured;
pub mod report;
pub mod results;
mod rivals;
mod silent;
pub mod stats;

use stage::Failure;

/// Measures models and compares them.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Answers the problems of evaluation splits and grades the answers.
    Run(Box<decode::Args>),
    /// Compares the evaluations of several models.
    Compare(compare::CompareArgs),
    /// Reports the evaluations of several models over several seeds: tables, JSON and plots.
    Report(report::ReportArgs),
    /// Grades what a filter kept of problems with known answers.
    Audit(audit::Args),
    /// Compares what a device and the CPU make of a model.
    Check(check::Args),
}

/// Runs the stage.
///
/// # Errors
/// Bad settings (78), bad inputs (65), a locked output (75), a full disk (74).
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Run(args) => decode::run(&args),
        Command::Compare(args) => compare::run(args),
        Command::Report(args) => report::run(args),
        Command::Audit(args) => audit::run(&args),
        Command::Check(args) => check::run(&args),
    }
}
