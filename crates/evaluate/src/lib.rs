//! Evaluation (AlphaLLM §5).
//!
//! - `evaluate run` measures a policy with greedy decoding, eta-MCTS and other decoders.
//! - `evaluate compare` puts several models side by side, with intervals and paired tests.
//! - `evaluate report` does the same over several seeds, with tables and plots.
//! - `evaluate audit` grades the solutions that a filter kept.
//! - `evaluate pick` compares judges, and rules that pick an answer, on trees that are there.
//! - `evaluate check` compares a device with the CPU.
//! - `evaluate estimate` says about what a round would take.
//!
//! This is the only stage that reads the gold answers of the test splits, and it uses them only for grading.

mod answers;
mod audit;
mod check;
pub mod compare;
mod config;
mod cost;
mod decoder;
mod estimate;
mod format;
mod pick;
mod rank;
pub mod report;
pub mod results;
mod rivals;
mod run;
pub mod stats;
mod warnings;

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
    /// Answer the problems of evaluation splits and grade the answers.
    Run(Box<run::Args>),
    /// Compare the evaluations of several models.
    Compare(compare::CompareArgs),
    /// Report the evaluations of several models over several seeds: tables, JSON and plots.
    Report(report::ReportArgs),
    /// Grade the solutions that a filter kept for problems with known answers.
    Audit(audit::Args),
    /// Compare judges of solutions, and ways to pick one, on the trees of a search.
    Pick(pick::Args),
    /// Compare the results of a model on a device with those on the CPU.
    Check(check::Args),
    /// Say about what a round would take: time, memory, disk. The policy answers a few of the seeds.
    Estimate(Box<estimate::Args>),
}

/// Runs the subcommand.
///
/// # Errors
/// Invalid settings (78), invalid inputs (65), a locked output (75), a full disk (74).
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::run(args),
        Command::Report(args) => report::run(args),
        Command::Audit(args) => audit::run(&args),
        Command::Pick(args) => pick::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Estimate(args) => estimate::run(&args),
    }
}
