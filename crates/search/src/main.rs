//! The `search` binary.

fn main() -> std::process::ExitCode {
    stage::main(|args| search::run(&args))
}
