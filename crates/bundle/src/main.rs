//! The `alphallm` binary: all stages in one executable, `alphallm search ...`.
//!
//! Packages have it. Seven binaries would hold most of their code several times over, and names such as `search` and `filter`
//! are too plain for everybody's PATH.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::LazyLock;

/// The version, and the revision of the source if the build was told it, as `make wheel` does: `0.1.0 (6c74e12)`.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("ALPHALLM_BUILT_FROM") {
        None | Some("") => version.to_owned(),
        Some(revision) => format!("{version} ({revision})"),
    }
});

/// Where somebody who has only this executable goes on.
const ROUNDS: &str = "`make round` runs them in a clone of AlphaLLM's repository at this version: presets, base models and rules \
                      are there.";

/// All stages of AlphaLLM.
#[derive(Debug, clap::Parser)]
#[command(name = "alphallm", version = VERSION.as_str(), after_help = ROUNDS)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    stage: Stage,
}

/// The stages in the help of `alphallm`. Each parses its own arguments.
#[derive(Debug, clap::Subcommand)]
enum Stage {
    Synthesize(synthesize::Args),
    Search(search::Args),
    Critique(critique::Args),
    Filter(filter::Args),
    Finetune(finetune::Args),
    Evaluate(evaluate::Args),
    Report(report::Args),
}

/// Runs the stage that the first word names as its own binary would: usage and failures begin with the stage's name.
fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    match words.first().and_then(|word| word.to_str()) {
        Some("synthesize") => stage::main_of(words, synthesize::run),
        Some("search") => stage::main_of(words, |args| search::run(&args)),
        Some("critique") => stage::main_of(words, critique::run),
        Some("filter") => stage::main_of(words, |args| filter::run(&args)),
        Some("finetune") => stage::main_of(words, finetune::run),
        Some("evaluate") => stage::main_of(words, evaluate::run),
        Some("report") => stage::main_of(words, |args| report::run(&args)),
        _ => stage::main(|_: Args| Ok(())),
    }
}
