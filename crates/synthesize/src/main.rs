//! The `synthesize` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::main(synthesize::run)
}
