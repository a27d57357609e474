//! The `filter` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::main(|args| filter::run(&args))
}
