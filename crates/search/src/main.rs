//! The `search` binary.

fn main() -> std::process::ExitCode {
    stage::main(search::run)
}
