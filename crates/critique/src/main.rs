//! The `critique` binary.

fn main() -> std::process::ExitCode {
    stage::main(critique::run)
}
