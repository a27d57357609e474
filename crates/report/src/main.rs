//! The `report` binary.

fn main() -> std::process::ExitCode {
    stage::main(|args| report::run(&args))
}
