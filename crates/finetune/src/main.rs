//! The `finetune` binary.

fn main() {}
