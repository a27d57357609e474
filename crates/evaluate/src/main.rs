//! The `evaluate` binary.

fn main() -> std::process::ExitCode {
    stage::main(evaluate::run)
}
