//! The `finetune` binary.

fn main() -> std::process::ExitCode {
    stage::main(finetune::run)
}
